"""What people said -> the loss of an outcome, between 0 (best) and 1.

    accuracy       1 where the decision (or the value) is not the expected one
    alert_quality  a false alarm and a miss each cost what `cost=` says, scaled so that the dearer one is 1
    f1             false alarms cost F/2 and misses 1 - F/2, where F is the F1 score that is to be beaten
                   (Lipton, Elkan and Naryanaswamy 2014: the threshold that maximises F1 is F*/2), scaled likewise
    error          the distance to the expected number, relative to it, at most 1

All are minimised. Where nobody named the expected value, "wrong" on a result that is no yes or no counts half
for any other result: what would have been right is not known.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from poet_hook.domains.base import decision
from poet_hook.model import UNSET, Feedback, Signal

_KNIFE_EDGE = 1e-9


@dataclass(frozen=True, slots=True)
class Label:
    """What is known about one execution; `approved` where its recorded result was said to be right."""

    execution_id: str
    kind: Literal["decision", "value", "direction", "not"]
    value: Any
    weight: float
    approved: bool
    order: int


def label(execution_id: str, said: Sequence[Feedback], recorded: Any) -> Label | None:
    """One label from all that was said about an execution (latest per source); None where nothing is left.

    Sources that contradict each other take weight from each other, down to nothing.
    """
    found = [one for one in (_label(item, recorded) for item in said) if one is not None]
    if not found:
        return None
    groups: list[tuple[Label, float]] = []
    for one in found:
        for index, (first, weight) in enumerate(groups):
            if first.kind == one.kind and _equal(first.value, one.value):
                groups[index] = (first, weight + one.weight)
                break
        else:
            groups.append((one, one.weight))
    groups.sort(key=lambda pair: pair[1], reverse=True)
    best, weight = groups[0]
    net = weight - sum(other for _, other in groups[1:])
    if net <= _KNIFE_EDGE:
        return None
    order = min(item.id for item in said)
    return Label(execution_id, best.kind, best.value, min(net, 1.0), best.approved, order)


def _label(item: Feedback, recorded: Any) -> Label | None:
    signal = item.signal
    made = _meaning(signal, recorded)
    if made is None:
        return None
    kind, value, approved = made
    weight = signal.confidence
    if signal.kind == "reward":
        weight *= abs(2.0 * float(signal.value) - 1.0)
    if weight <= 0:
        return None
    return Label(item.execution_id, kind, value, weight, approved, item.id)


def _meaning(
    signal: Signal, recorded: Any
) -> tuple[Literal["decision", "value", "direction", "not"], Any, bool] | None:
    decided = decision(recorded) if recorded is not UNSET else None
    if signal.kind == "unread":
        return None
    if signal.kind == "expected":
        expected = decision(signal.value)
        if expected is None and decided is not None and _is_number(signal.value) and signal.value in (0, 1):
            expected = bool(signal.value)  # data sets write 0 and 1
        if expected is not None and (decided is not None or recorded is UNSET):
            return "decision", expected, expected == decided
        value = int(signal.value) if isinstance(signal.value, bool) and _is_number(recorded) else signal.value
        return "value", value, _equal(value, recorded)
    if recorded is UNSET:
        return None
    if signal.kind == "direction":
        return "direction", (recorded, int(signal.value)), False
    right = signal.kind == "right" or (signal.kind == "reward" and float(signal.value) >= 0.5)
    if decided is not None:
        return "decision", decided if right else not decided, right
    return ("value", recorded, True) if right else ("not", recorded, False)


@dataclass(frozen=True, slots=True)
class Objective:
    """How much each kind of mistake costs, in 0..1."""

    name: str
    false_alarm: float = 1.0
    miss: float = 1.0

    def loss(self, known: Label, outcome: Any) -> float:
        """The loss of `outcome` (UNSET: it failed or can't be compared) where `known` is the truth."""
        if outcome is UNSET:
            return 1.0
        if known.kind == "decision":
            decided = decision(outcome)
            if decided is None:
                return 1.0
            if decided == known.value:
                return 0.0
            return self.false_alarm if decided else self.miss
        if known.kind == "value":
            return self._distance(known.value, outcome)
        if known.kind == "direction":
            recorded, sign = known.value
            if not _is_number(outcome) or not _is_number(recorded):
                return 1.0
            return 0.0 if (outcome - recorded) * sign > 0 else 1.0
        return 1.0 if _equal(outcome, known.value) else 0.5

    def _distance(self, expected: Any, outcome: Any) -> float:
        if self.name == "error" and _is_number(expected) and _is_number(outcome):
            distance = abs(float(outcome) - float(expected))
            scale = abs(float(expected)) or 1.0
            return min(1.0, distance / scale) if math.isfinite(distance) else 1.0
        return 0.0 if _equal(expected, outcome) else 1.0


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
    def f1(self) -> float | None:
        total = 2 * self.true_alarms + self.false_alarms + self.misses
        return 2 * self.true_alarms / total if total else None


def score(pairs: Iterable[tuple[Label, Any]]) -> Score:
    """Count right and wrong outcomes (UNSET: failed) of labelled executions."""
    plain = Objective("accuracy")
    counts = dict.fromkeys(("right", "wrong", "true_alarms", "false_alarms", "misses"), 0)
    for known, outcome in pairs:
        good = plain.loss(known, outcome) < 0.5
        counts["right" if good else "wrong"] += 1
        if known.kind == "decision" and outcome is not UNSET:
            if good and known.value:
                counts["true_alarms"] += 1
            elif not good:
                counts["misses" if known.value else "false_alarms"] += 1
    return Score(**counts)


def objective(name: str, cost: tuple[float, float], f1: float | None = None) -> Objective:
    """The objective that `optimize_for` names; `cost` is (false alarm, miss), `f1` what is to be beaten."""
    if name == "alert_quality":
        dearer = max(cost)
        return Objective(name, cost[0] / dearer, cost[1] / dearer)
    if name == "f1":
        half = (f1 if f1 is not None else 0.5) / 2
        dearer = max(half, 1 - half)
        return Objective(name, half / dearer, (1 - half) / dearer)
    return Objective(name)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _equal(a: Any, b: Any) -> bool:
    if _is_number(a) and _is_number(b):
        return bool(a == b) or (a != a and b != b)
    if type(a) is not type(b):
        return False
    try:
        return bool(a == b)
    except Exception:  # noqa: BLE001 - the user's __eq__
        return False
