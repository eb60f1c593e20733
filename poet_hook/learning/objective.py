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
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal

from poet_hook.domains.base import as_bool, decision
from poet_hook.model import ANOMALY_FIELDS, UNSET, Feedback, Signal

_KNIFE_EDGE = 1e-9
Path = tuple[Any, ...]
"""The names that lead from a result to one of its fields; none for the whole of it."""
_WHOLE: Path = ()
_DAY = len("2024-05-01")
_KEEPS = {"at_least": operator.ge, "at_most": operator.le, "above": operator.gt, "below": operator.lt}
# how exactly a label says what would have been right: the better part of what agrees is kept
_EXACT = ("decision", "value", "range", "direction", "not")
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


def label(execution_id: str, said: Sequence[Feedback], recorded: Any) -> Label | None:
    """One label from all that was said about an execution (latest per source); None where nothing is left.

    Sources that contradict each other take weight from each other, down to nothing.
    """
    parts = []
    for path, opinions in _opinions(said, recorded).items():
        left = _left(_groups(opinions))
        if left is not None:
            parts.append((path, left))
    if not parts:
        return None
    order = min(item.id for item in said)
    if len(parts) == 1 and parts[0][0] == _WHOLE:
        return replace(parts[0][1], order=order)
    sure = max(part.weight for _, part in parts)
    return Label(execution_id, "fields", tuple(parts), sure, all(part.approved for _, part in parts), order)


def alike(one: Label, other: Label) -> bool:
    """Whether two labels of one execution say the same, however sure they are."""
    if one.kind != other.kind or one.kind != "fields":
        return one.kind == other.kind and equal(one.value, other.value)
    mine, theirs = dict(one.value), dict(other.value)
    return mine.keys() == theirs.keys() and all(alike(part, theirs[path]) for path, part in mine.items())


def contradictions(said: Sequence[Feedback], recorded: Any) -> list[str]:
    """What was said (latest per source) about one execution and can't all be true, in words; empty where it can."""
    found = []
    for path, opinions in _opinions(said, recorded).items():
        groups = _groups(opinions)
        if len(groups) < 2:
            continue
        names = list(dict.fromkeys(source for source, _ in opinions))
        who = f"{' and '.join(names)} contradict each other" if len(names) > 1 else f"{names[0]} says both"
        about = f" about {'.'.join(map(str, path))}" if path else ""
        left = _left(groups)
        found.append(f"{who}{about}: " + (f"weight {left.weight:.2g} is left" if left else "it counts for nothing"))
    return found


def _opinions(said: Sequence[Feedback], recorded: Any) -> dict[Path, list[tuple[str, Label]]]:
    """What each source says of the whole result, and of each field that anybody spoke of."""
    specific = {item.source for item in said if item.signal.kind == "fields"}
    found: dict[Path, list[tuple[str, Label]]] = {}
    for item in said:
        # who speaks of fields says there what is right: of the whole, only a yes or no is left to be said
        if item.signal.kind != "fields" and item.source in specific and decision(recorded) is None:
            continue
        for path, signal in _parts(item.signal, recorded):
            one = _label(item, signal, _field(recorded, path))
            if one is not None:
                found.setdefault(path, []).append((item.source, one))
    fields = found.keys() - {_WHOLE}
    for source, one in list(found.get(_WHOLE, ())) if fields else ():
        if one.kind == "value" and isinstance(one.value, Mapping):  # which speaks of these fields too
            found[_WHOLE].remove((source, one))
            for path in fields:
                value = _field(one.value, path)
                same = equal(value, _field(recorded, path))
                found[path].append((source, replace(one, value=value, approved=same)))
    return {path: opinions for path, opinions in found.items() if opinions}


def _parts(signal: Signal, recorded: Any, path: Path = _WHOLE) -> Iterator[tuple[Path, Signal]]:
    """The signals in a signal, and what they speak of; a word about the yes or no is one about the whole result."""
    if signal.kind == "fields":
        for name, part in signal.value.items():
            yield from _parts(part, recorded, (*path, name))
        return
    flags = (name for name in ANOMALY_FIELDS if as_bool(_field(recorded, (name,))) is not None)
    yield (_WHOLE if path == (next(flags, UNSET),) else path), signal


def _groups(opinions: Sequence[tuple[str, Label]]) -> list[tuple[Label, float]]:
    """Opinions that agree, put together (the most exact one, and their weight), heaviest first."""
    groups: list[tuple[Label, dict[str, float]]] = []
    for source, one in sorted(opinions, key=lambda pair: _EXACT.index(pair[1].kind)):
        weights = next((weights for first, weights in groups if _agree(first, one)), None)
        if weights is None:
            weights = {}
            groups.append((one, weights))
        weights[source] = max(one.weight, weights.get(source, 0.0))  # to say it twice makes it no truer
    return sorted(((one, sum(w.values())) for one, w in groups), key=lambda pair: pair[1], reverse=True)


def _left(groups: Sequence[tuple[Label, float]]) -> Label | None:
    (best, weight), *others = groups
    net = weight - sum(other for _, other in others)
    return replace(best, weight=min(net, 1.0)) if net > _KNIFE_EDGE else None


def _agree(exact: Label, other: Label) -> bool:
    """Whether two opinions, the more exact one first, can both be true."""
    if exact.kind == other.kind and equal(exact.value, other.value):
        return True
    if exact.kind == "value" and other.kind in ("range", "direction"):
        return PLAIN.loss(other, exact.value) == 0.0
    if exact.kind == "value" and other.kind == "not":
        return not equal(exact.value, other.value)
    if exact.kind == "range" and other.kind != "range":
        recorded, limits = exact.value
        side = _beyond(limits, recorded)[0]
        return bool(side == other.value[1] if other.kind == "direction" else side)
    if exact.kind == other.kind == "range":
        one, two = exact.value[1], other.value[1]
        ends = [(one, end) for end in two.values()] + [(two, end) for end in one.values()]
        return any(not _beyond(limits, end)[0] for limits, end in ends)
    return exact.kind == "direction" and other.kind == "not"


def _label(item: Feedback, signal: Signal, recorded: Any) -> Label | None:
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


def _meaning(signal: Signal, recorded: Any) -> tuple[Kind, Any, bool] | None:
    decided = decision(recorded) if recorded is not UNSET else None
    if signal.kind in ("unread", "requested", "cost"):
        return None
    if signal.kind == "expected":
        expected = decision(signal.value)
        if expected is None and decided is not None and _is_number(signal.value) and signal.value in (0, 1):
            expected = bool(signal.value)  # data sets write 0 and 1
        if expected is not None and (decided is not None or recorded is UNSET):
            return "decision", expected, expected == decided
        if isinstance(recorded, bool):  # of a yes or no, nothing else can be the right value
            return None
        value = int(signal.value) if isinstance(signal.value, bool) and _is_number(recorded) else signal.value
        return "value", value, equal(value, recorded)
    if recorded is UNSET:
        return None
    if signal.kind == "direction":
        return "direction", (recorded, int(signal.value)), False
    if signal.kind == "range":
        if not _is_number(recorded):
            return None
        return "range", (recorded, signal.value), _beyond(signal.value, recorded)[0] == 0
    right = signal.kind == "right" or (signal.kind == "reward" and float(signal.value) >= 0.5)
    if decided is not None:
        return "decision", decided if right else not decided, right
    return ("value", recorded, True) if right else ("not", recorded, False)


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
            losses = [(part.weight, self.loss(part, _field(outcome, path))) for path, part in known.value]
            return math.fsum(weight * loss for weight, loss in losses) / math.fsum(weight for weight, _ in losses)
        if known.kind == "range":
            return self._outside(known.value[1], outcome)
        if known.kind == "direction":
            recorded, sign = known.value
            if not _is_number(outcome) or not _is_number(recorded):
                return 1.0
            moved = (outcome - recorded) * sign
            return 0.0 if moved > 0 else 0.5 if moved == 0 else 1.0
        return 1.0 if equal(outcome, known.value) or self._among_many(known.value, outcome) else 0.5

    def _among_many(self, wrong: Any, outcome: Any) -> bool:
        """Whether a result that is not the wrong one is hardly the right one: there are more numbers than labels."""
        if not (_is_number(wrong) and _is_number(outcome)):
            return False
        whole = isinstance(wrong, numbers.Integral) and isinstance(outcome, numbers.Integral)
        return self.name in ERRORS or not whole

    def _distance(self, expected: Any, outcome: Any) -> float:
        if self.name in ERRORS and _is_number(expected) and _is_number(outcome):
            distance = abs(float(outcome) - float(expected))
            scale = self.scale if self.name == "absolute_error" else abs(float(expected)) or 1.0
            return min(1.0, distance / scale) if math.isfinite(distance) else 1.0
        return 0.0 if equal(expected, outcome) else 1.0

    def _outside(self, limits: Mapping[str, Any], outcome: Any) -> float:
        if not _is_number(outcome):
            return 1.0
        side, end = _beyond(limits, outcome)
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
        parts = known.value if known.kind == "fields" else ((_WHOLE, known),)
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
            yield from distances(part, _field(outcome, path))
    elif known.kind == "value" and _is_number(known.value) and _is_number(outcome):
        yield abs(float(outcome) - float(known.value)), float(known.value)
    elif known.kind == "range" and _is_number(outcome):
        side, end = _beyond(known.value[1], outcome)
        end = end if side else next(iter(known.value[1].values()))
        yield abs(float(outcome) - float(end)) if side else 0.0, float(end)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _field(value: Any, path: Path) -> Any:
    for name in path:
        value = value.get(name, UNSET) if isinstance(value, Mapping) else UNSET
    return value


def _beyond(limits: Mapping[str, Any], number: Any) -> tuple[int, Any]:
    """Where a number must go to be in a range, 1 up, -1 down or 0, and the end of the range that lies there."""
    for name, limit in limits.items():
        if not _KEEPS[name](number, limit):
            return (1 if name in ("at_least", "above") else -1), limit
    return 0, None


def equal(a: Any, b: Any) -> bool:
    """Whether two results are one: numbers by value, dates as far as both tell, else also by type."""
    if _is_number(a) and _is_number(b):
        return bool(a == b) or (a != a and b != b)
    if isinstance(a, date) or isinstance(b, date):
        return _same_moment(_moment(a), _moment(b))
    if type(a) is not type(b):
        return False
    try:
        return bool(a == b)
    except Exception:  # noqa: BLE001 - the user's __eq__
        return False


def _moment(value: Any) -> date | None:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value) if len(value) == _DAY else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _same_moment(a: date | None, b: date | None) -> bool:
    """Whether two dates are the same; of one without a time of day, only the day is known."""
    if a is None or b is None:
        return False
    if isinstance(a, datetime) and isinstance(b, datetime):
        return a == b
    return tuple(a.timetuple())[:3] == tuple(b.timetuple())[:3]
