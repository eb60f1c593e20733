"""Objectives that only live calls can tell: the contest of two versions, and the trials of a function."""

from __future__ import annotations

import contextlib
import math
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Load
from hypothesis import given
from hypothesis import strategies as st

import poet_hook
from poet_hook import api
from poet_hook.cli.main import main
from poet_hook.errors import OperateTimeout, PragmaWarning, VersionWarning
from poet_hook.learning import trial as trials
from poet_hook.learning.contest import REACH, SETTLING, Observed, contest, differences, scale_of
from poet_hook.model import Signal, Tunable
from poet_hook.runtime import trial as runtime
from poet_hook.signals.rules import read
from poet_hook.transform.plan import plan_module
from poet_hook.versions import apply
from poet_hook.versions.chain import Chain
from poet_hook.versions.current import plan_of
from poet_hook.versions.promote import promote
from poet_hook.versions.watch import refresh

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import live

# --------------------------------------------------------------------------- the contest

OBSERVED = st.lists(st.tuples(st.booleans(), st.floats(0.0, 1.0)).map(lambda pair: Observed(*pair)), max_size=60)


@given(OBSERVED)
def test_differences_are_bounded_and_look_at_each_call_once(observed: list[Observed]) -> None:
    found = list(differences(observed))
    assert all(-1.0 <= difference <= 1.0 for difference in found)
    assert len(found) <= sum(item.challenger for item in observed)
    for index, item in enumerate(observed):  # one other loss moves one difference, and never how many there are
        other = [*observed[:index], Observed(item.challenger, 1.0 - item.loss), *observed[index + 1 :]]
        moved = list(differences(other))
        assert len(moved) == len(found)
        assert sum(a != b for a, b in zip(found, moved, strict=True)) <= 1


def test_a_run_is_compared_with_what_lies_around_it() -> None:
    run = [(False, 0.1), (False, 0.3), (False, 0.5), (True, 0.2), (True, 0.4), (False, 0.9), (False, 0.0), (True, 1.0)]
    observed = [Observed(*item) for item in run]
    assert list(differences(observed)) == pytest.approx([(0.3 + 0.5 + 0.9) / 3 - 0.3])
    assert list(differences([*observed, Observed(False, 0.5)])) == pytest.approx([0.56666667 - 0.3, 0.0 - 1.0])
    assert list(differences([Observed(True, 0.5), Observed(False, 0.5)])) == []
    assert contest([]).better == 1.0


def test_the_scale() -> None:
    assert scale_of([1.0] * (SETTLING - 1)) is None
    assert scale_of([1.0] * (SETTLING - 1) + [math.inf]) is None
    assert scale_of([1.0] * (SETTLING - 1) + [1000.0]) == REACH
    assert scale_of([0.0] * SETTLING) == 1.0


@pytest.mark.parametrize("name", live.DRAWS)
def test_an_equal_challenger_is_seldom_promoted_and_a_better_one_mostly(name: str) -> None:
    ends = [live.promoted_after(name, 1.0, 0.5 * (seed % 2), 0.25, 600, seed) for seed in range(40)]
    # at 5 % there are more than 5 in 1.4 % of such tests, and the seeds are fixed
    assert sum(end is not None for end in ends) <= 5
    better = [live.promoted_after(name, 0.5, 0.0, 0.25, 1500, seed) for seed in range(8)]
    assert sum(end is not None for end in better) >= 7


# --------------------------------------------------------------------------- trials

SLEEPER = """
    import time

    # poet: optimize_for={objective}, canary=50%, after=1000000
    def f(x):
        pause = 0.002  # poet: tune 0.0001..0.01
        {body}
        return x
"""


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "GRACE", 0.0)


def function(load: Load, objective: str, body: str = "time.sleep(pause)") -> Any:
    return load(SLEEPER.format(objective=objective, body=body))


def chain() -> Chain:
    return Chain(api.settings(), "m:f")


def learned_until(act: Callable[[], Any], ends: Callable[[], bool], most: int = 40) -> list[str]:
    """Calls and learning runs in turn; everything that was said."""
    said: list[str] = []
    for _ in range(most):
        act()
        said += poet_hook.learn("f").reasons
        if ends():
            return said
    raise AssertionError(said)


def test_a_slower_neighbour_is_withdrawn_and_a_faster_one_promoted(load: Load, at_once: None) -> None:
    m = function(load, "latency")
    for _ in range(5):
        m.f(1)
    assert poet_hook.learn("f").reasons == ("v1 needs 20 calls first",)
    said = learned_until(lambda: [m.f(1) for _ in range(40)], lambda: api.champion("f") > 1)
    assert "v2 is on trial: pause = 0.004 for 50% of the calls" in said
    assert any(reason.startswith("v2 is on trial no more: it does worse: mean latency 0.00") for reason in said)
    assert "v3 is on trial: pause = 0.001 for 50% of the calls" in said
    champion = api.versions_of("f")[-1]
    assert (champion.number, champion.values, champion.level, champion.parent) == (4, {"pause": 0.001}, "proven", 1)
    assert champion.verdict is not None
    evidence = champion.verdict.evidence
    assert (evidence.metric, evidence.e_value >= 120) == ("latency", True)  # the second has a sixth of alpha
    assert 0.002 <= evidence.before < 0.008
    assert 0.001 <= evidence.after < evidence.before
    assert evidence.gain is not None
    assert evidence.gain_low is not None
    assert 0.0 < evidence.gain_low < evidence.gain < 0.004
    assert chain().pointer().withdrawn == ()
    assert api.status()[0].metric == "latency"


RELIABLE = "calls.append(x)\n        if len(calls) % 2 and {}: raise OSError"


def test_what_was_replaced_is_held_back_until_the_version_is_upheld(
    load: Load, at_once: None, capsys: pytest.CaptureFixture[str]
) -> None:
    m = function(load, "reward", "x = pause")

    def act() -> None:
        for _ in range(40):
            result = poet_hook.call(m.f, 1)
            poet_hook.feedback(result, "good" if result.value > 0.003 else "wrong")

    act()
    learned_until(act, lambda: api.champion("f") > 1)
    champion, since = api.champion("f"), chain().since()
    pointer = chain().pointer()
    assert (pointer.challenger, pointer.held_back, pointer.history) == (1, True, (1,))
    (reason,) = poet_hook.learn("f").reasons
    assert reason.startswith(f"v1 is held back, to judge v{champion}: mean reward ")
    act()
    served = [e.version for e in api.executions("f") if e.started > since]
    assert set(served) == {1, champion}  # half of the calls each
    found = api.on_trial("f")
    assert found is not None
    assert (found.challenger, found.held_back, found.calls) == (1, True, served.count(1))
    assert main(["status"]) == 0
    assert f"held back v1 (50% of the calls): {served.count(1)} answered" in capsys.readouterr().out
    said = learned_until(act, lambda: not chain().pointer().held_back)
    assert f"v{champion} is upheld against v1: it does better: mean reward 0 -> 1, by " in said[-2]
    assert "is on trial: pause = 0.008" in said[-1]  # and learning goes on
    assert (api.champion("f"), chain().pointer().withdrawn) == (champion, ())
    assert main(["versions", "f"]) == 0
    assert f"v{champion} was upheld against what it replaced: it does better" in capsys.readouterr().out


def test_a_version_that_live_calls_speak_against_is_rolled_back(
    load: Load, at_once: None, capsys: pytest.CaptureFixture[str]
) -> None:
    m = function(load, "reliability", RELIABLE.format("(pause > 0.003) == m.turned"))
    m.calls, m.m, m.turned = [], m, False

    def act() -> None:
        for number in range(40):
            with contextlib.suppress(OSError):
                m.f(number)

    act()
    learned_until(act, lambda: api.champion("f") > 1)
    champion = api.champion("f")
    m.turned = True
    said = learned_until(act, lambda: api.champion("f") == 1)
    assert re.match(
        rf"v{champion} did worse than v1, which it had replaced, on the calls since then: reliability \S+ -> 0\.\d+, "
        rf"by \d+ calls of v1 \(e = \S+, at least 20 needed\): rolled back to v1$",
        said[-1],
    )
    (gone,) = chain().pointer().undone
    assert (gone.version, gone.why, chain().pointer().challenger) == (champion, said[-1], None)
    assert main(["versions", "f"]) == 0
    assert said[-1] in capsys.readouterr().out.replace("\n  ", " ")
    (reason,) = poet_hook.learn("f").reasons  # what was rolled back is not tried again
    assert "is on trial: pause = 0.001" in reason
    api.promote("f", champion)  # but by a person
    assert chain().pointer().undone == (gone,)
    assert chain().pointer().challenger is None


def test_a_version_that_is_told_apart_by_nothing_stays(
    load: Load, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "MOST", 30)
    m = function(load, "reliability", "pass")
    m.f(1)
    plan, _ = plan_of("m:f", api.store(), api.settings())
    promote(chain(), chain().add(plan, 1, {"pause": 0.004}, None, "").number, plan, learned=True, held_back=True)
    refresh(api.settings())
    said = learned_until(lambda: [m.f(1) for _ in range(50)], lambda: not chain().pointer().held_back)
    assert any("v2 is upheld against v1: nothing speaks against it: reliability 1 -> 1" in reason for reason in said)
    assert api.champion("f") == 2


def test_what_is_held_back_and_fails_is_held_back_no_more(load: Load, at_once: None) -> None:
    m = function(load, "reliability", "if pause < 0.003: raise OSError")
    with contextlib.suppress(OSError):
        m.f(1)
    plan, _ = plan_of("m:f", api.store(), api.settings())
    promote(chain(), chain().add(plan, 1, {"pause": 0.004}, None, "").number, plan, learned=True, held_back=True)
    refresh(api.settings())
    with pytest.warns(VersionWarning, match=r"m:f: v1 is held back no more: it failed \d calls"):
        assert [m.f(number) for number in range(40)] == list(range(40))
    pointer = chain().pointer()
    assert (pointer.champion, pointer.challenger, pointer.withdrawn) == (2, None, ())
    assert re.match(r"it failed \d calls that the version in use answered: OSError", pointer.upheld)


@pytest.mark.parametrize("name", live.DRAWS)
def test_after_a_promotion_an_equal_version_is_seldom_rolled_back(name: str) -> None:
    fates = [live.fate(name, 1.0, 0.5 * (seed % 2), 0.25, 600, seed) for seed in range(40)]
    assert sum(fate == "rolled back" for fate in fates) <= 5
    worse = [live.fate(name, 2.0, 0.0, 0.25, 1500, seed) for seed in range(8)]
    assert sum(fate == "rolled back" for fate in worse) >= 6
    better = [live.fate(name, 0.5, 0.0, 0.25, 1500, seed) for seed in range(8)]
    assert sum(fate == "upheld" for fate in better) >= 7


def test_ratings_of_live_calls(load: Load, at_once: None) -> None:
    m = function(load, "reward", "x = pause")

    def rate() -> None:
        for _ in range(30):
            result = poet_hook.call(m.f, 1)
            poet_hook.feedback(result, {"reward": 0.9} if result.value > 0.003 else "wrong")

    poet_hook.feedback(poet_hook.call(m.f, 1), "good")
    said = learned_until(rate, lambda: api.champion("f") > 1)
    assert said[0] == "v2 is on trial: pause = 0.004 for 50% of the calls"
    (version,) = [item for item in api.versions_of("f") if item.level == "proven"]
    assert version.values == {"pause": 0.004}
    assert version.verdict is not None
    assert (version.verdict.evidence.before, version.verdict.evidence.after) == pytest.approx((0.0, 0.9))


def test_what_calls_cost(load: Load, at_once: None) -> None:
    m = function(load, "cost", "x = pause")

    def tell() -> None:
        for _ in range(30):
            result = poet_hook.call(m.f, 1)
            receipt = poet_hook.feedback(result, {"cost": 1000 * result.value})
            assert receipt.signal == Signal("cost", 1000 * result.value)

    m.f(1)
    assert poet_hook.learn("f").reasons == ("v1 needs 20 calls of which the cost is known first",)
    learned_until(tell, lambda: api.champion("f") > 1)
    (version,) = [item for item in api.versions_of("f") if item.level == "proven"]
    assert version.values == {"pause": 0.001}
    assert version.verdict is not None
    assert version.verdict.evidence.metric == "spent"
    assert (version.verdict.evidence.before, version.verdict.evidence.after) == pytest.approx((2.0, 1.0))


def test_calls_that_end_in_a_result(load: Load, at_once: None) -> None:
    m = function(load, "reliability", "calls.append(x)\n        if len(calls) % 2 and pause < 0.003: raise OSError")
    m.calls = []

    def act() -> None:
        for number in range(40):
            try:
                m.f(number)
            except OSError:
                continue

    act()
    learned_until(act, lambda: api.champion("f") > 1)
    (version,) = [item for item in api.versions_of("f") if item.level == "proven"]
    assert version.values == {"pause": 0.004}
    assert version.verdict is not None
    assert version.verdict.evidence.after == 1.0


def test_one_customer_counts_once(load: Load, at_once: None) -> None:
    m = load(SLEEPER.format(objective="reliability", body="").replace("canary", "key=x, canary"))
    m.f("nobody")
    poet_hook.learn("f")
    for _ in range(20):
        for customer in range(10):
            m.f(f"customer {customer}")
    (reason,) = poet_hook.learn("f").reasons
    served = {execution.key for execution in api.executions("f") if execution.version == 2}
    assert 0 < len(served) < 10
    assert f"by {len(served)} calls of v2" in reason


def test_who_can_not_be_told_apart_is_withdrawn(load: Load, at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "MOST", 30)
    m = function(load, "reliability", "pass")
    m.f(1)
    said = learned_until(lambda: [m.f(1) for _ in range(50)], lambda: chain().pointer().challenger is None)
    assert [reason for reason in said if "v2 is on trial no more: it can't be told apart: reliability 1 -> 1" in reason]
    assert said[-1] == "no neighbour of v1 is left to try"
    assert [gone.version for gone in chain().pointer().withdrawn] == [2, 3]
    assert api.champion("f") == 1


def test_a_process_that_runs_is_judged_by_itself(load: Load, at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "EVERY", 0.02)
    m = function(load, "latency", "time.sleep(pause)")
    deadline = time.monotonic() + 15
    while chain().pointer().challenger is None:
        m.f(1)
        assert time.monotonic() < deadline
    assert poet_hook.wait_for_learning(10)


def test_without_a_canary_nothing_is_judged(load: Load) -> None:
    with pytest.warns(PragmaWarning, match="PH413 optimize_for=latency has no effect without canary="):
        m = load("# poet: optimize_for=latency\ndef f(x):\n    return x > 2.5  # poet: tune 0..10\n")
    m.f(1)
    assert poet_hook.learn("f").reasons == (
        "optimize_for=latency is told by live calls: it needs a canary=, such as canary=5%",
    )
    assert "compared between live calls" in poet_hook.ask("f").reason


def test_only_what_is_marked_is_tried(load: Load, at_once: None) -> None:
    m = load("# poet: optimize_for=reliability, canary=5%\ndef f(x):\n    return x > 2.5\n")
    m.f(1)
    assert poet_hook.learn("f").reasons == ("reliability: mark what may be changed with: # poet: tune LOW..HIGH",)


NUMBER = Tunable("n", 4.0, 1, 0, 1, integer=True, lower=1.0, upper=6.0, declared=True)
SIGNED = Tunable("s", 0.0, 2, 0, 1, lower=-2.0, upper=2.0, declared=True)
CHOICE = Tunable("c", "a", 3, 0, 1, declared=True, kind="choice", choices=("a", "b", "c"))
OTHER = Tunable("o", 1.0, 4, 0, 1)


def test_neighbours() -> None:
    found = list(trials.neighbours((NUMBER, SIGNED, CHOICE, OTHER), {"n": 3.0}))
    assert found == [
        {"n": 6.0},
        {"n": 3.0, "s": 1.0},
        {"n": 3.0, "c": "b"},
        {"n": 2.0},
        {"n": 3.0, "s": -1.0},
        {"n": 3.0, "c": "c"},
    ]


@pytest.mark.parametrize(
    ("said", "outcome", "kind", "value"),
    [
        ({"cost": 12.5}, True, "cost", 12.5),
        ({"cost": 3, "comment": "a dear one"}, 1.0, "cost", 3.0),
        ({"cost": -1}, True, "unread", None),
        ({"cost": "much"}, True, "unread", None),
        ({"cost": math.nan}, True, "unread", None),
        ({"cost": True}, True, "unread", None),
        ({"cost": "12.5"}, True, "cost", 12.5),
        ([{"cost": 2}, "correct"], True, "right", None),
    ],
)
def test_costs_are_read(said: Any, outcome: Any, kind: str, value: Any) -> None:
    found = read(said, outcome=outcome)
    assert (found.kind, found.value) == (kind, value)


@pytest.mark.parametrize(
    ("said", "kind", "value"),
    [
        (12.5, "cost", 12.5),
        (4, "cost", 4.0),  # and no rating: that tells nothing of the objective
        (0.5, "cost", 0.5),
        ("12.5", "cost", 12.5),
        (" cost: 3 ", "cost", 3.0),
        ("Cost=0.25", "cost", 0.25),
        ("costs 2", "cost", 2.0),
        ("$7", "cost", 7.0),
        ({"cost": 2.5}, "cost", 2.5),
        ([3.0, "it took long"], "cost", 3.0),
        (-1, "unread", None),
        (math.inf, "unread", None),
        ("4/5", "reward", 0.75),
        (True, "right", None),
        ("12 dollars and 50 cents", "unread", None),
    ],
)
def test_a_number_is_a_cost_where_costs_count(load: Load, said: Any, kind: str, value: Any) -> None:
    m = load(SLEEPER.format(objective="cost", body="x = {'cost': 1.0, 'name': x}"))
    signal = poet_hook.feedback(poet_hook.call(m.f, 1), said).signal
    if kind == "reward":
        assert signal.kind != "cost"
    else:
        assert (signal.kind, signal.value) == (kind, value)


def test_a_file_of_costs(load: Load, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    m = load(SLEEPER.format(objective="cost", body="pass").replace("canary", "key=x, canary"))
    for number in range(3):
        m.f(f"order {number}")
    (project / "costs.csv").write_text("key,said\norder 0,1.5\norder 1,2\norder 2,cheap enough\n")
    assert main(["feedback", "--from", "costs.csv"]) == 0
    shown = capsys.readouterr().out
    assert "order 0: understood: it cost 1.5 (" in shown
    assert "order 1: understood: it cost 2 (" in shown
    assert "order 2: stored, but not understood" in shown


@pytest.mark.parametrize("objective", ["latency", "reliability", "reward", "cost"])
@pytest.mark.parametrize("option", ["half_life=10", "assume_ok_after=2d", "group=5"])
def test_what_live_calls_do_not_use_is_refused(load: Load, objective: str, option: str) -> None:
    name = option.partition("=")[0]
    text = f"PH414 {name}= has no effect with optimize_for={objective}, which live calls tell"
    with pytest.warns(PragmaWarning, match=text):
        m = load(f"# poet: optimize_for={objective}, canary=5%, {option}\ndef f(x):\n    return x > 2.5\n")
    m.f(1)
    assert getattr(plan_of("m:f", api.store(), api.settings())[0].pragma, name) is None


# --------------------------------------------------------------------------- attempts


FLAKY = """
    import time

    calls = []

    # poet: optimize_for={objective}, canary=50%, {options}
    def f(x):
        calls.append(x)
        {body}
        return x
"""


def test_one_more_attempt_is_more_reliable(load: Load, at_once: None) -> None:
    body = "if len(calls) % 3: raise ConnectionError"  # of three attempts in a row one succeeds
    m = load(FLAKY.format(objective="reliability", options="retries=1, backoff=1ms", body=body))

    def act() -> None:
        for number in range(60):
            with contextlib.suppress(ConnectionError):
                m.f(number)

    act()
    assert poet_hook.learn("f").reasons == ("v2 is on trial: retries = 2 for 50% of the calls",)
    learned_until(act, lambda: api.champion("f") > 1 or chain().pointer().challenger != 2)
    (version,) = [item for item in api.versions_of("f") if item.level == "proven"]
    assert version.values == {"retries": 2}
    assert version.source.startswith("# poet: retries=2  # in place of retries=1\n")
    assert max(execution.attempts for execution in api.executions("f")) == 3
    api.promote("f", 1)


def test_a_shorter_pause_is_faster(load: Load, at_once: None, project: Path) -> None:
    body = "if len(calls) % 2: raise ConnectionError"
    m = load(FLAKY.format(objective="latency", options="retries=1, backoff=8ms", body=body))

    def act() -> None:
        for number in range(40):
            assert m.f(number) == number

    act()
    plan, _ = plan_of("m:f", api.store(), api.settings())
    chain().challenge(chain().add(plan, 1, {"backoff": 0.0005}, None, "").number)
    refresh(api.settings())
    learned_until(act, lambda: api.champion("f") > 1)
    version = next(item for item in api.versions_of("f") if item.level == "proven")
    assert version.values == {"backoff": 0.0005}
    code = m.f.__code__
    (slot,) = [constant for constant in code.co_consts if type(constant).__name__ == "Slot"]
    assert slot.backoff == 0.0005
    plan, _ = plan_of("m:f", api.store(), api.settings())
    apply.apply(apply.edit_of(version, plan, api.settings()), chain())
    assert "# poet: optimize_for=latency, canary=50%, retries=1, backoff=0.0005s\n" in (project / "m.py").read_text()


def test_no_attempt_less_than_the_champion_needs(load: Load, at_once: None) -> None:
    """Fewer attempts are quicker, and fail: the version in use answers, and the challenger is withdrawn at once."""
    body = "if len(calls) % 2: raise ConnectionError"
    m = load(FLAKY.format(objective="latency", options="retries=1, backoff=1ms", body=body))
    for number in range(20):
        m.f(number)
    plan, _ = plan_of("m:f", api.store(), api.settings())
    chain().challenge(chain().add(plan, 1, {"retries": 0}, None, "").number)
    refresh(api.settings())
    with pytest.warns(VersionWarning, match=r"v2 is on trial no more: it failed \d+ calls"):
        assert [m.f(number) for number in range(40)] == list(range(40))


def test_a_time_limit_only_becomes_shorter_and_not_too_short(load: Load, at_once: None) -> None:
    m = load(FLAKY.format(objective="latency", options="timeout=80ms", body="time.sleep(0.0 if x % 5 else 0.03)"))
    for number in range(30):
        m.f(number)
    assert poet_hook.learn("f").reasons == ("v2 is on trial: timeout = 0.04 for 50% of the calls",)
    chain().withdraw(2, "enough")
    assert poet_hook.learn("f").reasons == ("no neighbour of v1 is left to try",)
    api.promote("f", 2)
    assert poet_hook.learn("f").reasons == ("v2 needs 20 calls first",)


def test_a_longer_time_limit_where_calls_ran_out_of_time(load: Load, at_once: None) -> None:
    body = "time.sleep(0.03 if x % 2 else 0.0)"
    m = load(FLAKY.format(objective="reliability", options="timeout=20ms", body=body))

    def act() -> None:
        for number in range(40):
            with contextlib.suppress(OperateTimeout):
                m.f(number)

    m.f(0)
    assert poet_hook.learn("f").reasons == ("no neighbour of v1 is left to try",)  # nothing ran out of time
    act()
    assert poet_hook.learn("f").reasons == ("v2 is on trial: timeout = 0.04 for 50% of the calls",)
    learned_until(act, lambda: api.champion("f") > 1)
    (version,) = [item for item in api.versions_of("f") if item.level == "proven"]
    assert version.values == {"timeout": 0.04}
    plan, _ = plan_of("m:f", api.store(), api.settings())
    limit = next(tunable for tunable in plan.tunables if tunable.name == "timeout")
    assert (limit.lower, limit.upper) == (0.02, 0.08)
    assert [values["timeout"] for values in trials.neighbours(plan.tunables, {"timeout": 0.08})] == [0.04]


def test_options_that_are_offered(load: Load) -> None:
    def names(pragma: str) -> list[str]:
        (target,) = plan_module(f"# poet: {pragma}\ndef f(x):\n    return x + 2.5\n", "m.py", "m").targets
        return [tunable.name for tunable in target.plan.tunables if tunable.kind == "option"]

    assert names("optimize_for=latency, canary=5%, retries=2, timeout=1s") == ["retries", "backoff", "timeout"]
    assert names("optimize_for=reliability, canary=5%, timeout=1s") == ["timeout"]
    assert names("optimize_for=latency, canary=5%") == []
    assert names("optimize_for=reward, canary=5%, retries=2") == []
    assert names("optimize_for=accuracy, canary=5%, retries=2") == []
