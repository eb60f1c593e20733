from __future__ import annotations

import ast
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from poet_hook.errors import ReplayError
from poet_hook.isolation import landlock
from poet_hook.isolation.effects import why_not_replay
from poet_hook.isolation.slice import slice_function
from poet_hook.isolation.worker import Worker
from poet_hook.learning.objective import objective, score
from poet_hook.learning.opinions import label
from poet_hook.learning.replay import Replay
from poet_hook.model import CODE, UNSET, Feedback, Plan, Signal
from poet_hook.store import codec
from poet_hook.transform.plan import plan_module


def planned(source: str) -> tuple[Plan, str]:
    return plan_module(source, "m.py", "m").targets[0].plan, source


def replay(source: str, *arguments: tuple[object, ...]) -> Replay:
    plan, source = planned(source)
    part = slice_function(source, plan.qualname, plan.line)
    assert part.reason is None
    return Replay(plan, part, source, [codec.encode(a) for a in arguments])


LOUD = """
import sys

# poet: optimize_for=accuracy
def f(x: float) -> bool:
    print("noise", flush=True)
    return x > 2.0
"""


def test_outcomes_with_other_numbers() -> None:
    with replay(LOUD, (1.0,), (3.0,)) as running:
        assert [codec.decode(data) for _, data in running.run({})] == [False, True]  # type: ignore[arg-type]
        assert [codec.decode(data) for _, data in running.run({"x_limit": 0.5})] == [True, True]  # type: ignore[arg-type]


def test_a_trace_gives_every_outcome() -> None:
    with replay(LOUD, (1.0,), (3.0,)) as running:
        tunable = running.plan.tunables[0]
        low, high = running.trace(tunable, {}, 0.0, 10.0, [0, 1])
    assert (low.breaks, high.breaks) == ((1.0,), (3.0,))
    assert [codec.decode(data) for _, data in low.values] == [True, False]
    assert low.exact


def test_errors_are_outcomes() -> None:
    with replay("# poet: optimize_for=accuracy\ndef f(x: float) -> bool:\n    return 1 / x > 2.5\n", (0.0,)) as running:
        assert running.run({}) == [("e", "ZeroDivisionError: float division by zero")]


def test_arguments_of_every_kind_reach_their_parameters() -> None:
    source = """
# poet: optimize_for=error
def f(a, /, b, *rest, c, **more):
    return [a, b, rest, c, more, 2.5]
"""
    with replay(source, (1, 2, (3, 4), 5, {"d": 6})) as running:
        ((kind, data),) = running.run({})
    assert (kind, codec.decode(data)) == ("r", [1, 2, (3, 4), 5, {"d": 6}, 2.5])  # type: ignore[arg-type]


def test_a_body_that_does_not_end_is_cut_off() -> None:
    source = (
        "# poet: optimize_for=accuracy\ndef f(x: float) -> bool:\n    while x > 2.5:\n        pass\n    return True\n"
    )
    with replay(source, (3.0,), (1.0,)) as running:
        assert [kind for kind, _ in running.run({})] == ["x", "r"]


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="a matter of Unix")
def test_what_the_program_ignores_and_holds_back_does_not_matter() -> None:
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    ignored = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    source = (
        "# poet: optimize_for=accuracy\ndef f(x: float) -> bool:\n    while x > 2.5:\n        pass\n    return True\n"
    )
    try:
        running = replay(source, (3.0,))
    finally:
        signal.signal(signal.SIGCHLD, ignored)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    with running:
        assert running.run({}) == [("x", "took too long")]
        assert running.run({CODE: "def f(x):\n    import os\n    os._exit(0)\n"}) == [("x", "it ended its process")]


def test_a_call_that_hangs_in_c_is_killed_from_outside() -> None:
    source = "# poet: optimize_for=accuracy\ndef f(x: int) -> bool:\n    return len(str(x ** x ** x)) > 2.5\n"
    running = replay(source, (9,))
    started = time.monotonic()
    with pytest.raises(ReplayError, match="took longer than 1 s"):
        running.worker.ask({"op": "run", "text": running.plan.source, "chosen": None, "seconds": 9.0}, 1.0)
    assert time.monotonic() - started < 20
    assert running.worker.process.poll() is not None


def test_a_child_that_dies_is_an_error() -> None:
    worker = Worker("poet_hook.learning.rerun")
    worker.process.kill()
    worker.process.wait()
    with pytest.raises(ReplayError, match="replay process ended"):
        worker.ask({"op": "run"}, 5.0)


def test_a_candidate_that_ends_the_process_has_failed_and_others_are_tried() -> None:
    with replay(LOUD, (1.0,), (3.0,)) as running:
        tunable, ended = running.plan.tunables[0], ("x", "it ended the process")
        os.kill(running.worker.process.pid, signal.SIGKILL)
        assert running.run({"x_limit": 0.5}) == [ended, ended]
        assert [codec.decode(data) for _, data in running.run({})] == [False, True]  # type: ignore[arg-type]
        os.kill(running.worker.process.pid, signal.SIGKILL)
        assert running.run({}, [1]) == [ended]
        os.kill(running.worker.process.pid, signal.SIGKILL)
        (steps,) = running.trace(tunable, {}, 0.0, 10.0, [1])
        assert (steps.values, steps.exact) == ((ended,), False)
        os.kill(running.worker.process.pid, signal.SIGKILL)
        with pytest.raises(ReplayError, match="the replay process ended"):
            running.run({})


def test_the_child_can_write_no_file(tmp_path: object) -> None:
    source = f"""
import logging

# poet: optimize_for=accuracy
def f(x: float) -> bool:
    logging.FileHandler({os.fspath(tmp_path)!r} + "/log").emit(logging.makeLogRecord({{"msg": "x" * 5000}}))
    return x > 2.5
"""
    with replay(source, (3.0,)) as running:
        running.run({})
    written = os.path.join(os.fspath(tmp_path), "log")  # type: ignore[call-overload]
    assert not os.path.exists(written) or os.path.getsize(written) == 0


@pytest.mark.skipif(landlock.version() < 6, reason="the kernel's Landlock is not there, or too old")
def test_the_users_own_code_changes_nothing_outside_either(tmp_path: Path) -> None:
    source = """
import os
import signal
import socket

# poet: optimize_for=accuracy
def f(act: str, what: object, pid: int) -> object:
    try:
        if act == "connect":
            socket.create_connection(("127.0.0.1", what), 1.5).close()
        elif act == "signal":
            os.kill(pid, 0)
        elif act == "write":
            with open(what, "w"):
                pass
        elif act == "read":
            return open(what).read()
        else:
            os.unlink(what)
        return "done"
    except PermissionError:
        return "no"
"""
    place = tmp_path / "file"
    place.write_text("kept")
    plan, source = planned(source)
    part = slice_function(source, plan.qualname, plan.line, also=["os", "signal", "socket"])
    with socket.create_server(("127.0.0.1", 0)) as server:
        acts = [
            ("connect", server.getsockname()[1]),
            ("signal", 0),
            *((act, str(place)) for act in ("write", "delete", "read")),
            ("write", os.devnull),
        ]
        encoded = [codec.encode((act, what, os.getpid())) for act, what in acts]
        with Replay(plan, part, source, encoded) as running:
            found = [codec.decode(data) for _, data in running.run({})]  # type: ignore[arg-type]
    assert found == ["no", "no", "no", "no", "kept", "done"]
    assert place.read_text() == "kept"


# --------------------------------------------------------------------------- what is loaded


def test_only_what_the_function_needs_is_kept() -> None:
    source = """
import os
from math import sqrt
LIMIT = 3.0
start_server()

def root(x):
    return sqrt(x)

def unused():
    return os.getcwd()

def f(x):
    return root(x) > LIMIT
"""
    part = slice_function(source, "f", 13)
    assert part.reason is None
    assert [ast.unparse(part.tree.body[i]).splitlines()[0] for i in part.keep] == [
        "from math import sqrt",
        "LIMIT = 3.0",
        "def root(x):",
    ]


def test_what_might_be_used_is_loaded_where_it_has_no_effects() -> None:
    source = """import math, http.client, statistics
import os as system
from json import loads
from . import near
LIMIT = 3.0
if system.environ:
    OTHER = 4.0
MADE = near.made()

def f(x):
    return math.sqrt(x) > 2.0
"""
    might = ["http", "statistics", "system", "loads", "near", "LIMIT", "OTHER", "MADE", "nothing"]
    part = slice_function(source, "f", 10, perhaps=might)
    assert part.reason is None
    kept = [ast.unparse(part.tree.body[i]) for i in part.keep]
    assert kept == ["import math, statistics", "from json import loads", "LIMIT = 3.0"]
    assert not part.names & {"http", "system", "near", "OTHER", "MADE"}


def test_a_name_that_nobody_defines_is_a_reason() -> None:
    reason = slice_function("def f(x):\n    return x > limit\n", "f", 1).reason
    assert reason is not None
    assert "limit, which the module does not define" in reason
    reason = slice_function("def f(x):\n    return (lambda limit: 1)(x) > limit\n", "f", 1).reason
    assert reason is not None


@pytest.mark.parametrize(
    "body",
    [
        "return max(x, key=lambda pair: pair[1])[1] > 2.5",
        "def second(pair, at=1):\n        return pair[at]\n    return max(map(second, x)) > 2.5",
        "class Row:\n        at = 1\n    return x[0][Row.at] > 2.5",
        "match x:\n        case [(_, value), *rest]:\n            return value > 2.5 and not rest\n    return False",
        "match {'a': x}:\n        case {'b': _, **others} | {**others}:\n            return others['a'][0][1] > 2.5",
        "value = lambda mean: mean[0][1]\n    return mean([value(x)]) > 2.5",
    ],
)
def test_names_that_the_function_binds_itself_are_not_missed(body: str) -> None:
    source = f"from statistics import mean\n# poet: optimize_for=accuracy\ndef f(x: list) -> bool:\n    {body}\n"
    with replay(source, ([("a", 2.0)],), ([("a", 3.0)],)) as running:
        assert [codec.decode(data) for _, data in running.run({})] == [False, True]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return x > 2", None),
        ("y = [1]\n    y.append(x)\n    return y", None),
        ("import time\n    return time.time() > x", "time"),
        ("from . import other\n    return x", "other' its own"),
        ("return eval('x')", "eval"),
        ("x.y = 1\n    return x", "attribute"),
        ("return x.__class__", "__class__"),
        ("return datetime.now()", "now"),
        ("return numpy.random.rand()", "rand"),
    ],
)
def test_what_may_not_be_run_again(body: str, reason: str | None) -> None:
    node = ast.parse(f"def f(x):\n    {body}\n").body[0]
    assert isinstance(node, ast.FunctionDef)
    found = why_not_replay(node, [])
    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert reason.split("'")[0] in found or "replay_modules" in found


def test_a_declared_module_may_be_used() -> None:
    node = ast.parse("def f(x):\n    import mine.stats\n    return x\n").body[0]
    assert isinstance(node, ast.FunctionDef)
    assert why_not_replay(node, []) is not None
    assert why_not_replay(node, [], ["mine"]) is None
    assert why_not_replay(node, [], ["min"]) is not None


# --------------------------------------------------------------------------- what people said


def said(number: int, source: str = "ann", **signal: object) -> Feedback:
    return Feedback(number, "e1", float(number), source, b"", Signal(**signal))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("signal", "recorded", "kind", "value", "approved"),
    [
        ({"kind": "right"}, True, "decision", True, True),
        ({"kind": "wrong"}, True, "decision", False, False),
        ({"kind": "expected", "value": False}, False, "decision", False, True),
        ({"kind": "wrong"}, {"drift": True}, "decision", False, False),
        ({"kind": "right"}, 3.5, "value", 3.5, True),
        ({"kind": "wrong"}, 3.5, "not", 3.5, False),
        ({"kind": "expected", "value": 4.0}, 3.5, "value", 4.0, False),
        ({"kind": "direction", "value": -1}, 3.5, "direction", (3.5, -1), False),
        ({"kind": "reward", "value": 0.9}, True, "decision", True, True),
        ({"kind": "reward", "value": 0.2}, True, "decision", False, False),
    ],
)
def test_a_signal_becomes_a_label(
    signal: dict[str, object], recorded: object, kind: str, value: object, approved: bool
) -> None:
    known = label("e1", [said(1, **signal)], recorded)
    assert known is not None
    assert (known.kind, known.value, known.approved) == (kind, value, approved)


@pytest.mark.parametrize("signal", [{"kind": "unread"}, {"kind": "reward", "value": 0.5}])
def test_what_says_nothing_is_no_label(signal: dict[str, object]) -> None:
    assert label("e1", [said(1, **signal)], True) is None


def test_two_against_one() -> None:
    votes = [said(1, kind="right"), said(2, "bob", kind="wrong"), said(3, "eve", kind="wrong")]
    known = label("e1", votes, True)
    assert known is not None
    assert (known.value, known.weight) == (False, 1.0)
    assert label("e1", votes[:2], True) is None


def test_losses() -> None:
    def of(recorded: object, **signal: object) -> object:
        return label("e1", [said(1, **signal)], recorded)

    alarm = objective("alert_quality", (1.0, 4.0))
    truth = of(True, kind="expected", value=True)
    quiet = of(True, kind="expected", value=False)
    assert [alarm.loss(truth, o) for o in (True, False, UNSET)] == [0.0, 1.0, 1.0]  # type: ignore[arg-type]
    assert [alarm.loss(quiet, o) for o in (True, False)] == [0.25, 0.0]  # type: ignore[arg-type]
    error = objective("error", (1.0, 1.0))
    exact = of(3.0, kind="expected", value=4.0)
    assert [error.loss(exact, o) for o in (4.0, 3.0, 99.0, "x")] == [0.0, 0.25, 1.0, 1.0]  # type: ignore[arg-type]
    high = of(3.0, kind="direction", value=-1)
    assert [error.loss(high, o) for o in (2.0, 3.0, 4.0)] == [0.0, 0.5, 1.0]  # type: ignore[arg-type]
    wrong = of("a", kind="wrong")
    assert [error.loss(wrong, o) for o in ("a", "b")] == [1.0, 0.5]  # type: ignore[arg-type]
    accuracy = objective("accuracy")
    for recorded, other, losses in ((2, 3, (1.0, 0.5)), (2.0, 3.0, (1.0, 1.0))):
        wrong = of(recorded, kind="wrong")
        assert (error.loss(wrong, other), accuracy.loss(wrong, other)) == (1.0, losses[1])  # type: ignore[arg-type]
        assert accuracy.loss(wrong, recorded) == losses[0]  # type: ignore[arg-type]


def test_f1_weighs_by_half_of_what_is_to_be_beaten() -> None:
    aim = objective("f1", (1.0, 1.0), 0.4)
    assert (round(aim.false_alarm, 6), aim.miss) == (0.25, 1.0)


def test_score_counts_alerts() -> None:
    labels = [label("e1", [said(i, kind="expected", value=i % 2 == 0)], True) for i in range(1, 5)]
    found = score(zip(labels, [True, True, False, False], strict=True))  # type: ignore[arg-type]
    assert (found.right, found.wrong, found.true_alarms, found.false_alarms, found.misses) == (2, 2, 1, 1, 1)
    assert (found.accuracy, found.f1) == (0.5, 0.5)
