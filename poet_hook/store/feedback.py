"""Feedback: committed when `add_feedback` returns, and kept for good, also where it was taken back later."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

from poet_hook.errors import CodecError, UnknownExecutionError
from poet_hook.model import INSTRUCTION, Feedback, Signal
from poet_hook.store.codec import decode, encode
from poet_hook.store.connection import clean
from poet_hook.store.executions import Executions

LONGEST_REPR = 2_000

_COLUMNS = "execution_id, given, source, raw, kind, value, confidence, reader, reason, comment"
# what was read of it later, where there is such a reading, else what the rules made of it when it came
_LATEST = ", ".join(
    f"CASE WHEN readings.feedback IS NULL THEN feedback.{name} ELSE readings.{name} END"
    for name in ("kind", "value", "confidence", "reader", "reason")
)
_SELECT = (
    f"SELECT id, execution_id, given, source, raw, {_LATEST}, comment, readings.at"
    " FROM feedback LEFT JOIN readings ON readings.feedback = feedback.id"
)
_INSERT = f"INSERT INTO feedback ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)"
_SAME = "SELECT 1 FROM feedback WHERE execution_id = ? AND source = ? AND raw = ?"
# SQLite keeps this order: the other way round, each feedback given looks at all executions of its function.
_OF = "feedback CROSS JOIN executions ON executions.id = execution_id"
_SIGNAL = tuple(field.name for field in fields(Signal))


class FeedbackLog(Executions):
    """Everything that was said about the executions in `home`, in the order in which it came."""

    def add_feedback(
        self, execution_id: str, raw: Any, signal: Signal, source: str, given: float | None = None
    ) -> Feedback:
        """Store what `source` said, and how it was understood; `given` is seconds since the epoch (None: now).

        UnknownExecutionError where there is no execution of exactly this id.
        """
        return self.add_word([(execution_id, raw, signal)], source, given)[0]

    def add_word(
        self, said: Sequence[tuple[str, Any, Signal]], source: str, given: float | None = None, *, once: bool = False
    ) -> list[Feedback]:
        """Store all or nothing of what `source` said at one time: pairs of execution and what was said, understood.

        On each execution it is one word, which a later one revises as a whole. With `once`, what this source said of
        this execution before, in the same words, is left out. UnknownExecutionError as in `add_feedback`.
        """
        for execution_id in dict.fromkeys(execution_id for execution_id, _, _ in said):
            if not self.has(execution_id):
                raise UnknownExecutionError(f"no execution {execution_id!r} in {self.home}")
        given = time.time() if given is None else given
        made = []
        with self.write() as connection:
            there = {
                (execution_id, data)
                for execution_id, data in {(execution_id, _encoded_raw(raw)) for execution_id, raw, _ in said if once}
                if connection.execute(_SAME, clean((execution_id, source, data))).fetchone()
            }
            for execution_id, raw, signal in said:
                signal, value = encoded_signal(signal)
                data = _encoded_raw(raw)
                if once and (execution_id, data) in there:
                    continue
                words = (signal.confidence, signal.reader, signal.reason, signal.comment)
                row = clean((execution_id, given, source, data, signal.kind, value, *words))
                number = int(connection.execute(_INSERT, row).lastrowid or 0)
                made.append(Feedback(number, execution_id, given, source, data, signal))
        return made

    def has(self, execution_id: str) -> bool:
        """Return whether there is an execution of exactly this id."""
        return bool(self.query("SELECT 1 FROM executions WHERE id = ?", (execution_id,)))

    def was_said(self, execution_id: str, raw: Any, source: str) -> bool:
        """Return whether this source said the same of this execution before."""
        return bool(self.query(_SAME, (execution_id, source, _encoded_raw(raw))))

    def stands(self, execution_id: str, raw: Any, source: str) -> bool:
        """Return whether what this source said of this execution was not revised later."""
        data = _encoded_raw(raw)
        stored = standing(self.for_execution(execution_id))
        return any(item.source == source and item.raw == data for item in stored)

    def for_function(self, function: str) -> list[Feedback]:
        """Return what stands of what each source said on each execution of a function, in order of arrival."""
        return standing(self.all_for_function(function))

    def all_for_function(self, function: str) -> list[Feedback]:
        """Return all that was said about a function's executions, in order of arrival, what was revised included."""
        rows = self.query(
            f"{_SELECT} WHERE id IN (SELECT feedback.id FROM {_OF} WHERE function = ?) ORDER BY id",
            (function,),
        )
        return [_feedback(*row) for row in rows]

    def for_execution(self, execution_id: str) -> list[Feedback]:
        """Return all that was said about one execution, in order of arrival, what was revised included."""
        return [_feedback(*row) for row in self.query(f"{_SELECT} WHERE execution_id = ? ORDER BY id", (execution_id,))]

    def requests(self, function: str, after_id: int) -> list[Feedback]:
        """Return the instructions among the feedback on a function after the one with this id, in order of arrival."""
        rows = self.query(
            f"{_SELECT} WHERE id IN (SELECT feedback.id FROM {_OF}"
            " WHERE function = ? AND feedback.id > ? AND kind = 'requested') ORDER BY id",
            (function, after_id),
        )
        return [_feedback(*row) for row in rows]

    def count_new(self, function: str, after_id: int) -> int:
        """Return how many feedbacks on a function came after the one with the id `after_id`."""
        return self._about(function, "count(*)", after_id)

    def last_feedback(self, function: str) -> int:
        """Return the id of the latest feedback on a function, 0 where there is none."""
        return self._about(function, "coalesce(max(feedback.id), 0)", 0)

    def _about(self, function: str, what: str, after_id: int) -> int:
        rows = self.query(f"SELECT {what} FROM {_OF} WHERE function = ? AND feedback.id > ?", (function, after_id))
        return int(rows[0][0]) if rows else 0


def standing(said: Iterable[Feedback]) -> list[Feedback]:
    """What was not revised later, in order of arrival: the latest word of each source on each execution.

    A word is all that a source said at one time. One that speaks of fields only revises what the source said of these
    fields before, an instruction the instructions before, and any other one all that was said of the result.
    """
    words: dict[tuple[str, str], list[Feedback]] = {}
    for item in said:
        words.setdefault((item.execution_id, item.source), []).append(item)
    kept = []
    for items in words.values():
        asked = [item for item in items if _asks(item.signal)]
        kept += [item for item in asked if item.given == asked[-1].given]
        kept += _standing([item for item in items if not _asks(item.signal)])
    return sorted(kept, key=lambda item: item.id)


def _asks(signal: Signal) -> bool:
    """Whether it asks something of the function, and says nothing of the result."""
    return signal.kind == "requested" or (signal.kind == "unread" and signal.value == INSTRUCTION)


def _standing(items: Sequence[Feedback]) -> list[Feedback]:
    """The same for one source and execution."""
    last = next((item for item in reversed(items) if item.signal.kind != "fields"), None)
    kept: list[Feedback] = []
    revised: dict[Any, float] = {}
    for item in reversed(items):
        if last is not None and item.id < last.id and item.given != last.given:
            break
        if item.signal.kind == "fields":
            parts = {k: v for k, v in item.signal.value.items() if revised.setdefault(k, item.given) == item.given}
            if not parts:
                continue
            item = replace(item, signal=replace(item.signal, value=parts))
        elif last is not None and item.given != last.given:
            continue
        kept.append(item)
    return kept


def _encoded_raw(raw: Any) -> bytes:
    try:
        return encode(raw)
    except CodecError:
        pass
    try:
        text = repr(raw)[:LONGEST_REPR]
    except Exception as error:  # noqa: BLE001 - a `repr` may do anything, and what was said is kept
        text = f"<{type(raw).__qualname__}, whose repr raised {type(error).__name__}>"
    return encode(text)


def encoded_signal(signal: Signal) -> tuple[Signal, bytes]:
    """The signal as it can be stored: a value that can't be kept exactly must not be learned from."""
    try:
        return signal, encode(_as_stored(signal))
    except CodecError as error:
        unread = replace(signal, kind="unread", value=None, reason=f"its value can't be stored: {error}")
        return unread, encode(None)


def _as_stored(signal: Signal) -> Any:
    """The value of a signal; a signal of a field is a dict, so that it can be read when signals have other fields."""
    if signal.kind != "fields":
        return signal.value
    return {
        name: {field: getattr(part, field) for field in _SIGNAL} | {"value": _as_stored(part)}
        for name, part in signal.value.items()
    }


def _from_stored(kind: str, value: Any) -> Any:
    if kind != "fields":
        return value
    parts = {}
    for name, stored in value.items():
        known = {field: stored[field] for field in _SIGNAL if field in stored}
        parts[name] = Signal(**known | {"value": _from_stored(known["kind"], known["value"])})
    return parts


def _feedback(
    number: int,
    execution_id: str,
    given: float,
    source: str,
    raw: bytes,
    kind: Any,
    value: bytes,
    confidence: float,
    reader: str,
    reason: str,
    comment: str,
    read: float | None,
) -> Feedback:
    try:
        signal = Signal(kind, _from_stored(kind, decode(value)), confidence, reader, reason, comment)
    except (CodecError, AttributeError, KeyError, TypeError) as error:  # of another poet_hook, perhaps
        signal = Signal("unread", None, confidence, reader, f"its value can't be read here: {error}", comment)
    since = read if signal.kind != "unread" and isinstance(read, float) else 0.0
    return Feedback(number, execution_id, given, source, raw, signal, since)
