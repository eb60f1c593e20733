"""Bets on executions -> how strongly they speak for a candidate, at whatever moment one looks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from poet_hook.learning.silence import EXECUTIONS, KINDS, Near, Opinions, Reading

STAKES = tuple((i + 0.5) / 100 for i in range(100))
CEILING = 1e300
KEPT = 4  # starts of a purse that is renewed
HIGHEST = 0.95  # of a stake that a record tells: what never lost so far may lose


class Wealth:
    """What one bettor has, for each of the fixed stakes, if it began with 1 each.

    Bets are counted by their size, of which there are few, and multiplied when they are asked for.
    """

    __slots__ = ("bets", "losses", "wins")

    def __init__(self) -> None:
        self.bets: dict[float, int] = {}
        self.wins = self.losses = 0.0

    def bet(self, difference: float) -> None:
        """Win (or lose, where negative) this much, in [-1, 1]."""
        if not difference:
            return
        self.wins += max(difference, 0.0)
        self.losses += max(-difference, 0.0)
        self.bets[difference] = self.bets.get(difference, 0) + 1

    def mean(self, silent_losses: float = 0.0) -> float:
        """The mean over the stakes, after this many silent losses more (a fraction of one counts so)."""
        if not self.bets and not silent_losses:
            return 1.0
        logs = [silent_losses * x for x in _growth(-1.0)]
        for difference, count in self.bets.items():
            logs = [log + count * x for log, x in zip(logs, _growth(difference), strict=True)]
        largest = max(logs)
        log = largest + math.log(math.fsum(math.exp(x - largest) for x in logs) / len(STAKES))
        return min(CEILING, math.exp(min(log, 700.0)))


@cache
def _whole(difference: float) -> tuple[float, ...]:
    return tuple(math.log1p(s * difference) for s in STAKES)


def _growth(difference: float) -> tuple[float, ...]:
    """By how much the logarithm of each stake's wealth grows with such a bet; sizes of 1 come again and again."""
    if abs(difference) == 1.0:
        return _whole(difference)
    return tuple(math.log1p(s * difference) for s in STAKES)


class Purse:
    """What the bettor has who follows a candidate: half of it on the fixed stakes, half on one that its record tells.

    The record is what the candidate won and lost less on everything heard so far, the executions that it was chosen
    from included: these are no evidence, but they say how much to stake on it. The stake is the sum of that over its
    sum of squares, which nearly makes the wealth grow fastest (Waudby-Smith and Ramdas 2024), with 1 more below.
    """

    __slots__ = ("_highest", "_log", "fixed")

    def __init__(self) -> None:
        self.fixed = Wealth()
        self._log = self._highest = 0.0

    def bet(self, difference: float, record: tuple[float, float]) -> None:
        """Win (or lose, where negative) this much; `record` was known before: a sum, and its sum of squares."""
        if not difference:
            return
        won, squares = record
        stake = min(HIGHEST, max(0.0, won) / (1.0 + squares))
        self.fixed.bet(difference)
        self._log += math.log1p(stake * difference)
        self._highest = max(self._highest, stake)

    def mean(self, silent_losses: float = 0.0) -> float:
        """Both halves together, after this many silent losses more, each of them at the highest stake there was."""
        log = self._log + silent_losses * math.log1p(-self._highest)
        return min(CEILING, (self.fixed.mean(silent_losses) + math.exp(min(log, 700.0))) / 2.0)


class Renewed(Purse):
    """A purse of which a half begins anew after each half-life, with the bets from there on.

    Taking back a bet that was won would be no fair game, and neither would be to begin anew whenever that looks better.
    But it may be done at times that were set before, with money that was kept back: at each of them a half of what is
    kept back is put on a new start. The start before the latest `KEPT` ends there; what is left of its stake goes back,
    and what it won is given away, so that evidence older than that counts for nothing. The whole is a fair game at
    best: it ever reaches x with probability at most 1/x. (Shin, Ramdas and Rinaldo 2024 sum games begun at every
    moment, each with 1; that bounds how often they err, not whether they ever do.)
    """

    __slots__ = ("_kept_back", "_starts")

    def __init__(self) -> None:
        self._kept_back = 1.0
        self._starts: list[tuple[float, Purse]] = []

    def renew(self) -> None:
        """Begin a half-life."""
        if len(self._starts) == KEPT:
            stake, oldest = self._starts.pop(0)
            self._kept_back += stake * min(1.0, oldest.mean())
        self._kept_back /= 2.0
        self._starts.append((self._kept_back, Purse()))

    def bet(self, difference: float, record: tuple[float, float]) -> None:
        """As `Purse.bet`, with every start."""
        for _, purse in self._starts:
            purse.bet(difference, record)

    def mean(self, silent_losses: float = 0.0) -> float:
        """All together; each start is charged with all silent losses."""
        return min(CEILING, self._kept_back + sum(stake * purse.mean(silent_losses) for stake, purse in self._starts))

    @property
    def fixed(self) -> Wealth:  # type: ignore[override]
        """The bets of the start that came furthest."""
        return max(self._starts, key=lambda start: start[0] * start[1].mean(), default=(0.0, Purse()))[1].fixed


def purse_of(*, ages: bool) -> Purse:
    """A purse, or one that is renewed."""
    return Renewed() if ages else Purse()


class Answers:
    """What is known from answers to questions alone, where questions are drawn at random from what nobody spoke of.

    Such answers need no assumption about silence: they are a sample of it. What was said unasked is not, so here it
    counts only where it speaks against the candidate.
    """

    __slots__ = ("purse", "start")

    def __init__(self, *, ages: bool = False) -> None:
        self.purse = purse_of(ages=ages)
        self.start: float | None = None

    def begin(self, evidence: float) -> None:
        """The first answer comes, and there was this much evidence before it, silence left out."""
        if self.start is None:
            self.start = min(1.0, evidence)

    def renew(self) -> None:
        """Begin a half-life, where evidence ages."""
        if isinstance(self.purse, Renewed):
            self.purse.renew()

    def bet(self, difference: float, record: tuple[float, float], *, asked: bool) -> None:
        """As `Purse.bet`; nothing before the first answer."""
        if self.start is not None:
            self.purse.bet(difference if asked else min(difference, 0.0), record)

    def beside(self, evidence: float) -> float:
        """Half of the wealth goes on as before, which comes to `evidence`; half of it bets on answers alone."""
        return evidence if self.start is None else (evidence + self.start * self.purse.mean()) / 2.0


def e_value(differences: Iterable[float]) -> float:
    """Differences (loss of the incumbent - loss of the candidate) in [-1, 1] -> evidence that the mean is > 0.

    The mean over 100 fixed stakes s in [0, 1] of the product of 1 + s*d: if E[d | past] <= 0 throughout, it
    ever reaches x with probability at most 1/x, however often one looks, provided that each candidate was
    chosen before its execution. For wins b and losses c of size 1 it is about
    2^(b+c+1) * B(b+1, c+1) * P(Beta(b+1, c+1) > 1/2). Raises ValueError for a difference out of [-1, 1].

    Ville 1939; Robbins 1970; Howard, Ramdas, McAuliffe, Sekhon 2021; Waudby-Smith and Ramdas 2024; Gruenwald,
    de Heide, Koolen 2024.
    """
    wealth = Wealth()
    for difference in differences:
        if not -1.0 <= difference <= 1.0:
            raise ValueError(f"a difference of losses lies in [-1, 1], not at {difference!r}")
        wealth.bet(difference)
    return wealth.mean()


def mean_gain(differences: Sequence[float], alpha: float) -> tuple[float, float, float]:
    """Differences in [-1, 1], at least one -> their mean, and what the expected mean is above, and what it is below.

    Each end is wrong with probability at most alpha, at whatever moment one looks, however the candidates change. For
    a fixed stake s the product of (1 + s*d) / (1 + s*E[d | past]) is a fair game, and since the logarithm is concave,
    it is at least the product of 1 + s*d over (1 + s*m)^n, where m is the mean of the n expectations. So while the mean
    of that over all stakes is 1/alpha or more, m is too low; at m = 0 that is the evidence itself. The other end comes
    from the same bets on the contrary. (Betting as in Waudby-Smith and Ramdas 2024.)
    """
    mean = math.fsum(differences) / len(differences)
    return mean, _above(differences, alpha), -_above([-d for d in differences], alpha)


def _above(differences: Sequence[float], alpha: float) -> float:
    """The least mean that these differences leave possible."""
    logs = [math.fsum(math.log1p(s * d) for d in differences) for s in STAKES]
    low, high = -1.0, math.fsum(differences) / len(differences)
    for _ in range(30):
        m = (low + high) / 2
        terms = [log - len(differences) * math.log1p(s * m) for s, log in zip(STAKES, logs, strict=True)]
        largest = max(terms)
        log = largest + math.log(math.fsum(math.exp(t - largest) for t in terms) / len(STAKES))
        low, high = (m, high) if log >= -math.log(alpha) else (low, m)
    return low


def smallest_count(alpha: float) -> int:
    """How many wins without a loss are evidence at this alpha."""
    wins = 1
    while (2.0 ** (wins + 1) - 1.0) / (wins + 1) < 1.0 / alpha:
        wins += 1
    return wins


@dataclass(frozen=True, slots=True)
class Difference:
    """One execution under two fixed versions: what the challenger loses less than the champion, in [-1, 1].

    `approved` says whether the champion's result was called right (None: what was said was of another result);
    `weight`, `alarm`, `distances`, `asked`, `fresh` and `renews` are as in `Case`. Of a silent one `gain` is minus the
    challenger's loss.
    """

    gain: float
    weight: float = 1.0
    approved: bool | None = None
    alarm: bool | None = None
    distances: Near = ()
    asked: bool = False
    fresh: float = 1.0
    renews: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether a challenger does better: `gain` is what it loses less in all, silence included."""

    e_value: float
    gain: float
    silent_weight: float
    reasons: tuple[str, ...]


def compare(
    labelled: Iterable[Difference],
    silent: Iterable[Difference],
    reading: Reading = EXECUTIONS,
    *,
    ages: bool = False,
) -> Comparison:
    """Executions under two versions that none of this feedback helped to choose -> evidence for the challenger.

    If the challenger is no better, the evidence ever reaches x with probability at most 1/x, at whatever moment one
    looks. What silence counts for is assumed as in `judge`, and said in the reasons.
    """
    wealth: Wealth | Renewed = Renewed() if ages else Wealth()
    answers, gain, squares = Answers(ages=ages), 0.0, 0.0
    opinions = {kind: Opinions(kind, reading) for kind in KINDS}
    for case in labelled:
        bet = min(max(case.weight, 0.0), 1.0) * case.gain
        if case.asked:
            answers.begin(wealth.mean())
            opinions[case.alarm].answer(bool(case.approved))
        record = gain / case.fresh, squares / case.fresh
        if isinstance(wealth, Wealth):
            wealth.bet(bet)
        else:
            if case.renews:
                wealth.renew()
                answers.renew()
            wealth.bet(bet, record)
        answers.bet(bet, record, asked=case.asked)
        gain += case.fresh * bet
        squares += case.fresh * bet * bet
        if case.approved is not None and not case.asked:
            opinions[case.alarm].hear(case.approved, case.distances)
    for case in silent:
        opinions[case.alarm].hush(case.weight * case.fresh, -case.gain, case.distances)
    weights = [(each, each.agreement()) for each in opinions.values()]
    lost = sum(each.flipped * weight for each, weight in weights)
    in_choice = sum(each.flipped * each.in_choice(weight) for each, weight in weights)
    return Comparison(
        e_value=answers.beside(wealth.mean(lost)),
        gain=gain - in_choice,
        silent_weight=sum(each.silent_weight * weight for each, weight in weights),
        reasons=tuple(words for each, weight in weights for words in each.words(weight)),
    )
