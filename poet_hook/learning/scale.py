"""Values of a tunable <-> places on a line: a number stands for itself, a choice for its place among the choices."""

from __future__ import annotations

from poet_hook.model import Tunable, Value


def place_of(tunable: Tunable, value: Value) -> float:
    """Where a value lies on the line of its tunable."""
    if tunable.choices:
        return float(tunable.choices.index(str(value)))
    assert not isinstance(value, str)
    return value


def value_at(tunable: Tunable, place: float) -> Value:
    """The value at a place of the line."""
    return tunable.choices[round(place)] if tunable.choices else place


def range_of(tunable: Tunable) -> tuple[float, float]:
    """Where learning looks: all choices, the range given by `tune`, or else on its side of 0 up to 20 times it."""
    if isinstance(tunable.value, str):  # a choice
        return 0.0, float(len(tunable.choices) - 1)
    reach = 20.0 * abs(tunable.value) or 1.0
    lower, upper = (0.0, reach) if tunable.value > 0 else (-reach, 0.0) if tunable.value < 0 else (-1.0, 1.0)
    if tunable.integer and tunable.value > 0:
        lower = 1.0
    return (
        lower if tunable.lower is None else tunable.lower,
        upper if tunable.upper is None else tunable.upper,
    )
