from __future__ import annotations

import random
import textwrap
from pathlib import Path

import pytest
from conftest import Load
from hypothesis import given
from hypothesis import strategies as st

import poet_hook
from poet_hook import api
from poet_hook.learning.search import sizes_of
from poet_hook.model import Learned

COUNTED = """
    # poet: optimize_for=accuracy, after=100000, learn=propose
    def fires(values: list[float]) -> bool:
        run = {run}  # poet: tune 1..6
        limit = {limit}  # poet: tune 0..10
        return sum(value > limit for value in values) >= run
"""
EITHER = """
    # poet: optimize_for=accuracy, after=100000, learn={learn}
    def odd(load: float, errors: float, delay: float) -> bool:
        return load > 2.0 or errors > 2.0 or delay > 2.0
"""


def rows(count: int, seed: int) -> list[list[float]]:
    rng = random.Random(seed)
    return [[rng.uniform(0, 10) for _ in range(6)] for _ in range(count)]


def loss(values: list[list[float]], deserved: list[bool], run: int, limit: float) -> int:
    return sum((sum(v > limit for v in row) >= run) != right for row, right in zip(values, deserved, strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_a_whole_number_and_a_limit_are_learned_together_exactly(load: Load, seed: int) -> None:
    m = load(COUNTED.format(run=1, limit=2.0))
    rng = random.Random(seed)
    values = rows(40, seed)
    deserved = [(sum(v > 6.0 for v in row) >= 3) != (rng.random() < 0.1) for row in values]
    for row, right in zip(values, deserved, strict=True):
        poet_hook.feedback(poet_hook.call(m.fires, row), {"expected": right})
    learned = poet_hook.learn(m.fires)
    assert learned.candidate is not None
    found = learned.candidate.values
    least = min(
        loss(values, deserved, run, limit)
        for run in range(1, 7)
        for limit in [0.0, *(v + 1e-9 for row in values for v in row)]
    )
    assert set(found) == {"run", "limit"}
    assert loss(values, deserved, round(found["run"]), found["limit"]) == least


def teach(m: object, count: int, seed: int = 0, limits: tuple[float, ...] = (5.0, 6.0, 4.0)) -> None:
    rng = random.Random(seed)
    for _ in range(count):
        given = [rng.expovariate(0.5) for _ in limits]
        right = any(v > limit for v, limit in zip(given, limits, strict=True))
        poet_hook.feedback(poet_hook.call(m.odd, *given), {"expected": right})  # type: ignore[attr-defined]


def changed(learned: Learned) -> dict[str, float]:
    assert learned.candidate is not None
    return dict(learned.candidate.values)


def test_three_limits_that_hide_each_other_are_moved_together_and_proven(load: Load) -> None:
    m = load(EITHER.format(learn="auto"))
    teach(m, 120)
    learned = poet_hook.learn(m.odd)
    assert learned.promoted
    assert learned.verdict is not None
    assert learned.verdict.level == "proven"
    assert len(changed(learned)) == 3
    assert learned.verdict.evidence.after > 0.95
    rng = random.Random(99)
    fresh = [[rng.expovariate(0.5) for _ in range(3)] for _ in range(400)]
    right = [row[0] > 5.0 or row[1] > 6.0 or row[2] > 4.0 for row in fresh]
    assert sum(m.odd(*row) == truth for row, truth in zip(fresh, right, strict=True)) / 400 > 0.95


def test_one_number_alone_is_still_one_number(load: Load) -> None:
    m = load(EITHER.format(learn="auto"))
    teach(m, 120, limits=(2.0, 2.0, 5.0))
    learned = poet_hook.learn(m.odd)
    assert learned.promoted
    assert list(changed(learned)) == ["delay_limit"]
    assert learned.candidate is not None
    assert learned.candidate.interval is not None


def test_the_same_feedback_gives_the_same_version(load: Load, project: Path) -> None:
    found = []
    for name in "m", "n":
        m = load(textwrap.dedent(EITHER.format(learn="propose")), name)
        teach(m, 50, seed=5)
        found.append(changed(poet_hook.learn(m.odd)))
    assert found[0] == found[1]
    assert [item.champion for item in api.status()] == [1, 1]


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_offers_are_made_at_the_same_times_whatever_comes_later(one: int, two: int) -> None:
    shorter, longer = sorted((one, two))
    assert list(sizes_of(shorter))[:-1] == list(sizes_of(longer))[: max(len(list(sizes_of(shorter))) - 1, 0)]
