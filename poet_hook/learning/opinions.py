"""All that was said about an execution -> what is known about it, and where that contradicts itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from poet_hook.domains.base import as_bool, decision
from poet_hook.domains.number import is_number
from poet_hook.learning.objective import PLAIN, Kind, Label
from poet_hook.learning.results import WHOLE, Path, beyond, equal, field
from poet_hook.model import ANOMALY_FIELDS, UNSET, Feedback, Signal

_KNIFE_EDGE = 1e-9
SILENT = ("unread", "requested", "cost")  # signals that say nothing of the result
# how exactly a label says what would have been right: the better part of what agrees is kept
_EXACT = ("decision", "value", "range", "direction", "not")


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
    if len(parts) == 1 and parts[0][0] == WHOLE:
        return replace(parts[0][1], order=order)
    sure = max(part.weight for _, part in parts)
    return Label(execution_id, "fields", tuple(parts), sure, all(part.approved for _, part in parts), order)


def read_by_model(said: Iterable[Feedback]) -> bool:
    """Whether a language model read all that is known of an execution, and the rules nothing of it."""
    telling = [item.signal for item in said if item.signal.kind not in SILENT]
    return bool(telling) and all(signal.model for signal in telling)


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
            one = _label(item, signal, field(recorded, path))
            if one is not None:
                found.setdefault(path, []).append((item.source, one))
    fields = found.keys() - {WHOLE}
    for source, one in list(found.get(WHOLE, ())) if fields else ():
        if one.kind == "value" and isinstance(one.value, Mapping):  # which speaks of these fields too
            found[WHOLE].remove((source, one))
            for path in fields:
                value = field(one.value, path)
                same = equal(value, field(recorded, path))
                found[path].append((source, replace(one, value=value, approved=same)))
    return {path: opinions for path, opinions in found.items() if opinions}


def _parts(signal: Signal, recorded: Any, path: Path = WHOLE) -> Iterator[tuple[Path, Signal]]:
    """The signals in a signal, and what they speak of; a word about the yes or no is one about the whole result."""
    if signal.kind == "fields":
        for name, part in signal.value.items():
            yield from _parts(part, recorded, (*path, name))
        return
    flags = (name for name in ANOMALY_FIELDS if as_bool(field(recorded, (name,))) is not None)
    yield (WHOLE if path == (next(flags, UNSET),) else path), signal


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
        side = beyond(limits, recorded)[0]
        return bool(side == other.value[1] if other.kind == "direction" else side)
    if exact.kind == other.kind == "range":
        one, two = exact.value[1], other.value[1]
        ends = [(one, end) for end in two.values()] + [(two, end) for end in one.values()]
        return any(not beyond(limits, end)[0] for limits, end in ends)
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
    if signal.kind in SILENT:
        return None
    if signal.kind == "expected":
        expected = decision(signal.value)
        if expected is None and decided is not None and is_number(signal.value) and signal.value in (0, 1):
            expected = bool(signal.value)  # data sets write 0 and 1
        if expected is not None and (decided is not None or recorded is UNSET):
            return "decision", expected, expected == decided
        if isinstance(recorded, bool):  # of a yes or no, nothing else can be the right value
            return None
        value = int(signal.value) if isinstance(signal.value, bool) and is_number(recorded) else signal.value
        return "value", value, equal(value, recorded)
    if recorded is UNSET:
        return None
    if signal.kind == "direction":
        return "direction", (recorded, int(signal.value)), False
    if signal.kind == "range":
        if not is_number(recorded):
            return None
        return "range", (recorded, signal.value), beyond(signal.value, recorded)[0] == 0
    right = signal.kind == "right" or (signal.kind == "reward" and float(signal.value) >= 0.5)
    if decided is not None:
        return "decision", decided if right else not decided, right
    return ("value", recorded, True) if right else ("not", recorded, False)
