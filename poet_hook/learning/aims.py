"""What `optimize_for` names, and what was said so far -> the objective that judges each execution, and its terms.

A bet is only fair if its stake was known before. So what an objective takes from the labels themselves comes from
earlier labels than the one that it judges:

    f1              F, the champion's score, from the labels before this one that nobody asked for, begun as ten
                    executions at 0.5, or at what answers tell (`_Answered`); for a new false alarm taken for 0.3 at
                    least: where only mistakes are told, it seems to be 0
    absolute_error  the scale, from the labels before the champion came into use, or from the first five; these help to
                    fit and never judge

The bets of `f1` are fair for the costs of their moment: "costs no more, as F is known by then". As F settles, that
becomes "has no better F1". The others have the same costs throughout.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from poet_hook.domains.base import decision
from poet_hook.learning.objective import Label, Loss, Objective, Score, distances, objective, score
from poet_hook.model import Metric

SETTLING = 5  # executions with a distance, from which the scale is told
REACH = 4.0  # times the champion's mean error there is the scale
PRIOR_F1, PRIOR_WEIGHT = 0.5, 10.0
# Answers with which precision and the rate of misses begin, at a half each. With 5 of them 1.9 % of 105 streams of 100
# answers were made worse by over a point, with 10 of them 2.9 %, with 2 none; 3.6 % where answers told nothing of F.
PRIOR_ANSWERS = 2.0
# Complaints of misses alone, 30 each, about the best number: without it 1 of 20 streams was made worse, with it none.
LEAST_F1 = 0.3
Labelled = tuple[int, Label, object]
"""The index of an execution, what is known of it, and what the champion returns there."""

METRIC: dict[str, Metric] = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "f1",
    "alert_quality": "cost",
    "error": "relative_error",
    "absolute_error": "absolute_error",
    "latency": "latency",
    "reliability": "reliability",
    "reward": "reward",
    "cost": "spent",
}
SHARES: tuple[Metric, ...] = ("accuracy", "precision", "recall", "f1")
HIGHER: tuple[Metric, ...] = ("reliability", "reward")
"""Of what only live calls can tell, where more is better."""
WORDS: dict[Metric, str] = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "cost": "mean cost",
    "relative_error": "mean relative error",
    "absolute_error": "mean absolute error",
    "loss": "mean loss",
    "latency": "mean latency",
    "reliability": "reliability",
    "reward": "mean reward",
    "spent": "mean cost",
}
_UNITS: dict[Metric, str] = {
    "accuracy": "in percent of the results",
    "precision": "in percent of the alerts; a missed one costs a fifth of a false alarm",
    "recall": "in percent of what deserves an alert; a false alarm costs a fifth of a missed one",
    "f1": "in percent",
    "cost": "per result, as cost= counts it",
    "relative_error": "as a share of the right number, at most 1",
    "absolute_error": "in the unit of the result",
    "loss": "from 0 to 1",
    "latency": "in seconds",
    "reliability": "in percent of the calls; the others end in an error or the fallback",
    "reward": "from 0 to 1, as calls are rated",
    "spent": "per call, in the unit of what is said",
}


@dataclass(frozen=True, slots=True)
class Aims:
    """The objective by which each labelled execution is judged, `last` for all others.

    `fits_only` are the executions from which the objective itself was told; they are no evidence.
    """

    name: str
    last: Objective
    each: Mapping[int, Objective] = field(default_factory=dict)
    fits_only: frozenset[int] = frozenset()

    def at(self, index: int) -> Objective:
        """By what the execution at this index is judged."""
        return self.each.get(index, self.last)

    @property
    def metric(self) -> Metric:
        """In what terms evidence is told."""
        return METRIC.get(self.name, "loss")

    def measured(self, labelled: Sequence[Labelled]) -> float:
        """The metric over labelled executions, of what is returned there; 0 where it is not defined, or there are none.

        Of absolute errors each counts as at most the scale.
        """
        if self.metric in SHARES:
            return shares(score((known, outcome) for _, known, outcome in labelled))[self.metric] or 0.0
        losses = [self.last.loss(known, outcome) for _, known, outcome in labelled]
        return self.last.unit * math.fsum(losses) / len(losses) if losses else 0.0


def described(optimize_for: str) -> str:
    """An objective in words: the metric, its direction and its unit; several, one after the other."""
    if "+" in optimize_for:
        return ", and ".join(map(described, optimize_for.split("+")))
    metric = METRIC.get(optimize_for, "loss")
    direction = "higher" if metric in (*SHARES, *HIGHER) else "lower"
    of = "" if optimize_for in METRIC else f" of {optimize_for}()"
    return f"{WORDS[metric]}{of}, {direction} is better, {_UNITS[metric]}"


def shares(counted: Score) -> dict[Metric, float | None]:
    """The metrics that are shares; None where there is nothing of which it would be one."""
    return {
        "accuracy": counted.accuracy,
        "precision": counted.precision,
        "recall": counted.recall,
        "f1": counted.f1,
    }


def aims_of(
    name: str,
    cost: tuple[float, float],
    labelled: Sequence[Labelled],
    older: int = 0,
    own: Loss | None = None,
    asked: Collection[int] = (),
    silent: Iterable[tuple[object, float]] = (),
) -> Aims:
    """How each of these executions is judged, in the order in which feedback came.

    The first `older` of them came before the champion was in use; `own` is the loss of an objective `module:function`;
    `asked` are the indices of answers to questions, `silent` what the champion returns where nobody spoke, and for how
    many executions each stands.
    """
    if name == "f1":
        return _running_f1(labelled, asked, silent)
    if name == "absolute_error":
        return _scaled(labelled, older)
    return Aims(name, objective(name, cost, own=own))


class _Answered:
    """What answers to questions tell of F, from below: they are asked where mistakes are, and are no sample of all.

    Precision is that of the answers, for all alerts. So is the rate of misses, for as many quiet results as there are
    alerts: answers are of those nearest to a limit, and beyond them misses are few.
    """

    def __init__(self, outcomes: Iterable[tuple[object, float]]) -> None:
        self.alerts = self.quiet = 0.0
        for outcome, count in outcomes:
            kind = decision(outcome)
            self.alerts += count * (kind is True)
            self.quiet += count * (kind is False)
        self.right = self.missed = PRIOR_ANSWERS / 2.0
        self.of_alerts = self.of_quiet = PRIOR_ANSWERS

    def add(self, outcome: object, counted: Score) -> None:
        """Take in an answer."""
        kind = decision(outcome)
        self.right += counted.true_alarms
        self.missed += counted.misses
        self.of_alerts += kind is True
        self.of_quiet += kind is False

    @property
    def f1(self) -> float:
        found = self.alerts * self.right / self.of_alerts
        missed = min(self.alerts, self.quiet) * self.missed / self.of_quiet
        return 2.0 * found / (self.alerts + found + missed) if found else 0.0


def _running_f1(labelled: Sequence[Labelled], asked: Collection[int], silent: Iterable[tuple[object, float]]) -> Aims:
    """By the costs of F known before each label; a false alarm that the champion raises is saved, another is new."""
    each = {}
    agree = total = 0.0
    answers = [(outcome, 1.0) for index, _, outcome in labelled if index in asked]
    answered = _Answered(answers and [*answers, *silent])

    def aim(outcome: object) -> Objective:
        begun = answered.f1 if answers else PRIOR_F1
        f1 = (agree + begun * PRIOR_WEIGHT) / (total + PRIOR_WEIGHT)
        saved = bool(answers) and decision(outcome) is True
        return objective("f1", f1=f1 if saved else max(f1, LEAST_F1))

    for index, known, outcome in labelled:
        each[index] = aim(outcome)
        counted = score([(known, outcome)])
        if index in asked:
            answered.add(outcome, counted)
            continue
        agree += 2 * counted.true_alarms
        total += 2 * counted.true_alarms + counted.false_alarms + counted.misses
    return Aims("f1", aim(None), each)


def _scaled(labelled: Sequence[Labelled], older: int) -> Aims:
    """The scale is 4 times the champion's mean error; where it had none yet, the largest number that was named."""
    used: set[int] = set()
    errors: list[float] = []
    named = [0.0]
    for position, (index, known, outcome) in enumerate(labelled):
        if position >= older and len(used) >= SETTLING:
            break
        found = list(distances(known, outcome))
        if found:
            used.add(index)
            errors += [error for error, _ in found if math.isfinite(error)]
            named += [abs(number) for _, number in found if math.isfinite(number)]
    mean = math.fsum(errors) / len(errors) if errors else 0.0
    scale = REACH * mean or max(named) or 1.0
    return Aims("absolute_error", objective("absolute_error", scale=scale), fits_only=frozenset(used))
