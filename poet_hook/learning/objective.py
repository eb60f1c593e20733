"""What people said -> the loss of an outcome, between 0 (best) and 1.

    accuracy        1 where the decision (or the value) is not the expected one
    precision       a false alarm costs 1 and a miss 0.2: without that, never to alert would be best
    recall          a miss costs 1 and a false alarm 0.2: without that, always to alert would be best
    alert_quality   a false alarm and a miss each cost what `cost=` says, scaled so that the dearer one is 1
    f1              false alarms cost F/2 and misses 1 - F/2, where F is the F1 score that is to be beaten
                    (Lipton, Elkan and Naryanaswamy 2014: the threshold that maximises F1 is F*/2), scaled likewise
    error           the distance to the expected number, relative to it, at most 1
    absolute_error  the distance to the expected number, relative to one scale for all, at most 1
    module:function what the user's own function says of (expected, outcome), where the expected result is known

All are minimised. Where nobody named the expected value, "wrong" on a result that is no yes or no counts half
for any other result: what would have been right is not known. Of numbers, unless they are whole and must only be
hit, no other one is likely to be it, so none costs less. "Too high" costs half for the number itself, nothing below
it, and 1 above it: if it cost 1, a small step would settle half of all complaints and make the other half no worse,
however good the number was. A number outside an expected range loses 1, or for the errors its distance to the range,
relative to the nearer end or the scale. What was said of fields of a result is judged in these fields: the mean over
them, by how sure they are.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from poet_hook.domains.base import decision
from poet_hook.domains.number import is_number
from poet_hook.learning.results import WHOLE, beyond, equal, field
from poet_hook.model import UNSET

ERRORS = ("error", "absolute_error")
LESSER = 0.2  # what the other mistake costs, where only one is named
Loss = Callable[[Any, Any], float]
"""(expected, outcome) -> 0 to 1."""
Kind = Literal["decision", "value", "range", "direction", "not", "fields"]


@dataclass(frozen=True, slots=True)
class Label:
    """What is known about one execution; `approved` where its recorded result was said to be right.

    The `value` of "direction" and "range" begins with the recorded number; that of "fields" is a tuple of pairs, the
    path of a field (empty for the whole result) and its label.
    """

    execution_id: str
    kind: Kind
    value: Any
    weight: float
    approved: bool
    order: int


@dataclass(frozen=True, slots=True)
class Objective:
    """How much each kind of mistake costs, in 0..1; a loss of 1 is `unit` in the terms of the metric.

    `scale` is what counts as an absolute error of 1, `own` a loss that the user wrote.
    """

    name: str
    false_alarm: float = 1.0
    miss: float = 1.0
    unit: float = 1.0
    scale: float = 1.0
    own: Loss | None = None

    def loss(self, known: Label, outcome: Any) -> float:
        """The loss of `outcome` (UNSET: it failed or can't be compared) where `known` is the truth."""
        if outcome is UNSET:
            return 1.0
        if known.kind == "decision":
            decided = decision(outcome)
            if decided is None:
                return 1.0
            if self.own is not None:
                return self.own(known.value, decided)
            if decided == known.value:
                return 0.0
            return self.false_alarm if decided else self.miss
        if known.kind == "value":
            return self.own(known.value, outcome) if self.own is not None else self._distance(known.value, outcome)
        if known.kind == "fields":
            losses = [(part.weight, self.loss(part, field(outcome, path))) for path, part in known.value]
            return math.fsum(weight * loss for weight, loss in losses) / math.fsum(weight for weight, _ in losses)
        if known.kind == "range":
            return self._outside(known.value[1], outcome)
        if known.kind == "direction":
            recorded, sign = known.value
            if not is_number(outcome) or not is_number(recorded):
                return 1.0
            ahead = outcome > recorded if sign > 0 else outcome < recorded
            return 0.0 if ahead else 0.5 if outcome == recorded else 1.0
        return 1.0 if equal(outcome, known.value) or self._among_many(known.value, outcome) else 0.5

    def _among_many(self, wrong: Any, outcome: Any) -> bool:
        """Whether a result that is not the wrong one is hardly the right one: there are more numbers than labels."""
        if not (is_number(wrong) and is_number(outcome)):
            return False
        whole = isinstance(wrong, numbers.Integral) and isinstance(outcome, numbers.Integral)
        return self.name in ERRORS or not whole

    def _distance(self, expected: Any, outcome: Any) -> float:
        if self.name in ERRORS and is_number(expected) and is_number(outcome):
            distance = abs(float(outcome) - float(expected))
            scale = self.scale if self.name == "absolute_error" else abs(float(expected)) or 1.0
            return min(1.0, distance / scale) if math.isfinite(distance) else 1.0
        return 0.0 if equal(expected, outcome) else 1.0

    def _outside(self, limits: Mapping[str, Any], outcome: Any) -> float:
        if not is_number(outcome):
            return 1.0
        side, end = beyond(limits, outcome)
        return self._distance(end, outcome) if side and self.name in ERRORS else float(side != 0)


PLAIN = Objective("accuracy")


@dataclass(frozen=True, slots=True)
class Score:
    """Counts over labelled decisions; `accuracy` is None where nothing is labelled."""

    right: int = 0
    wrong: int = 0
    true_alarms: int = 0
    false_alarms: int = 0
    misses: int = 0

    @property
    def accuracy(self) -> float | None:
        total = self.right + self.wrong
        return self.right / total if total else None

    @property
    def precision(self) -> float | None:
        alarms = self.true_alarms + self.false_alarms
        return self.true_alarms / alarms if alarms else None

    @property
    def recall(self) -> float | None:
        deserved = self.true_alarms + self.misses
        return self.true_alarms / deserved if deserved else None

    @property
    def f1(self) -> float | None:
        total = 2 * self.true_alarms + self.false_alarms + self.misses
        return 2 * self.true_alarms / total if total else None


def score(pairs: Iterable[tuple[Label, Any]]) -> Score:
    """Count right and wrong outcomes (UNSET: failed) of labelled executions."""
    counts = dict.fromkeys(("right", "wrong", "true_alarms", "false_alarms", "misses"), 0)
    for known, outcome in pairs:
        counts["right" if PLAIN.loss(known, outcome) < 0.5 else "wrong"] += 1
        parts = known.value if known.kind == "fields" else ((WHOLE, known),)
        decided = next((part for _, part in parts if part.kind == "decision"), None)
        if decided is not None and outcome is not UNSET:
            good = PLAIN.loss(decided, outcome) < 0.5
            if good and decided.value:
                counts["true_alarms"] += 1
            elif not good:
                counts["misses" if decided.value else "false_alarms"] += 1
    return Score(**counts)


def objective(
    name: str,
    cost: tuple[float, float] = (1.0, 1.0),
    f1: float = 0.5,
    scale: float = 1.0,
    own: Loss | None = None,
) -> Objective:
    """The objective that `optimize_for` names.

    `cost` is (false alarm, miss), `f1` the score that is to be beaten, `scale` an absolute error that costs 1.
    """
    if name == "alert_quality":
        dearer = max(cost)
        return Objective(name, cost[0] / dearer, cost[1] / dearer, unit=dearer)
    if name == "f1":
        return Objective(name, f1 / (2.0 - f1), 1.0)  # F/2 and 1 - F/2, the dearer one as 1
    if name == "absolute_error":
        return Objective(name, unit=scale, scale=scale)
    if name in ("precision", "recall"):
        return Objective(name, *((1.0, LESSER) if name == "precision" else (LESSER, 1.0)))
    return Objective(name, own=own)


def distances(known: Label, outcome: Any) -> Iterator[tuple[float, float]]:
    """How far numbers lie from those that were named, and these (of a range, the nearer end; 0 apart within it)."""
    if known.kind == "fields":
        for path, part in known.value:
            yield from distances(part, field(outcome, path))
    elif known.kind == "value" and is_number(known.value) and is_number(outcome):
        yield abs(float(outcome) - float(known.value)), float(known.value)
    elif known.kind == "range" and is_number(outcome):
        side, end = beyond(known.value[1], outcome)
        end = end if side else next(iter(known.value[1].values()))
        yield abs(float(outcome) - float(end)) if side else 0.0, float(end)
