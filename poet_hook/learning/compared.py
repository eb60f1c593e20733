"""Two versions that some feedback did not help to choose, on the events of a study -> which of them it speaks for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from poet_hook.learning.ageing import counting
from poet_hook.learning.aims import Aims
from poet_hook.learning.evidence import Comparison, Difference, compare
from poet_hook.learning.replay import Outcome
from poet_hook.learning.search import Search


@dataclass(frozen=True, slots=True)
class Compared:
    """By one objective: the evidence for the challenger, how often it was better and worse (weighted), and on how many
    labelled events; where evidence ages, on how many that still count."""

    found: Comparison
    wins: float
    losses: float
    labelled: int


def compared(
    search: Search, challenger: Sequence[Outcome], aims: Aims, judging: Collection[int], silent: Collection[int]
) -> Compared:
    """The champion and a challenger on labelled and silent events, by their numbers."""
    said, unsaid = [], []
    ages = search.study.plan.pragma.half_life is not None
    renewing = search.renewing([n for n in search.labels if n in judging and n not in search.aims.fits_only])
    for number, where in search.distances.items():
        event, alarm = search.events[number], search.alarm(number)
        loss = search.loss_by(aims, number, search.champion)
        gain = loss - search.loss_by(aims, number, challenger)
        if event.label is not None and number in judging and number not in search.aims.fits_only:
            approved = event.label.approved if event.label.approved == (loss <= 0.0) else None
            bet = Difference(gain, event.label.weight, approved, alarm, where, event.asked)
            said.append(replace(bet, fresh=search.fresh[number], renews=number in renewing))
        elif event.label is None and number in silent:
            unsaid.append(Difference(gain, event.stands_for, None, alarm, where, fresh=search.fresh[number]))
    bets = [min(each.weight, 1.0) * each.gain for each in said]
    return Compared(
        compare(said, unsaid, search.reading, ages=ages),
        sum(bet for bet in bets if bet > 0),
        -sum(bet for bet in bets if bet < 0),
        len(counting(said) if ages else said),
    )
