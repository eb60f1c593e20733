"""Labelled and unlabelled executions -> the judgement of the best other value of a constant.

Evidence is a bet: before each labelled execution the candidate fitted on the earlier ones stakes a share of
its wealth on being right where the incumbent is wrong. If it is no better, the wealth exceeds 1/alpha with
probability at most alpha, at whatever moment one looks.

Silence. An execution without feedback counts as an approved one, unless the feedback looks like a random sample
(`learning/silence.py`): a candidate that flips it has lost there, both in the fit and in the evidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from poet_hook.learning.constants import Fit, Steps, Sweep
from poet_hook.learning.silence import KINDS, Near, Opinions, near
from poet_hook.model import Level

ALPHA = 0.05
PROVISIONAL = 10.0
STAKES = tuple((i + 0.5) / 100 for i in range(100))
GRID = 8
CEILING = 1e300
CHANNEL = {kind: 1 + i for i, kind in enumerate(KINDS)}  # of a sweep: silent losses; those that were said are in 0


@dataclass(frozen=True, slots=True)
class Case:
    """One execution, as a loss in [0, 1] for every value of the constant.

    `weight` in [0, 1] is the confidence of its label (of a silent one: how many it stands for), `approved`
    that somebody called the recorded result right, `fits_only` that it is older evidence, which helps to
    fit but never to judge, `alarm` what the champion returned (None: all results are of one kind). `distances`
    are how far each number of the function may move before the result changes (left out: this one, by `loss`).
    """

    id: str
    loss: Steps
    weight: float = 1.0
    approved: bool = False
    fits_only: bool = False
    alarm: bool | None = None
    distances: Near = ()


@dataclass(frozen=True)
class Judgement:
    """What is known of the best other value: `value` and `level` are None where there is none (to promote).

    `wins` and `losses` are weighted, over bets on executions not yet seen; `regressions` are ids of approved
    executions that the value flips, `fixes` of complaints that it settles; `needed` is about how many more
    labelled executions would do; `before` and `after` are the mean of 1 - loss over the labelled executions.
    """

    value: float | None
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


class _Wealth:
    """What one bettor has, for each of the fixed stakes, if it began with 1 each."""

    __slots__ = ("amounts", "losses", "scale", "wins")

    def __init__(self) -> None:
        self.amounts = [1.0] * len(STAKES)
        self.scale = self.wins = self.losses = 0.0

    def bet(self, difference: float) -> None:
        """Win (or lose, where negative) this much, in [-1, 1]."""
        if not difference:
            return
        self.wins += max(difference, 0.0)
        self.losses += max(-difference, 0.0)
        self.amounts = [a * (1.0 + s * difference) for a, s in zip(self.amounts, STAKES, strict=True)]
        largest = max(self.amounts)
        if not 1e-100 < largest < 1e100:
            self.scale += math.log(largest)
            self.amounts = [a / largest for a in self.amounts]

    def mean(self, silent_losses: float = 0.0) -> float:
        """The mean over the stakes, after this many silent losses more (a fraction of one counts so)."""
        amounts = self.amounts
        if silent_losses:
            amounts = [a * (1.0 - s) ** silent_losses for a, s in zip(amounts, STAKES, strict=True)]
        total = sum(amounts)
        log = math.log(total / len(STAKES)) + self.scale if total > 0 else -math.inf
        return min(CEILING, math.exp(min(log, 700.0)))


def e_value(differences: Iterable[float]) -> float:
    """Differences (loss of the incumbent - loss of the candidate) in [-1, 1] -> evidence that the mean is > 0.

    The mean over 100 fixed stakes s in [0, 1] of the product of 1 + s*d: if E[d | past] <= 0 throughout, it
    ever reaches x with probability at most 1/x, however often one looks, provided that each candidate was
    chosen before its execution. For wins b and losses c of size 1 it is about
    2^(b+c+1) * B(b+1, c+1) * P(Beta(b+1, c+1) > 1/2). Raises ValueError for a difference out of [-1, 1].

    Ville 1939; Robbins 1970; Howard, Ramdas, McAuliffe, Sekhon 2021; Waudby-Smith and Ramdas 2024; Gruenwald,
    de Heide, Koolen 2024.
    """
    wealth = _Wealth()
    for difference in differences:
        if not -1.0 <= difference <= 1.0:
            raise ValueError(f"a difference of losses lies in [-1, 1], not at {difference!r}")
        wealth.bet(difference)
    return wealth.mean()


def _grid(incumbent: float, lower: float, upper: float, integer: bool) -> list[float]:
    """Values to bet on that no data chose: eight on either side, denser near the incumbent."""
    values = []
    for end in (lower, upper):
        for i in range(1, GRID + 1):
            if lower > 0:
                value = incumbent * (end / incumbent) ** (i / GRID)
            else:
                value = incumbent + (end - incumbent) * (i / GRID) ** 2
            values.append(float(round(value)) if integer else value)
    return sorted({v for v in values if v != incumbent and lower <= v <= upper})


@dataclass(frozen=True, slots=True)
class Difference:
    """One execution under two fixed versions: what the challenger loses less than the champion, in [-1, 1].

    `approved` says whether the champion's result was called right (None: what was said was of another result);
    `weight`, `alarm` and `distances` are as in `Case`. Of a silent one `gain` is minus the challenger's loss.
    """

    gain: float
    weight: float = 1.0
    approved: bool | None = None
    alarm: bool | None = None
    distances: Near = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether a challenger does better: `gain` is what it loses less in all, silence included."""

    e_value: float
    gain: float
    silent_weight: float
    reasons: tuple[str, ...]


def compare(labelled: Iterable[Difference], silent: Iterable[Difference]) -> Comparison:
    """Executions under two versions that none of this feedback helped to choose -> evidence for the challenger.

    If the challenger is no better, the evidence ever reaches x with probability at most 1/x, at whatever moment one
    looks. What silence counts for is assumed as in `judge`, and said in the reasons.
    """
    wealth, gain = _Wealth(), 0.0
    opinions = {kind: Opinions(kind) for kind in KINDS}
    for case in labelled:
        bet = min(max(case.weight, 0.0), 1.0) * case.gain
        wealth.bet(bet)
        gain += bet
        if case.approved is not None:
            opinions[case.alarm].hear(case.approved, case.distances)
    for case in silent:
        opinions[case.alarm].hush(case.weight, -case.gain, case.distances)
    weights = [(each, each.agreement()) for each in opinions.values()]
    lost = sum(each.flipped * weight for each, weight in weights)
    return Comparison(
        e_value=wealth.mean(lost),
        gain=gain - lost,
        silent_weight=sum(each.silent_weight * weight for each, weight in weights),
        reasons=tuple(words for each, weight in weights for words in each.words(weight)),
    )


class Judge:
    """The gate as a stream: executions come one by one in their order, and `judgement` may be had at any time.

    Its arguments are those of `judge`.
    """

    def __init__(
        self, *, incumbent: float, lower: float, upper: float, integer: bool = False, alpha: float = 0.05
    ) -> None:
        lower, upper = min(lower, incumbent), max(upper, incumbent)
        self.incumbent, self.lower, self.upper, self.alpha = incumbent, lower, upper, alpha
        self.sweep = Sweep(incumbent, lower, upper, integer=integer, channels=1 + len(KINDS))
        self.opinions = {kind: Opinions(kind) for kind in KINDS}
        self.cases: list[Case] = []
        self.grid = [(value, _Wealth()) for value in _grid(incumbent, lower, upper, integer)]
        self.wealth = _Wealth()
        self.weight = 0.0
        self._fit: Fit | None = None

    def _fitted(self) -> float:
        """What is fitted once after each labelled execution: the candidate that bets on what comes next."""
        if not self.cases:
            return self.incumbent
        self._fit = self._fit or self.sweep.fit(self._scales(in_passing=True))
        return self._fit.value

    def hush(self, case: Case) -> None:
        """Take in an execution without feedback."""
        self.opinions[case.alarm].hush(case.weight, case.loss(self._fitted()), self._distances(case))
        self.sweep.add(case.loss, case.weight, CHANNEL[case.alarm])

    def _distances(self, case: Case) -> Near:
        return case.distances or near(case.loss, self.incumbent)

    def add(self, case: Case) -> None:
        """Let everything known so far bet on this labelled execution, then learn from it."""
        weight, now = min(max(case.weight, 0.0), 1.0), case.loss(self.incumbent)
        if not case.fits_only:
            self.wealth.bet(weight * (now - case.loss(self._fitted())))
            for value, wealth in self.grid:
                wealth.bet(weight * (now - case.loss(value)))
        if case.approved == (now <= 0.0):  # else it was said of a version that had another result
            self.opinions[case.alarm].hear(case.approved, self._distances(case))
        self.cases.append(case)
        self.weight += weight
        self.sweep.add(case.loss, weight)
        self._fit = None

    def _scales(self, *, in_passing: bool = False) -> list[float]:
        return [1.0, *(each.agreement(in_passing=in_passing) for each in self.opinions.values())]

    def _evidence(self, scales: Sequence[float]) -> tuple[float, float]:
        """The e-value, and the silent losses of the candidates that were fitted."""
        flipped = sum(o.flipped * scales[CHANNEL[o.kind]] for o in self.opinions.values())
        fitted = self.wealth.mean(flipped)
        if not self.grid:
            return fitted, flipped
        levels = self.sweep.levels([0.0, *scales[1:]])
        fixed = sum(wealth.mean(levels[self.sweep.piece(value)]) for value, wealth in self.grid)
        return (fitted + fixed / len(self.grid)) / 2, flipped

    def judgement(self) -> Judgement:
        """What is known by now."""
        scales = self._scales()
        fit = self.sweep.fit(scales)
        labelled = self.sweep.levels([1.0] + [0.0] * (len(scales) - 1))
        before, after = (
            1.0 - labelled[self.sweep.piece(t)] / self.weight if self.weight else 1.0
            for t in (self.incumbent, fit.value)
        )
        found = fit.value != self.incumbent and after > before
        evidence, flipped = self._evidence(scales)
        changed = [(c, c.loss(self.incumbent) - c.loss(fit.value)) for c in self.cases] if found else []
        regressions = tuple(c.id for c, d in changed if d < 0 and (c.approved or c.loss(self.incumbent) <= 0))
        fixes = tuple(c.id for c, d in changed if d > 0)
        small = bool(fixes) and not regressions and self._small(fit.value)
        level = self._level(evidence, small) if found else None
        needed = self._needed(evidence, flipped, fit.value) if found and not level else None
        silence = (words for o in self.opinions.values() for words in o.words(scales[CHANNEL[o.kind]]))
        return Judgement(
            value=fit.value if found else None,
            fit=fit if self.cases else None,
            e_value=evidence,
            wins=self.wealth.wins,
            losses=self.wealth.losses + flipped,
            decision="promote" if level else "wait" if found else "keep",
            level=level,
            regressions=regressions,
            fixes=fixes,
            needed=needed,
            reasons=(*self._outcome(found, level, evidence, small, needed), *silence),
            silent_weight=sum(o.silent_weight * scales[CHANNEL[o.kind]] for o in self.opinions.values()),
            before=before,
            after=after if found else before,
        )

    def _level(self, evidence: float, small: bool) -> Level | None:
        if evidence >= 1.0 / self.alpha:
            return "proven"
        # the same share of alpha as for the other level
        return "provisional" if small and evidence >= PROVISIONAL * ALPHA / self.alpha else None

    def _small(self, value: float) -> bool:
        """At most a factor of 2 where the range is of one sign, else at most half of the range."""
        if self.lower > 0:
            return 0.5 <= value / self.incumbent <= 2.0
        return abs(value - self.incumbent) <= (self.upper - self.lower) / 2

    def _needed(self, evidence: float, flipped: float, value: float) -> int | None:
        """About how many more labelled executions, if they go on as the bets did (or as `value` would have)."""
        wins, losses, n = self.wealth.wins, self.wealth.losses + flipped, len(self.cases)
        if wins <= losses:
            changed = [c.loss(self.incumbent) - c.loss(value) for c in self.cases]
            levels = self.sweep.levels([0.0, *self._scales()[1:]])
            wins = sum(d for d in changed if d > 0)
            losses = sum(-d for d in changed if d < 0) + levels[self.sweep.piece(value)]
        # One more than there were: few wins that nobody contradicted are no rate yet.
        growth = max(wins * math.log1p(s) + losses * math.log1p(-s) for s in STAKES) / (n + 1)
        if growth <= 0.0:
            return None
        more = math.ceil((math.log(1.0 / self.alpha) - math.log(max(evidence, 1e-300))) / growth)
        if more > 1_000:  # so slow a growth is chance
            return None
        return max(1, round(more, -1) if more > 20 else more, _smallest_count(self.alpha) - n)

    def _outcome(self, found: bool, level: Level | None, evidence: float, small: bool, needed: int | None) -> list[str]:
        reached = f"evidence {evidence:.3g} reaches"
        if not self.cases:
            return ["nothing was said about any execution yet"]
        if not found:
            return [f"no other value does better than {self.incumbent:g} on what was said"]
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


def _smallest_count(alpha: float) -> int:
    """How many wins without a loss are evidence at this alpha."""
    wins = 1
    while (2.0 ** (wins + 1) - 1.0) / (wins + 1) < 1.0 / alpha:
        wins += 1
    return wins


def judge(
    cases: Sequence[Case],
    silent: Sequence[Case],
    *,
    incumbent: float,
    lower: float,
    upper: float,
    integer: bool = False,
    alpha: float = 0.05,
) -> Judgement:
    """Labelled and silent executions, each in order of arrival -> whether another value may replace the incumbent.

    Evidence is the mean of two e-values: of the candidates fitted as feedback came, and of a fixed grid of
    values. "proven" needs 1/alpha; "provisional" needs 10, a complaint settled, no approved execution broken
    and a change of at most a factor 2 (half of the range, where it is not positive). The value itself is
    fitted on everything. A silent execution has a loss of 0 where the outcome is the champion's; silence is
    taken as spread evenly over the feedback. A sample of it must stand for all by its weights, and is best
    drawn among results nobody complains of.
    """
    judge = Judge(incumbent=incumbent, lower=lower, upper=upper, integer=integer, alpha=alpha)
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
