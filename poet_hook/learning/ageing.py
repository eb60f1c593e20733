"""`half_life=`: what was said long ago weighs less where a candidate is fitted, and proves nothing any more.

In a fit a label weighs half as much with each half-life that it is old, and so does silence. What evidence there is, is
told by bets that begin anew after each half-life (`evidence.Renewed`).

Simulated: `benchmarks/gate.py --change`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TypeVar

from poet_hook.learning.candidates import Case
from poet_hook.learning.events import Event
from poet_hook.learning.evidence import KEPT, Difference

_Bet = TypeVar("_Bet", Case, Difference)
FAINT = 1e-100  # of a weight: what is left is never nothing


def renewals(ages: Sequence[float], half_life: float) -> list[bool]:
    """How long after the version came into use each bet was made, in order -> whether a half-life has begun with it."""
    begun, found = -1, []
    for age in ages:
        number = max(0, int(age // half_life))
        found.append(number > begun)
        begun = max(begun, number)
    return found


def weights_of(moments: Mapping[int, float], latest: float, half_life: float) -> dict[int, float]:
    """What is left of the weight of each event, by when it was (a time, or a count of feedbacks)."""
    return {number: max(FAINT, 0.5 ** max(0.0, (latest - moment) / half_life)) for number, moment in moments.items()}


def moments_of(events: Sequence[Event], started: Sequence[float], half_life: int | float) -> dict[int, float]:
    """When something was said of each event, or, of silent ones, when they began: labelled ones come first.

    Where `half_life` is an int, by how much had been said before.
    """
    labelled = [event for event in events if event.label is not None]
    given = sorted(event.given for event in labelled)
    counts = isinstance(half_life, int)
    moments = {number: float(number) if counts else event.given for number, event in enumerate(labelled)}
    for number in range(len(labelled), len(events)):
        moments[number] = float(bisect_right(given, started[number])) if counts else started[number]
    return moments


def counting(bets: Sequence[_Bet]) -> Sequence[_Bet]:
    """Of all bets on labelled events those that are evidence yet: since the start that began longest ago."""
    starts = [place for place, bet in enumerate(bets) if bet.renews]
    return bets[starts[-KEPT:][0] if starts else 0 :]
