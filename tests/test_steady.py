"""What is remembered between calls: min_run=, hold= and cooldown=."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import Load, Python, environment
from hypothesis import given
from hypothesis import strategies as st

import poet_hook
from poet_hook import api
from poet_hook.domains.base import decision, with_decision
from poet_hook.errors import EnforceError, PoetWarning, PragmaWarning, VersionError
from poet_hook.isolation.slice import slice_function
from poet_hook.learning import streams as streams_module
from poet_hook.learning import study as study_module
from poet_hook.learning.objective import PLAIN
from poet_hook.learning.streams import Streams, replayed
from poet_hook.learning.study import keep_reproduced, seen, study_of
from poet_hook.model import Steady, Version
from poet_hook.pragma.scan import find
from poet_hook.runtime import record, steady
from poet_hook.runtime.steady import NOTHING, play
from poet_hook.store import codec
from poet_hook.transform.plan import plan_module
from poet_hook.transform.values import with_values
from poet_hook.versions import apply
from poet_hook.versions.chain import Chain
from poet_hook.versions.current import plan_of
from poet_hook.versions.rebase import fits, same_code

# what the body says -> what callers get; one character a call
TABLE = [
    # min_run alone
    (Steady(min_run=1), "-xx-x-", "-xx-x-"),
    (Steady(min_run=2), "-xx-x-xxx-", "--x----xx-"),
    (Steady(min_run=3), "xx-xxx-xxxx", "-----x---xx"),
    # hold alone: n answers of no are bridged, the next one counts
    (Steady(hold=1), "x-x--x---", "xxxx-xx--"),
    (Steady(hold=2), "x---x-x----", "xxx-xxxxx--"),
    # cooldown alone: n calls are quiet after each alert, whatever they are
    (Steady(cooldown=1), "xxxxx", "x-x-x"),
    (Steady(cooldown=2), "xx-x--x-xx", "x--x--x--x"),
    (Steady(cooldown=3), "x---xx---x", "x---x----x"),
    # run, then hold: what is held need not run anew, what fell must
    (Steady(min_run=2, hold=1), "xx-x--x-xx--", "-xxxx----xx-"),
    (Steady(min_run=2, hold=2), "x-x-xx--x---x", "-----xxxxxx--"),
    # run, then cooldown: the run goes on while it is quiet
    (Steady(min_run=2, cooldown=2), "xxxxxxx", "-x--x--"),
    (Steady(min_run=2, cooldown=1), "xx-xxx", "-x--x-"),
    # hold, then cooldown: what is held is told again after each cool-down
    (Steady(hold=3, cooldown=1), "x------", "x-x----"),
    (Steady(hold=2, cooldown=2), "x--x-----", "x--x-----"),
    # all three
    (Steady(min_run=2, hold=2, cooldown=2), "xx--x--xx---x", "-x--x--x--x--"),
]


def said(text: str) -> list[bool]:
    return [c == "x" for c in text]


def settled(spec: Steady, decided: list[bool], moments: list[float] | None = None) -> list[bool]:
    times = moments or [0.0] * len(decided)
    results = [(i, d, t) for i, (d, t) in enumerate(zip(decided, times, strict=True))]
    given = play(spec, NOTHING, results)[0]
    return [i in given for i in range(len(decided))]


@pytest.mark.parametrize(("spec", "body", "caller"), TABLE)
def test_the_order_of_the_three(spec: Steady, body: str, caller: str) -> None:
    assert "".join("-x"[due] for due in settled(spec, said(body))) == caller


def by_hand(spec: Steady, decided: list[bool]) -> list[bool]:
    """The same filters, each written down by its own definition."""
    n = len(decided)
    begins = [i >= spec.min_run - 1 and all(decided[i - spec.min_run + 1 : i + 1]) for i in range(n)]
    held: list[bool] = []
    for i in range(n):
        lately = decided[max(0, i - spec.hold) : i + 1]
        held.append(begins[i] or (i > 0 and held[-1] and any(lately)))
    out: list[bool] = []
    for i in range(n):
        out.append(held[i] and not any(out[max(0, i - int(spec.cooldown)) : i]))
    return out


specs = st.builds(Steady, st.integers(1, 4), st.integers(0, 4), st.integers(0, 6))


@given(specs, st.lists(st.booleans(), max_size=40))
def test_each_filter_is_what_it_says(spec: Steady, decided: list[bool]) -> None:
    assert settled(spec, decided) == by_hand(spec, decided)


@given(specs, st.lists(st.sampled_from([False, False, False, True]), max_size=60), st.randoms(use_true_random=False))
def test_quiet_results_may_be_left_out(spec: Steady, decided: list[bool], rng: Any) -> None:
    matters = [i for i in range(len(decided)) if any(decided[max(0, i - spec.hold) : i + 1])]
    chosen = [i for i in range(len(decided)) if i in matters or rng.random() < 0.3]
    alerts, state = play(spec, NOTHING, [(i, decided[i], 0.0) for i in chosen])
    expected = settled(spec, decided)
    assert alerts == [i for i, due in enumerate(expected) if due]
    after = settled(spec, [*decided, True])[-1]
    assert bool(play(spec, state, [(len(decided), True, 0.0)])[0]) == after


@given(specs, st.lists(st.booleans(), max_size=30), st.integers(0, 30))
def test_it_goes_on_from_where_it_was(spec: Steady, decided: list[bool], cut: int) -> None:
    results = [(i, d, 0.0) for i, d in enumerate(decided)]
    first, state = play(spec, NOTHING, results[:cut])
    second, _ = play(spec, state, results[cut:])
    expected = settled(spec, decided)
    assert first + second == [i for i, due in enumerate(expected) if due]


def test_a_cooldown_in_seconds_goes_by_the_start_of_the_calls() -> None:
    spec = Steady(cooldown=10.0)
    assert settled(spec, [True] * 5, [100.0, 109.9, 110.0, 115.0, 120.5]) == [True, False, True, False, True]
    # set back by an hour: not an hour of silence
    assert settled(spec, [True] * 3, [5000.0, 1400.0, 1405.0]) == [True, True, False]


# --------------------------------------------------------------------------- results


@dataclass(frozen=True)
class Report:
    anomaly: bool
    score: float


class Pair(NamedTuple):
    alert: bool
    reason: str


class Thing:
    def __init__(self, drift: bool) -> None:
        self.drift = drift


@pytest.mark.parametrize(
    "value", [True, np.bool_(True), {"alert": True, "score": 3}, Report(True, 3.0), Pair(True, "x")]
)
def test_another_yes_or_no_leaves_all_else(value: Any) -> None:
    before = repr(value)
    other = with_decision(value, False)
    assert type(other) is type(value)
    assert (decision(value), decision(other)) == (True, False)
    assert repr(value) == before
    assert with_decision(other, True) == value


def test_an_object_is_copied() -> None:
    thing = Thing(True)
    other = with_decision(thing, False)
    assert (thing.drift, other.drift) == (True, False)


# --------------------------------------------------------------------------- calls


def test_level_1_functions_remember_too(load: Load) -> None:
    m = load(
        """
        # poet: min_run=2, cooldown=2, stream=machine
        def hot(machine: str, celsius: float) -> bool:
            return celsius > 90.0
        """
    )
    calls = [("a", 95.0), ("b", 95.0), ("a", 95.0), ("a", 95.0), ("b", 20.0), ("b", 95.0), ("a", 95.0), ("a", 95.0)]
    assert [m.hot(*call) for call in calls] == [False, False, True, False, False, False, False, True]
    assert api.store().count("m:hot") == 0


def test_without_stream_all_calls_are_one(load: Load) -> None:
    m = load("# poet: cooldown=1\ndef f(x: float) -> bool:\n    return x > 2.0\n")
    assert [m.f(3.0) for _ in range(4)] == [True, False, True, False]


def test_a_duration_in_calls_and_in_time(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(record, "now", lambda: (clock[0], clock[0]))
    m = load("# poet: cooldown=5m\ndef f(x: float) -> bool:\n    return x > 2.0\n")
    got = []
    for clock[0] in (1000.0, 1299.0, 1300.0, 1400.0, 1601.0):
        got.append(m.f(3.0))
    assert got == [True, False, True, False, True]


def test_the_bodys_own_result_is_recorded_beside(load: Load) -> None:
    m = load(
        """
        # poet: optimize_for=accuracy, cooldown=1, stream=name
        def f(name: str, x: float) -> dict:
            return {"alert": x > 2.0, "x": x}
        """
    )
    got = [poet_hook.call(m.f, "a", 3.0) for _ in range(2)]
    assert [r.value for r in got] == [{"alert": True, "x": 3.0}, {"alert": False, "x": 3.0}]
    first, second = (api.store().execution(r.execution_id) for r in got)
    assert first is not None
    assert second is not None
    assert first.raw is None
    assert codec.decode(second.result or b"") == {"alert": False, "x": 3.0}
    assert codec.decode(second.raw or b"") == {"alert": True, "x": 3.0}
    assert poet_hook.feedback(got[1], "you missed this").signal.kind != "unread"


def test_retries_fallback_and_errors_change_nothing(load: Load) -> None:
    m = load(
        """
        failures = []

        # poet: min_run=2, retries=1, fallback=None
        def f(x: float) -> bool:
            if failures:
                raise failures.pop()
            return x > 2.0
        """
    )
    steps = []
    steps.append(m.f(3.0))
    m.failures[:] = [ValueError()]  # the second attempt is the one that counts
    steps.append(m.f(3.0))
    m.failures[:] = [ValueError(), ValueError()]  # both fail: the fallback, and the run goes on
    steps.append(m.f(3.0))
    steps.append(m.f(3.0))
    assert steps == [False, True, None, True]
    (((count, _),),) = (known.values() for known in steady.memory.streams.values())
    assert count == 3


def test_what_enforce_refuses_is_no_result(load: Load) -> None:
    m = load(
        """
        # poet: cooldown=3, ensure="x < 9"
        def f(x: float) -> bool:
            return x > 2.0
        """
    )
    with pytest.raises(EnforceError):
        m.f(10.0)
    assert [m.f(3.0), m.f(3.0)] == [True, False]


def test_ensure_speaks_of_the_bodys_own_result(load: Load) -> None:
    m = load('# poet: cooldown=3, ensure="result == (x > 2)"\ndef f(x: float) -> bool:\n    return x > 2.0\n')
    assert [m.f(3.0), m.f(3.0)] == [True, False]


def test_of_several_returns_the_last_one_counts(load: Load) -> None:
    m = load(
        """
        # poet: cooldown=1
        def twice(x: float) -> bool:
            try:
                return True
            finally:
                if x > 2.0:
                    return False

        # poet: cooldown=1
        def never(x: float):
            for _ in range(1):
                try:
                    return True
                finally:
                    break

        # poet: cooldown=1
        def raises(x: float) -> bool:
            try:
                return True
            finally:
                if x > 2.0:
                    raise KeyError(x)
        """
    )
    assert [m.twice(3.0), m.twice(1.0), m.twice(1.0), m.twice(3.0), m.twice(1.0)] == [False, True, False, False, True]
    with pytest.warns(PragmaWarning, match="m:never: .* no effect: NoneType is no yes or no"):
        assert m.never(1.0) is None
    assert m.never(1.0) is None
    with pytest.raises(KeyError):
        m.raises(3.0)
    assert [m.raises(1.0), m.raises(1.0)] == [True, False]


def test_lines_of_a_traceback_stay(load: Load) -> None:
    source = "# poet: min_run=2\ndef f(x):\n    return (\n        x\n        / 0\n    )\n"
    lines = []
    for active in (True, False):
        m = load(source, f"m{active}", active=active)
        try:
            m.f(1)
        except ZeroDivisionError as error:
            lines.append([(f.lineno, f.colno) for f in traceback.extract_tb(error.__traceback__)][1:])
    assert lines[0] == lines[1]


def test_no_cost_where_there_is_no_option(load: Load) -> None:
    names = {}
    for name, options in (("a", "optimize_for=f1"), ("b", "optimize_for=f1, min_run=1, cooldown=0, hold=0")):
        m = load(f"# poet: {options}\ndef f(x: float) -> bool:\n    return x > 2.0\n", name)
        names[name] = m.f.__code__.co_names
        m.f(3.0)
    assert names["a"] == names["b"]
    assert "steady" not in names["a"]
    assert not steady.memory.streams


def test_results_that_decide_nothing_are_passed_on_and_said_once(load: Load) -> None:
    m = load("# poet: min_run=3\ndef f(x: float):\n    return x\n")
    with pytest.warns(PragmaWarning, match="float is no yes or no") as caught:
        assert [m.f(1.0), m.f(2.0)] == [1.0, 2.0]
    assert len(caught) == 1


def test_an_annotation_that_decides_nothing_is_a_mistake(load: Load) -> None:
    with pytest.warns(PragmaWarning, match="PH411 cooldown= has no effect: float is no yes or no"):
        m = load("# poet: cooldown=3\ndef f(x: float) -> float:\n    return x\n")
    assert m.f(1.0) == 1.0


def test_a_stream_that_can_not_be_told_leaves_the_result(load: Load) -> None:
    m = load("# poet: cooldown=9, stream='1 / x'\ndef f(x: float) -> bool:\n    return True\n")
    with pytest.warns(poet_hook.PoetWarning, match="no stream"):
        assert [m.f(0.0), m.f(0.0), m.f(1.0), m.f(1.0)] == [True, True, True, False]


def test_a_class_that_refuses_leaves_the_result(load: Load) -> None:
    m = load(
        """
        class Alert:
            alert = True
            def __setattr__(self, name, value):
                raise AttributeError("it is what it is")

        # poet: cooldown=9
        def f(x: float) -> Alert:
            return Alert()
        """
    )
    assert m.f(1.0).alert is True
    with pytest.warns(PragmaWarning, match="it is what it is"):
        assert m.f(1.0).alert is True


# --------------------------------------------------------------------------- processes, threads, versions

ALERTS = "# poet: {options}\ndef f(x: float) -> bool:\n    return x > 2.0\n"


def test_threads_lose_no_result(load: Load) -> None:
    m = load(ALERTS.format(options="cooldown=9"))
    got: list[bool] = []

    def calls() -> None:
        for _ in range(500):
            got.append(m.f(3.0))

    threads = [threading.Thread(target=calls) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), sum(got)) == (2000, 200)


def test_a_forked_child_goes_on_by_itself(load: Load) -> None:
    m = load(ALERTS.format(options="cooldown=2"))
    assert m.f(3.0)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with steady.memory.lock:
            held.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    child = os.fork()
    if not child:  # the lock that the thread holds has no owner here
        ok = [m.f(3.0) for _ in range(3)] == [False, False, True]
        os._exit(0 if ok else 1)
    release.set()
    thread.join()
    deadline = time.monotonic() + 20
    found, status = os.waitpid(child, os.WNOHANG)
    while not found and time.monotonic() < deadline:
        time.sleep(0.01)
        found, status = os.waitpid(child, os.WNOHANG)
    assert (found, status) == (child, 0)
    assert [m.f(3.0) for _ in range(3)] == [False, False, True]


def test_two_processes_remember_apart(load: Load) -> None:
    load(ALERTS.format(options="cooldown=2"), "shared")
    code = "import poet_hook; poet_hook.activate(); import shared; print([shared.f(3.0) for _ in range(2)])"
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
        assert done.stdout == "[True, False]\n", done.stderr


def test_an_import_again_forgets_nothing(load: Load) -> None:
    m = load(ALERTS.format(options="cooldown=2"))
    assert m.f(3.0)
    m = load(ALERTS.format(options="cooldown=3"))
    assert [m.f(3.0) for _ in range(4)] == [False, False, False, True]


def test_the_stream_longest_not_heard_of_is_forgotten(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady, "MOST_STREAMS", 3)
    m = load("# poet: cooldown=99, stream=x\ndef f(x: str) -> bool:\n    return True\n")
    assert [m.f(x) for x in "abcab"] == [True, True, True, False, False]
    assert m.f("d")
    assert [m.f(x) for x in "abd"] == [False] * 3
    assert m.f("c")
    assert len(steady.memory.streams) == 3


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40), specs)
def test_a_challenger_disturbs_nothing_of_the_champion(calls: list[tuple[bool, bool]], spec: Steady) -> None:
    def played(members: list[tuple[bool, bool]]) -> list[bool]:
        memory = steady.Memory()
        found = []
        for challenger, decided in members:
            rules = Steady(cooldown=3) if challenger else spec
            yes, _ = memory.step(("f", None), 2 if challenger else 1, rules, decided, 0.0, on_trial=True)
            found += [] if challenger else [yes]
        assert all(len(known) <= 2 for known in memory.streams.values())
        return found

    begun = [(False, True), *calls]
    assert played(begun) == played([call for call in begun if not call[0]])


def test_only_the_last_result_is_taken_back() -> None:
    spec = Steady(cooldown=5)
    _, first = steady.memory.step(("f", None), 1, spec, True, 0.0)
    _, second = steady.memory.step(("f", None), 1, spec, True, 0.0)
    steady.memory.undo(first)  # another thread's result came after it
    assert steady.memory.streams["f", None] == {1: second.after}
    _, other = steady.memory.step(("f", None), 2, spec, True, 0.0, on_trial=True)
    steady.memory.undo(second)  # not by another version's
    assert steady.memory.streams["f", None][1] is first.after
    steady.memory.undo(other)
    steady.memory.undo(first)
    assert steady.memory.streams["f", None] == {2: second.after}  # from which it had gone on
    steady.memory.streams.clear()
    _, first = steady.memory.step(("f", None), 1, spec, True, 0.0)
    steady.memory.undo(first)
    assert ("f", None) not in steady.memory.streams


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("cooldown=20", 20),
        ("cooldown=90s", 90.0),
        ("cooldown=5m", 300.0),
        ("cooldown=0", 0),
        ("min_run=3", 3),
        ("hold=2", 2),
    ],
)
def test_what_is_written(load: Load, option: str, value: float) -> None:
    found = find(f"# poet: {option}\ndef f(x): pass\n")
    assert not found.diagnostics
    got = getattr(found.pragmas[0], option.partition("=")[0])
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    "option", ["cooldown=-1", "cooldown=soon", "cooldown=1.5", "cooldown=0s", "min_run=0", "hold=2s"]
)
def test_what_can_not_be_meant(option: str) -> None:
    found = find(textwrap.dedent(f"# poet: {option}\ndef f(x): pass\n"))
    assert [d.code for d in found.diagnostics] == ["PH204"]


# --------------------------------------------------------------------------- replay

MONITOR = """
    # poet: optimize_for=accuracy, after=100000, stream=name, {options}
    def loud(name: str, x: float) -> bool:
        return x > 2.0  # poet: tune 0..5
"""


def played(function: Any) -> AbstractContextManager[Streams]:
    plan, source = plan_of(f"{function.__module__}:{function.__qualname__}", api.store(), api.settings())
    study = study_of(plan, source, Chain(api.settings(), plan.function), api.store())
    return replayed(study, slice_function(source, plan.qualname, plan.line))


def called(function: Any, count: int, seed: int = 0, streams: str = "abc") -> list[poet_hook.POETResult]:
    rng = random.Random(seed)
    return [poet_hook.call(function, rng.choice(streams), round(rng.uniform(0, 4), 2)) for _ in range(count)]


@pytest.mark.parametrize(
    "options", ["min_run=2", "hold=2", "cooldown=3", "min_run=2, hold=1, cooldown=2", "cooldown=1ms", "min_run=1"]
)
def test_replay_gives_what_callers_got(load: Load, options: str) -> None:
    m = load(MONITOR.format(options=options))
    results = {r.execution_id: r.value for r in called(m.loud, 120)}
    m.loud(None, 9.9)  # of no stream
    with played(m.loud) as streams:
        got = [codec.decode(data) for _, data in streams.run({})]
        assert len(streams.study.known) + len(streams.study.context) == 121
    known = [item.execution.id for item in streams.study.known]
    assert [results.get(name, True) for name in known] == got


@pytest.mark.parametrize("options", ["cooldown=3", "min_run=2, hold=1, cooldown=2"])
@pytest.mark.parametrize("most", [200, 9])
def test_a_traced_number_is_what_playing_it_gives(
    load: Load, options: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "MOST_PIECES", most)
    m = load(MONITOR.format(options=options))
    called(m.loud, 100)
    with played(m.loud) as streams:
        (tunable,) = streams.plan.tunables
        every = range(len(streams.study.known))
        traced = streams.trace(tunable, {}, 0.0, 5.0, every)
        assert {steps.exact for steps in traced} == {most == 200}
        assert [steps(2.0) for steps in traced] == streams.run({})
        if most == 200:
            breaks = sorted({t for steps in traced for t in steps.breaks})
            for t in [*breaks[::9], *(t + 0.001 for t in breaks[::9])]:
                assert [steps(t) for steps in traced] == streams.run({tunable.name: t}), t
        else:
            assert len({t for steps in traced for t in steps.breaks}) <= 2 * most + 3


def test_a_sample_is_judged_among_all(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_module, "MOST_SILENT", 5)
    m = load(MONITOR.format(options="cooldown=4"))
    results = {r.execution_id: r.value for r in called(m.loud, 150)}
    with played(m.loud) as streams:
        assert len(streams.study.known) == 10
        silenced = sum(execution.raw is not None for execution in streams.study.context)
        assert 0 < silenced < len(streams.study.context) < 90  # of those that are neither, the body said no
        got = streams.run({})
        assert [codec.decode(d) for _, d in got] == [results[item.execution.id] for item in streams.study.known]
        assert all(item.execution not in streams.study.context for item in streams.study.known)


def test_without_memory_nothing_more_is_replayed(load: Load) -> None:
    m = load(MONITOR.format(options="min_run=1"))
    called(m.loud, 20)
    with played(m.loud) as streams:
        assert streams.study.context == []
        assert streams.run({}) == streams.body({})


def bumps(function: Any, count: int, seed: int = 0) -> list[tuple[float, poet_hook.POETResult]]:
    """Calls with a quiet stretch, and three high values in a row, between which a cool-down of 2 lets one through."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        height = rng.choice([2.5, 2.8, 3.4, 3.8])
        values = [rng.uniform(0, 1.5) for _ in range(rng.randint(3, 6))] + [height, height + 0.1, height]
        found += [(x, poet_hook.call(function, "a", x)) for x in values]
    return found


def test_a_number_is_learned_behind_a_cooldown(load: Load) -> None:
    """Most high values are quiet by the cool-down; what was said of the alerts still tells the number."""
    m = load(MONITOR.format(options="cooldown=2"))
    for x, result in bumps(m.loud, 40):
        if result.value:
            poet_hook.feedback(result, "good catch" if x > 3.2 else "false alarm")
    assert m.loud("b", 3.9)
    learned = poet_hook.learn(m.loud)
    assert learned.promoted, learned.reasons
    assert learned.verdict is not None
    assert learned.verdict.evidence.set_aside == 0
    assert learned.candidate is not None
    assert 2.8 < learned.candidate.values["x_limit"] < 3.4
    # a swap in the middle of a cool-down: what the old version gave keeps the new one quiet
    results = [poet_hook.call(m.loud, "b", 3.9) for _ in range(4)]
    assert [r.value for r in results] == [False, False, True, False]
    assert {r.version for r in results} == {2}


def test_a_miss_that_the_cooldown_silenced_is_no_fault_of_the_number(load: Load) -> None:
    m = load(MONITOR.format(options="cooldown=2"))
    for x, result in bumps(m.loud, 40):
        if x > 2.0:
            poet_hook.feedback(result, "good catch" if result.value else "you missed this")
    learned = poet_hook.learn(m.loud)
    assert not learned.promoted
    assert learned.candidate is None, learned


# --------------------------------------------------------------------------- as tunables

OFFERED = """
    # poet: optimize_for=accuracy, after=100000, {options}
    def loud(name: str, x: float) -> {returns}:
        return x > 2.0{mark}
"""


@pytest.mark.parametrize(
    ("options", "offered"),
    [
        ("domain=ml_monitoring, stream=name", {"margin": 0, "cooldown": 0}),
        ("domain=ml_monitoring, stream=name, cooldown=300", {"margin": 0, "cooldown": 300}),
        ("domain=ml_monitoring, stream=name, cooldown=5m", {"margin": 0}),
        ("domain=ml_monitoring, stream=name, min_run=2", {"margin": 0, "min_run": 2, "cooldown": 0}),
        ("domain=ml_monitoring", {}),
        ("stream=name", {"margin": 0}),
        ("margin=0.5", {"margin": 0.5}),
        ("cooldown=20", {"cooldown": 20}),
        ("cooldown=20s", {}),
        ("min_run=1, hold=2", {"min_run": 1, "hold": 2}),
    ],
)
@pytest.mark.parametrize("mark", ["", "  # poet: tune 0..5", "  # poet: tune 0..5 as cooldown"])
def test_what_learning_may_change(load: Load, options: str, offered: dict[str, int], mark: str) -> None:
    m = load(OFFERED.format(options=options, returns="bool", mark=mark))
    m.loud("a", 1.0)
    plan, _ = plan_of("m:loud", api.store(), api.settings())
    found = {t.name: t.value for t in plan.tunables if t.kind == "option"}
    if mark:  # then only what the domain offers
        offered = {name: value for name, value in offered.items() if "stream=name" in options and name == "cooldown"}
    assert found == {name: value for name, value in offered.items() if f"as {name}" not in mark}
    assert all(t.lower <= t.value < t.upper for t in plan.tunables if t.kind == "option")  # type: ignore[operator]


@pytest.mark.parametrize("returns", ["float", "str", "list"])
def test_nothing_is_offered_for_what_decides_nothing(load: Load, returns: str) -> None:
    m = load(OFFERED.format(options="domain=ml_monitoring, stream=name, coerce=off", returns=returns, mark=""))
    m.loud("a", 1.0)
    plan, _ = plan_of("m:loud", api.store(), api.settings())
    assert [t.kind for t in plan.tunables] == ["number"]


def test_a_traced_option_is_what_playing_it_gives(load: Load) -> None:
    m = load(OFFERED.format(options="domain=ml_monitoring, stream=name, hold=2, min_run=1", returns="bool", mark=""))
    called(m.loud, 80)
    with played(m.loud) as streams:
        every = range(len(streams.study.known))
        values: dict[str, float] = {"x_limit": 2.5, "cooldown": 3}
        for tunable in streams.plan.tunables:
            if tunable.kind == "option":
                traced = streams.trace(tunable, values, tunable.lower or 0.0, 9.0, every)
                assert all(steps.exact for steps in traced)
                for n in range(int(tunable.lower or 0), 10):
                    assert [steps(n) for steps in traced] == streams.run({**values, tunable.name: n}), (tunable.name, n)


REPEATED = """
    # poet: optimize_for=accuracy, after=100000, domain=ml_monitoring, stream=name
    # another comment
    def loud(name: str, x: float) -> bool:
        return x > 2.0
"""


def repeat(function: Any, count: int = 30) -> None:
    """The first alert of each bump is welcome, the two after it are not."""
    before = 0.0
    for x, result in bumps(function, count):
        if result.value:
            poet_hook.feedback(result, "good catch" if before < 2.0 else "false alarm")
        before = x


def test_a_cooldown_is_learned_proved_shown_and_run(load: Load, project: Path) -> None:
    m = load(REPEATED)
    repeat(m.loud)
    learned = poet_hook.learn(m.loud)
    assert learned.promoted, learned.reasons
    assert learned.candidate is not None
    assert dict(learned.candidate.values) == {"cooldown": 2}
    assert learned.candidate.interval is not None
    assert [m.loud("new", 3.0) for _ in range(4)] == [True, False, False, True]
    text = (project / ".poet/functions/m.loud/v2/operate.py").read_text()
    assert text.splitlines()[:2] == [
        "# poet: cooldown=2  # in place of cooldown=0",
        "def loud(name: str, x: float) -> bool:",
    ]
    assert "POET.steady(" in (project / ".poet/functions/m.loud/v2/enhanced.py").read_text()
    # in a new process too, and with what is recorded there
    m = load(None)
    assert [poet_hook.call(m.loud, "fresh", 3.0).value for _ in range(3)] == [True, False, False]
    execution = next(api.store().executions("m:loud", newest_first=True))
    assert (execution.version, codec.decode(execution.raw or b"")) == (2, True)
    again = poet_hook.learn(m.loud)
    assert again.verdict is None or again.verdict.evidence.set_aside == 0
    poet_hook.rollback(m.loud)
    assert [m.loud("new", 3.0) for _ in range(2)] == [True, True]


def test_a_learned_cooldown_is_applied_to_the_pragma(load: Load, project: Path) -> None:
    m = load(REPEATED)
    repeat(m.loud)
    assert poet_hook.learn(m.loud).promoted
    plan, _ = plan_of("m:loud", api.store(), api.settings())
    chain = Chain(api.settings(), "m:loud")
    version = chain.read(2)
    edit = apply.edit_of(version, plan, api.settings())
    assert [line for line in edit.diff("m.py").splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")] == [
        "+# poet: cooldown=2"
    ]
    apply.apply(edit, chain)
    m = load(None)
    assert chain.champion_number() == 1
    assert [m.loud("new", 3.0) for _ in range(4)] == [True, False, False, True]


@pytest.mark.parametrize(
    ("pragma", "after"),
    [
        ("# poet: cooldown=7, {rest}", ["# poet: cooldown=2, {rest}"]),
        ("# poet: {rest}, cooldown = 7  # why", ["# poet: {rest}, cooldown=2  # why"]),
        (
            "# poet: {rest}\\n# poet: ensure='x > 0 or 1 < 2', cooldown=7",
            ["# poet: {rest}", "# poet: ensure='x > 0 or 1 < 2', cooldown=2"],
        ),
        ("# poet: {rest}\\n@staticmethod", ["# poet: {rest}", "# poet: cooldown=2", "@staticmethod"]),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_where_an_option_is_written(project: Path, pragma: str, after: list[str], end: str) -> None:
    rest = "optimize_for=f1, domain=ml_monitoring, stream=x"
    pragma = pragma.replace("\\n", "\n").format(rest=rest)
    inside = "@static" in pragma
    text = f"{pragma}\ndef f(x: float) -> bool:\n    return x > 2.0\n"
    text = f"class A:\n{textwrap.indent(text, '    ')}" if inside else text
    path = project / "m.py"
    path.write_text(text, newline=end)
    (target,) = plan_module(text, str(path), "m").targets
    plan = target.plan
    values = {"cooldown": 2.0}
    version = Version(
        plan.function, 2, with_values(plan.source, plan.tunables, values), plan.source_hash, 0.0, 1, values
    )
    edit = apply.edit_of(version, plan, api.settings())
    got = edit.after.decode().split(end)
    rows = [row.format(rest=rest) for row in after]
    assert [row.strip() for row in got if not row.startswith("class")][: len(rows)] == rows
    assert edit.after.decode().replace(end, "").count("\n") == 0


def test_what_the_user_writes_counts(load: Load) -> None:
    m = load(REPEATED)
    repeat(m.loud)
    assert poet_hook.learn(m.loud).promoted
    with pytest.warns(PoetWarning, match="the original runs"):
        m = load(REPEATED.replace("stream=name", "stream=name, cooldown=1"))
    assert [m.loud("new", 3.0) for _ in range(3)] == [True, False, True]
    with pytest.warns(PoetWarning, match="your pragma has no cooldown= any more"):
        m = load(REPEATED.replace("stream=name", "coerce=lax"))
    assert [m.loud("new", 3.0) for _ in range(3)] == [True, True, True]


def test_a_learned_cooldown_outlives_an_edit_of_the_body(load: Load) -> None:
    m = load(REPEATED)
    repeat(m.loud)
    assert poet_hook.learn(m.loud).promoted
    m = load(REPEATED.replace("return x > 2.0", "name = name.lower()\n        return x > 2.0"))
    assert [m.loud("new", 3.0) for _ in range(4)] == [True, False, False, True]
    assert Chain(api.settings(), "m:loud").champion_number() == 3


@pytest.mark.parametrize("value", [-1.0, 1.5, 1e9, "20", math.nan])
def test_no_stored_version_can_set_anything_else(load: Load, value: Any) -> None:
    m = load(REPEATED.replace("stream=name", "stream=name, hold=0"))
    m.loud("a", 1.0)
    plan, _ = plan_of("m:loud", api.store(), api.settings())
    version = Version(plan.function, 2, plan.source, plan.source_hash, 0.0, 1, {"cooldown": value})
    with pytest.raises(VersionError):
        fits(version, plan)
    texts = (
        with_values(plan.source, plan.tunables, {"cooldown": 5}),
        with_values(plan.source, plan.tunables, {"hold": 5}),
    )
    with pytest.raises(VersionError):
        fits(replace(version, source=texts[1], values={"cooldown": 5}), plan)
    fits(replace(version, source=texts[0], values={"cooldown": 5}), plan)
    assert not same_code(*texts)


def test_a_threshold_and_a_cooldown_are_found_together(load: Load) -> None:
    """Low bumps are false; of high ones, the first alert is right. Neither alone helps as much."""
    m = load(REPEATED)
    before = 0.0
    for x, result in bumps(m.loud, 60):
        if result.value:
            poet_hook.feedback(result, "good catch" if before < 2.0 and x > 3.2 else "false alarm")
        before = x
    learned = poet_hook.learn(m.loud)
    assert learned.candidate is not None
    assert set(learned.candidate.values) == {"x_limit", "cooldown"}
    assert 2.8 < float(learned.candidate.values["x_limit"]) < 3.4
    assert learned.candidate.values["cooldown"] == 2
    assert learned.verdict is not None
    assert learned.verdict.evidence.after == 1.0


# --------------------------------------------------------------------------- incidents


def incidents(function: Any, count: int = 24) -> list[tuple[bool, poet_hook.POETResult]]:
    """Twelve quiet calls and six alerts, of which somebody speaks once: every second incident is a true one."""
    found = []
    for number in range(count):
        values = [1.0] * 12 + [3.0] * 6
        results = [poet_hook.call(function, "a", x) for x in values]
        found.append((number % 2 == 0, results[12 + number // 2 % 6]))
    return found


def test_a_cooldown_in_a_true_incident_costs_nothing_and_in_a_false_one_takes_alerts_away(load: Load) -> None:
    m = load(REPEATED.replace("stream=name", "stream=name, group=4").replace("x > 2.0", "x > 2.0  # poet: tune 1..5"))
    for true, result in incidents(m.loud):
        poet_hook.feedback(result, "good catch" if true else "false alarm")
    learned = poet_hook.learn(m.loud)
    assert learned.promoted, learned.reasons
    assert learned.verdict is not None
    assert learned.verdict.level == "proven"
    assert set(learned.candidate.values) == {"cooldown"}  # type: ignore[union-attr]
    assert float(learned.candidate.values["cooldown"]) >= 5  # type: ignore[union-attr]
    kept = [[poet_hook.call(m.loud, "b", x).value for x in [1.0] * 12 + [3.0] * 6] for _ in range(8)]
    assert all(sum(alerts) <= 1 for alerts in kept)
    assert any(sum(alerts) == 1 for alerts in kept)


def test_a_long_true_incident_is_seen_wherever_the_cooldown_leaves_an_alert(load: Load) -> None:
    """Of its 60 alerts a cool-down of 30 leaves two, none of them among those that a sample would look at."""
    m = load(REPEATED.replace("stream=name", "stream=name, group=4"))
    for _ in range(2):
        results = [poet_hook.call(m.loud, "a", x) for x in [1.0] * 40 + [3.0] * 60]
        poet_hook.feedback(results[70], "good catch")
    with played(m.loud) as streams:
        study = streams.study
        keep_reproduced(study, streams)
        for event in (event for event in study.events if event.label is not None):
            assert len(event.alerts) == 60
            got = streams.run({"cooldown": 30})
            assert event.loss(PLAIN, event.label, [seen(got[i]) for i in event.members]) == 0.0


def test_what_was_missed_is_looked_at_itself(load: Load) -> None:
    """Of the quiet calls around it only a sample is."""
    m = load(REPEATED.replace("stream=name", "stream=name, group=40"))
    for number in range(8):
        results = [poet_hook.call(m.loud, str(number), x) for x in [1.0] * 31 + [1.9] + [1.0] * 60]
        poet_hook.feedback(results[31], "you missed this")
    learned = poet_hook.learn(m.loud)
    assert learned.candidate is not None
    assert 1.0 < float(learned.candidate.values["x_limit"]) < 1.9


TOGETHER = """
    import multiprocessing, random, poet_hook

    def serve(pipe):
        poet_hook.activate()
        from pump import hot
        while (celsius := pipe.recv()) is not None:
            result = poet_hook.call(hot, "p", celsius)
            if result.value:
                poet_hook.feedback(result, True)
            pipe.send(result.value)

    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        pipes = []
        for _ in range(3):
            here, there = context.Pipe()
            context.Process(target=serve, args=(there,)).start()
            pipes.append(here)
        chance, alerts = random.Random(1), 0
        for _ in range(300):
            pipe = chance.choice(pipes)
            pipe.send(chance.gauss(85.0, 8.0))
            alerts += pipe.recv()
        for pipe in pipes:
            pipe.send(None)
        print(alerts)
"""


def test_of_several_processes_each_remembers_for_itself_in_replay_too(load: Load, python: Python) -> None:
    """One memory for all would silence what callers got, and count each alert that was approved as a miss."""
    source = """
        # poet: optimize_for=accuracy, stream=pump, cooldown=10, after=100000
        def hot(pump: str, celsius: float) -> bool:
            return celsius > 90.0
    """
    load(source, "pump")
    alerts = int(python(TOGETHER).stdout)
    learned = poet_hook.learn("pump:hot")
    assert alerts > 15
    assert learned.verdict is not None
    assert learned.verdict.evidence.labelled == alerts
    assert learned.verdict.evidence.before == 1.0
    assert not learned.promoted
