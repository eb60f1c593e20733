"""The nouns of the gate: one execution under all candidates, what may change, and who bets on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from poet_hook.learning.constants import Steps
from poet_hook.learning.evidence import Purse
from poet_hook.learning.silence import KINDS, Near

UNHEARD = (0.0,) * (1 + len(KINDS))
CHANNEL = {kind: 1 + i for i, kind in enumerate(KINDS)}  # of losses: the silent ones; those that were said are in 0


@dataclass(frozen=True, slots=True)
class Case:
    """One execution: what the champion loses on it, in [0, 1], and so each value of each axis, and each offer.

    `weight` in [0, 1] is the confidence of its label (of a silent one: how many it stands for), `approved`
    that somebody called the recorded result right, `fits_only` that it is older evidence, which helps to
    fit but never to judge, `alarm` what the champion returned (None: all results are of one kind). `distances`
    are how far each number of the function may move before the result changes (left out: told by `losses`),
    `asked` that it was labelled because somebody asked (`learning/ask.py`), `fresh` how much of its weight age has left
    where a candidate is fitted, and where silence is evidence, relative to the others (`learning/ageing.py`), `renews`
    that evidence begins anew with it.
    """

    id: str
    now: float
    losses: tuple[Steps, ...] = ()
    weight: float = 1.0
    approved: bool = False
    fits_only: bool = False
    alarm: bool | None = None
    distances: Near = ()
    offers: tuple[float, ...] = ()
    asked: bool = False
    fresh: float = 1.0
    renews: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """A number that may change, within its range; where it is no `number`, it counts the choices that there are."""

    incumbent: float
    lower: float
    upper: float
    integer: bool = False
    number: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """A candidate: `value` on an axis, or an offer, or neither, which is the champion."""

    axis: int | None = None
    value: float = 0.0
    offer: int | None = None

    def loss(self, case: Case) -> float:
        """What it loses on an execution."""
        if self.axis is not None:
            return float(case.losses[self.axis](self.value))
        return case.now if self.offer is None else case.offers[self.offer]


def sure(case: Case) -> float:
    """How much its label weighs."""
    return min(max(case.weight, 0.0), 1.0)


def scaled(losses: Sequence[float], scales: Sequence[float]) -> float:
    """The sum of losses by channel, each channel times its scale."""
    return sum(loss * scale for loss, scale in zip(losses, scales, strict=True))


@dataclass(slots=True)
class Leader:
    """The single number that bets on what comes next, chosen with an eye on silence (`heeds`), or without."""

    heeds: bool
    change: Change = field(default_factory=Change)
    purse: Purse = field(default_factory=Purse)
    record: tuple[float, float] = (0.0, 0.0)
    """What it won and lost on everything so far, and the sum of squares of that; `said` leaves out silence."""
    said: float = 0.0
    flipped: list[float] = field(default_factory=lambda: list(UNHEARD))
    """By channel, what silent executions lost by the leaders of their time."""

    def follow(self, change: Change, new: Sequence[Case], cases: Sequence[Case]) -> None:
        """Let another one lead, or the same, now that `new` were added to `cases`."""
        if change != self.change:
            self.change, self.said, new = change, 0.0, cases
        self.said += sum(c.fresh * (sure(c) * (c.now - change.loss(c))) ** 2 for c in new)

    def mean(self, scales: Sequence[float]) -> float:
        """The evidence that it has."""
        return self.purse.mean(scaled(self.flipped, scales))


@dataclass(frozen=True, slots=True)
class Terms:
    """How an offer bets: from how many labelled executions it was made, its share of alpha, and what it changes."""

    after: int
    share: float
    structural: bool = False


def rank_share(rank: int) -> float:
    """Of 1, what the first, second, third ... of any number of offers gets."""
    return 1.0 / (rank * (rank + 1))


@dataclass(slots=True)
class Offered:
    """A candidate that was made from some of the labelled executions, and bets for itself on those after."""

    terms: Terms
    purse: Purse = field(default_factory=Purse)
    squares: float = 0.0
    """Of what it won and lost, what it was made from included."""
    lost: list[float] = field(default_factory=lambda: list(UNHEARD))
    """By channel, in all."""
    staked: list[float] = field(default_factory=list)
