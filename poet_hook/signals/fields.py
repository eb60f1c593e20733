"""Feedback on single fields of a dict or dataclass result: {"score": "too high", "severity": {"expected": 3}}."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from poet_hook.domains.base import as_bool, decision
from poet_hook.domains.number import is_number
from poet_hook.model import ANOMALY_FIELDS, UNSET, Signal
from poet_hook.signals.scales import unread
from poet_hook.signals.stated import moment

DOUBTFUL_LABEL = 'a judgement or the right label? Give True or False, or {"expected": "..."}'
_MOST_NAMED = 5
Read = Callable[[Any, Any], Signal]
"""What was said about a value, and that value -> the signal."""


def fields_of(outcome: Any) -> Mapping[Any, Any]:
    """The fields of a result by name; none where it has none."""
    if isinstance(outcome, Mapping):
        return outcome
    if is_dataclass(outcome) and not isinstance(outcome, type):
        return {field.name: getattr(outcome, field.name, None) for field in fields(outcome)}
    return {}


def by_field(raw: Mapping[Any, Any], known: Mapping[Any, Any], read: Read, notes: Collection[str]) -> Signal:
    """Feedback in which a field of the result is named -> a signal for each that could be read.

    A value of a field's own type, unless it is text, is the right value; text and mappings are feedback about it.
    Texts under `notes`, which are no fields, are a comment.
    """
    if raw.keys() == known.keys() and all(_is_value(said, known[name], read) for name, said in raw.items()):
        return Signal("expected", raw)
    parts: dict[Any, Signal] = {}
    lost: list[str] = []
    comments: list[str] = []
    for name, said in raw.items():
        if name not in known:
            if name in notes and isinstance(said, str):
                comments.append(said)
            else:
                lost.append(f"{name!r} is no field of the result")
            continue
        signal = _on(said, known[name], read)
        if signal.kind == "unread":
            lost.append(f"{name}: {signal.reason}")
        else:
            parts[name] = signal
    reason = "; ".join([*lost[:_MOST_NAMED], *(["..."] if len(lost) > _MOST_NAMED else [])])
    comment = "\n".join(comments)
    if not parts:
        return replace(unread(reason), comment=comment)
    yes_no = next((name for name in ANOMALY_FIELDS if as_bool(known.get(name)) is not None), UNSET)
    if parts.keys() == {yes_no}:  # the yes or no of the result is what feedback on the whole of it speaks of, too
        made = parts[yes_no]
        return replace(made, comment=comment, reason="; ".join(filter(None, (made.reason, reason))))
    return Signal("fields", parts, min(p.confidence for p in parts.values()), reason=reason, comment=comment)


def _on(said: Any, value: Any, read: Read) -> Signal:
    if _same_type(said, value) and not isinstance(said, (str, Mapping)):
        if isinstance(said, float) and math.isnan(said):
            return unread("the right value is missing")
        return Signal("expected", said)
    return read(said, value)


def _is_value(said: Any, value: Any, read: Read) -> bool:
    """Whether what stands in the place of a field can be nothing but a value of it."""
    if isinstance(said, str):
        signal = read(said, value)
        if signal.kind == "unread":
            return isinstance(value, str | None) and signal.reason != DOUBTFUL_LABEL
        return signal.kind == "expected" and (signal.value == said or signal.value == moment(said))
    if isinstance(said, Mapping):
        same = isinstance(value, Mapping) and said.keys() == value.keys()
        return same and all(_is_value(inner, value[name], read) for name, inner in said.items())
    return said is None or value is None or _same_type(said, value)


def _same_type(said: Any, value: Any) -> bool:
    if as_bool(said) is not None or as_bool(value) is not None:
        return as_bool(said) is not None and as_bool(value) is not None
    if is_number(said) or is_number(value):
        return is_number(said) and is_number(value)
    return said is not None and type(said) is type(value)


def decision_of(raw: Mapping[Any, Any], outcome: Any) -> Signal | None:
    """{"drift": True} about a result that is a yes or no: the right one."""
    if decision(outcome) is None or not raw or not set(raw) <= set(ANOMALY_FIELDS) or decision(raw) is None:
        return None
    return Signal("expected", decision(raw))
