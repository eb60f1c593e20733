"""Numbers of live calls, served by the champion or by a challenger as a hash decided -> evidence for either.

What replay can't tell (how long a call takes, what somebody says that it was worth) is compared between calls that were
served by one version and calls that were served by the other. Who serves which is decided by chance, so the two groups
differ in nothing else; but they are not served at the same moment, and the world changes in between. So each run of
the challenger's calls is compared with the calls of the champion right before and after it: the later half of the run
before, and the earlier half of the run behind. Each call is used once. If the challenger is no better, the expected
difference is at most 0, whatever came before; so a bettor on the differences has a fair game, and what he has is the
evidence, at whatever moment one looks (Ville 1939; Waudby-Smith and Ramdas 2024; see `evidence.e_value`).

Differences must be bounded. So each number is a loss from 0 to 1, by a scale that was known before the trial: what is
beyond the scale counts as much as the scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, median

from poet_hook.learning.evidence import e_value

REACH = 4.0  # times the median of what the champion took before is the scale
SETTLING = 20  # calls, or feedbacks, from which it is told


@dataclass(frozen=True, slots=True)
class Observed:
    """The loss of one call, from 0 (best) to 1, and whether the challenger was chosen to serve it."""

    challenger: bool
    loss: float


@dataclass(frozen=True, slots=True)
class Result:
    """What a contest came to: how strongly it speaks for the challenger (`better`), and for the champion (`worse`).

    The means are of losses; `served` is how many losses of the challenger there were.
    """

    better: float
    worse: float
    champion: float
    challenger: float
    served: int
    differences: tuple[float, ...]


def scale_of(numbers: Sequence[float]) -> float | None:
    """The number that counts as a loss of 1, by those that the champion had before the trial; None if too few."""
    known = [number for number in numbers if math.isfinite(number)]
    if len(known) < SETTLING:
        return None
    return REACH * median(known) or REACH * fmean(known) or 1.0


def contest(observed: Sequence[Observed]) -> Result:
    """Losses of calls in the order in which they came -> what they say of the two versions."""
    found = list(differences(observed))
    champion = [item.loss for item in observed if not item.challenger]
    challenger = [item.loss for item in observed if item.challenger]
    return Result(
        better=e_value(found),
        worse=e_value(-difference for difference in found),
        champion=fmean(champion) if champion else 0.0,
        challenger=fmean(challenger) if challenger else 0.0,
        served=len(challenger),
        differences=tuple(found),
    )


def differences(observed: Iterable[Observed]) -> Iterator[float]:
    """By how much the champion loses more around each run of the challenger's calls; the last run waits for the next.

    A run of the champion is shared out by the place of its calls alone, never by what they lost.
    """
    before: list[float] = []
    tried: list[float] = []
    for challenger, members in groupby(observed, key=lambda item: item.challenger):
        losses = [item.loss for item in members]
        if challenger:
            tried = losses
            continue
        behind = losses[: len(losses) // 2]
        if tried and (before or behind):
            yield fmean([*before, *behind]) - fmean(tried)
        before, tried = losses[len(losses) // 2 :], []
