"""Feedback: committed when `add_feedback` returns, and kept for good, also where it was taken back later."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from poet_hook.errors import CodecError, UnknownExecutionError
from poet_hook.model import Feedback, Signal
from poet_hook.store.codec import decode, encode
from poet_hook.store.connection import clean
from poet_hook.store.executions import Executions

LONGEST_REPR = 2_000

_COLUMNS = "execution_id, given, source, raw, kind, value, confidence, reader, reason, comment"
_SELECT = f"SELECT id, {_COLUMNS} FROM feedback"


class FeedbackLog(Executions):
    """Everything that was said about the executions in `home`, in the order in which it came."""

    def add_feedback(
        self, execution_id: str, raw: Any, signal: Signal, source: str, given: float | None = None
    ) -> Feedback:
        """Store what `source` said, and how it was understood; `given` is seconds since the epoch (None: now).

        UnknownExecutionError where there is no execution of exactly this id.
        """
        if not self.query("SELECT 1 FROM executions WHERE id = ?", (execution_id,)):
            raise UnknownExecutionError(f"no execution {execution_id!r} in {self.home}")
        signal, value = _encoded_signal(signal)
        given = time.time() if given is None else given
        data = _encoded_raw(raw)
        words = (signal.confidence, signal.reader, signal.reason, signal.comment)
        row = clean((execution_id, given, source, data, signal.kind, value, *words))
        with self.write() as connection:
            cursor = connection.execute(f"INSERT INTO feedback ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)", row)
        return Feedback(int(cursor.lastrowid or 0), execution_id, given, source, data, signal)

    def for_function(self, function: str) -> list[Feedback]:
        """Return the latest word of each source on each execution of a function, in order of arrival."""
        rows = self.query(
            f"{_SELECT} WHERE id IN (SELECT max(feedback.id) FROM feedback JOIN executions"
            " ON executions.id = execution_id WHERE function = ? GROUP BY execution_id, source) ORDER BY id",
            (function,),
        )
        return [_feedback(*row) for row in rows]

    def for_execution(self, execution_id: str) -> list[Feedback]:
        """Return all that was said about one execution, in order of arrival, what was revised included."""
        return [_feedback(*row) for row in self.query(f"{_SELECT} WHERE execution_id = ? ORDER BY id", (execution_id,))]

    def count_new(self, function: str, after_id: int) -> int:
        """Return how many feedbacks on a function came after the one with the id `after_id`."""
        return self._about(function, "count(*)", after_id)

    def last_feedback(self, function: str) -> int:
        """Return the id of the latest feedback on a function, 0 where there is none."""
        return self._about(function, "coalesce(max(feedback.id), 0)", 0)

    def _about(self, function: str, what: str, after_id: int) -> int:
        rows = self.query(
            f"SELECT {what} FROM feedback JOIN executions ON executions.id = execution_id"
            " WHERE function = ? AND feedback.id > ?",
            (function, after_id),
        )
        return int(rows[0][0]) if rows else 0


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


def _encoded_signal(signal: Signal) -> tuple[Signal, bytes]:
    """The signal as it can be stored: a value that can't be kept exactly must not be learned from."""
    try:
        return signal, encode(signal.value)
    except CodecError as error:
        unread = replace(signal, kind="unread", value=None, reason=f"its value can't be stored: {error}")
        return unread, encode(None)


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
) -> Feedback:
    try:
        signal = Signal(kind, decode(value), confidence, reader, reason, comment)
    except CodecError as error:
        signal = Signal("unread", None, confidence, reader, f"its value can't be read here: {error}", comment)
    return Feedback(number, execution_id, given, source, raw, signal)
