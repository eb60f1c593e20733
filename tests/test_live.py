"""A challenger beside the champion on live calls: in this process, and put on trial by another one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import Load, environment

import poet_hook
from poet_hook import api
from poet_hook.cli.main import main
from poet_hook.errors import PragmaWarning, VersionError, VersionWarning
from poet_hook.model import Execution
from poet_hook.runtime import trial
from poet_hook.runtime.trial import Told, told
from poet_hook.store import codec
from poet_hook.versions.chain import Chain
from poet_hook.versions.current import plan_of
from poet_hook.versions.watch import refresh

HOT = """
    # poet: optimize_for=accuracy, learn=shadow, after=1000
    def f(x):
        return x > 2.5  # poet: tune 0..10
"""


def chain() -> Chain:
    return Chain(api.settings(), "m:f")


def version(value: float = 3.5, function: str = "m:f") -> int:
    """A stored version of a function with this number in it; it must have been called."""
    plan, _ = plan_of(function, api.store(), api.settings())
    tunable = next(tunable for tunable in plan.tunables if tunable.kind == "number")
    return Chain(api.settings(), function).add(plan, 1, {tunable.name: value}, None, "").number


def tried(value: float = 3.5, function: str = "m:f") -> int:
    """The same, on trial from the next call on."""
    number = version(value, function)
    Chain(api.settings(), function).challenge(number)
    refresh(api.settings())
    return number


def newest(count: int = 1) -> list[Execution]:
    return list(api.executions("m:f", limit=count))


def said(execution: Execution) -> Told | None:
    return None if execution.shadow is None else told(execution.shadow)


def eventually(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


# --------------------------------------------------------------------------- shadow


def test_a_shadow_is_recorded_and_never_returned(load: Load) -> None:
    m = load(HOT)
    assert m.f(3.0)
    assert newest()[0].shadow is None
    assert tried() == 2
    assert (m.f(3.0), m.f(4.0)) == (True, True)
    same, other = newest(2)
    assert (said(same), said(other)) == (Told(2, same=True), Told(2, result=codec.encode(False)))
    assert (same.version, other.version, api.champion("f")) == (1, 1, 1)
    assert api.status()[0].on_trial == api.on_trial("f")
    found = api.on_trial("f")
    assert found is not None
    assert (found.challenger, found.calls, found.differ, found.failed) == (2, 2, 1, 0)
    api.promote("f", 2)
    assert not m.f(3.0)
    assert newest()[0].shadow is None
    assert api.on_trial("f") is None


def test_a_shadow_is_there_at_the_first_call_of_a_process(load: Load) -> None:
    m = load(HOT)
    m.f(1.0)
    tried()
    m = load(HOT)
    m.f(3.0)
    assert said(newest()[0]) == Told(2, result=codec.encode(False))


def test_without_the_option_nothing_is_shadowed(load: Load) -> None:
    m = load(HOT.replace(", learn=shadow", ""))
    m.f(3.0)
    tried()
    m.f(3.0)
    assert newest()[0].shadow is None


def test_what_a_challenger_does_to_its_arguments_is_seen_by_nobody(load: Load) -> None:
    m = load(
        """
        # poet: optimize_for=accuracy, learn=shadow
        def f(xs, *more, key=None, **rest):
            xs.append(len(xs) + len(more) + len(rest) > 2.5)  # poet: tune 0..10
            return xs
        """
    )
    m.f([])
    tried(0.5)
    xs = [1]
    assert m.f(xs, 2, key=3, z=4) is xs
    assert xs == [1, True]
    assert said(newest()[0]) == Told(2, same=True)
    xs = [1]
    m.f(xs)
    assert xs == [1, False]
    assert said(newest()[0]) == Told(2, result=codec.encode([1, True]))


def test_methods_defaults_and_super(load: Load) -> None:
    m = load(
        """
        class Base:
            limit = 1.0
            @classmethod
            def base(cls, x): return x

        class C(Base):
            # poet: optimize_for=accuracy, learn=shadow
            @staticmethod
            def f(x, y=1.0):
                return x + y > 2.5  # poet: tune 0..10
        """
    )
    m.C.f(1.0)
    tried(3.5, "m:C.f")
    m.C.f(2.0)
    (found,) = list(api.executions("C.f", limit=1))
    assert said(found) == Told(2, result=codec.encode(False))


def test_a_challenger_that_raises_is_recorded_and_swallowed(load: Load) -> None:
    m = load(
        """
        # poet: optimize_for=accuracy, learn=shadow
        def f(x):
            return 1 / max(0.0, x - 0.5)  # poet: tune 0..10
        """
    )
    m.f(3.0)
    tried(5.0)
    assert m.f(3.0) == 0.4
    assert said(newest()[0]) == Told(2, error="ZeroDivisionError: float division by zero")
    found = api.on_trial("f")
    assert found is not None
    assert (found.calls, found.differ, found.failed) == (1, 0, 1)
    with pytest.raises(ZeroDivisionError):  # the champion's own exception: there is nothing to compare
        m.f(0.0)
    assert newest()[0].shadow is None


SLOW = """
    # poet: optimize_for=accuracy, learn=shadow
    def f(x):
        n = 0.0
        while n < x * 2.5:  # poet: tune 0..1e18
            n += 1.0
        return n > 0
"""


@pytest.mark.parametrize("threaded", [False, True])
def test_a_challenger_that_does_not_end_is_stopped_and_then_left_out(load: Load, threaded: bool) -> None:
    m = load(SLOW)
    m.f(1.0)
    tried(1e18)

    def work() -> None:
        start = time.monotonic()
        assert [m.f(1.0) for _ in range(4)] == [True] * 4
        assert time.monotonic() - start < 5

    with (
        ThreadPoolExecutor() as pool,
        pytest.warns(VersionWarning, match=r"m:f: v2 no longer runs beside it in this process: 3 times it took"),
    ):
        pool.submit(work).result() if threaded else work()
    shadows = [said(execution) for execution in newest(4)]
    assert shadows[0] is None
    assert all(one is not None and "it took longer than" in str(one.error) for one in shadows[1:])
    assert all(execution.duration < 0.04 for execution in newest(4)[1:])  # the shadow's time is not the call's


def test_the_time_limit_around_a_call_ends_its_shadow_too(load: Load) -> None:
    m = load(
        SLOW
        + """
    # poet: timeout=20ms, fallback="late"
    def outer():
        return f(1.0)
"""
    )
    m.f(1.0)
    tried(1e18)  # at least 50 ms, if it were not for that
    assert [m.outer() for _ in range(4)] == ["late"] * 4
    assert [newest()[0].outcome, newest()[0].shadow] == ["error", None]


def test_what_a_challenger_calls_was_called_by_nobody(load: Load) -> None:
    m = load(
        """
        # poet: optimize_for=accuracy
        def g(x): return x + 0.5

        # poet: optimize_for=accuracy, learn=shadow
        def f(x): return g(x) > 2.5  # poet: tune 0..10
        """
    )
    m.f(3.0)
    tried()
    m.f(2.5)
    assert said(newest()[0]) == Told(2, result=codec.encode(False))
    assert len(list(api.executions("m:g"))) == 2
    with poet_hook.capture() as results:
        m.f(1.0)
    assert [result.function for result in results] == ["m:g", "m:f"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("seen = []\ndef f(x):\n    seen.append(x)\n    return x > 2.5\n", "it changes the module's seen"),
        ("def f(x):\n    return x > 2.5 or f(x + 1.0)\n", "it calls itself"),
        ("import time\ndef f(x):\n    return x > 2.5 or time.time() > x\n", "not known to be free of effects"),
    ],
)
def test_a_function_with_effects_is_not_run_twice(load: Load, source: str, reason: str) -> None:
    m = load(source.replace("def f", "# poet: optimize_for=accuracy, learn=shadow\ndef f"))
    m.f(3.0)
    number = version()
    chain().challenge(number)
    with pytest.warns(VersionWarning, match=f"m:f: v2 can't be tried beside the version in use: .*{reason}"):
        refresh(api.settings())
    m.f(3.0)
    assert newest()[0].shadow is None


def test_a_challenger_that_was_edited_runs_nowhere(load: Load, project: Path) -> None:
    m = load(HOT)
    m.f(3.0)
    number = version()
    path = project / ".poet" / "functions" / "m.f" / f"v{number}" / "operate.py"
    path.write_text("def f(x):\n    import os\n    os._exit(3)\n")
    chain().challenge(number)
    with pytest.warns(VersionWarning, match="can't be tried.*was edited"):
        refresh(api.settings())
    assert m.f(3.0)
    assert newest()[0].shadow is None


def test_threads_and_a_fork_each_have_their_shadow(load: Load) -> None:
    m = load(HOT)
    m.f(3.0)
    tried()
    threads = [threading.Thread(target=lambda: [m.f(float(x)) for x in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    child = os.fork()
    if child == 0:
        m.f(3.0)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    found = api.on_trial("f")
    assert found is not None
    assert (found.calls, found.differ) == (201, 5)


def test_what_learning_finds_runs_in_the_shadow_until_it_is_promoted(load: Load) -> None:
    m = load(HOT)
    for number in range(4):
        poet_hook.feedback(poet_hook.call(m.f, 4.0 + number), "false alarm")
    learned = poet_hook.learn("f")
    assert (learned.promoted, learned.version) == (False, 2)
    assert learned.verdict is not None
    assert (learned.verdict.decision, learned.verdict.level) == ("challenge", None)
    assert m.f(5.0)
    assert said(newest()[0]) == Told(2, result=codec.encode(False))
    again = poet_hook.learn("f")
    assert (again.version, chain().numbers()) == (2, [1, 2])  # as good as before: it goes on
    for number in range(20):
        poet_hook.feedback(poet_hook.call(m.f, 4.0 + number / 8), "false alarm")
        poet_hook.feedback(poet_hook.call(m.f, 8.0 + number / 8), "correct")
    learned = poet_hook.learn("f")
    assert learned.verdict is not None
    assert (learned.promoted, learned.verdict.level) == (False, "proven")
    assert m.f(5.0)
    assert learned.version is not None
    api.promote("f", learned.version)
    assert not m.f(5.0)
    assert chain().pointer().challenger is None


def test_the_few_calls_on_which_the_shadow_differs_are_asked_about(load: Load) -> None:
    m = load(HOT)
    for number in range(4):
        poet_hook.feedback(poet_hook.call(m.f, 2.9 + number / 8), "false alarm")
        poet_hook.feedback(poet_hook.call(m.f, 8.0 + number / 8), "correct")
    poet_hook.learn("f")
    rare = {poet_hook.call(m.f, 2.6).execution_id for _ in range(3)}
    for number in range(2000):  # of which a sample is looked at
        m.f(5.0 + number / 1000)
    asked = poet_hook.ask("f", limit=4)
    assert {question.execution_id for question in asked.questions if question.challenger is False} == rare
    for question in asked.questions:
        poet_hook.feedback(question.execution_id, question.challenger is question.returned, source="asked")
    assert not rare & {question.execution_id for question in poet_hook.ask("f", limit=20).questions}


# --------------------------------------------------------------------------- canary

CANARY = """
    # poet: optimize_for=accuracy, canary=25%, key=who, after=1000
    def f(x, who):
        return x > 2.5  # poet: tune 0..10
"""


def test_one_customer_always_gets_the_same_version(load: Load) -> None:
    m = load(CANARY)
    m.f(3.0, "a")
    assert tried() == 2
    first = [m.f(3.0, f"customer {i}") for i in range(400)]
    assert 60 < first.count(False) < 140  # 100, and 8.7 is one standard deviation
    assert [m.f(3.0, f"customer {i}") for i in range(400)] == first
    versions = [execution.version for execution in newest(400)]
    assert versions == [1 if answer else 2 for answer in reversed(first)]
    other = load(CANARY)  # another process decides likewise
    assert [other.f(3.0, f"customer {i}") for i in range(400)] == first
    found = api.on_trial("f")
    assert found is not None
    assert (found.challenger, found.share, found.calls, found.failed) == (2, 0.25, 3 * first.count(False), 0)


def test_without_a_key_chance_chooses(load: Load) -> None:
    m = load(CANARY.replace(", key=who", ""))
    m.f(3.0, "a")
    tried()
    answers = [m.f(3.0, "a") for _ in range(400)]
    assert 60 < answers.count(False) < 140
    with poet_hook.capture() as results:
        answers = [m.f(3.0, "a") for _ in range(100)]
    assert [result.version for result in results] == [1 if answer else 2 for answer in answers]


WHOLE = """
    # poet: optimize_for=accuracy, canary=50%, {options}
    def f(x, out=None):
        if out is not None:
            out.append(x)
        return {body}  # poet: tune 0..10

    def instead(x, out=None):
        return "instead"

    odd = []

    def flaky(x, n):
        odd.append(n)
        if len(odd) % 2:
            raise ConnectionError
        return x

    def waits(x, n):
        while n > 1:
            pass
        return x
"""


def canary(load: Load, body: str, value: float, options: str = "retries=0") -> Any:
    """m.f with a challenger that answers half of its calls."""
    m = load(WHOLE.format(body=body, options=options))
    m.f(3.0)
    tried(value)
    return m


def test_the_arguments_are_the_callers_own(load: Load) -> None:
    m = canary(load, "x > 2.5", 3.5)
    out: list[float] = []
    for _ in range(20):
        m.f(3.0, out)
        m.f(3.0, out=out)
    assert out == [3.0] * 40
    assert {execution.version for execution in newest(40)} == {1, 2}


@pytest.mark.parametrize(
    ("body", "value", "options", "why"),
    [
        ("1 / max(0.0, x - 0.5)", 5.0, "retries=0", "ZeroDivisionError: float division by zero"),
        ("x - 0.5", 5.0, 'ensure="result > 0"', "EnforceError: m:f: ensure='result > 0' does not hold for -2.0"),
        ("1 / max(0.0, x - 0.5)", 5.0, "retries=2, fallback=instead", "ZeroDivisionError: float division by zero"),
        ("waits(x, 0.5)", 9.0, "timeout=50ms", "OperateTimeout: m:f took longer than"),
    ],
)
def test_a_challenger_that_fails_costs_nobody_an_answer(
    load: Load, body: str, value: float, options: str, why: str
) -> None:
    m = canary(load, body, value, options)
    with pytest.warns(VersionWarning, match=rf"m:f: v2 is on trial no more: it failed \d+ calls .*{re.escape(why)}"):
        answers = [m.f(3.0) for _ in range(60)]
    assert answers == [codec.decode(newest(61)[-1].result)] * 60
    marks = [said(execution) for execution in newest(60) if execution.shadow is not None]
    assert 3 <= len(marks) <= 12
    assert all(mark is not None and mark.version == 2 and why in str(mark.error) for mark in marks)
    assert {execution.version for execution in newest(60)} == {1}
    assert {execution.outcome for execution in newest(60)} == {"result"}
    (gone,) = chain().pointer().withdrawn
    assert (gone.version, why in gone.why, chain().pointer().challenger) == (2, True, None)


def test_a_challenger_has_the_attempts_of_the_function(load: Load) -> None:
    m = canary(load, "flaky(x, 0.5)", 0.6, "retries=1, backoff=1ms")
    assert [m.f(3.0) for _ in range(30)] == [3.0] * 30
    assert {(e.version, e.attempts, e.shadow) for e in newest(30)} == {(1, 2, None), (2, 2, None)}
    assert chain().pointer().challenger == 2


def test_where_both_fail_the_champions_own_exception_goes_on(load: Load) -> None:
    m = canary(load, "1 / max(0.0, x - 0.5)", 5.0)
    for _ in range(40):
        with pytest.raises(ZeroDivisionError) as caught:
            m.f(0.0)
        assert all("trial" not in str(frame.path) for frame in caught.traceback)
    assert chain().pointer().challenger == 2
    marks = [said(execution) for execution in newest(40)]
    assert any(marks)
    assert not all(marks)


def test_what_it_takes_to_try_is_not_what_the_challenger_takes(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    real = trial.TimeLimit

    def slow(seconds: float, function: str) -> trial.TimeLimit:
        time.sleep(0.03)
        return real(seconds, function)

    m = canary(load, "x > 2.5", 3.5)
    monkeypatch.setattr(trial, "TimeLimit", slow)
    for _ in range(12):
        m.f(3.0)
    served = [execution for execution in newest(12) if execution.version == 2]
    assert served
    assert all(0.0 < execution.duration < 0.02 for execution in served)


def test_each_version_remembers_what_it_said_itself(load: Load) -> None:
    m = canary(load, "x > 2.5", 3.5, "cooldown=1")
    for _ in range(40):
        m.f(5.0)
    assert {execution.version for execution in newest(40)} == {1, 2}
    for number in (1, 2):
        own = [codec.decode(e.result) for e in reversed(newest(40)) if e.version == number]
        assert all(one is not two for one, two in pairwise(own))  # every second one is quiet


STREAMS = """
    # poet: optimize_for=accuracy, canary=50%, key=n, stream=who, cooldown=9
    def f(x, who, n) -> bool:
        return x > 2.5  # poet: tune 0..10
"""


def test_a_stream_is_served_by_one_version_and_remembered_by_it(load: Load) -> None:
    m = load(STREAMS)
    streams = [str(number) for number in range(30)]
    assert all(m.f(3.0, who, 0) for who in streams)
    number = tried(2.0)
    assert not any(m.f(3.0, who, n) for n in range(1, 5) for who in streams)  # it goes on from what was said
    served = {who: {e.version for e in newest(120) if e.stream == who} for who in streams}
    assert all(len(versions) == 1 for versions in served.values())
    assert set().union(*served.values()) == {1, number}
    assert not any(m.f(1.0, who, n) for n in range(5, 10) for who in streams)
    assert all(m.f(3.0, who, 10) for who in streams)
    api.promote("f", number)  # nothing is forgotten by a swap, there and back
    assert not any(m.f(3.0, who, 11) for who in streams)
    api.promote("f", 1)
    assert not any(m.f(3.0, who, 12) for who in streams)


def test_a_shadow_has_its_own_cool_down(load: Load) -> None:
    pragma = "optimize_for=accuracy, learn=shadow, domain=ml_monitoring, stream=who, cooldown=1"
    m = load(f"# poet: {pragma}\ndef f(x, who) -> bool:\n    return x > 2.5\n")
    m.f(1.0, "a")
    plan, _ = plan_of("m:f", api.store(), api.settings())
    chain().challenge(chain().add(plan, 1, {"cooldown": 2}, None, "").number)
    refresh(api.settings())
    assert [m.f(3.0, "a") for _ in range(6)] == [True, False, True, False, True, False]
    shown = [said(execution) for execution in reversed(newest(6))]
    yes, no, same = Told(2, result=codec.encode(True)), Told(2, result=codec.encode(False)), Told(2, same=True)
    assert shown == [same, same, no, yes, no, same]
    found = api.on_trial("f")
    assert found is not None
    assert (found.calls, found.differ) == (6, 3)
    assert [e.result for e in newest(6)] == [codec.encode(x) for x in (False, True, False, True, False, True)]


def test_a_challenger_has_its_own_options(load: Load) -> None:
    m = load(
        "# poet: optimize_for=accuracy, canary=50%, key=who, stream=who, hold=3\ndef f(x, who) -> bool:\n    return x > 2.5\n"
    )
    m.f(1.0, "a")
    plan, _ = plan_of("m:f", api.store(), api.settings())
    chain().challenge(chain().add(plan, 1, {"hold": 1}, None, "").number)
    refresh(api.settings())
    held = {who: [m.f(x, who) for x in (3.0, 1.0, 1.0, 1.0, 1.0)].count(True) for who in map(str, range(40))}
    versions = {execution.key: execution.version for execution in newest(200)}
    assert set(held.values()) == {2, 4}
    assert all((versions[who] == 2) == (count == 2) for who, count in held.items())


def test_a_canary_needs_to_promote_by_itself(load: Load, project: Path) -> None:
    with pytest.warns(PragmaWarning, match="PH412 canary= has no effect with learn=propose; it needs auto or proven"):
        m = load(CANARY.replace("canary", "learn=propose, canary"))
    m.f(3.0, "a")
    tried()
    assert all(m.f(3.0, f"customer {i}") for i in range(100))


def test_with_a_canary_nothing_goes_straight_into_use(load: Load) -> None:
    m = load(CANARY.replace("25%", "50%"))

    def teach(count: int) -> None:
        for number in range(count):
            x = 2.6 + number % 40 / 10
            result = poet_hook.call(m.f, x, f"customer {number}")
            poet_hook.feedback(result, {"expected": x > 4.5})

    teach(60)
    learned = poet_hook.learn("f")
    assert learned.verdict is not None
    assert (learned.promoted, learned.version, api.champion("f")) == (False, 2, 1)
    assert learned.verdict.decision == "challenge"
    assert "canary: it answers 50% of the calls first" in learned.reasons
    teach(10)
    learned = poet_hook.learn("f")
    assert (learned.promoted, learned.version, chain().pointer().challenger) == (False, 2, 2)
    assert any("calls so far, and 20 come first" in reason for reason in learned.reasons)
    teach(60)
    learned = poet_hook.learn("f")
    assert (learned.promoted, api.champion("f")) == (True, 2)
    assert chain().pointer().challenger is None
    assert not m.f(4.0, "anybody")


def test_what_was_withdrawn_is_not_tried_again(load: Load) -> None:
    m = load(CANARY)
    for number in range(60):
        x = 2.6 + number % 40 / 10
        poet_hook.feedback(poet_hook.call(m.f, x, f"customer {number}"), {"expected": x > 4.5})
    assert poet_hook.learn("f").version == 2
    chain().withdraw(2, "it failed")
    learned = poet_hook.learn("f")
    assert (learned.promoted, learned.version, chain().pointer().challenger) == (False, None, None)
    assert "v2, with the same values, was withdrawn: it failed" in learned.reasons


def test_a_trial_begins_and_ends_by_hand(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    m = load(CANARY.replace("25%", "50%"))
    m.f(3.0, "a")
    number = version()
    assert main(["challenge", "f", f"v{number}"]) == 0
    assert {m.f(3.0, who) for who in map(str, range(40))} == {True, False}
    assert main(["challenge", "f"]) == 0
    assert main(["challenge", "f"]) == 0
    assert all(m.f(3.0, who) for who in map(str, range(40)))
    assert main(["versions", "f"]) == 0
    assert capsys.readouterr().out.splitlines()[:3] == [
        "m:f: v2 is on trial, v1 stays in use",
        "m:f: v2 is on trial no more; to begin again: python -m poet_hook challenge f 2",
        "m:f: no version is on trial",
    ]
    assert chain().pointer().withdrawn[0].why == "its trial was ended by hand"
    api.promote("f", 2)
    with pytest.raises(VersionError, match="is in use"):
        api.challenge("f", 2)
    with pytest.raises(VersionError, match="has no version 9"):
        api.challenge("f", 9)


def test_what_can_not_be_tried_is_refused(load: Load) -> None:
    m = load(
        "seen = []\n# poet: optimize_for=accuracy, learn=shadow\ndef f(x):\n    seen.append(x)\n    return x > 2.5\n"
    )
    m.f(3.0)
    with pytest.raises(VersionError, match=r"must not be run twice: .* it changes the module's seen"):
        api.challenge("f", version())
    m = load("# poet: optimize_for=accuracy\ndef f(x):\n    return x > 2.5\n")
    m.f(3.0)
    with pytest.raises(VersionError, match="neither learn=shadow nor canary="):
        api.challenge("f", version())
    assert chain().pointer().challenger is None


# --------------------------------------------------------------------------- other processes

PROCESS = """
import sys, time
import poet_hook
poet_hook.activate()
from m import f
while True:
    print(f(3.0), flush=True)
    time.sleep(0.02)
"""


def test_a_challenger_from_another_process_runs_here_within_a_second(load: Load) -> None:
    m = load(HOT)
    m.f(3.0)
    number = version()
    running = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROCESS)], stdout=subprocess.PIPE, env=environment()
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == b"True\n"
        start = time.time()
        chain().challenge(number)
        eventually(lambda: newest()[0].shadow is not None)
        first = next(e for e in reversed(newest(500)) if e.shadow is not None)
        assert first.started - start < 1.0
        chain().withdraw(number, "enough")
        eventually(lambda: newest()[0].shadow is None)
    finally:
        running.kill()
        running.communicate()
    assert [(gone.version, gone.why) for gone in chain().pointer().withdrawn] == [(2, "enough")]


CUSTOMERS = """
import sys, time
import poet_hook
poet_hook.activate()
from m import f
number = 0
while True:
    number += 1
    print(f(3.0, number), flush=True)
    time.sleep(0.01)
"""


def test_a_canary_from_another_process_answers_here_within_a_second(load: Load) -> None:
    m = load(CANARY.replace("25%", "50%"))
    m.f(3.0, 0)
    number = version()
    running = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CUSTOMERS)], stdout=subprocess.PIPE, env=environment()
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == b"True\n"
        start = time.time()
        chain().challenge(number)
        eventually(lambda: any(execution.version == 2 for execution in newest(20)))
        first = next(e for e in reversed(newest(500)) if e.version == 2)
        assert first.started - start < 1.0
        chain().withdraw(number, "enough")
        eventually(lambda: all(execution.version == 1 for execution in newest(20)))
    finally:
        running.kill()
        running.communicate()


FAILING = """
import sys, threading, warnings
import poet_hook
poet_hook.activate()
from m import f
sys.stdin.readline()
print(sum(f(3.0) == 0.4 for _ in range(40)), flush=True)
"""


def test_two_processes_withdraw_a_failing_challenger_once(load: Load) -> None:
    canary(load, "1 / max(0.0, x - 0.5)", 5.0)
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(FAILING)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for _ in range(2)
    ]
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    told = [run.communicate(timeout=30) for run in runs]
    assert [out for out, _ in told] == ["40\n", "40\n"]
    assert sum("is on trial no more" in err for _, err in told) == 1
    assert len(chain().pointer().withdrawn) == 1
