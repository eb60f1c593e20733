"""The first calls of a version in use -> somebody looks at them, once some have failed or taken long.

Whether that is the version's doing is for `learning.trip` to say, by what all processes recorded.

If two versions were alike, the bad calls among the calls of both would be spread as by drawing lots: how likely it is
that one of them gets so many, or more, is told by Fisher's exact test (*The Design of Experiments*, 1935).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, lgamma

FIRST = 1000  # calls of a version that are looked at
SLOW = 0.05  # seconds: what takes less is never slow
FEWEST = 3  # bad calls

_look: Callable[[str], None] | None = None


def when_bad(look: Callable[[str], None]) -> None:
    """Say what is called with a function's name when calls of a new version were bad."""
    global _look
    _look = look


@dataclass(frozen=True, slots=True)
class Calls:
    """How many calls a version had, and how many were bad."""

    count: int
    bad: int


def stands_out(one: Calls, other: Calls, chance: float) -> bool:
    """Whether a version has so many of the bad calls of both that this is at most so likely by chance."""
    bad, total = one.bad + other.bad, 0.0
    if one.bad < FEWEST or one.bad * other.count <= other.bad * one.count:
        return False
    every = _log_ways(one.count + other.count, bad)
    for k in range(one.bad, min(one.count, bad) + 1):
        total += exp(_log_ways(one.count, k) + _log_ways(other.count, bad - k) - every)
        if total > chance:
            return False
    return True


def _log_ways(count: int, chosen: int) -> float:
    return lgamma(count + 1) - lgamma(chosen + 1) - lgamma(count - chosen + 1)


class Early:
    """What this process saw of the calls of one version; asks after 3, 6, 12, ... of them that may be bad."""

    __slots__ = ("bad", "calls", "due")

    def __init__(self) -> None:
        self.calls = self.bad = 0
        self.due = 3

    def saw(self, function: str, outcome: str, duration: float) -> None:
        """Take in how one call ended, and how many seconds it took."""
        self.calls += 1
        if self.calls > FIRST or (outcome == "result" and duration < SLOW):
            return
        self.bad += 1
        if self.bad >= self.due:
            self.due *= 2
            if _look is not None:
                _look(function)
