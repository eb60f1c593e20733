"""Hostile code in a locked-down child: contained, with a reason, and what started it lives on.

The policy would refuse all of it before anything runs; here it is passed over on purpose.
"""

from __future__ import annotations

import ast
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from poet_hook.errors import ReplayError
from poet_hook.isolation.slice import slice_function
from poet_hook.learning.replay import Outcome, Replay
from poet_hook.model import CODE
from poet_hook.store import codec
from poet_hook.transform.plan import plan_module

MODULE = """
import ctypes, gc, json, math, os, resource, signal, socket, subprocess, sys, threading, time
import numpy as np
from statistics import mean, stdev

# poet: optimize_for=accuracy
def f(x: float, history: list[float]) -> bool:
    return (x - mean(history)) / stdev(history) > 2.0
"""
LOADED = frozenset("ctypes gc json math os resource signal socket subprocess sys threading time np".split())
ARGUMENTS = [(9.0, [1.0, 2.0, 3.0]), (2.0, [1.0, 2.0, 3.0]), (50.0, [1.0, 2.0, 3.0, 90.0])]

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can lock a process down as far as that")


@pytest.fixture(scope="module")
def warm() -> Iterator[Replay]:
    plan = plan_module(MODULE, "m.py", "m").targets[0].plan
    part = slice_function(MODULE, plan.qualname, plan.line, also=LOADED)
    os.environ["POET_CANARY"] = "sk-canary"
    try:
        replay = Replay(plan, part, MODULE, [codec.encode(a) for a in ARGUMENTS])
    finally:
        del os.environ["POET_CANARY"]
    with replay:
        yield replay


def sealed(warm: Replay, body: str, chosen: list[int] | None = None, seconds: float = 30.0) -> list[Outcome]:
    """The outcomes of a function with that body, after which the same process must still serve."""
    lines = "\n    ".join(body.strip("\n").splitlines())
    pid = warm.worker.process.pid
    outcomes = warm.run({CODE: f"def f(x, history):\n    {lines}\n"}, chosen, seconds)
    assert (warm.worker.process.pid, warm.deaths) == (pid, 0)
    return outcomes


def value(outcome: Outcome) -> object:
    kind, data = outcome
    assert kind == "r", outcome
    assert isinstance(data, bytes)
    return codec.decode(data, plain=True)


# --------------------------------------------------------------------------- the same as without


@pytest.mark.parametrize(
    "body",
    [
        "return (x - mean(history)) / stdev(history) > 2.0",
        "return x / (x - 9.0) > 1.0",  # an error is an outcome
        "print(x)\nreturn {'z': [x, (1, 2)], 'big': 10**30, 'nan': math.nan}",
        "return np.percentile(history, [5, 50]) * x",
        "return json.dumps(sorted(history)) + f'{x:.3f}'",
        "return object()",  # can't be compared
        "return '\\ud800'",
    ],
)
def test_the_outcomes_are_those_of_a_plain_run(warm: Replay, body: str) -> None:
    text = f"def f(x, history):\n    {body}\n".replace("\nreturn", "\n    return")
    plain = warm.worker.ask({"op": "run", "text": text, "chosen": None, "seconds": 9.0}, 10.0)["outcomes"]
    assert warm.run({CODE: text}) == [tuple(outcome) for outcome in plain]


def test_what_a_candidate_changes_no_other_one_sees(warm: Replay) -> None:
    assert [value(o) for o in sealed(warm, "math.pi = math.pi + 1\nreturn math.pi > 5.0")] == [False, True, True]
    assert [value(o) for o in sealed(warm, "return math.pi > 4.0")] == [False] * 3


def test_other_code_never_runs_where_all_candidates_do(warm: Replay) -> None:
    (tunable, *_) = warm.plan.tunables
    code = {CODE: "def f(x, history):\n    return x > 2.0\n"}
    with pytest.raises(ReplayError, match="other code"):
        warm.names(code, tunable, [0])
    with pytest.raises(ReplayError, match="other code"):
        warm.trace(tunable, code, 0.0, 1.0, [0])


# --------------------------------------------------------------------------- ends, in time


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("sys.exit()", "it raised SystemExit"),
        ("raise KeyboardInterrupt", "it raised KeyboardInterrupt"),
        ("os._exit(0)", "it ended its process"),
        ("raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})", "it raised ZeroDivisionError"),
        ("ctypes.string_at(0)", r"it crashed \(SIGSEGV\)"),
        ("return [bytearray(1 << 20) for _ in range(4096)]", "it took too much memory"),
        ("return f(x, history", "SyntaxError"),
        ("return " + "(" * 300 + "x" + ")" * 300, "SyntaxError|MemoryError|RecursionError"),
        ("return " + "-" * 200_000 + "x", "MemoryError|RecursionError|it crashed"),
    ],
)
def test_what_ends_has_failed(warm: Replay, body: str, reason: str) -> None:
    outcomes = sealed(warm, body)
    assert len(outcomes) == 3
    for kind, text in outcomes:
        assert kind == "x", text
        assert re.search(reason, str(text))


def test_only_the_execution_that_ends_it_has_failed(warm: Replay) -> None:
    first, second, third = sealed(warm, "if x == 2.0:\n    os._exit(3)\nreturn True")
    assert second == ("x", "it ended its process")
    assert value(first) is value(third) is True


def test_what_catches_everything_is_killed(warm: Replay) -> None:
    started = time.monotonic()
    body = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
    assert sealed(warm, body, seconds=2.0) == [("x", "took too long")] * 3
    assert time.monotonic() - started < 6.0


def test_endless_recursion(warm: Replay) -> None:
    ((kind, text),) = sealed(warm, "return f(x, history)", [0])
    assert kind == "e"
    assert str(text).startswith("RecursionError")
    body = "sys.setrecursionlimit(1 << 30)"
    body += "\nclass G:\n    def __lt__(self, o): return self < o\nreturn sorted([G(), G()])"
    assert sealed(warm, body, [0])[0][0] != "r"  # the stack ends first, or Python says so


def test_huge_output_is_cut_off(warm: Replay) -> None:
    ((kind, text),) = sealed(warm, "return 'x' * 300_000", [0])
    assert (kind, "larger" in str(text) or "bytes" in str(text)) == ("x", True), text


REPLIES = """
for n in range(64):
    try:
        os.write(n, %s)
    except OSError:
        pass
"""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("b'x' * (1 << 20)", "it returned too much"),
        ("b'\\xff\\n'", "it wrote what is no reply"),
        ("b'[' * 100_000 + b'\\n'", "it wrote what is no reply"),
        ('b\'["r", "%%%"]\\n\'', "it wrote what is no reply"),
        ('b\'["q", ""]\\n\'', "it wrote what is no reply"),
        ("b'1' * 5000 + b'\\n'", "it wrote what is no reply"),
        ("b'{}\\n'", "it wrote what is no reply"),
    ],
)
def test_what_it_writes_into_the_reply_is_no_more_than_a_reply(warm: Replay, data: str, reason: str) -> None:
    ((kind, text),) = sealed(warm, REPLIES % data + "time.sleep(9)", [0])
    assert (kind, text) == ("x", reason)


def test_bytes_that_are_no_value_are_an_outcome_that_fits_nothing(warm: Replay) -> None:
    (outcome,) = sealed(warm, REPLIES % 'b\'["r", "AAAA"]\\n\'' + "time.sleep(9)", [0])
    assert outcome == ("r", b"\0\0\0")


def test_a_text_with_lone_surrogates_is_kept_readable(warm: Replay) -> None:
    assert sealed(warm, "raise ValueError('\\ud800')", [0]) == [("e", "ValueError: \\ud800")]


def test_the_time_for_all_holds(warm: Replay) -> None:
    started = time.monotonic()
    outcomes = sealed(warm, "time.sleep(0.6)\nreturn True", seconds=1.0)
    assert value(outcomes[0]) is True
    assert [kind for kind, _ in outcomes[1:]] == ["x", "x"]
    assert time.monotonic() - started < 4.0


def test_a_module_with_threads_is_not_forked() -> None:
    source = MODULE.replace("# poet", "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n# poet")
    plan = plan_module(source, "m.py", "m").targets[0].plan
    part = slice_function(source, plan.qualname, plan.line, also=LOADED)
    index = next(n for n, s in enumerate(part.tree.body) if "Thread" in ast.dump(s))
    part = replace(part, keep=(*part.keep[:-1], *sorted({*part.keep[-1:], index})))
    with Replay(plan, part, source, [codec.encode(ARGUMENTS[0])]) as running:
        ((kind, text),) = running.run({CODE: "def f(x, history):\n    return True\n"})
    assert kind == "x"
    assert "threads" in str(text)


# --------------------------------------------------------------------------- reaches nothing


@linux
@pytest.mark.parametrize(
    "body",
    [
        "os.system('true')",
        "os.fork()",
        "os.execv(sys.executable, [sys.executable])",
        "threading.Thread(target=print).start()",
        "os.kill(os.getppid(), signal.SIGKILL)",
        "os.kill(-1, 0)",
        "socket.socket()",
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0)",
        "os.unlink(PLACE)",
        "os.truncate(PLACE, 0)",
        "os.chmod(PLACE, 0)",
        "os.rename(PLACE, PLACE + '2')",
        "os.symlink(PLACE, PLACE + '3')",
        "open(PLACE, 'w')",
        "open(PLACE, 'a')",
        "os.open(PLACE, os.O_RDONLY | os.O_TRUNC)",
        "os.mkdir(PLACE + '4')",
    ],
)
def test_what_would_change_something_ends_it(warm: Replay, tmp_path: Path, body: str) -> None:
    place = tmp_path / "file"
    place.write_text("kept")
    ((kind, text),) = sealed(warm, f"PLACE = {str(place)!r}\ntry:\n    {body}\nexcept BaseException:\n    pass", [0])
    assert (kind, str(text).startswith("it tried to change something outside")) == ("x", True), text
    assert os.listdir(tmp_path) == ["file"]
    assert place.read_text() == "kept"
    assert os.access(place, os.R_OK)


@linux
@pytest.mark.parametrize(
    "body",
    [
        "open(PLACE).read()",
        "os.stat(PLACE)",
        "os.listdir('/proc/self')",
        "open('/proc/self/environ', 'rb').read()",
        "subprocess.run(['true'])",
        "os.memfd_create('x')",
        "os.pipe()",
        "os.dup(0)",
        "resource.setrlimit(resource.RLIMIT_CPU, (-1, -1))",
        "os.setuid(0)",
        "os.getcwd()",
        "os.uname()",
        "os.waitpid(-1, 0)",
    ],
)
def test_what_only_looks_is_refused(warm: Replay, tmp_path: Path, body: str) -> None:
    place = tmp_path / "file"
    place.write_text("kept")
    (outcome,) = sealed(
        warm, f"PLACE = {str(place)!r}\ntry:\n    return {body}\nexcept (OSError, ValueError):\n    return 'no'", [0]
    )
    assert value(outcome) == "no"


@linux
def test_code_of_the_machine_can_not_be_written(warm: Replay) -> None:
    body = "c = ctypes.CDLL(None)\nc.mmap.restype = ctypes.c_void_p\n"
    body += "return [c.mmap(0, 4096, use, 0x22, -1, 0) for use in (3, 7)]"
    ((kind, data),) = sealed(warm, body, [0])
    plain, executable = value((kind, data))  # type: ignore[misc]
    assert executable in (-1, (1 << 64) - 1)
    assert plain != executable


def test_the_environment_is_forgotten(warm: Replay) -> None:
    body = """
found = [dict(os.environ), os.getenv('POET_CANARY')]
c = ctypes.CDLL(None)
c.getenv.restype = ctypes.c_char_p
found.append(c.getenv(b'POET_CANARY'))
place = ctypes.POINTER(ctypes.c_void_p).in_dll(c, 'environ')
found.append([ctypes.string_at(place[n]) for n in range(20) if place[n]])
return found
"""
    variables, by_os, by_c, strings = value(sealed(warm, body, [0])[0])  # type: ignore[misc]
    assert (variables, by_os, by_c) == ({}, None, None)
    assert set(strings) <= {b""}


def test_no_descriptor_but_the_reply(warm: Replay) -> None:
    body = "found = []\nfor n in range(256):\n    try:\n        os.write(n, b'')\n        found.append(n)\n"
    body += "    except OSError:\n        pass\nreturn found"
    assert len(value(sealed(warm, body, [0])[0])) == 1  # type: ignore[arg-type]


def test_the_child_dies_with_the_process_that_forked_it() -> None:
    plan = plan_module(MODULE, "m.py", "m").targets[0].plan
    part = slice_function(MODULE, plan.qualname, plan.line, also=LOADED)
    replay = Replay(plan, part, MODULE, [codec.encode(ARGUMENTS[0])])
    text = "def f(x, history):\n    time.sleep(60)\n"
    with pytest.raises(ReplayError, match="took longer"):
        replay.worker.ask({"op": "sealed", "text": text, "chosen": None, "seconds": 60.0}, 0.8)
    group = replay.worker.process.pid
    until = time.monotonic() + 5.0
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    os.killpg(group, signal.SIGKILL)
    pytest.fail("a child of the ended process lives on")
