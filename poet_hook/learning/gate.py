"""Labelled and unlabelled executions -> the judgement of the best candidate: another value, or several at once.

Evidence is a bet: before each labelled execution the candidate that did best on the earlier ones stakes a share
of its wealth on being right where the champion is wrong. If none is better, the wealth exceeds 1/alpha with
probability at most alpha, at whatever moment one looks, and however many there are to choose from.

A candidate is one value of an `Axis` (a number of the function, the others as in the champion), fitted exactly
after each execution; or an offer, which was made elsewhere from the first so many labelled executions (several
numbers at once, say) and bets for itself on those that come after. Of alpha, offers of numbers have a fifth, the first
of them a half of that, the next a sixth, a twelfth and so on; offers of another structure have as much, and so has
other code, where a language model may write it (`Terms`).
What goes live is then the very offer that was proved. A structure is chosen only where it settles three complaints
more than any numbers do.

Silence. An execution without feedback counts as an approved one, unless the feedback looks like a random sample
(`learning/silence.py`): a candidate that flips it has lost there, both in the fit and in the evidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from poet_hook.learning.candidates import CHANNEL, UNHEARD, Axis, Case, Change, Leader, Offered, Terms, scaled, sure
from poet_hook.learning.constants import Fit, Sweep
from poet_hook.learning.evidence import STAKES, Answers, Renewed, purse_of, smallest_count
from poet_hook.learning.silence import EXECUTIONS, KINDS, Near, Opinions, Reading, near
from poet_hook.model import Level

ALPHA = 0.05
PROVISIONAL = 0.5  # times what proves; never less than 2, which doubles the wealth
OFFERS = 0.2  # the share of alpha of several numbers at once
STRUCTURES = 0.2  # and that of changes of the structure
REWRITES = 0.2  # and that of other code
BEYOND = 2.5  # three complaints, read with some doubt: what a structure settles more than numbers
REFIT = 1.02  # times as many labelled executions, beyond the first
OFTEN = 100


@dataclass(frozen=True)
class Judgement:
    """What is known of the best candidate: `level` is None where there is none to promote.

    It is `value` on `axis` (`fit` shows the other values that do as well), or `offer`; all three are None where
    nothing does better than the champion. `wins` and `losses` are weighted, over bets on executions not yet seen;
    `regressions` are ids of approved executions that the candidate flips, `fixes` of complaints that it settles,
    and it is `harmless` where it settles one, breaks nothing approved and changes one number little;
    `needed` is about how many more labelled executions would do; `before` and `after` are the mean of 1 - loss over
    the labelled executions; `bets` is what the candidate of the time lost less, on each that came after its choice.
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
    harmless: bool
    needed: int | None
    reasons: tuple[str, ...]
    silent_weight: float
    before: float
    after: float
    bets: tuple[float, ...]


class Judge:
    """The gate as a stream: executions come one by one in their order, and `judgement` may be had at any time.

    Its arguments are those of `judge`.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        offered: Sequence[Terms] = (),
        alpha: float = ALPHA,
        reading: Reading = EXECUTIONS,
        *,
        structures: bool = False,
        rewrites: bool = False,
        ages: bool = False,
    ) -> None:
        self.axes, self.alpha, self.reading = tuple(axes), alpha, reading
        self.structural = STRUCTURES * structures + REWRITES * rewrites
        self.sweeps = [Sweep(a.incumbent, a.lower, a.upper, integer=a.integer, channels=len(UNHEARD)) for a in axes]
        self.offered = [Offered(terms, purse_of(ages=ages)) for terms in offered]
        self.champion = 0.0
        self.opinions = {kind: Opinions(kind, reading) for kind in KINDS}
        self.cases: list[Case] = []
        self.leaders = (Leader(heeds=True, purse=purse_of(ages=ages)), Leader(heeds=False, purse=purse_of(ages=ages)))
        self.bets: list[float] = []
        self.answers = Answers(ages=ages)
        self.weight = 0.0
        self._fitted = 0
        self._passing: Sequence[float] = (1.0, *UNHEARD[1:])  # the scales by which the leaders were chosen

    def _best(self, scales: Sequence[float]) -> Change:
        """Of all single numbers, the one that loses least; the earlier of equals."""
        best, least = Change(), self.champion
        for i, sweep in enumerate(self.sweeps):
            fit = sweep.fit(scales)
            if fit.loss < least - self._slack():
                best, least = Change(i, fit.value), fit.loss
        return best

    def _slack(self) -> float:
        return 1e-9 * (self._fresh + self.weight)

    @property
    def _fresh(self) -> float:
        """By what weights are measured now."""
        return self.cases[-1].fresh if self.cases else 1.0

    def _total(self, change: Change, scales: Sequence[float]) -> float:
        """What a candidate loses in all, silence included."""
        if change.axis is not None:
            sweep = self.sweeps[change.axis]
            return sweep.levels(scales)[sweep.piece(change.value)]
        if change.offer is None:
            return self.champion
        return scaled(self.offered[change.offer].lost, scales)

    def _lead(self) -> None:
        """Choose who bets on what comes next: after each labelled execution, later after some."""
        heard = len(self.cases)
        if not (heard > max(self._fitted, OFTEN) * REFIT or self._fitted < heard <= OFTEN):
            return
        self._passing = self._in_choice(self._scales(in_passing=True))
        plain, new = (1.0, *UNHEARD[1:]), self.cases[self._fitted :]
        best: dict[tuple[float, ...], Change] = {}
        for leader in self.leaders:
            scales = tuple(self._passing) if leader.heeds else plain
            if scales not in best:
                best[scales] = self._best(scales)
            leader.follow(best[scales], new, self.cases)
            leader.record = self._record(leader.change, leader.said, scales)
        self._fitted = heard

    def _record(self, change: Change, squares: float, scales: Sequence[float]) -> tuple[float, float]:
        won, lost = self.champion - self._total(change, scales), self._silent_loss(change, scales)
        return won / self._fresh, (squares + lost) / self._fresh

    def hush(self, case: Case) -> None:
        """Take in an execution without feedback."""
        channel, weight = CHANNEL[case.alarm], case.weight * case.fresh
        self._lead()
        for leader in self.leaders:
            leader.flipped[channel] += weight * leader.change.loss(case)
        self.opinions[case.alarm].hush(case.weight, 0.0, self._distances(case))
        for sweep, steps in zip(self.sweeps, case.losses, strict=True):
            sweep.add(steps, weight, channel)
        for offer, loss in zip(self.offered, case.offers, strict=True):
            offer.lost[channel] += weight * loss

    def _distances(self, case: Case) -> Near:
        return case.distances or tuple(
            d for axis, steps in zip(self.axes, case.losses, strict=True) for d in near(steps, axis.incumbent)
        )

    def add(self, case: Case) -> None:
        """Let everything known so far bet on this labelled execution, then learn from it."""
        weight, now = sure(case), case.now
        if case.asked:
            self.answers.begin(self._led([1.0] + [0.0] * len(KINDS)))
            self.opinions[case.alarm].answer(case.approved)
        self._lead()
        if case.renews:
            self._renew()
        if not case.fits_only:
            for leader in self.leaders:
                leader.purse.bet(weight * (now - leader.change.loss(case)), leader.record)
            self.bets.append(weight * (now - self.leaders[0].change.loss(case)))
            self.answers.bet(self.bets[-1], self.leaders[0].record, asked=case.asked)
        self._offered(case, weight)
        if not case.asked and case.approved == (now <= 0.0):  # else it was said of a version that had another result
            self.opinions[case.alarm].hear(case.approved, self._distances(case))
        self.cases.append(case)
        self.weight += weight * case.fresh
        self.champion += weight * case.fresh * now
        for sweep, steps in zip(self.sweeps, case.losses, strict=True):
            sweep.add(steps, weight * case.fresh)

    def _renew(self) -> None:
        """Begin a half-life: what was bet before ages."""
        self.answers.renew()
        for purse in [*(leader.purse for leader in self.leaders), *(offer.purse for offer in self.offered)]:
            if isinstance(purse, Renewed):
                purse.renew()

    def _offered(self, case: Case, weight: float) -> None:
        """Let each offer that was made before bet for itself."""
        for i, (offer, loss) in enumerate(zip(self.offered, case.offers, strict=True)):
            gain = weight * (case.now - loss)
            if offer.terms.after <= len(self.cases) and not case.fits_only:
                offer.staked.append(gain)
                offer.purse.bet(gain, self._record(Change(offer=i), offer.squares, self._passing))
            offer.squares += case.fresh * gain * gain
            offer.lost[0] += weight * case.fresh * loss

    def _scales(self, *, in_passing: bool = False) -> list[float]:
        return [1.0, *(each.agreement(in_passing=in_passing) for each in self.opinions.values())]

    def _in_choice(self, scales: Sequence[float]) -> list[float]:
        return [1.0, *(o.in_choice(scales[CHANNEL[o.kind]]) for o in self.opinions.values())]

    def _led(self, scales: Sequence[float]) -> float:
        """The e-value for one number, at its share of alpha."""
        led = sum(leader.mean(scales) for leader in self.leaders) / len(self.leaders)
        several = len(self.axes) > 1 or any(not offer.terms.structural for offer in self.offered)
        return (1.0 - OFFERS * several - self.structural) * led

    def _evidence(self, change: Change, scales: Sequence[float]) -> tuple[float, float, float]:
        """The e-value for a candidate, at its share of alpha, and the wins and losses in it."""
        if change.offer is not None:
            flipped = self._silent_loss(change, scales)
            purse, share = self.offered[change.offer].purse, self.offered[change.offer].terms.share
            return share * purse.mean(flipped), purse.fixed.wins, purse.fixed.losses + flipped
        together = self._led(scales)
        evidence = self.answers.beside(together)
        if evidence > together:  # what is shown of the bets is the half that came further
            return evidence, self.answers.purse.fixed.wins, self.answers.purse.fixed.losses
        further = max(self.leaders, key=lambda leader: leader.mean(scales))
        bets = further.purse.fixed
        return evidence, bets.wins, bets.losses + scaled(further.flipped, scales)

    def _silent_loss(self, change: Change, scales: Sequence[float]) -> float:
        return 0.0 if change == Change() else self._total(change, [0.0, *scales[1:]])

    def _chosen(self, scales: Sequence[float]) -> Change:
        """What is proved, or else what loses least; of what loses as little, one number before several.

        Of another structure only what loses less by a good deal than any numbers.
        """
        in_choice = self._in_choice(scales)
        offers = {Change(offer=i): offer.terms.structural for i, offer in enumerate(self.offered)}
        choices = [self._best(in_choice), *(change for change, structural in offers.items() if not structural)]
        enough = min(self._total(change, in_choice) for change in (Change(), *choices)) - BEYOND
        choices += [c for c, structural in offers.items() if structural and self._total(c, in_choice) <= enough]
        proved = [c for c in choices if c != Change() and self._evidence(c, scales)[0] >= 1.0 / self.alpha]
        best, least = Change(), self.champion
        for change in proved or choices:
            loss = self._total(change, in_choice)
            if loss < least - self._slack():
                best, least = change, loss
        return best

    def judgement(self) -> Judgement:
        """What is known by now."""
        scales = self._scales()
        best = self._chosen(scales)
        gains = [(c, c.now - best.loss(c)) for c in self.cases]
        gain = sum(sure(c) * c.fresh * d for c, d in gains)
        before = 1.0 - self.champion / self.weight if self.weight else 1.0
        found = gain > 0.0
        if not found:
            best, gains = Change(), []
        evidence, wins, losses = self._evidence(best, scales)
        regressions = tuple(c.id for c, d in gains if d < 0 and (c.approved or c.now <= 0))
        fixes = tuple(c.id for c, d in gains if d > 0)
        broken = bool(regressions) or (bool(self.reading.assumed) and self._silent_loss(best, scales) > 0)
        harmless = bool(fixes) and not broken and self._small(best)
        level = self._level(evidence, harmless) if found else None
        needed = self._needed(evidence, wins, losses, best, scales) if found and not level else None
        silence = (words for o in self.opinions.values() for words in o.words(scales[CHANNEL[o.kind]]))
        return Judgement(
            axis=best.axis,
            value=best.value if best.axis is not None else None,
            offer=best.offer,
            fit=self.sweeps[best.axis].fit(self._in_choice(scales)) if best.axis is not None else None,
            e_value=evidence,
            wins=wins,
            losses=losses,
            decision="promote" if level else "wait" if found else "keep",
            level=level,
            regressions=regressions,
            fixes=fixes,
            harmless=harmless,
            needed=needed,
            reasons=(*self._outcome(found, level, evidence, harmless, needed), *silence),
            silent_weight=sum(o.silent_weight * scales[CHANNEL[o.kind]] for o in self.opinions.values()),
            before=before,
            after=before + gain / self.weight if found else before,
            bets=tuple(self.bets if best.offer is None else self.offered[best.offer].staked),
        )

    def _level(self, evidence: float, harmless: bool) -> Level | None:
        if evidence >= 1.0 / self.alpha:
            return "proven"
        return "provisional" if harmless and evidence >= self._provisional else None

    @property
    def _provisional(self) -> float:
        return max(2.0, PROVISIONAL / self.alpha)

    def _small(self, change: Change) -> bool:
        """At most a factor of 2 where the range is of one sign, else at most half of the range; one number only."""
        if change.axis is None or not self.axes[change.axis].number:
            return False  # of another choice nobody can say how little it changes
        axis = self.axes[change.axis]
        if axis.lower > 0 and axis.incumbent > 0:
            return 0.5 <= change.value / axis.incumbent <= 2.0
        return abs(change.value - axis.incumbent) <= (axis.upper - axis.lower) / 2

    def _needed(
        self, evidence: float, wins: float, losses: float, change: Change, scales: Sequence[float]
    ) -> int | None:
        """About how many more labelled executions, if they go on as the bets did (or as `change` would have)."""
        n = len(self.cases)
        if wins <= losses:
            changed = [c.now - change.loss(c) for c in self.cases]
            wins = sum(d for d in changed if d > 0)
            losses = sum(-d for d in changed if d < 0) + self._silent_loss(change, scales)
        # One more than there were: few wins that nobody contradicted are no rate yet.
        growth = max(wins * math.log1p(s) + losses * math.log1p(-s) for s in STAKES) / (n + 1)
        if growth <= 0.0:
            return None
        more = math.ceil((math.log(1.0 / self.alpha) - math.log(max(evidence, 1e-300))) / growth)
        if more > 1_000:  # so slow a growth is chance
            return None
        return max(1, round(more, -1) if more > 20 else more, smallest_count(self.alpha) - n)

    def _outcome(
        self, found: bool, level: Level | None, evidence: float, harmless: bool, needed: int | None
    ) -> list[str]:
        reached = f"evidence {evidence:.3g} reaches"
        if not self.cases:
            return ["nothing was said about any execution yet"]
        if not found:
            alone = len(self.axes) == 1 and self.axes[0].number and not self.structural
            than = f"{self.axes[0].incumbent:g}" if alone else "what is in use"
            return [f"no other value does better than {than} on what was said, silence included"]
        if level == "proven":
            return [f"{reached} {1 / self.alpha:g}: an error happens in at most {100 * self.alpha:g}% of such cases"]
        if level == "provisional":
            settled = "it settles a complaint, breaks nothing approved, and changes little"
            return [f"{reached} {self._provisional:g}: {settled}"]
        more = f", about {needed} more {self.reading.labelled}" if needed else ""
        reasons = [f"evidence {evidence:.3g} is below {1 / self.alpha:g}{more}"]
        if evidence >= self._provisional and not harmless:
            reasons.append("not provisional: it breaks something approved, or changes much")
        return reasons


def judge(
    cases: Sequence[Case],
    silent: Sequence[Case],
    axes: Sequence[Axis],
    offered: Sequence[Terms] = (),
    alpha: float = ALPHA,
    reading: Reading = EXECUTIONS,
    *,
    structures: bool = False,
    rewrites: bool = False,
    ages: bool = False,
) -> Judgement:
    """Labelled and silent executions, each in order of arrival -> whether a candidate may replace the champion.

    `offered` are the terms of each offer, `structures` and `rewrites` say whether some may be of another
    structure, or other code, `ages` whether evidence begins anew where a case says so. Evidence for one
    number is the mean of two e-values, of the numbers that led as feedback came when silence is heeded and when it is
    not; for an offer it is that of its own bets. "proven" needs 1/alpha; "provisional" needs half of that, a complaint
    settled, no approved execution broken and a change of one number by at most a factor 2 (half of the range, where it
    is not positive). The candidate itself is chosen on everything. A silent execution has a loss of 0 where the outcome
    is the champion's; silence is taken as spread evenly over the feedback. A sample of it must stand for all by its
    weights, and is best drawn among results nobody complains of.
    """
    judge = Judge(axes, offered, alpha, reading, structures=structures, rewrites=rewrites, ages=ages)
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
