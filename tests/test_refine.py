"""A version that is proven better than the original is refined; how often that makes it worse."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import NormalDist
from types import ModuleType
from typing import Any

import pytest

import poet_hook
from poet_hook import api
from poet_hook.versions.chain import Chain
from poet_hook.versions.pointer import Pointer, Turn

BELOW = NormalDist().cdf
Load = Callable[..., ModuleType]

HOT = """
    # poet: optimize_for=accuracy, after=100000{more}
    def is_hot(celsius: float) -> bool:
        return celsius > 55.0  # poet: tune 0..100
"""


def hot(load: Load, more: str = "") -> Any:
    return load(HOT.format(more=more), "m").is_hot


def teach(function: Any, values: list[float], limit: float = 30.0) -> None:
    for value in values:
        result = poet_hook.call(function, float(value))
        poet_hook.feedback(result, result.value == (value > limit))


def chain() -> Chain:
    return Chain(api.settings(), "m:is_hot")


def first(function: Any, least: int = 42) -> float:
    """Promote on what was said of so much and more, where nothing tells how much lower the limit should be."""
    teach(function, [*range(least, 55), 70, 20])
    assert poet_hook.learn(function).promoted
    value = chain().read(2).values["celsius_limit"]
    assert isinstance(value, float)
    assert 36 < value < least
    return value


def test_what_was_said_meanwhile_refines_a_proven_version(load: Load) -> None:
    is_hot = hot(load)
    before = first(is_hot)
    teach(is_hot, [33, 35])
    learned = poet_hook.learn(is_hot)
    assert (learned.champion, learned.version, learned.promoted) == (2, 3, True)
    assert learned.verdict is not None
    assert learned.verdict.level == "provisional"
    assert learned.reasons[0].startswith(
        "it refines v2: it does better on all that was said, which is no proof against v2"
    )
    assert "the versions in use since v1 are better than v1 has evidence" in learned.reasons[0]
    value = chain().read(3).values["celsius_limit"]
    assert isinstance(value, float)
    assert value < 33 < before
    assert is_hot(34.0)


def test_a_refinement_takes_the_place_of_what_it_refines(load: Load) -> None:
    is_hot = hot(load)
    first(is_hot)
    teach(is_hot, [33, 35])
    poet_hook.learn(is_hot)
    assert chain().history() == [1]
    assert [turn.version for turn in chain().pointer().turns] == [2, 3]
    assert poet_hook.rollback(is_hot) == (3, 1)
    assert chain().pointer().turns == ()


@pytest.mark.parametrize(("failures", "refines"), [(1, True), (6, False)])
def test_a_version_that_lost_its_lead_is_not_refined(load: Load, failures: int, refines: bool) -> None:
    is_hot = hot(load)
    first(is_hot, 47)
    teach(is_hot, [54.5] * failures, limit=55.0)  # the original was right there
    teach(is_hot, [33, 35])
    learned = poet_hook.learn(is_hot)
    assert learned.verdict is not None
    assert learned.verdict.regressions == ()
    assert learned.verdict.evidence.after > learned.verdict.evidence.before
    assert learned.promoted == refines


def test_what_breaks_something_approved_is_no_refinement(load: Load) -> None:
    is_hot = hot(load)
    first(is_hot)
    teach(is_hot, [34], limit=36.0)  # quiet there, and rightly so
    teach(is_hot, [33, 35, 33.5])
    learned = poet_hook.learn(is_hot)
    assert not learned.promoted
    assert learned.verdict is not None
    assert learned.verdict.regressions


@pytest.mark.parametrize("more", [", learn=proven", ", learn=propose"])
def test_only_learn_auto_refines(load: Load, more: str) -> None:
    is_hot = hot(load, more)
    teach(is_hot, [*range(42, 55), 70, 20])
    if not poet_hook.learn(is_hot).promoted:
        poet_hook.promote(is_hot, 2)
    teach(is_hot, [33, 35])
    learned = poet_hook.learn(is_hot)
    assert not learned.promoted
    assert learned.version is None
    assert api.champion(is_hot) == 2


def test_what_a_person_chose_is_not_refined(load: Load) -> None:
    is_hot = hot(load)
    first(is_hot)
    poet_hook.promote(is_hot, 1)
    poet_hook.promote(is_hot, 2)
    teach(is_hot, [33, 35])
    assert not poet_hook.learn(is_hot).promoted


def test_a_pointer_without_turns_and_one_without_a_history(load: Load) -> None:
    is_hot = hot(load)
    first(is_hot)
    chain()._put(Pointer(2, (1,), 1.0))
    assert chain().pointer().turns == ()
    chain()._put(Pointer(2, (), 1.0, turns=(Turn(2, 1.0),)))
    teach(is_hot, [33, 35])
    assert not poet_hook.learn(is_hot).promoted


def test_refinements_seldom_lead_below_the_original(load: Load) -> None:
    """Scores of two bell curves, a tenth of the labels wrong; the user's limit is far too high."""

    def accuracy(limit: float) -> float:
        return 1 + BELOW((limit - 25) / 6) / 2 - BELOW((limit - 45) / 6) / 2 - 0.5

    worse, refined = 0, []
    for seed in range(4):
        rng = random.Random(seed)
        name = f"stream{seed}"
        is_hot = load(HOT.format(more=""), name).is_hot
        for _ in range(12):
            for _ in range(5):
                deserves = rng.random() < 0.5
                celsius = rng.gauss(45.0 if deserves else 25.0, 6.0)
                result = poet_hook.call(is_hot, celsius)
                poet_hook.feedback(result, result.value == (deserves != (rng.random() < 0.1)))
            learned = poet_hook.learn(is_hot)
            if learned.promoted and "it refines" in learned.reasons[0]:
                refined.append(learned.version)
        number = api.champion(is_hot)
        values = next(version.values for version in poet_hook.versions_of(is_hot) if version.number == number)
        limit = values.get("celsius_limit", 55.0)
        assert isinstance(limit, float)
        worse += accuracy(limit) < accuracy(55.0) - 0.01
    assert refined
    assert worse == 0
