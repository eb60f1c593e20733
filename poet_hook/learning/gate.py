"""Labelled and unlabelled executions -> the judgement of the best candidate: another value, or several at once.

Evidence is a bet: before each labelled execution the candidate that did best on the earlier ones stakes a share
of its wealth on being right where the champion is wrong. If none is better, the wealth exceeds 1/alpha with
probability at most alpha, at whatever moment one looks, and however many there are to choose from.

A candidate is one value of an `Axis` (a number of the function, the others as in the champion), fitted exactly
after each execution; or an offer, which was made elsewhere from the first so many labelled executions (several
numbers at once, say) and bets on those that come after.

Silence. An execution without feedback counts as an approved one, unless the feedback looks like a random sample
(`learning/silence.py`): a candidate that flips it has lost there, both in the fit and in the evidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from poet_hook.learning.constants import Fit, Steps, Sweep
from poet_hook.learning.evidence import STAKES, Answers, Wealth, smallest_count
from poet_hook.learning.silence import KINDS, Near, Opinions, near
from poet_hook.model import Level

ALPHA = 0.05
PROVISIONAL = 10.0
GRID = 8
CHANNEL = {kind: 1 + i for i, kind in enumerate(KINDS)}  # of a sweep: silent losses; those that were said are in 0


@dataclass(frozen=True, slots=True)
class Case:
    """One execution: what the champion loses on it, in [0, 1], and so each value of each axis, and each offer.

    `weight` in [0, 1] is the confidence of its label (of a silent one: how many it stands for), `approved`
    that somebody called the recorded result right, `fits_only` that it is older evidence, which helps to
    fit but never to judge, `alarm` what the champion returned (None: all results are of one kind). `distances`
    are how far each number of the function may move before the result changes (left out: told by `losses`),
    `asked` that it was labelled because somebody asked (`learning/ask.py`).
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


@dataclass(frozen=True, slots=True)
class Axis:
    """A number that may change, within its range."""

    incumbent: float
    lower: float
    upper: float
    integer: bool = False


@dataclass(frozen=True)
class Judgement:
    """What is known of the best candidate: `level` is None where there is none to promote.

    It is `value` on `axis` (`fit` shows the other values that do as well), or `offer`; all three are None where
    nothing does better than the champion. `wins` and `losses` are weighted, over bets on executions not yet seen;
    `regressions` are ids of approved executions that the candidate flips, `fixes` of complaints that it settles;
    `needed` is about how many more labelled executions would do; `before` and `after` are the mean of 1 - loss over
    the labelled executions.
    """

    axis: int | None
    value: float | None
    offer: int | None
    fit: Fit | None
    e_value: float
    wins: float
    losses: float
    decision: Literal["promote", "wait", "keep"]
    level: Level | None
    regressions: tuple[str, ...]
    fixes: tuple[str, ...]
    needed: int | None
    reasons: tuple[str, ...]
    silent_weight: float
    before: float
    after: float


def _grid(axis: Axis) -> list[float]:
    """Values to bet on that no data chose: eight on either side, denser near the incumbent."""
    lower, upper = min(axis.lower, axis.incumbent), max(axis.upper, axis.incumbent)
    values = []
    for end in (lower, upper):
        for i in range(1, GRID + 1):
            if lower > 0:
                value = axis.incumbent * (end / axis.incumbent) ** (i / GRID)
            else:
                value = axis.incumbent + (end - axis.incumbent) * (i / GRID) ** 2
            values.append(float(round(value)) if axis.integer else value)
    return sorted({v for v in values if v != axis.incumbent and lower <= v <= upper})


@dataclass(frozen=True, slots=True)
class _Choice:
    """A candidate: `value` on an axis, or an offer, or neither, which is the champion."""

    axis: int | None = None
    value: float = 0.0
    offer: int | None = None

    def loss(self, case: Case) -> float:
        """What it loses on an execution."""
        if self.axis is not None:
            return float(case.losses[self.axis](self.value))
        return case.now if self.offer is None else case.offers[self.offer]


class Judge:
    """The gate as a stream: executions come one by one in their order, and `judgement` may be had at any time.

    Its arguments are those of `judge`.
    """

    def __init__(self, axes: Sequence[Axis], offered: Sequence[int] = (), alpha: float = ALPHA) -> None:
        self.axes, self.offered, self.alpha = tuple(axes), tuple(offered), alpha
        self.sweeps = [
            Sweep(a.incumbent, a.lower, a.upper, integer=a.integer, channels=1 + len(KINDS)) for a in self.axes
        ]
        self.offers = [[0.0] * (1 + len(KINDS)) for _ in self.offered]  # the losses of each, by channel
        self.champion = 0.0
        self.opinions = {kind: Opinions(kind) for kind in KINDS}
        self.cases: list[Case] = []
        self.grid = [(i, value, Wealth()) for i, axis in enumerate(self.axes) for value in _grid(axis)]
        self.wealth = Wealth()
        self.answers = Answers()
        self.weight = 0.0
        self._leader: _Choice | None = None

    def _best(self, scales: Sequence[float]) -> _Choice:
        """Of all candidates that there are by now, the one that loses least; the earlier of equals."""
        best, least = _Choice(), self.champion
        slack = 1e-9 * (1.0 + self.weight)
        for i, sweep in enumerate(self.sweeps):
            fit = sweep.fit(scales)
            if fit.loss < least - slack:
                best, least = _Choice(i, fit.value), fit.loss
        for i, (after, losses) in enumerate(zip(self.offered, self.offers, strict=True)):
            loss = sum(x * scale for x, scale in zip(losses, scales, strict=True))
            if after <= len(self.cases) and loss < least - slack:
                best, least = _Choice(offer=i), loss
        return best

    def _leading(self) -> _Choice:
        """What is chosen once after each labelled execution: the candidate that bets on what comes next."""
        if not self.cases:
            return _Choice()
        self._leader = self._leader or self._best(self._in_choice(self._scales(in_passing=True)))
        return self._leader

    def hush(self, case: Case) -> None:
        """Take in an execution without feedback."""
        channel = CHANNEL[case.alarm]
        loss = self._leading().loss(case)
        self.opinions[case.alarm].hush(case.weight, loss, self._distances(case))
        for sweep, steps in zip(self.sweeps, case.losses, strict=True):
            sweep.add(steps, case.weight, channel)
        for losses, loss in zip(self.offers, case.offers, strict=True):
            losses[channel] += case.weight * loss

    def _distances(self, case: Case) -> Near:
        return case.distances or tuple(
            d for axis, steps in zip(self.axes, case.losses, strict=True) for d in near(steps, axis.incumbent)
        )

    def add(self, case: Case) -> None:
        """Let everything known so far bet on this labelled execution, then learn from it."""
        weight, now = min(max(case.weight, 0.0), 1.0), case.now
        if case.asked:
            self.answers.begin(self._evidence([1.0] + [0.0] * len(KINDS))[0])
            self.opinions[case.alarm].answer()
        if not case.fits_only:
            gain = weight * (now - self._leading().loss(case))
            self.wealth.bet(gain)
            self.answers.bet(gain, asked=case.asked)
            for i, value, wealth in self.grid:
                wealth.bet(weight * (now - case.losses[i](value)))
        if not case.asked and case.approved == (now <= 0.0):  # else it was said of a version that had another result
            self.opinions[case.alarm].hear(case.approved, self._distances(case))
        self.cases.append(case)
        self.weight += weight
        self.champion += weight * now
        for sweep, steps in zip(self.sweeps, case.losses, strict=True):
            sweep.add(steps, weight)
        for losses, loss in zip(self.offers, case.offers, strict=True):
            losses[0] += weight * loss
        self._leader = None

    def _scales(self, *, in_passing: bool = False) -> list[float]:
        return [1.0, *(each.agreement(in_passing=in_passing) for each in self.opinions.values())]

    def _in_choice(self, scales: Sequence[float]) -> list[float]:
        return [1.0, *(o.in_choice(scales[CHANNEL[o.kind]]) for o in self.opinions.values())]

    def _evidence(self, scales: Sequence[float]) -> tuple[float, float]:
        """The e-value, and the silent losses of the candidates that led."""
        flipped = sum(o.flipped * scales[CHANNEL[o.kind]] for o in self.opinions.values())
        led = self.wealth.mean(flipped)
        if not self.grid:
            return led, flipped
        levels = [sweep.levels([0.0, *scales[1:]]) for sweep in self.sweeps]
        fixed = sum(wealth.mean(levels[i][self.sweeps[i].piece(value)]) for i, value, wealth in self.grid)
        return (led + fixed / len(self.grid)) / 2, flipped

    def _silent_loss(self, choice: _Choice, scales: Sequence[float]) -> float:
        quiet = [0.0, *scales[1:]]
        if choice.axis is not None:
            sweep = self.sweeps[choice.axis]
            return sweep.levels(quiet)[sweep.piece(choice.value)]
        losses = [] if choice.offer is None else self.offers[choice.offer]
        return sum(x * scale for x, scale in zip(losses, quiet, strict=False))

    def judgement(self) -> Judgement:
        """What is known by now."""
        scales = self._scales()
        in_choice = self._in_choice(scales)
        best = self._best(in_choice)
        gains = [(c, c.now - best.loss(c)) for c in self.cases]
        gain = sum(min(max(c.weight, 0.0), 1.0) * d for c, d in gains)
        before = 1.0 - self.champion / self.weight if self.weight else 1.0
        found = gain > 0.0
        if not found:
            best, gains = _Choice(), []
        together, flipped = self._evidence(scales)
        evidence = self.answers.beside(together)
        regressions = tuple(c.id for c, d in gains if d < 0 and (c.approved or c.now <= 0))
        fixes = tuple(c.id for c, d in gains if d > 0)
        small = bool(fixes) and not regressions and self._small(best)
        level = self._level(evidence, small) if found else None
        # what is shown of the bets is the half that came further
        bets = self.answers.wealth if evidence > together else self.wealth
        flipped = flipped if bets is self.wealth else 0.0
        needed = self._needed(evidence, bets, flipped, best, scales) if found and not level else None
        silence = (words for o in self.opinions.values() for words in o.words(scales[CHANNEL[o.kind]]))
        return Judgement(
            axis=best.axis,
            value=best.value if best.axis is not None else None,
            offer=best.offer,
            fit=self.sweeps[best.axis].fit(in_choice) if best.axis is not None else None,
            e_value=evidence,
            wins=bets.wins,
            losses=bets.losses + flipped,
            decision="promote" if level else "wait" if found else "keep",
            level=level,
            regressions=regressions,
            fixes=fixes,
            needed=needed,
            reasons=(*self._outcome(found, level, evidence, small, needed), *silence),
            silent_weight=sum(o.silent_weight * scales[CHANNEL[o.kind]] for o in self.opinions.values()),
            before=before,
            after=before + gain / self.weight if found else before,
        )

    def _level(self, evidence: float, small: bool) -> Level | None:
        if evidence >= 1.0 / self.alpha:
            return "proven"
        # the same share of alpha as for the other level
        return "provisional" if small and evidence >= PROVISIONAL * ALPHA / self.alpha else None

    def _small(self, choice: _Choice) -> bool:
        """At most a factor of 2 where the range is of one sign, else at most half of the range; one number only."""
        if choice.axis is None:
            return False
        axis = self.axes[choice.axis]
        if axis.lower > 0:
            return 0.5 <= choice.value / axis.incumbent <= 2.0
        return abs(choice.value - axis.incumbent) <= (axis.upper - axis.lower) / 2

    def _needed(
        self, evidence: float, bets: Wealth, flipped: float, choice: _Choice, scales: Sequence[float]
    ) -> int | None:
        """About how many more labelled executions, if they go on as the bets did (or as `choice` would have)."""
        wins, losses, n = bets.wins, bets.losses + flipped, len(self.cases)
        if wins <= losses:
            changed = [c.now - choice.loss(c) for c in self.cases]
            wins = sum(d for d in changed if d > 0)
            losses = sum(-d for d in changed if d < 0) + self._silent_loss(choice, scales)
        # One more than there were: few wins that nobody contradicted are no rate yet.
        growth = max(wins * math.log1p(s) + losses * math.log1p(-s) for s in STAKES) / (n + 1)
        if growth <= 0.0:
            return None
        more = math.ceil((math.log(1.0 / self.alpha) - math.log(max(evidence, 1e-300))) / growth)
        if more > 1_000:  # so slow a growth is chance
            return None
        return max(1, round(more, -1) if more > 20 else more, smallest_count(self.alpha) - n)

    def _outcome(self, found: bool, level: Level | None, evidence: float, small: bool, needed: int | None) -> list[str]:
        reached = f"evidence {evidence:.3g} reaches"
        if not self.cases:
            return ["nothing was said about any execution yet"]
        if not found:
            values = " and ".join(f"{axis.incumbent:g}" for axis in self.axes)
            return [f"no other value does better than {values} on what was said, silence included"]
        if level == "proven":
            return [f"{reached} {1 / self.alpha:g}: an error happens in at most {self.alpha:.0%} of such cases"]
        if level == "provisional":
            settled = "it settles a complaint, breaks nothing approved, and changes little"
            return [f"{reached} {PROVISIONAL:g}: {settled}"]
        more = f", about {needed} more labelled executions" if needed else ""
        reasons = [f"evidence {evidence:.3g} is below {1 / self.alpha:g}{more}"]
        if evidence >= PROVISIONAL and not small:
            reasons.append("not provisional: it breaks something approved, or changes much")
        return reasons


def judge(
    cases: Sequence[Case],
    silent: Sequence[Case],
    axes: Sequence[Axis],
    offered: Sequence[int] = (),
    alpha: float = ALPHA,
) -> Judgement:
    """Labelled and silent executions, each in order of arrival -> whether a candidate may replace the champion.

    `offered` says of each offer from how many of the labelled executions it was made. Evidence is the mean of two
    e-values: of the candidates that led as feedback came, and of a fixed grid of values on every axis. "proven"
    needs 1/alpha; "provisional" needs 10, a complaint settled, no approved execution broken and a change of one
    number by at most a factor 2 (half of the range, where it is not positive). The candidate itself is chosen on
    everything. A silent execution has a loss of 0 where the outcome is the champion's; silence is taken as spread
    evenly over the feedback. A sample of it must stand for all by its weights, and is best drawn among results
    nobody complains of.
    """
    judge = Judge(axes, offered, alpha)
    heard = 0
    for i, case in enumerate(cases):
        share = len(silent) * i // len(cases)
        for quiet in silent[heard:share]:
            judge.hush(quiet)
        heard = share
        judge.add(case)
    for quiet in silent[heard:]:
        judge.hush(quiet)
    return judge.judgement()
