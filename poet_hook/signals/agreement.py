"""Several signals about one result -> what they say in sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from poet_hook.domains.base import as_bool, decision, field_of
from poet_hook.domains.number import is_number
from poet_hook.model import Signal
from poet_hook.signals.scales import unread
from poet_hook.signals.stated import inside
from poet_hook.transform.values import as_text

TELLING = ("expected", "range", "fields", "direction", "right", "wrong", "reward", "cost")
_DUST = 1e-9


def sign(signal: Signal, outcome: Any) -> int:
    """+1 where a signal approves of the result, -1 where it does not, 0 where that can't be told."""
    if signal.kind == "reward":
        return 0 if signal.value == 0.5 else 1 if signal.value > 0.5 else -1
    if signal.kind == "expected":
        known, value = decision(outcome), as_bool(signal.value)
        return 0 if known is None or value is None else 1 if known is value else -1
    if signal.kind == "range":
        return 0 if not is_number(outcome) else 1 if inside(signal.value, outcome) else -1
    return {"right": 1, "wrong": -1, "direction": -1}.get(signal.kind, 0)


def in_sum(signals: Sequence[Signal], outcome: Any) -> Signal:
    """The most telling of several signals, as sure as the others leave it; unread where nothing is left.

    What was said about fields of the result is put together field by field; beside a word about the whole result,
    that word is returned. An instruction is returned where nothing is said of the result.
    """
    asked = [signal for signal in signals if signal.kind == "requested"]
    if asked:
        return _with_request(asked, [signal for signal in signals if signal.kind != "requested"], outcome)
    understood = [signal for signal in signals if signal.kind != "unread"]
    lost = [signal.reason for signal in signals if signal.kind == "unread"]
    if not understood:
        return unread(lost[0] if len(signals) == 1 else f"none of {len(signals)} was understood: {lost[0]}")
    whole = [signal for signal in understood if signal.kind != "fields"]
    made = _whole(whole, outcome) if whole else _by_field(understood, outcome)
    comment = "\n".join(signal.comment for signal in signals if signal.comment)
    reasons = [made.reason] if made.reason else []
    if lost:
        reasons.append(f"{len(lost)} of {len(signals)} not understood: {lost[0]}")
    if whole and len(whole) < len(understood):
        names = sorted({str(name) for signal in understood if signal.kind == "fields" for name in signal.value})
        reasons.append(f"besides, it speaks of {', '.join(names)}")
    return replace(made, comment=comment, reason="; ".join(reasons))


def _with_request(asked: Sequence[Signal], others: Sequence[Signal], outcome: Any) -> Signal:
    wanted = {name: value for signal in asked for name, value in signal.value.items()}
    told = in_sum(others, outcome) if others else None
    if told is None or told.kind == "unread":
        return replace(asked[-1], value=wanted, reason=told.reason if told else "")
    words = ", ".join(f"{name} = {as_text(value)}" for name, value in wanted.items())
    return replace(told, reason="; ".join(filter(None, (told.reason, f"besides, it asks for {words}"))))


def _by_field(signals: Sequence[Signal], outcome: Any) -> Signal:
    said: dict[Any, list[Signal]] = {}
    for signal in signals:
        for name, part in signal.value.items():
            said.setdefault(name, []).append(part)
    read = {name: in_sum(parts, field_of(outcome, name)) for name, parts in said.items()}
    clear = {name: part for name, part in read.items() if part.kind != "unread"}
    reasons = [signal.reason for signal in signals if signal.reason]
    reasons += [f"{name}: {part.reason}" for name, part in read.items() if part.kind == "unread"]
    if not clear:
        return unread("; ".join(reasons))
    return Signal("fields", clear, min(part.confidence for part in clear.values()), reason="; ".join(reasons))


def _whole(signals: Sequence[Signal], outcome: Any) -> Signal:
    """The most telling signal of the surer side, less sure by what is said against it; to say it twice adds nothing."""
    first = signals[0]
    sides: tuple[list[Signal], list[Signal]] = [], []
    for signal in sorted(signals, key=lambda signal: (TELLING.index(signal.kind), -signal.confidence)):
        first = signal if not sides[0] else first
        sides[_against(first, signal, outcome)].append(signal)
    other, surer = sorted(sides, key=lambda side: max((signal.confidence for signal in side), default=0.0))
    best, sure = surer[0], max(signal.confidence for signal in surer)
    if not other:
        return replace(best, confidence=sure)
    left = sure - max(signal.confidence for signal in other)
    if left <= _DUST:
        return unread("what was said contradicts itself")
    return replace(best, confidence=left, reason="what was said contradicts itself in part")


def _against(one: Signal, other: Signal, outcome: Any) -> bool:
    if one.kind == other.kind and one.kind in ("expected", "range"):
        return bool(one.value != other.value)
    if is_number(outcome) and (there := way(one, outcome)) and (back := way(other, outcome)):
        return there != back
    return _approval(one, outcome) * _approval(other, outcome) < 0


def _approval(signal: Signal, outcome: Any) -> int:
    known = sign(signal, outcome)
    if known or signal.kind != "expected" or decision(outcome) is not None:
        return known
    return 1 if bool(signal.value == outcome) else -1


def way(signal: Signal, number: Any) -> int:
    """Where a number should go: 1 up, -1 down, 0 where it should stay or that is not said."""
    if signal.kind == "direction":
        return int(signal.value)
    if signal.kind == "expected" and is_number(signal.value):
        return int(signal.value > number) - int(signal.value < number)
    if signal.kind == "range" and not inside(signal.value, number):
        limits = (signal.value.get("at_least"), signal.value.get("above"))
        return 1 if any(limit is not None and number <= limit for limit in limits) else -1
    return 0
