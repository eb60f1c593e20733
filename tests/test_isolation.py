"""Hostile code in a locked-down child: contained, with a reason, and what started it lives on.

The policy would refuse all of it before anything runs; here it is passed over on purpose.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import test_policy
from conftest import environment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poet_hook.errors import ReplayError
from poet_hook.isolation import landlock, seccomp
from poet_hook.isolation.attempts import ATTEMPTS
from poet_hook.isolation.level import _MAY_FAIL, Tried, judged, level, tried
from poet_hook.isolation.slice import slice_function
from poet_hook.learning.replay import Outcome, Replay
from poet_hook.model import CODE, Evidence, Verdict
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
closed = pytest.mark.skipif(level() != "closed", reason=f"this system does not close it: {tried().told}")


@pytest.fixture(scope="module")
def warm() -> Iterator[Replay]:
    plan = plan_module(MODULE, "m.py", "m").targets[0].plan
    part = slice_function(MODULE, plan.qualname, plan.line, also=LOADED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POET_CANARY", "sk-canary")
        patch.setenv("OPENAI_API_KEY", "sk-" + "of-an-endpoint")
        replay = Replay(plan, part, MODULE, [codec.encode(a) for a in ARGUMENTS])
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
        ("return bytearray(1 << 30)", "it took too much memory"),
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


@linux
def test_where_no_limit_of_memory_holds_it_is_watched_from_outside() -> None:
    code = """
from poet_hook.isolation import child, seal
from poet_hook.isolation.attempts import Open
seal._limit = lambda *_: None
child.MEMORY = 64 << 20
def work():
    kept = []
    for _ in range(1000):
        kept.append(b"x" * (1 << 20))
        yield len(kept)
        __import__("time").sleep(0.001)
with child.Child(work, 9.0) as running:
    try:
        while True:
            last = running.next(2.0)
    except child.EndedError as ended:
        print(ended, last < 1000)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENV, check=True)
    assert done.stdout == "it took too much memory True\n"


@linux
def test_where_nothing_can_be_forked_the_reason_is_told() -> None:
    code = """
import resource
from poet_hook.isolation import child
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    child.Child(list, 1.0)
except child.EndedError as ended:
    print(ended)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENV, check=True)
    assert done.stdout.startswith("no process could be forked to judge generated code: [Errno 24]")


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


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from("rex"),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        ).map(lambda item: json.dumps(item).encode() + b"\n"),
    )
)
def test_whatever_it_writes_is_an_outcome_or_no_reply(warm: Replay, data: bytes) -> None:
    ((kind, what),) = sealed(warm, REPLIES % repr(data) + "os._exit(0)", [0])
    assert kind in ("r", "e", "x")
    assert isinstance(what, bytes if kind == "r" else str)


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


@closed
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


@closed
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


@closed
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


@linux
def test_our_own_keys_do_not_even_reach_the_process_that_forks(warm: Replay) -> None:
    started_with = Path(f"/proc/{warm.worker.process.pid}/environ").read_bytes()
    assert b"POET_CANARY" in started_with
    assert b"sk-of-an-endpoint" not in started_with


def test_no_descriptor_but_the_reply(warm: Replay) -> None:
    body = "found = []\nfor n in range(256):\n    try:\n        os.write(n, b'')\n        found.append(n)\n"
    body += "    except OSError:\n        pass\nreturn found"
    assert len(value(sealed(warm, body, [0])[0])) == 1  # type: ignore[arg-type]


@linux
def test_the_child_dies_with_the_process_that_forked_it() -> None:
    plan = plan_module(MODULE, "m.py", "m").targets[0].plan
    part = slice_function(MODULE, plan.qualname, plan.line, also=LOADED)
    replay = Replay(plan, part, MODULE, [codec.encode(ARGUMENTS[0])])
    group = replay.worker.process.pid
    text = "def f(x, history):\n    time.sleep(60)\n"
    with pytest.raises(ReplayError, match="took longer"):
        replay.worker.ask({"op": "sealed", "text": text, "chosen": None, "seconds": 60.0}, 0.8)
    until = time.monotonic() + 5.0
    while running := members(group):
        assert time.monotonic() < until, f"{running} live on"
        time.sleep(0.02)


def members(group: int) -> list[str]:
    """The processes of a group, but for those that have ended and wait to be asked how."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of = path.read_text().rpartition(")")[2].split()[:3]
            if int(of) == group and state != "Z":
                found.append(path.parent.name)
    return found


# --------------------------------------------------------------------------- the level

ENV = environment(COVERAGE_PROCESS_CONFIG="")


def tried_without(tmp_path: Path, *missing: str) -> Tried:
    """What a system finds that does not have these."""
    for name in ("sealed", "plain"):
        (tmp_path / name).write_text("x")
    lines = {
        "seccomp": "seccomp.machine = lambda: ''",
        "landlock": "landlock.version = lambda: 0",
        "limits": "seal._limit = lambda *_: None",
    }
    code = "import json, sys\nfrom poet_hook.isolation import attempts, landlock, seal, seccomp\n"
    code += "\n".join(lines[name] for name in missing)
    code += "\nprint(json.dumps(attempts.handle({'sealed': sys.argv[1], 'plain': sys.argv[2]})))"
    command = [sys.executable, "-c", code, str(tmp_path / "sealed"), str(tmp_path / "plain")]
    done = subprocess.run(command, capture_output=True, text=True, env=ENV, check=True)
    return judged(**json.loads(done.stdout))


def test_the_level_is_found_by_trying() -> None:
    found = tried()
    assert level() == found.level
    assert found.level in (("closed", "limits") if sys.platform == "linux" else ("limits", "none"))
    assert (found.level == "closed") == bool(seccomp.machine()), found  # whoever has the filter has it all


@linux
def test_without_any_lock_there_is_no_level(tmp_path: Path) -> None:
    found = tried_without(tmp_path, "seccomp", "landlock", "limits")
    assert (found.level, set(ATTEMPTS) - set(found.open) - _MAY_FAIL) == ("none", set()), found


@closed
def test_what_can_be_locked_is_not_judged_unlocked() -> None:
    code = """
from poet_hook.isolation import child, seccomp
seccomp.install = lambda _: False
try:
    with child.Child(lambda: ["it ran"], 5.0) as running:
        print(running.next(5.0))
except child.EndedError as ended:
    print(ended)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENV, check=True)
    assert done.stdout == "it ended its process\n"


@linux
def test_limits_alone_leave_much_open(tmp_path: Path) -> None:
    found = tried_without(tmp_path, "seccomp", "landlock")
    assert found.level == "limits"
    assert {"shorten a file", "change the mode of a file", "delete a file", "send a signal"} <= set(found.open)
    assert {"read a file", "empty a file", "connect to a port", "take much memory"}.isdisjoint(found.open)


@closed
def test_a_filter_alone_has_no_limit_for_memory(tmp_path: Path) -> None:
    found = tried_without(tmp_path, "landlock", "limits")
    assert (found.level, found.open) == ("limits", ("take much memory",))


@closed
def test_filter_and_limits_close_it_on_kernels_without_landlock(tmp_path: Path) -> None:
    assert tried_without(tmp_path, "landlock").level == "closed"


@linux
@pytest.mark.skipif(landlock.version() < 6, reason="the kernel's Landlock knows no scopes")
def test_landlock_and_limits_alone_leave_modes_open(tmp_path: Path) -> None:
    found = tried_without(tmp_path, "seccomp")
    assert found.level == "limits"
    assert "change the mode of a file" in found.open
    assert {"read a file", "shorten a file", "delete a file", "send a signal"}.isdisjoint(found.open)


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        ({"read a file": [False, True], "take another process": [False, False]}, "closed"),
        ({"read a file": [False, False], "take much memory": [False, True]}, "limits"),  # can't be tried: not proved
        ({"read a file": [True, True], "take much memory": [False, True]}, "limits"),
        ({"read a file": [True, True], "take much memory": [True, True]}, "none"),
        ({"read a file": [False, False]}, "none"),
    ],
)
def test_a_level_is_what_was_proved(attempts: dict[str, list[bool]], expected: str) -> None:
    assert judged(attempts).level == expected
    assert judged(attempts, computes=False).level == "none"


def test_old_verdicts_have_no_level_and_new_ones_keep_it() -> None:
    evidence = Evidence(4, 3.0, 0.0, 8.0, 0.5, 0.9)
    verdict = Verdict("promote", "proven", 0.05, evidence, ("it is better",), isolation="closed")
    data = msgspec.json.encode(verdict)
    assert msgspec.json.decode(data, type=Verdict) == verdict
    old = msgspec.json.decode(data)
    del old["isolation"]
    assert msgspec.convert(old, Verdict).isolation is None


# --------------------------------------------------------------------------- the filter, on every machine

X86, ARM = 0xC000003E, 0xC00000B7


def answer(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What the kernel does with a system call by that filter."""
    words = [number, architecture, 0, 0]
    for argument in (*arguments, *[0] * (6 - len(arguments))):
        words += [argument & 0xFFFFFFFF, argument >> 32]
    lines = list(struct.iter_unpack("=HBBI", program))
    place, accumulator = 0, 0
    while True:
        code, when, otherwise, value = lines[place]
        place += 1
        if code == 0x06:
            return value
        if code == 0x20:
            accumulator = words[value // 4]
        else:
            test = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            place += when if test else otherwise


def numbers() -> dict[str, dict[str, int]]:
    """The system calls of both machines as the headers of this one have them."""
    found = {}
    for kind, path in (("x86_64", "x86_64-linux-gnu/asm/unistd_64.h"), ("aarch64", "asm-generic/unistd.h")):
        text = Path("/usr/include", path).read_text()
        found[kind] = {m[1]: int(m[2]) for m in re.finditer(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    return found


@pytest.mark.parametrize(("kind", "write", "mmap", "openat"), [("x86_64", 1, 9, 257), ("aarch64", 64, 222, 56)])
def test_the_filter(kind: str, write: int, mmap: int, openat: int) -> None:
    program, own = seccomp.program(kind, 7), X86 if kind == "x86_64" else ARM
    assert len(program) // 8 < 4096  # what the kernel takes

    def of(number: int, *arguments: int) -> int:
        return answer(program, own, number, *arguments)

    assert [of(write, fd) for fd in (7, 1, 0)] == [seccomp.ALLOW, seccomp.REFUSE, seccomp.REFUSE]
    assert [of(mmap, 0, 1, use) for use in (1, 3, 4, 7)] == [seccomp.ALLOW, seccomp.ALLOW, *[seccomp.REFUSE] * 2]
    assert [of(openat, 0, 0, flags) for flags in (0, os.O_CLOEXEC)] == [seccomp.REFUSE] * 2
    assert [of(openat, 0, 0, flags) for flags in (1, 2, 0o100, 0o1000)] == [seccomp.END] * 4
    assert {of(number) for number in range(500, 1000)} == {seccomp.REFUSE}
    foreign = [answer(program, other, write, 7) for other in (X86, ARM, 0x40000003) if other != own]
    assert foreign == [seccomp.END] * 2
    if kind == "x86_64":
        assert of(0x40000000 | write, 7) == seccomp.END


@pytest.mark.skipif(
    not (Path("/usr/include/asm-generic/unistd.h").exists() and Path("/usr/include/x86_64-linux-gnu/asm").exists()),
    reason="the headers of the kernel are not here",
)
def test_the_numbers_are_those_of_the_kernel() -> None:
    tables = {seccomp.ALLOW: seccomp._COMPUTES, seccomp.END: seccomp._CHANGES_THE_WORLD}
    known = numbers()
    for expected, table in tables.items():
        for name, *columns in (entry.split() for entry in table.split(",")):
            for kind, column in zip(("x86_64", "aarch64"), columns, strict=True):
                assert known[kind].get(name, -1) == int(column), (name, kind)
                if int(column) >= 0:
                    own = X86 if kind == "x86_64" else ARM
                    assert answer(seccomp.program(kind, 7), own, int(column)) == expected, name


@closed
def test_the_kernel_answers_as_the_filter_says(warm: Replay) -> None:
    program = seccomp.program(seccomp.machine(), 7)
    own = X86 if seccomp.machine() == "x86_64" else ARM
    refused = [number for number in range(470) if answer(program, own, number) == seccomp.REFUSE]
    refused = [number for number in refused if own == ARM or number not in (335, 336)]  # probes are no filter's concern
    ended = [number for number in range(470) if answer(program, own, number) == seccomp.END]
    assert len(refused) > 300
    call = "libc = ctypes.CDLL(None, use_errno=True)\ndef answered(n):\n    ctypes.set_errno(0)\n"
    call += "    return libc.syscall(n, -1, 0, 0, 0, 0, 0), ctypes.get_errno()\n"
    (outcome,) = sealed(warm, f"{call}return [n for n in {refused} if answered(n) != (-1, 1)]", [0])
    assert value(outcome) == []
    for number in ended:
        ((kind, why),) = sealed(warm, f"{call}return answered({number})", [0])
        assert (kind, str(why).endswith("(SIGSYS)")) == ("x", True), (number, why)


# --------------------------------------------------------------------------- samples


def test_harmless_code_makes_the_same_of_it_behind_the_seal() -> None:
    plan = plan_module(test_policy.MODULE, "m.py", "m").targets[0].plan
    part = slice_function(test_policy.MODULE, plan.qualname, plan.line, also=set(test_policy.ORIGINAL.names))
    arguments = [
        codec.encode((4.0, [1.0, 3.0, 2.0, 5.0], "cpu", [{"k": 1, "n": 2}], [[1], [2]])),
        codec.encode((-1.5, [], "mem-1", [], {})),
    ]
    late = ["return np.fft.fft(history or [1.0]).real.tolist()", "return datetime.strptime('2024-05', '%Y-%m')"]
    with Replay(plan, part, test_policy.MODULE, arguments) as running:
        for body in [*late, *test_policy.samples("accepted.txt")[::2]]:
            text = test_policy.candidate(body)
            found = running.run({CODE: text})
            plain = running.worker.ask({"op": "run", "text": text, "chosen": None, "seconds": 9.0}, 20.0)
            assert found == [tuple(outcome) for outcome in plain["outcomes"]], body


LONG = frozenset(  # of these rules the samples do nothing but take long
    """
    endless-loop endless-iterator growing-loop long-range nested-loops combinations power huge-number repeated
    large-value doubling
    """.split()
)
HOSTILE = """
import contextlib, json, os, sys
from functools import partial
from poet_hook.isolation.child import Child, EndedError

module, name, arguments, texts = json.load(sys.stdin)
namespace = {"__name__": "m"}
exec(module, namespace)


def run(text, namespace):
    exec(compile(text, "candidate.py", "exec", dont_inherit=True), namespace)
    yield repr(namespace[name](*arguments))[:200]


reasons = []
for text in texts:
    try:
        with Child(partial(run, text, dict(namespace)), 2.0) as child:
            child.next(0.1)
            reasons.append("")
    except EndedError as ended:
        reasons.append(str(ended))
with contextlib.suppress(ChildProcessError):
    os.waitpid(-1, os.WNOHANG)
    reasons.append("a child is left")
print(json.dumps(reasons))
"""


@closed
@pytest.mark.parametrize("corpus", ["tests", "shared"])
def test_nothing_gets_out_of_hostile_samples(tmp_path: Path, corpus: str) -> None:
    if corpus == "tests":
        found = [s.partition("\n") for s in test_policy.samples("refused.txt")]
        texts = [test_policy.candidate(body) for rules, _, body in found[::3] if LONG.isdisjoint(rules.split())]
        module, name, arguments = test_policy.MODULE, "judge", [4.0, [1.0, 3.0], "cpu", [{"k": 1}], [[1]]]
    elif not test_policy.CORPORA.is_dir():
        pytest.skip("the corpora are not here")
    else:
        context = json.loads((test_policy.CORPORA / "corpus_context.json").read_text())
        module, name, arguments = context["source"], context["function"], [4.0, [1.0, 3.0]]
        items = json.loads((test_policy.CORPORA / "escape_corpus.json").read_text())
        texts = [item["snippet"] for item in items]
    head = texts[0].partition("\n")[0]
    texts += [f"{head}\n    import os\n    {act}" for act in ("os.unlink('kept')", "os.system('touch more')")]
    kept = tmp_path / "kept"
    kept.write_text("kept")
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE],
        input=json.dumps([module, name, arguments, texts]),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**ENV, "OPENBLAS_NUM_THREADS": "1"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    reasons = json.loads(done.stdout)
    assert len(reasons) == len(texts)
    assert os.listdir(tmp_path) == ["kept"]
    assert kept.read_text() == "kept"
    assert all("change something outside" in reason for reason in reasons[-2:])
    assert done.stderr == ""
