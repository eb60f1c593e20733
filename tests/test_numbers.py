"""What is learned about a function that returns numbers where nobody names the right one."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import date, timedelta
from types import ModuleType
from typing import Any

import pytest

import poet_hook

Load = Callable[..., ModuleType]

PRICE = """
    # poet: optimize_for={objective}, after=100000
    def price(size: float) -> float:
        return {rate} * size  # poet: tune 0..10
"""
OBJECTIVES = ["error", "absolute_error", "accuracy"]


def speak(function: Any, seed: int, count: int, words: Callable[[float, float], Any]) -> None:
    """Feedback on every call; the right number is 3 times the size, with some noise."""
    chance = random.Random(seed)
    for _ in range(count):
        size = chance.uniform(1, 10)
        result = poet_hook.call(function, size)
        poet_hook.feedback(result, words(result.value, 3.0 * size * math.exp(chance.gauss(0, 0.3))))


def sides(value: float, right: float) -> str:
    return "too high" if value > 1.25 * right else "too low" if value < right / 1.25 else "correct"


def thumbs(value: float, right: float) -> bool:
    return sides(value, right) == "correct"


@pytest.mark.parametrize("objective", OBJECTIVES[:2])
@pytest.mark.parametrize("words", [sides, thumbs])
def test_a_number_that_is_as_good_as_can_be_stays(load: Load, objective: str, words: Any) -> None:
    """A small step would settle all that is too high, and make what is too low no worse than it was."""
    for seed in range(2):
        price = load(PRICE.format(objective=objective, rate=3.0), f"best{seed}").price
        for _ in range(2):
            speak(price, seed, 30, words)
            learned = poet_hook.learn(price)
            assert not learned.promoted, learned.reasons


@pytest.mark.parametrize(("objective", "rate", "way"), [("error", 6.0, -1), ("accuracy", 6.0, -1), ("error", 1.5, 1)])
def test_a_number_that_is_too_high_or_too_low_moves(load: Load, objective: str, rate: float, way: int) -> None:
    price = load(PRICE.format(objective=objective, rate=rate), "far").price
    speak(price, 1, 40, sides)
    learned = poet_hook.learn(price)
    assert learned.promoted, learned.reasons
    assert learned.candidate is not None
    (value,) = learned.candidate.values.values()
    assert isinstance(value, float)
    assert (value - rate) * way > 0


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_that_a_number_is_wrong_does_not_say_that_another_is_right(load: Load, objective: str) -> None:
    price = load(PRICE.format(objective=objective, rate=3.0), "wrong").price
    speak(price, 1, 40, lambda _value, _right: "wrong")
    assert not poet_hook.learn(price).promoted


TIMES = """
    from datetime import date, timedelta

    # poet: optimize_for=accuracy, after=100000
    def due(ordered: date) -> date:
        days = 14  # poet: tune 1..60
        return ordered + timedelta(days=days)

    # poet: optimize_for=accuracy, after=100000
    def is_late(waited: timedelta) -> bool:
        minutes = 30.0  # poet: tune 0..120
        return waited > timedelta(minutes=minutes)
"""


def test_a_number_is_found_that_goes_into_what_takes_plain_numbers_only(load: Load) -> None:
    """`timedelta` raises for the stand-in of a number: that says nothing of the number."""
    module = load(TIMES)
    chance = random.Random(1)
    for _ in range(12):
        ordered = date(2024, 1, 1) + timedelta(chance.randrange(300))
        poet_hook.feedback(poet_hook.call(module.due, ordered), f"should be {ordered + timedelta(21)}")
    learned = poet_hook.learn(module.due)
    assert learned.promoted, learned.reasons
    assert module.due(date(2024, 1, 1)) == date(2024, 1, 22)
    for _ in range(60):
        minutes = chance.uniform(0, 60)
        result = poet_hook.call(module.is_late, timedelta(minutes=minutes))
        poet_hook.feedback(result, result.value == (minutes > 10))
    assert poet_hook.learn(module.is_late).promoted
    assert module.is_late(timedelta(minutes=15))
    assert not module.is_late(timedelta(minutes=5))
