"""The second limit: margin=."""

from __future__ import annotations

import math
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Load
from hypothesis import given
from hypothesis import strategies as st
from test_steady import played

import poet_hook
from poet_hook import api
from poet_hook.errors import EnforceError, PoetWarning, PragmaWarning, VersionError
from poet_hook.learning import streams as streams_module
from poet_hook.learning import study as study_module
from poet_hook.learning.study import keep_reproduced
from poet_hook.model import Version
from poet_hook.runtime import steady
from poet_hook.runtime.trial import told
from poet_hook.store import codec
from poet_hook.transform.plan import plan_module
from poet_hook.transform.values import with_values
from poet_hook.versions import apply
from poet_hook.versions.chain import Chain
from poet_hook.versions.challenge import challenge
from poet_hook.versions.current import plan_of
from poet_hook.versions.rebase import fits
from poet_hook.versions.watch import refresh


def by_hand(values: list[float], limit: float, margin: float) -> list[bool]:
    """A limit that is nearer while the last result was a yes."""
    out: list[bool] = []
    for value in values:
        out.append(value > (limit - margin if out and out[-1] else limit))
    return out


HOT = """
    # poet: margin=0.5, stream=machine{options}
    def hot(machine: str, x: float) -> bool:
        return x > 3.0
"""


# --------------------------------------------------------------------------- which number it moves


@pytest.mark.parametrize(
    ("body", "towards"),
    [
        ("return x > 3.0", -1),
        ("return x >= 3.0", -1),
        ("return 3.0 < x", -1),
        ("return x < 3.0", 1),
        ("return x < -3.0", 1),
        ("return not x > 3.0", 1),
        ("return x > 3.0 and y is not None", -1),
        ("return y is None or not (x < 3.0 or y == 2)", -1),
        ("return bool(x > 3.0)", -1),
        ("return True if x > 3.0 else False", -1),
        ("return False if x > 3.0 else y", 1),
        ("return (x > 3.0) if y else False", -1),
        ("if x > 3.0:\n        return True\n    return False", -1),
        ("if x <= 3.0:\n        return False\n    return y > x", -1),
        ("if x < 3.0:\n        y = 7\n    else:\n        return True\n    return False", -1),
        ("alert = x < 3.0\n    return {'alert': alert, 'x': x}", 1),
        ("alert: bool = x < 3.0\n    return alert", 1),
        ("high = x > 3.0\n    quiet = not high\n    return not quiet", -1),
        ("if y:\n        return {'alert': False}\n    return {'x': x, 'drift': x > 3.0}", -1),
        ("for v in y:\n        if v > 3.0:\n            return True\n    return False", -1),
        ("high = x > 3.0\n    return dict(alert=high)", -1),
        ("if x > 3.0:\n        return dict(x=1)\n    return dict(x=2)", 0),
        ("return {'note': x > 3.0, 'alert': y}", 0),
        ("return any(v > 3.0 for v in y)", 0),
        ("return 1.0 < x < 3.0", 0),
        ("return x > 3.0 * y", 0),
        ("return (x > 3.0) == y", 0),
        ("return x == 3.0", 0),
        ("f = lambda: x > 3.0\n    return f()", 0),
        ("alert = x > 3.0\n    alert = alert or y\n    return alert", 0),
        ("return y(x > 3.0)", 0),
        ("return -(x > 3.0)", 0),
    ],
)
def test_which_way_means_an_alert(body: str, towards: int) -> None:
    text = f"# poet: margin=0.5\ndef f(x, y):\n    {body}\n"
    planned = plan_module(text, "m.py", "m")
    (target,) = planned.targets
    if towards:
        assert not planned.diagnostics
        assert target.plan.limit is not None
        assert target.plan.limit.towards == towards
        return
    assert [d.code for d in planned.diagnostics] == ["PH417"]
    assert target.plan.pragma.margin is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def f(x, y):\n    return x > 3.0 or y > 2.0\n", "2 numbers decide: x_limit, y_limit"),
        ("def f(x):\n    return x > 3\n", "x_limit is a whole number, so it must be one too"),
        ("def f(x, limit=3.0):\n    return x > limit\n", "it has no number, written in a comparison"),
        ("_LIMIT = 3.0\n{pragma}def f(x):\n    return x > _LIMIT\n", "it has no number, written in a comparison"),
        ("def f(x) -> float:\n    return x > 2.0\n", "PH411 margin= has no effect: float is no yes or no"),
    ],
)
def test_why_it_has_no_effect(load: Load, text: str, why: str) -> None:
    pragma = "# poet: margin=0.5, optimize_for=accuracy\n"
    text = text.format(pragma=pragma) if "{pragma}" in text else pragma + text
    with pytest.warns(PragmaWarning, match=f"margin= has no effect.*{why}" if "PH411" not in why else why):
        m = load(text)
    assert m.f(*(4.0 for _ in range(text.count("y)") + 1))) in (True, 4.0)


def test_tune_says_which_of_two_is_meant() -> None:
    text = """
# poet: margin=0.5, optimize_for=accuracy
def f(x, n):
    if n < 30:
        return False
    return x > 3.0{mark}
"""
    planned = plan_module(text.format(mark=""), "m.py", "m")
    assert [(d.code, d.hint) for d in planned.diagnostics] == [
        ("PH417", "mark the one that is meant with # poet: tune")
    ]
    planned = plan_module(text.format(mark="  # poet: tune 1..9 as score"), "m.py", "m")
    assert not planned.diagnostics
    limit = planned.targets[0].plan.limit
    assert limit is not None
    assert (limit.name, limit.towards) == ("score", -1)


@pytest.mark.parametrize("option", ["margin=-1", "margin=x", "margin=5s", "margin=nan"])
def test_what_can_not_be_meant(option: str) -> None:
    planned = plan_module(f"# poet: {option}\ndef f(x):\n    return x > 3.0\n", "m.py", "m")
    assert [d.code for d in planned.diagnostics] == ["PH204"]


# --------------------------------------------------------------------------- calls


def test_an_alert_ends_only_clearly_below(load: Load) -> None:
    m = load(HOT.format(options=""))
    values = [2.7, 3.2, 2.7, 2.9, 2.4, 2.7, 3.1, 2.5, 2.6]
    assert [m.hot("a", x) for x in values] == by_hand(values, 3.0, 0.5)
    assert m.hot("b", 3.1)
    assert [m.hot(name, 2.7) for name in ("a", "b", "c")] == [False, True, False]


def test_below_a_limit_and_of_whole_numbers(load: Load) -> None:
    m = load(
        """
        # poet: margin=2
        def low(x: int) -> dict:
            if x < -5:
                return {"alert": True}
            return {"alert": False}
        """
    )
    assert [m.low(x)["alert"] for x in (-5, -6, -5, -4, -3, -4)] == [False, True, True, True, False, False]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 6)), max_size=40),
    st.sampled_from([0.25, 1.0, 2.5]),
)
def test_it_is_what_it_says_by_hand(calls: list[tuple[str, float]], margin: float) -> None:
    memory = steady.Memory()
    for name in "ab":
        values = [x for stream, x in calls if stream == name]
        got = []
        for x in values:
            decided = x > (3.0 - margin if memory.alerting(("f", name), 1) else 3.0)
            memory.step(("f", name), 1, steady.Steady(margin=margin), decided, 0.0)
            got.append(decided)
        assert got == by_hand(values, 3.0, margin)


def test_the_others_act_on_what_it_lets_through(load: Load) -> None:
    """What counts as the last result is the body's, not what min_run= or cooldown= made of it."""
    m = load(HOT.format(options=", min_run=2, cooldown=1"))
    assert [m.hot("a", x) for x in (3.1, 2.9, 2.9, 2.9, 2.4, 2.9)] == [False, True, False, True, False, False]


def test_attempts_that_failed_and_calls_of_no_stream_change_nothing(load: Load) -> None:
    m = load(
        """
        failures = []

        # poet: margin=0.5, stream=machine, retries=1, fallback=None, ensure="x < 9"
        def hot(machine, x: float) -> bool:
            alert = x > 3.0
            if failures:
                raise failures.pop()
            return alert
        """
    )
    assert m.hot("a", 3.1)
    m.failures[:] = [ValueError(), ValueError()]
    assert m.hot("a", 1.0) is None
    assert m.hot("a", 10.0) is None  # refused twice
    assert m.hot(None, 1.0) is False
    assert m.hot(None, 3.1) is True
    assert m.hot(None, 2.9) is False
    m.failures[:] = [ValueError()]
    assert m.hot("a", 2.9) is True


def test_a_finally_that_returns_once_more_sees_the_same_limit(load: Load) -> None:
    m = load(
        """
        # poet: margin=0.5
        def f(x: float, y: bool) -> bool:
            for limit in (0, 1):
                try:
                    return not y
                finally:
                    if limit == 0:
                        return x > 3.0
        """
    )
    assert [m.f(x, False) for x in (2.7, 3.1, 2.7, 2.4, 2.7)] == [False, True, True, False, False]


def test_enforce_speaks_of_what_the_body_said(load: Load) -> None:
    m = load(HOT.format(options=', ensure="result == (x > 3.0)"'))
    assert m.hot("a", 3.1)
    with pytest.raises(EnforceError):
        m.hot("a", 2.9)
    assert m.hot("a", 3.1)


def test_the_function_looks_as_it_did(load: Load) -> None:
    plain = load(HOT.format(options="").replace("# poet", "# plain"), "plain")
    m = load(HOT.format(options=", optimize_for=accuracy"))
    assert m.hot.__code__.co_varnames[:2] == plain.hot.__code__.co_varnames
    assert set(plain.__dict__) == set(m.__dict__)
    lines = [{line for *_, line in f.__code__.co_lines() if line} for f in (plain.hot, m.hot)]
    assert lines[1] <= lines[0] | {min(lines[0])}


def test_threads_agree_with_some_order(load: Load) -> None:
    """Within the margin all that matters is whether an alert is on: one that is never ends there."""
    m = load(HOT.format(options=""))
    m.hot("a", 3.5)
    got: list[bool] = []

    def calls(seed: int) -> None:
        rng = random.Random(seed)
        got.extend(m.hot("a", rng.uniform(2.51, 4.0)) for _ in range(400))

    threads = [threading.Thread(target=calls, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [True] * 1600


def test_a_forked_child_goes_on_by_itself(load: Load) -> None:
    m = load(HOT.format(options=""))
    assert m.hot("a", 3.5)
    child = os.fork()
    if not child:
        os._exit(0 if [m.hot("a", x) for x in (2.8, 1.0, 2.8)] == [True, False, False] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert m.hot("a", 2.8)


def test_the_stream_longest_not_heard_of_is_forgotten(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady, "MOST_STREAMS", 2)
    m = load(HOT.format(options=""))
    assert [m.hot(name, 3.5) for name in "abc"] == [True] * 3
    assert [m.hot(name, 2.8) for name in "cba"] == [True, True, False]
    assert len(steady.memory.streams) == 2


# --------------------------------------------------------------------------- replay

MONITOR = """
    # poet: optimize_for=accuracy, after=100000, stream=name, {options}
    def loud(name: str, x: float) -> dict:
        high = x > 2.0{mark}
        return {{"alert": high, "level": "high" if high else "low"}}
"""
TUNED = "  # poet: tune 0..5"
OPTIONS = ["margin=0.75", "margin=0.5, min_run=2", "margin=1.5, hold=1, cooldown=2", "margin=1, cooldown=1ms"]


def called(function: Any, count: int, seed: int) -> list[poet_hook.POETResult]:
    rng = random.Random(seed)
    return [poet_hook.call(function, rng.choice(["a", "b", None]), round(rng.uniform(0, 4), 2)) for _ in range(count)]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_live_decisions_are_those_of_replay(load: Load, options: str, seed: int) -> None:
    m = load(MONITOR.format(options=options, mark=""))
    results = {r.execution_id: r.value for r in called(m.loud, 150, seed)}
    with played(m.loud) as streams:
        keep_reproduced(streams.study, streams)
        got = [codec.decode(data) for _, data in streams.run({})]
        assert (streams.study.unlike, len(got)) == (0, 150)
        assert got == [results[item.execution.id] for item in streams.study.known]
        plain = [codec.decode(data) for _, data in streams.run({"margin": 0.0})]
        assert plain != got


@pytest.mark.parametrize("most", [200, 9])
@pytest.mark.parametrize("options", OPTIONS)
def test_what_is_traced_is_what_playing_it_gives(
    load: Load, options: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "MOST_PIECES", most)
    m = load(MONITOR.format(options=options, mark=""))
    called(m.loud, 90, 3)
    with played(m.loud) as streams:
        every = range(len(streams.study.known))
        written = streams.plan.pragma.margin
        tunables = [t for t in streams.plan.tunables if t.kind in ("number", "option")]
        assert {"x_limit", "margin"} <= {t.name for t in tunables}
        for tunable in tunables:
            start = tunable.value
            traced = streams.trace(tunable, {}, 0.0, 4.0, every)
            assert [steps(start) for steps in traced] == streams.run({}), tunable.name
            if most == 200:
                assert all(steps.exact for steps in traced)
                breaks = sorted({t for steps in traced for t in steps.breaks})
                for t in [*(t + 0.003 for t in breaks[::7]), 0.0, written] if not tunable.integer else range(5):
                    assert [steps(t) for steps in traced] == streams.run({tunable.name: t}), (tunable.name, t)


def test_another_number_is_traced_with_both_limits(load: Load) -> None:
    m = load(
        """
        # poet: optimize_for=accuracy, after=100000, stream=name, margin=1
        def loud(name: str, x: float) -> bool:
            return x * 1.5 + 1.25 > 4
        """
    )
    called(m.loud, 80, 4)
    with played(m.loud) as streams:
        every = range(len(streams.study.known))
        for tunable in streams.plan.tunables:
            if tunable.kind != "number":
                continue
            traced = streams.trace(tunable, {}, 0.0, 9.0, every)
            assert [steps(tunable.value) for steps in traced] == streams.run({}), tunable.name
            for t in range(9) if tunable.integer else (0.3, 1.1, 1.7, 2.9):
                assert [steps(t) for steps in traced] == streams.run({tunable.name: t}), (tunable.name, t)


def test_a_sample_is_judged_among_all_that_matters(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was quiet soon after an alert is replayed too: with a margin it would have let the alert go on."""
    monkeypatch.setattr(study_module, "MOST_SILENT", 5)
    m = load(MONITOR.format(options="margin=0", mark=""))
    results = called(m.loud, 200, 5)
    ids = [r.execution_id for r in results]
    with played(m.loud) as streams:
        known = [item.execution.id for item in streams.study.known]
        assert len(known) == 10
        sampled = dict(zip(known, streams.run({"margin": 1.0}), strict=True))
    monkeypatch.setattr(study_module, "MOST_SILENT", 500)
    with played(m.loud) as streams:
        whole = dict(zip([i.execution.id for i in streams.study.known], streams.run({"margin": 1.0}), strict=True))
    assert sampled == {name: whole[name] for name in sampled}
    assert set(whole) == set(ids)


def test_each_execution_is_held_against_the_limit_that_it_ran_with(load: Load) -> None:
    """A version learned in between has another margin; what ran before it is replayed without."""
    m = load(MONITOR.format(options="margin=0", mark=""))
    first = called(m.loud, 60, 6)
    poet_hook.feedback(first[0], {"set": {"margin": 1.25}})
    poet_hook.wait_for_learning()
    poet_hook.promote(m.loud, 2)
    called(m.loud, 60, 7)
    with played(m.loud) as streams:
        keep_reproduced(streams.study, streams)
        assert {item.execution.version for item in streams.study.known} == {1, 2}
        assert streams.study.unlike == 0


# --------------------------------------------------------------------------- learning

FLAPS = """
    # poet: optimize_for=accuracy, after=100000, stream=name{options}
    def loud(name: str, x: float) -> bool:
        return x > 3.0
"""


def flapping(seed: int, count: int) -> Iterator[tuple[float, bool]]:
    """Scores, and whether there is an incident: it begins above 3 and ends below 2.4, and wobbles in between.

    What is quiet reaches 2.95, so no limit alone tells the two apart.
    """
    rng = random.Random(seed)
    for _ in range(count):
        yield rng.uniform(1.0, 2.4), False
        yield from ((rng.uniform(1.0, 2.95), False) for _ in range(rng.randint(2, 5)))
        yield rng.uniform(3.05, 3.6), True
        yield from ((rng.uniform(2.5, 3.4), True) for _ in range(rng.randint(2, 5)))


def teach(function: Any, series: Iterator[tuple[float, bool]], wrong: float = 0.0, seed: int = 0) -> None:
    rng = random.Random(seed)
    for x, truth in series:
        result = poet_hook.call(function, "a", x)
        poet_hook.feedback(result, {"expected": truth != (rng.random() < wrong)})


def test_of_alerts_that_go_on_and_off_a_second_limit_is_learned(load: Load, project: Path) -> None:
    m = load(FLAPS.format(options=""))
    teach(m.loud, flapping(1, 16))
    learned = poet_hook.learn(m.loud)
    assert learned.promoted, learned.reasons
    assert learned.candidate is not None
    assert set(learned.candidate.values) == {"margin"}
    margin = float(learned.candidate.values["margin"])
    assert 0.4 < margin < 0.7
    assert learned.verdict is not None
    assert (learned.verdict.level, learned.verdict.evidence.after) == ("proven", 1.0)
    reasons = "\n".join(learned.reasons)
    assert f"while the last result of its stream is an alert, x_limit is {3.0 - margin:g} in place of 3" in reasons
    assert "complaints are of results just after an alert: it goes on and off" in reasons
    assert [m.loud("new", x) for x in (2.8, 3.1, 2.8, 2.2, 2.8)] == [False, True, True, False, False]
    folder = project / ".poet/functions/m.loud/v2"
    assert (folder / "operate.py").read_text().startswith(f"# poet: margin={margin!r}  # in place of margin=0.0\n")
    assert "POET.alerting(" in (folder / "enhanced.py").read_text()
    # in a new process too, and what is recorded there is reproduced
    m = load(None)
    teach(m.loud, flapping(2, 4))
    again = poet_hook.learn(m.loud)
    assert not again.promoted
    assert again.verdict is None or again.verdict.evidence.set_aside == 0
    poet_hook.rollback(m.loud)
    assert [m.loud("new", x) for x in (3.1, 2.8)] == [True, False]


def test_a_margin_that_was_written_is_tuned_like_a_number(load: Load) -> None:
    m = load(FLAPS.format(options=", margin=0.1"))
    teach(m.loud, flapping(3, 12))
    learned = poet_hook.learn(m.loud)
    assert learned.promoted, learned.reasons
    assert learned.candidate is not None
    assert set(learned.candidate.values) == {"margin"}
    assert 0.4 < float(learned.candidate.values["margin"]) < 0.7


def test_limit_and_margin_are_found_together(load: Load) -> None:
    """The function's own limit is too low as well: the nearest pair that does better is taken."""
    m = load(FLAPS.format(options="").replace("3.0", "2.75"))
    teach(m.loud, flapping(4, 24))
    learned = poet_hook.learn(m.loud)
    assert learned.candidate is not None, learned.reasons
    assert set(learned.candidate.values) == {"x_limit", "margin"}
    assert learned.verdict is not None
    assert learned.verdict.evidence.after > 0.95 > 0.9 > learned.verdict.evidence.before


@pytest.mark.parametrize("wrong", [0.0, 0.15])
def test_where_nothing_flaps_no_second_limit_is_put_in(load: Load, wrong: float) -> None:
    """One limit is right, and some labels are wrong by chance."""
    promoted = 0
    for seed in range(5):
        m = load(FLAPS.format(options=""), f"m{wrong:.0%}{seed}".replace("%", "p"))
        rng = random.Random(seed)
        series = [(x, x > 3.0) for x in (rng.uniform(1.0, 5.0) for _ in range(100))]
        teach(m.loud, iter(series), wrong, seed)
        promoted += poet_hook.learn(m.loud).promoted
    assert promoted == 0


def test_a_learned_margin_is_applied_to_the_pragma(load: Load) -> None:
    m = load(FLAPS.format(options=""))
    teach(m.loud, flapping(1, 16))
    assert poet_hook.learn(m.loud).promoted
    plan, _ = plan_of("m:loud", api.store(), api.settings())
    chain = Chain(api.settings(), "m:loud")
    version = chain.read(2)
    edit = apply.edit_of(version, plan, api.settings())
    margin = version.values["margin"]
    changed = [line for line in edit.diff("m.py").splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert changed == [f"+# poet: margin={margin!r}"]
    apply.apply(edit, chain)
    m = load(None)
    assert chain.champion_number() == 1
    assert [m.loud("new", x) for x in (2.8, 3.1, 2.8, 2.2, 2.8)] == [False, True, True, False, False]


@pytest.mark.parametrize("written", ["margin=1e-05", "margin = 0.25", "margin=2"])
def test_where_it_is_written_already_it_is_replaced(project: Path, written: str) -> None:
    text = f"# poet: {written}, optimize_for=f1, stream=x\ndef f(x: float) -> bool:\n    return x > 2.0\n"
    path = project / "m.py"
    path.write_text(text)
    (target,) = plan_module(text, str(path), "m").targets
    plan, values = target.plan, {"margin": 0.125}
    version = Version(
        plan.function, 2, with_values(plan.source, plan.tunables, values), plan.source_hash, 0.0, 1, values
    )
    assert apply.edit_of(version, plan, api.settings()).after.decode() == text.replace(written, "margin=0.125")


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ("return x > 3.0", "name = name.lower()\n        return x > 3.0", "margin"),
        ("return x > 3.0", "return x > 3.25", "margin"),
        ("return x > 3.0", "return x > 3.0 and name != 'z'", "margin"),
        ("stream=name", "stream=name, coerce=off", "margin"),
        ("stream=name", "stream=name, margin=0.2", ""),
        ("return x > 3.0", "return x > 3.0 and x > 2.0", ""),
    ],
)
def test_a_learned_margin_after_an_edit(load: Load, old: str, new: str, kept: str) -> None:
    source = FLAPS.format(options="")
    m = load(source)
    m.loud("a", 1.0)
    plan, _ = plan_of("m:loud", api.store(), api.settings())
    chain = Chain(api.settings(), "m:loud")
    chain.point(chain.add(plan, 1, {"margin": 0.5}, None, "").number, [1])
    m = load(None)
    assert [m.loud("b", x) for x in (3.5, 2.6)] == [True, True]
    edited = source.replace(old, new)
    if kept:
        m = load(edited)
        assert [m.loud("c", x) for x in (3.5, 2.8, 2.4)] == [True, True, False]
    else:
        with pytest.warns(PoetWarning, match="the original runs"):
            m = load(edited)
        assert [m.loud("c", x) for x in (3.5, 2.7)] == [True, False]


@pytest.mark.parametrize("value", [-0.5, 4.0, "0.5", math.nan])
def test_no_stored_version_can_set_anything_else(load: Load, value: Any) -> None:
    m = load(FLAPS.format(options=""))
    m.loud("a", 1.0)
    plan, _ = plan_of("m:loud", api.store(), api.settings())
    version = Version(plan.function, 2, plan.source, plan.source_hash, 0.0, 1, {"margin": value})
    with pytest.raises(VersionError):
        fits(version, plan)


# --------------------------------------------------------------------------- on trial


@pytest.mark.parametrize("options", [", learn=shadow", ", canary=50%"])
def test_a_challenger_has_its_own_second_limit(load: Load, options: str) -> None:
    m = load(FLAPS.format(options=options))
    m.loud("x", 1.0)
    plan, source = plan_of("m:loud", api.store(), api.settings())
    chain = Chain(api.settings(), "m:loud")
    number = chain.add(plan, 1, {"margin": 0.5}, None, "").number
    challenge(chain, number, source, plan, api.settings())
    refresh(api.settings())
    rng = random.Random(8)
    for name in ("a", "b", "c", "d"):
        values = [rng.uniform(2.3, 3.4) for _ in range(20)]
        results = [poet_hook.call(m.loud, name, x) for x in values]
        executions = [api.store().execution(result.execution_id) for result in results]
        near, far = by_hand(values, 3.0, 0.5), by_hand(values, 3.0, 0.0)
        assert near != far
        if "shadow" in options:
            assert [r.value for r in results] == far
            made = [told(e.shadow) for e in executions if e is not None and e.shadow is not None]
            assert [
                f if t.same else codec.decode(t.result or b"") for t, f in zip(made, far, strict=True) if t is not None
            ] == near
        else:
            assert [r.value for r in results] == (near if results[0].version == number else far)


@pytest.mark.parametrize(
    ("body", "values", "calls"),
    [
        ("x > 3.0", {"x_limit": -1.0}, {-1.2: False, -0.5: True, -1.4: True, -1.6: False}),
        ("x < -3.0", {"x_limit": 2.0}, {2.2: False, 1.9: True, 2.4: True, 2.6: False}),
        ("x > 3.0", {"x_side": "both"}, {-2.9: False, -3.1: True, -2.6: True, -2.4: False}),
        ("x > 3.0", {"guard": "and name != 'b'"}, {2.9: False, 3.1: True, 2.6: True, 2.4: False}),
        ("name != 'b' and 3.0 < x", {"joined": "or"}, {2.9: True, 2.4: True}),
        (
            "(\n            # é\n            'é' != name and x > 3.0\n        )",
            {},
            {2.9: False, 3.1: True, 2.6: True, 2.4: False},
        ),
    ],
)
def test_it_stands_beside_every_other_change(
    load: Load, body: str, values: dict[str, Any], calls: dict[float, bool]
) -> None:
    m = load(FLAPS.format(options="").replace("x > 3.0", body))
    m.loud("x", 1.0)
    plan, _ = plan_of("m:loud", api.store(), api.settings())
    chain = Chain(api.settings(), "m:loud")
    chain.point(chain.add(plan, 1, {"margin": 0.5, **values}, None, "").number, [1])
    m = load(None)
    assert {x: m.loud("a", x) for x in calls} == calls


@pytest.mark.parametrize(
    ("body", "values", "said"),
    [
        ("return x >= 1", (1, 0, -1, 0), [True, True, False, False]),
        ("return x > 0", (1, 0, -1, 0), [True, True, False, False]),
        ("return dict(alert=x > 3.0)", (4, 3, 2, 3), [True, True, False, False]),
        ('return {"drift": None, "alert": x > 3.0}', (4, 3, 2, 3), [True, True, False, False]),
        (
            "if x < -30:\n        return False\n    return x > 3.0  # poet: tune 1..9",
            (4, 3, 2, 3),
            [True, True, False, False],
        ),
        (
            "return x > 1700000000000000123",
            [1700000000000000123 + d for d in (1, 0, -1, 0)],
            [True, True, False, False],
        ),
    ],
)
def test_any_literal_that_decides_has_a_second_limit(load: Load, body: str, values: Any, said: list[bool]) -> None:
    m = load(f"# poet: margin=1\ndef f(x):\n    {body}\n")
    found = [m.f(x) for x in values]
    assert [each["alert"] if isinstance(each, dict) else each for each in found] == said


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("y = x * 1.5  # poet: tune 1..3\n    return y > 3.0", "the number that decides, 3, is none that is tuned"),
        ("return x > 0", "the number that decides, 0, is none that is tuned"),
    ],
)
def test_where_it_learns_the_number_must_be_tuned(body: str, why: str) -> None:
    found = plan_module(f"# poet: margin=1, optimize_for=accuracy\ndef f(x: float) -> bool:\n    {body}\n", "m.py", "m")
    assert [item.message for item in found.diagnostics if item.code == "PH417"] == [
        f"margin= has no effect: {why}; mark it with # poet: tune"
    ]


def test_a_margin_that_is_no_whole_number_is_said_of_the_number() -> None:
    found = plan_module("# poet: margin=0.5\ndef f(x):\n    return x > 3\n", "m.py", "m")
    assert [item.message for item in found.diagnostics] == [
        "margin= has no effect: 3 is a whole number, so it must be one too"
    ]
