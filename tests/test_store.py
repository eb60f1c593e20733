from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import math
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from poet_hook.errors import AmbiguousResultError, CodecError, StoreError, UnknownExecutionError
from poet_hook.model import Execution, Signal
from poet_hook.store import codec, connection, executions, journal, schema
from poet_hook.store.database import FunctionRecord, Store
from poet_hook.store.journal import Journal, read
from poet_hook.store.readings import Reading

ROOT = str(Path(journal.__file__).parents[2])
PRELUDE = """
import os, sys, threading, time
from pathlib import Path
from poet_hook.model import Execution
from poet_hook.store.database import Store

def call(name):
    return Execution(name, "m:f", 1, "h", time.time(), 0.1, "result", b"a" * 100, b"r")

store = Store(Path(sys.argv[1]))
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "the home" / ".poet"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    opened = Store(home)
    yield opened
    opened.close()


def call(name: str, **given: Any) -> Execution:
    fields: dict[str, Any] = {
        "function": "m:f",
        "version": 1,
        "source_hash": "h",
        "started": 1.0,
        "duration": 0.1,
        "outcome": "result",
        "arguments": b"a",
        "result": b"r",
    }
    return Execution(name, **{**fields, **given})


def start(script: str, home: Path, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PRELUDE + script, str(home)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": ROOT}, **options)


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output


def ids(store: Store) -> Counter[str]:
    return Counter(execution.id for execution in store.executions())


def logs(home: Path) -> list[Path]:
    return sorted((home / "journal").iterdir())


# --------------------------------------------------------------------------- journal


def test_journal_frames_come_back_in_order(tmp_path: Path) -> None:
    log = Journal(tmp_path / "h" / "journal")
    given = [b"one", b"\0" * 70_000, b"three"]
    for payload in given:
        log.append(payload)
    (path,) = log.folder.iterdir()
    frames = list(read(path, 0))
    assert [payload for _, payload in frames] == given
    assert frames[-1][0] == path.stat().st_size
    assert list(read(path, frames[0][0])) == frames[1:]
    assert str(os.getpid()) == path.name.split("-")[1]
    log.close()


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_torn_tail_is_not_read(tmp_path: Path, cut: int) -> None:
    log = Journal(tmp_path / "h" / "journal")
    log.append(b"whole")
    log.append(b"torn")
    log.close()
    (path,) = log.folder.iterdir()
    os.truncate(path, path.stat().st_size - cut)
    assert [payload for _, payload in read(path, 0)] == [b"whole"]


def test_damage_and_zeros_end_the_reading(tmp_path: Path) -> None:
    log = Journal(tmp_path / "h" / "journal")
    log.append(b"whole")
    log.append(b"damaged")
    log.close()
    (path,) = log.folder.iterdir()
    data = bytearray(path.read_bytes())
    path.write_bytes(data + bytes(64))
    assert [payload for _, payload in read(path, 0)] == [b"whole", b"damaged"]
    data[-1] ^= 1
    path.write_bytes(data)
    assert [payload for _, payload in read(path, 0)] == [b"whole"]
    with pytest.raises(StoreError, match="payload of 0 bytes"):
        log.append(b"")


def payloads(log: Journal) -> list[list[bytes]]:
    return [[payload for _, payload in read(path, 0)] for path in sorted(log.folder.glob("*.log"))]


def test_a_deleted_folder_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LOOK_EVERY", 0.0)
    log = Journal(tmp_path / "h" / "journal")
    log.append(b"gone")
    shutil.rmtree(tmp_path / "h")
    log.append(b"kept")
    assert payloads(log)[0][-1] == b"kept"
    assert (tmp_path / "h" / ".gitignore").read_text() == "*\n"
    log.close()


def test_what_went_into_a_deleted_file_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LOOK_EVERY", 3600.0)
    log = Journal(tmp_path / "h" / "journal")
    log.append(b"gone")
    log.rescue()
    shutil.rmtree(tmp_path / "h")
    log.rescue()
    assert not (tmp_path / "h").exists()
    log.append(b"kept")
    log.append(b"kept too")
    log.rescue()
    log.append(b"after")
    assert payloads(log) == [[b"kept", b"kept too", b"after"]]
    log.close()


def test_a_process_that_ends_just_after_the_deletion_loses_nothing(home: Path) -> None:
    script = """
import shutil
store.record(call("execution-1"))
shutil.rmtree(store.home)
store.record(call("execution-2"))
"""
    finish(start(script, home))
    reader = Store(home)
    assert "execution-2" in ids(reader)
    reader.close()


def test_a_descriptor_that_became_another_file_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LOOK_EVERY", 0.0)
    log = Journal(tmp_path / "h" / "journal")
    log.append(b"one")
    os.close(log._fd)
    log._look_again = math.inf
    with pytest.raises(StoreError, match=os.strerror(errno.EBADF)):
        log.append(b"refused")
    foreign = os.open(tmp_path / "users.txt", os.O_CREAT | os.O_RDWR)
    assert foreign == log._fd
    log.append(b"two")
    log.close()
    os.write(foreign, b"mine")
    os.close(foreign)
    assert (tmp_path / "users.txt").read_bytes() == b"mine"
    assert sorted(payloads(log)) == [[b"one"], [b"two"]]


def test_a_full_journal_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_FILE", 100)
    monkeypatch.setattr(journal, "LOOK_EVERY", 0.0)
    with_space = Store(tmp_path / "h")
    for number in range(6):
        with_space.record(call(f"execution-{number}"))
    assert len(logs(tmp_path / "h")) > 2
    assert sum(ids(with_space).values()) == 6
    assert len(logs(tmp_path / "h")) == 1
    with_space.close()


def test_a_cut_off_write_is_an_error_and_costs_nothing_else(home: Path) -> None:
    script = """
import resource, signal
from poet_hook.errors import StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store.record(call("first-1"))
size = next((store.home / "journal").iterdir()).stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, -1))
try: store.record(call("cut-off"))
except StoreError as error: print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
store.record(call("second-2"))
"""
    assert finish(start(script, home)).strip() == f"{home}/journal: No space left on device (a frame was cut off)"
    with_rest = Store(home)
    assert ids(with_rest) == Counter(["first-1", "second-2"])
    assert [path.suffix for path in logs(home)] == [".torn"]
    assert ids(with_rest) == Counter(["first-1", "second-2"])
    with_rest.close()


def test_a_full_disk_is_a_store_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.record(call("before-1"))
    full = os.open("/dev/full", os.O_WRONLY)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(full, data))
    with pytest.raises(StoreError, match=r"journal: No space left on device"):
        store.record(call("lost-1"))
    monkeypatch.undo()
    os.close(full)
    store.record(call("after-1"))
    assert ids(store) == Counter(["before-1", "after-1"])


# --------------------------------------------------------------------------- processes


def test_processes_and_threads_write_and_absorb_at_once(home: Path) -> None:
    script = """
def work(thread):
    for n in range(300):
        store.record(call(f"{os.getpid()}-{thread}-{n}"))
        if n % 50 == thread: store.absorb()
threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
print(os.getpid())
"""
    running = [start(script, home) for _ in range(2)]
    reader = Store(home)
    while any(process.poll() is None for process in running):
        reader.absorb()
    pids = [finish(process).strip() for process in running]
    assert ids(reader) == Counter(f"{pid}-{thread}-{n}" for pid in pids for thread in range(3) for n in range(300))
    assert logs(home) == []
    reader.close()
    with contextlib.closing(sqlite3.connect(home / "poet.db")) as opened:
        assert opened.execute("SELECT count(*) FROM journals").fetchone() == (0,)


@pytest.mark.parametrize("absorb", ["", "n % 20 == 0 and store.absorb()"])
def test_sigkill_loses_nothing_that_was_recorded(home: Path, absorb: str) -> None:
    script = f"""
n = 0
while True:
    store.record(call(f"execution-{{n}}"))
    os.write(1, b"%d\\n" % n)
    {absorb}
    n += 1
"""
    process = start(script, home)
    assert process.stdout
    for _ in range(100):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    said = process.stdout.read().split("\n")
    process.wait()
    process.stdout.close()
    returned = max([99, *(int(line) for line in said[:-1])])
    reader = Store(home)
    found = ids(reader)
    # The last call may have been recorded without the time to say so.
    assert {f"execution-{n}" for n in range(returned + 1)} <= set(found)
    assert len(found) <= returned + 2
    assert set(found.values()) == {1}
    assert logs(home) == []
    reader.close()


def test_sigkill_while_absorbing_neither_loses_nor_doubles(home: Path) -> None:
    script = """
import poet_hook.store.executions as executions
executions.BATCH_ROWS = 7
print("ready", flush=True)
sys.stdin.readline()
store.absorb()
"""
    writer = Store(home)
    for number in range(2_000):
        writer.record(call(f"execution-{number}"))
    for delay in (0.0, 0.01, 0.03):
        process = start(script, home, stdin=subprocess.PIPE)
        assert process.stdout
        assert process.stdin
        process.stdout.readline()
        process.stdin.write("\n")
        process.stdin.flush()
        time.sleep(delay)
        process.kill()
        process.communicate()
    assert ids(writer) == Counter(f"execution-{number}" for number in range(2_000))
    writer.close()


def test_fork_in_the_middle(home: Path) -> None:
    script = """
import warnings
warnings.simplefilter("ignore")
stop = threading.Event()
def work():
    n = 0
    while not stop.is_set():
        store.record(call(f"thread-{n}")); store.count("m:f"); n += 1
    print("thread", n)
thread = threading.Thread(target=work); thread.start()
store.record(call("before-fork"))
children = []
for child in range(5):
    pid = os.fork()
    if pid == 0:
        for n in range(20):
            store.record(call(f"child-{child}-{n}"))
            assert store.count("m:f") > n
        os._exit(0)
    children.append(pid)
    store.record(call(f"parent-{child}"))
codes = [os.waitpid(pid, 0)[1] for pid in children]
stop.set(); thread.join()
print("codes", *codes)
"""
    words = dict(line.split(" ", 1) for line in finish(start(script, home)).splitlines())
    assert words["codes"] == "0 0 0 0 0"
    expected = [
        "before-fork",
        *(f"parent-{n}" for n in range(5)),
        *(f"thread-{n}" for n in range(int(words["thread"]))),
    ]
    expected += [f"child-{child}-{n}" for child in range(5) for n in range(20)]
    reader = Store(home)
    assert ids(reader) == Counter(expected)
    assert logs(home) == []
    reader.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_gets_a_file_of_its_own(store: Store, home: Path) -> None:
    store.record(call("execution-1"))
    pid = os.fork()
    if pid == 0:
        store.record(call("execution-2"))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    store.record(call("execution-3"))
    assert {path.name.split("-")[1] for path in logs(home)} == {str(os.getpid()), str(pid)}
    assert ids(store) == Counter(["execution-1", "execution-2", "execution-3"])
    assert [path.name.split("-")[1] for path in logs(home)] == [str(os.getpid())]


def test_what_was_recorded_twice_is_there_once_and_odd_rows_block_nothing(store: Store) -> None:
    store.record(call("execution-1"))
    store.record(call("execution-2", started=math.nan))
    store.record(call("execution-1", version=2))
    store.record(call("execution-3"))
    assert store.absorb() == 2
    assert ids(store) == Counter(["execution-1", "execution-3"])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_no_connection_is_open_while_a_process_forks(store: Store) -> None:
    store.record(call("execution-1"))
    assert store.count("m:f") == 1
    assert store._connection is not None
    inherited, pid = store._connection, os.fork()
    if pid == 0:
        os._exit(0 if store._connection is None and store.count("m:f") == 1 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        inherited.execute("SELECT 1")
    assert store.count("m:f") == 1


def test_an_inherited_connection_is_neither_used_nor_closed(store: Store) -> None:
    store.record(call("execution-1"))
    assert store.count("m:f") == 1
    inherited = store._connection
    assert inherited is not None
    store._opened = (-1, *store._opened[1:])  # as after a fork that ran no hooks
    assert store.count("m:f") == 1
    assert store._connection is not inherited
    assert inherited.execute("SELECT 1").fetchone() == (1,)
    inherited.close()


def test_a_writer_that_holds_on_is_named(store: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.set_meta("a", "b")
    monkeypatch.setattr(connection, "PATIENCE", 0.05)
    with open(home / "poet.lock", "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match=r"poet\.lock: another process has been writing"):
            store.set_meta("a", "c")
        assert store.get_meta("a") == "b"
    store.set_meta("a", "c")
    assert store.get_meta("a") == "c"


def test_threads_share_a_store(store: Store) -> None:
    errors: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for number in range(30):
                store.record(call(f"t{thread}-{number}"))
                store.set_meta(f"t{thread}", str(number))
                assert store.count("m:f") > number
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.count("m:f") == 120


# --------------------------------------------------------------------------- database


def test_everything_of_an_execution_comes_back(store: Store, home: Path) -> None:
    whole = call(
        "execution-1", outcome="error", arguments=None, result=None, error="E: \udcff", key="k\ud800", attempts=3
    )
    store.record(whole)
    found = store.execution("execution-1")
    assert found is not None
    assert found == call(
        "execution-1", outcome="error", arguments=None, result=None, error="E: \\udcff", key="k\\ud800", attempts=3
    )
    assert store.ids_for_key("m:f", "k\ud800") == ["execution-1"]
    assert home.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in home.glob("poet.*")} == {0}
    assert (home / ".gitignore").read_text() == "*\n"


def test_executions_are_filtered_ordered_and_paged(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executions, "PAGE", 3)
    for number in range(10):
        store.record(
            call(f"execution-{number}", started=float(number // 2), outcome="error" if number == 4 else "result")
        )
    store.record(call("other-1", function="m:g", version=2, started=2.0))

    def found(*arguments: Any, **options: Any) -> list[int]:
        return [int(execution.id[-1]) for execution in store.executions(*arguments, **options)]

    assert found("m:f") == list(range(10))
    assert found("m:f", newest_first=True) == list(range(9, -1, -1))
    assert found("m:f", newest_first=True, limit=4) == [9, 8, 7, 6]
    assert found("m:f", limit=0) == []
    assert found("m:f", since=1.0, until=3.0) == [2, 3, 4, 5]
    assert found(outcome="error") == [4]
    assert len(found()) == 11
    store.add_feedback("execution-7", True, Signal("right"), "me")
    assert found("m:f", with_feedback=True) == [7]
    assert found("m:f", with_feedback=False, since=3.0) == [6, 8, 9]
    assert store.count("m:f") == 10
    assert store.versions_used("m:g") == {2: 1}


def test_writing_goes_on_while_executions_are_read(store: Store) -> None:
    for number in range(500):
        store.record(call(f"execution-{number}", started=float(number)))
    reading = store.executions("m:f")
    next(reading)
    store.record(call("late-1", started=1000.0))
    store.set_meta("a", "b")
    assert store.count("m:f") == 501
    assert sum(1 for _ in reading) == 500


def test_an_execution_is_found_by_either_end_of_its_id(store: Store) -> None:
    for name in ("abcdef-111111-x", "abcdef-222222-y", "abc"):
        store.record(call(name))
    for part in ("abcdef-111111-x", "abcdef-1", "11111-x"):
        found = store.execution(part)
        assert found is not None
        assert found.id == "abcdef-111111-x"
    assert store.execution("abc") == call("abc")
    for part in ("11-x", "nothing-here", "", "abcde%", "bcdef-1"):
        assert store.execution(part) is None
    with pytest.raises(AmbiguousResultError, match=r"abcdef-111111-x, abcdef-222222-y; give more of it$"):
        store.execution("abcdef")
    for number in range(7):
        store.record(call(f"abcdef-3-{number}"))
    with pytest.raises(AmbiguousResultError, match=r"(abcdef-\S+, ){5}\.\.\.; give more of it$"):
        store.execution("abcdef")


def test_keys_give_the_newest_first(store: Store) -> None:
    store.record(call("execution-1", key="order-7", started=1.0))
    store.record(call("execution-2", key="order-7", started=3.0, function="m:g"))
    store.record(call("execution-3", key="order-7", started=2.0))
    assert store.ids_for_key("m:f", "order-7") == ["execution-3", "execution-1"]
    assert store.ids_for_key(None, "order-7") == ["execution-2", "execution-3", "execution-1"]
    assert store.ids_for_key(None, "order-8") == []


def test_of_a_function_the_last_text_counts_and_the_others_stay(store: Store) -> None:
    old = FunctionRecord("m:f", "m", "f", "m.py", 3, "def f(): 1", "h1", "f1", None, 10.0)
    new = FunctionRecord("m:f", "m", "f", "m\udcff.py", 4, "def f(): 2", "h2", "f1", "generic", 20.0)
    store.save_function(old)
    assert store.function("m:f") == old
    store.save_function(new)
    (found,) = store.functions()
    assert (found.line, found.path, found.source, found.domain) == (4, "m\\udcff.py", "def f(): 2", "generic")
    assert store.source_of("m:f", "h1") == "def f(): 1"
    assert store.source_of("m:f", "h2") == "def f(): 2"
    assert store.source_of("m:f", "h3") is None
    assert store.function("m:g") is None


def test_what_is_new_is_counted_without_a_look_at_all_executions(store: Store) -> None:
    """`feedback()` asks that each time, also where millions of executions were recorded."""

    def steps(ask: Callable[[], object]) -> int:
        taken = [0]

        def count() -> None:
            taken[0] += 1

        with store._guarded() as connection:
            assert connection is not None
            connection.set_progress_handler(count, 1)
            ask()
            connection.set_progress_handler(None, 1)
        return taken[0]

    def asked() -> list[int]:
        last = store.add_feedback("execution-0", True, Signal("wrong"), "ann").id - 1
        return [steps(lambda: store.count_new("m:f", last)), steps(lambda: store.requests("m:f", last))]

    store.record(call("execution-0"))
    few = asked()
    for number in range(1, 500):
        store.record(call(f"execution-{number}"))
    store.absorb()
    assert max(asked()) < 3 * max(few)


def test_feedback_is_committed_and_the_latest_of_each_source_counts(store: Store, home: Path) -> None:
    for number in range(2):
        store.record(call(f"execution-{number}"))
    first = store.add_feedback("execution-0", "bad \ud800", Signal("wrong", comment="bad \ud800"), "ann", 5.0)
    second = store.add_feedback("execution-1", {"expected": 3}, Signal("expected", (3, 4.0), 0.5), "ann")
    third = store.add_feedback("execution-0", None, Signal("right"), "bob")
    fourth = store.add_feedback("execution-0", True, Signal("right", reader="llm"), "ann")
    other = Store(home)
    assert other.for_function("m:f") == [second, third, fourth]
    assert [item.id for item in other.for_execution("execution-0")] == [first.id, third.id, fourth.id]
    stored = other.for_execution("execution-0")[0]
    assert (codec.decode(stored.raw), stored.given, stored.signal.comment) == ("bad \ud800", 5.0, "bad \\ud800")
    assert abs(second.given - time.time()) < 60
    assert other.count_new("m:f", 0) == 4
    assert other.count_new("m:f", second.id) == 2
    assert other.count_new("m:g", 0) == 0
    assert (other.last_feedback("m:f"), other.last_feedback("m:g")) == (fourth.id, 0)
    other.close()
    with pytest.raises(UnknownExecutionError, match="execution-9"):
        store.add_feedback("execution-9", True, Signal("right"), "ann")


class Silent:
    def __repr__(self) -> str:
        raise ValueError("no")


def test_feedback_that_cant_be_encoded_is_kept_as_text_and_never_learned_from(store: Store) -> None:
    store.record(call("execution-1"))
    long = store.add_feedback(
        "execution-1", type("Long", (), {"__repr__": lambda _: "x" * 9_999})(), Signal("wrong"), "a"
    )
    assert codec.decode(long.raw) == "x" * 2_000
    silent = store.add_feedback("execution-1", Silent(), Signal("expected", Silent()), "b")
    assert codec.decode(silent.raw) == "<Silent, whose repr raised ValueError>"
    assert silent.signal.kind == "unread"
    assert "can't be stored" in silent.signal.reason
    assert store.for_execution("execution-1") == [long, silent]


@dataclass
class Truth:
    value: float


def test_a_value_whose_class_is_gone_is_not_learned_from(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.record(call("execution-1"))
    given = store.add_feedback("execution-1", 1, Signal("expected", Truth(2.0)), "ann")
    assert store.for_function("m:f") == [given]
    monkeypatch.delitem(sys.modules, __name__)
    (found,) = store.for_function("m:f")
    assert (found.signal.kind, found.signal.value) == ("unread", None)
    assert "Truth is not imported here" in found.signal.reason


def test_meta(store: Store) -> None:
    assert store.get_meta("learned:m:f") is None
    store.set_meta("learned:m:f", "3")
    store.set_meta("learned:m:f", "4")
    assert store.get_meta("learned:m:f") == "4"


def test_what_is_not_there_is_empty_and_stays_away(home: Path) -> None:
    empty = Store(home, create=False)
    assert list(empty.executions()) == []
    lists = (empty.functions(), empty.for_function("m:f"), empty.for_execution("x"), empty.ids_for_key(None, "k"))
    assert lists == ([], [], [], [])
    assert (empty.count("m:f"), empty.count_new("m:f", 0), empty.last_feedback("m:f"), empty.absorb()) == (0, 0, 0, 0)
    single = (empty.execution("abcdef"), empty.function("m:f"), empty.get_meta("a"), empty.source_of("m:f", "h"))
    assert single == (None, None, None, None)
    assert empty.versions_used("m:f") == {}
    with pytest.raises(StoreError, match="nothing is stored here"):
        empty.record(call("execution-1"))
    with pytest.raises(StoreError, match="nothing is stored here"):
        empty.set_meta("a", "b")
    assert not home.parent.exists()
    writer = Store(home)
    writer.record(call("execution-1"))
    assert empty.count("m:f") == 1
    writer.close()
    empty.close()


def test_a_folder_deleted_under_us_starts_anew(store: Store, home: Path) -> None:
    store.record(call("execution-1"))
    assert store.count("m:f") == 1
    shutil.rmtree(home)
    assert store.count("m:f") == 0
    store.record(call("execution-2"))
    store.set_meta("a", "b")
    assert ids(store) == Counter(["execution-2"])
    other = Store(home)
    assert other.get_meta("a") == "b"
    other.close()


def moved_away(error: pytest.ExceptionInfo[StoreError], home: Path) -> None:
    """Does what the message says."""
    assert str(home / "poet.db") in str(error.value)
    subprocess.run(str(error.value).split("move it away: ")[1], shell=True, check=True)
    assert list((home / "moved-away").iterdir())


def damaged(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + os.urandom(5000))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def torn(path: Path) -> None:
    size = path.stat().st_size
    data = path.read_bytes()
    path.write_bytes(data[:1024] + bytes(size - 1024))


def changed(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        opened = sqlite3.connect(path)
        opened.execute(statement)
        opened.commit()
        opened.close()

    return change


@pytest.mark.parametrize("version", range(1, schema.VERSION))
def test_a_store_of_an_earlier_schema_is_brought_up_to_date(home: Path, version: int) -> None:
    first = Store(home)
    first.record(call("execution-1"))
    assert first.count("m:f") == 1
    first.close()
    old = home / "old.db"
    with contextlib.closing(sqlite3.connect(old)) as made:
        schema.create(made, version=version)
        made.execute("ATTACH ? AS new", (str(home / "poet.db"),))
        names = [row[1] for row in made.execute("PRAGMA main.table_info(executions)")]
        assert ("stream" in names) == (version > 1)
        made.execute(f"INSERT INTO executions SELECT {', '.join(names)} FROM new.executions")
        made.commit()
    for file in home.glob("poet.db*"):
        file.unlink()
    old.rename(home / "poet.db")
    second = Store(home)
    found = second.execution("execution-1")
    assert found is not None
    assert (found.stream, found.raw) == (None, None)
    second.record(dataclasses.replace(call("execution-2"), stream="pump", raw=b"x"))
    again = second.execution("execution-2")
    assert again is not None
    assert (again.stream, again.raw) == ("pump", b"x")
    said = second.add_feedback("execution-1", "hm", Signal("unread"), "ann")
    assert second.add_reading(Reading(said.id, 1.0, Signal("right", reader="model m")))
    assert [item.signal.kind for item in second.for_execution("execution-1")] == ["right"]
    assert second.query("SELECT * FROM llm_calls") == second.query("SELECT * FROM llm_replies") == []


def test_an_execution_in_a_journal_of_the_first_format_is_read(home: Path) -> None:
    row = tuple(getattr(call("execution-1"), field.name) for field in dataclasses.fields(Execution))
    assert codec.unpack_execution(msgspec.msgpack.encode((1, row[:13]))) == (*row[:13], None, None, None, None)
    with pytest.raises(CodecError):
        codec.unpack_execution(msgspec.msgpack.encode((1, row[:12])))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damaged, "damaged|no database"),
        (emptied, "is no database of poet_hook"),
        (torn, "damaged|no database|foreign or changed"),
        (changed("CREATE TRIGGER t AFTER INSERT ON meta BEGIN DELETE FROM executions; END"), "schema \\(trigger t\\)"),
        (changed("CREATE VIEW v AS SELECT * FROM meta"), "schema \\(view v\\)"),
        (changed("ALTER TABLE meta ADD COLUMN more"), "schema \\(table meta, table meta\\)"),
        (changed("DROP INDEX executions_by_key"), "index executions_by_key"),
        (changed("PRAGMA user_version = 99"), "newer poet_hook \\(its schema is 99"),
        (changed("PRAGMA application_id = 1"), "is no database of poet_hook"),
    ],
)
def test_a_damaged_or_foreign_file_is_named_with_its_remedy(
    home: Path, change: Callable[[Path], None], message: str
) -> None:
    first = Store(home)
    first.record(call("execution-1"))
    assert first.count("m:f") == 1
    first.close()
    change(home / "poet.db")
    before = (home / "poet.db").read_bytes()
    second = Store(home)
    second.record(call("execution-2"))
    with pytest.raises(StoreError, match=message) as error:
        second.count("m:f")
    with pytest.raises(StoreError, match=message):
        second.set_meta("a", "b")
    assert (home / "poet.db").read_bytes() == before
    if "newer" in message:
        assert "upgrade poet_hook" in str(error.value)
    else:
        moved_away(error, home)
        assert "execution-2" in ids(second)
    second.close()


def test_a_wal_left_behind_is_not_read_into_a_new_file(home: Path) -> None:
    first = Store(home)
    first.set_meta("a", "old")
    wal = (home / "poet.db-wal").read_bytes()
    assert wal
    first.close()
    (home / "poet.db").unlink()
    (home / "poet.db-wal").write_bytes(wal)
    second = Store(home)
    assert second.get_meta("a") is None
    assert [path.read_bytes() for path in home.glob("poet.db-wal.*")] == [wal]
    second.close()


def test_a_file_in_place_of_the_folder(home: Path) -> None:
    home.parent.mkdir()
    home.write_text("mine")
    for attempt in (lambda: Store(home).record(call("execution-1")), lambda: Store(home).count("m:f")):
        with pytest.raises(StoreError, match=os.strerror(errno.EEXIST)) as error:
            attempt()
        assert str(home) in str(error.value)
    assert home.read_text() == "mine"


def test_a_folder_in_place_of_the_file(home: Path) -> None:
    (home / "poet.db").mkdir(parents=True)
    opened = Store(home)
    with pytest.raises(StoreError, match=r"poet\.db"):
        opened.count("m:f")
    opened.close()


def test_foreign_files_among_the_journals_are_left_alone(store: Store, home: Path, tmp_path: Path) -> None:
    store.record(call("execution-1"))
    (tmp_path / "target").write_text("not ours")
    os.symlink(tmp_path / "target", home / "journal" / "1-1-0000000000000000.log")
    os.mkfifo(home / "journal" / "1-1-0000000000000001.log")
    (home / "journal" / "notes.log").write_text("mine")
    assert ids(store) == Counter(["execution-1"])
    assert len(logs(home)) == 4
    assert (tmp_path / "target").read_text() == "not ours"


def test_frames_of_a_newer_format_stay_where_they_are(store: Store, home: Path) -> None:
    newer = Journal(home / "journal")
    newer.append(codec.pack_execution(call("execution-1")))
    newer.append(b"\x92\x02\xc0")
    newer.close()
    assert ids(store) == Counter(["execution-1"])
    (path,) = logs(home)
    assert [payload for _, payload in read(path, 0)][1] == b"\x92\x02\xc0"


def test_a_living_writer_keeps_its_file(home: Path, store: Store) -> None:
    writer = Store(home)
    writer.record(call("execution-1"))
    assert store.count("m:f") == 1
    assert len(logs(home)) == 1
    writer.record(call("execution-2"))
    assert store.count("m:f") == 2
    writer.close()
    assert store.count("m:f") == 2
    assert logs(home) == []


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_database_that_cant_be_written_is_still_read(tmp_path: Path) -> None:
    base = tmp_path
    while base.stat().st_mode & 0o005 == 0:  # a child with another user's rights must reach it
        base = base.parent
    home = base / f"poet-{os.getpid()}-{time.time_ns()}"
    try:
        writer = Store(home)
        writer.record(call("execution-1"))
        assert writer.count("m:f") == 1
        writer.close()
        home.chmod(0o555)
        for path in home.iterdir():
            path.chmod(0o555 if path.is_dir() else 0o444)
        pid = os.fork()
        if pid == 0:
            os._exit(read_only_child(home))
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        home.chmod(0o700)
        shutil.rmtree(home)


def read_only_child(home: Path) -> int:
    """Exit code 0 where reading works and each write is refused in words."""
    if os.geteuid() == 0:
        os.setuid(65534)
    try:
        reader = Store(home)
        assert reader.count("m:f") == 1
        assert reader.execution("execution-1") == call("execution-1")
        for write in (
            lambda: reader.record(call("execution-2")),
            lambda: reader.set_meta("a", "b"),
            lambda: reader.add_feedback("execution-1", True, Signal("right"), "me"),
        ):
            try:
                write()
            except StoreError as error:
                assert str(home) in str(error)  # noqa: PT017
                continue
            return 2
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        return 1
    return 0


def test_the_remedy_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    home = tmp_path / "it's here"
    home.mkdir()
    (home / "poet.db").write_text("no database at all, but long enough to be looked at" * 100)
    with pytest.raises(StoreError, match="damaged") as error:
        Store(home).count("m:f")
    assert shlex.quote(str(home / "poet.db")) in str(error.value)
    moved_away(error, home)


def test_a_full_disk_says_what_to_do(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")

    def fill() -> None:
        with store.write() as connection:
            connection.execute("PRAGMA max_page_count = 1")
            connection.execute("CREATE TABLE more AS SELECT zeroblob(1000000)")

    with pytest.raises(StoreError, match="Make room on it, or set POET_HOME"):
        fill()
