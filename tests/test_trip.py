"""The first calls of a version in use, and the way back at once."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from conftest import Load
from hypothesis import given
from hypothesis import strategies as st

import poet_hook
from poet_hook import api
from poet_hook.cli.main import main
from poet_hook.errors import OperateTimeout, VersionWarning
from poet_hook.runtime.early import FEWEST, FIRST, Calls, Early, stands_out
from poet_hook.versions.chain import Chain
from poet_hook.versions.current import plan_of

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import trip

SHARE = """
    # poet: optimize_for=accuracy, {options}
    def f(x):
        low = 0.5  # poet: tune 0..10
        return 1.0 / max(0.0, x - low) > 0.1
"""


def chain() -> Chain:
    return Chain(api.settings(), "m:f")


def promoted(values: dict[str, Any]) -> None:
    """Put a version with these values in use, as its second."""
    plan, _ = plan_of("m:f", api.store(), api.settings())
    api.promote("f", chain().add(plan, 1, values, None, "").number)


def fail(m: Any, calls: int, argument: float = 3.0, error: type[Exception] = ZeroDivisionError) -> None:
    for _ in range(calls):
        with pytest.raises(error):
            m.f(argument)


def looked_at(act: Callable[[], object]) -> None:
    """Calls, and what this process does about them in the background."""
    act()
    assert poet_hook.wait_for_learning(10)


# --------------------------------------------------------------------------- when


@given(st.integers(0, 7), st.integers(0, 7), st.integers(0, 7), st.integers(0, 7))
def test_it_is_the_share_of_all_ways_to_draw_lots(new: int, old: int, new_bad: int, old_bad: int) -> None:
    new_bad, old_bad = min(new_bad, new), min(old_bad, old)
    draws = list(combinations(range(new + old), new_bad + old_bad))
    as_many = sum(sum(call < new for call in draw) >= new_bad for draw in draws)
    for chance in (0.001, 0.01, 0.1):
        expected = new_bad >= FEWEST and old > 0 and as_many / len(draws) <= chance
        assert stands_out(Calls(new, new_bad), Calls(old, old_bad), chance) == expected


def test_a_version_that_is_no_worse_is_seldom_tripped_and_one_that_fails_soon() -> None:
    for rate in (0.0, 0.01, 0.05):
        assert sum(trip.tripped_after(rate, 0.0, 1000, seed) is not None for seed in range(60)) <= 3
        assert all((trip.tripped_after(rate, 1.0, 1000, seed) or FIRST) <= 4 for seed in range(20))


def test_a_challenger_that_fails_as_often_is_seldom_withdrawn_and_one_that_fails_soon() -> None:
    for rate in (0.01, 0.05, 0.2):
        ends = [trip.withdrawn_after(rate, rate, 0.25, seed, 1000) for seed in range(40)]
        assert sum(end is not None for end in ends) <= 4
        assert all((trip.withdrawn_after(rate, 1.0, 0.25, seed, 1000) or 99) <= 15 for seed in range(10))


def test_what_a_process_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("poet_hook.runtime.early._look", asked.append)
    early = Early()
    for number in range(1, 40):
        early.saw("m:f", "result", 0.001)
        early.saw("m:f", "error" if number % 2 else "result", 0.001 if number % 2 else 0.1)
        assert len(asked) == sum(number >= due for due in (3, 6, 12, 24))
    for _ in range(FIRST):
        early.saw("m:f", "error", 0.0)
    assert len(asked) < 12  # and no longer after its first calls


# --------------------------------------------------------------------------- what follows


def test_a_version_that_fails_is_rolled_back_at_once(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    m = load(SHARE.format(options="after=1000"))
    for _ in range(30):
        assert m.f(3.0)
    promoted({"low": 5.0})
    looked_at(lambda: fail(m, 2))
    assert api.champion("f") == 2
    why = r"v2 failed, or took longer than 0\.\d+ s, in 3 of its first 3 calls, and v1 in 0 of 30: rolled back at once to v1"
    with pytest.warns(VersionWarning, match=f"m:f: {why}"):
        looked_at(lambda: fail(m, 1))
    assert api.champion("f") == 1
    assert m.f(3.0)
    (gone,) = chain().pointer().undone
    assert (gone.version, gone.at_once) == (2, True)
    assert re.fullmatch(why, gone.why)
    assert main(["versions", "f"]) == 0
    assert re.search(why, " ".join(capsys.readouterr().out.split()))


def test_learning_looks_first(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    m = load(SHARE.format(options="after=1000"))
    monkeypatch.setattr("poet_hook.runtime.early._look", None)
    for _ in range(30):
        m.f(3.0)
    promoted({"low": 5.0})
    fail(m, 5)
    learned = poet_hook.learn("f")
    assert (learned.champion, learned.promoted, api.champion("f")) == (1, False, 1)
    assert "in 5 of its first 5 calls, and v1 in 0 of 30: rolled back at once to v1" in learned.reasons[0]


def test_what_the_version_before_fails_too_is_not_held_against_it(load: Load) -> None:
    m = load(SHARE.format(options="after=1000"))
    for _ in range(30):
        m.f(3.0)
    promoted({"low": 1.0})
    looked_at(lambda: fail(m, 8, argument=0.2))  # 0.2 - 0.5 is below 0 as well: the world brought other arguments
    poet_hook.learn("f")
    assert api.champion("f") == 2


def test_a_function_that_replay_can_not_run(load: Load) -> None:
    m = load(
        """
        seen = []
        # poet: optimize_for=accuracy, after=1000, fallback=None
        def f(x):
            seen.append(x)
            low = 0.5  # poet: tune 0..10
            return 1.0 / max(0.0, x - low)
        """
    )
    for _ in range(30):
        m.f(3.0)
    promoted({"low": 5.0})
    answers: list[object] = []
    with pytest.warns(VersionWarning, match="in 3 of its first 3 calls, and v1 in 0 of 30"):
        looked_at(lambda: answers.extend(m.f(3.0) for _ in range(3)))
    assert answers == [None] * 3
    assert m.f(3.0) == 0.4


SLEEPY = """
    import time
    # poet: optimize_for=latency, canary=5%, after=1000{options}
    def f(x):
        pause = 0.0001  # poet: tune 0..1
        time.sleep(pause)
        return x
"""


def test_a_version_that_is_far_slower(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poet_hook.learning.trip.TIMES", 2.0)  # a busy machine makes v1 slow as well
    m = load(SLEEPY.format(options=""))
    for _ in range(30):
        m.f(1)
    promoted({"pause": 0.2})
    with pytest.warns(VersionWarning, match=r"v2 failed, or took longer than 0\.\d+ s, in 3 of its first 3 calls"):
        looked_at(lambda: [m.f(1) for _ in range(3)])
    assert api.champion("f") == 1


def test_a_version_that_runs_out_of_time(load: Load) -> None:
    m = load(SLEEPY.format(options=", timeout=100ms").replace("latency, canary=5%", "accuracy"))
    for _ in range(30):
        m.f(1)
    promoted({"pause": 0.3})
    with pytest.warns(VersionWarning, match="in 3 of its first 3 calls, and v1 in 0 of 30"):
        looked_at(lambda: fail(m, 3, 1, OperateTimeout))
    assert api.champion("f") == 1


@pytest.mark.parametrize("options", ["learn=propose", "learn=shadow", "learn=off"])
def test_where_a_person_decides_nothing_is_rolled_back(load: Load, options: str) -> None:
    m = load(SHARE.format(options=options))
    for _ in range(30):
        m.f(3.0)
    promoted({"low": 5.0})
    looked_at(lambda: fail(m, 6))
    poet_hook.learn("f")
    assert api.champion("f") == 2


def test_few_failures_of_many_calls_or_without_a_version_to_compare_with(load: Load) -> None:
    m = load(SHARE.format(options="after=1000"))
    m.f(3.0)
    promoted({"low": 5.0})
    fail(m, 3)  # one call of v1 is too little to tell
    for _ in range(6):
        m.f(9.0)
    assert poet_hook.wait_for_learning(10)
    poet_hook.learn("f")
    assert api.champion("f") == 2


def test_what_was_rolled_back_at_once_is_not_put_in_use_again(load: Load) -> None:
    m = load(
        """
        # poet: optimize_for=accuracy, after=1000
        def f(x):
            limit = 45.0  # poet: tune 0..100
            if x > 900.0 and limit < 40.0:
                raise ValueError(x)
            return x > limit
        """
    )

    def teach() -> None:
        for x in (12, 50, 31, 44, 18, 38, 25, 33, 47, 41, 29, 36, 9, 40, 32, 22, 39, 34, 43, 27):
            result = poet_hook.call(m.f, float(x))
            poet_hook.feedback(result, result.value == (x > 30))

    for _ in range(30):
        m.f(999.0)
    teach()
    assert poet_hook.learn("f").promoted
    with pytest.warns(VersionWarning, match="v2 failed"):
        looked_at(lambda: fail(m, 3, 999.0, ValueError))
    assert api.champion("f") == 1
    teach()
    learned = poet_hook.learn("f")
    assert (learned.promoted, api.champion("f")) == (False, 1)
    assert any(r.startswith("v2, with the same values, was rolled back at once: v2 failed") for r in learned.reasons)
