"""What a model made of feedback that no rule reads: one reading for each, beside what was said, which stays."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from poet_hook.model import Feedback, Signal
from poet_hook.store.connection import clean
from poet_hook.store.feedback import FeedbackLog, encoded_signal, standing

_COLUMNS = ("feedback", "at", "reader", "kind", "value", "confidence", "reason", "quote", "suggestion", "tries")
# what was read once stays so, whoever reads it at the same time
_SAVE = (
    f"INSERT INTO readings ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
    f" ON CONFLICT (feedback) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[1:])}"
    " WHERE readings.kind = 'unread'"
)
_OF = (
    " FROM readings JOIN feedback ON feedback.id = readings.feedback"
    " JOIN executions ON executions.id = feedback.execution_id WHERE function = ?"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model made of the feedback with this id, `at` seconds since the epoch.

    `signal` is "unread" where it made nothing of it, and `signal.reason` says why. `quote` are the words that it went
    by, `suggestion` those that say how the function should be written; both stand so in the feedback. `tries` counts
    its replies that were of no use.
    """

    feedback: int
    at: float
    signal: Signal
    quote: str = ""
    suggestion: str = ""
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Suggestion:
    """How the function should be written, in the words of feedback that stands."""

    feedback: int
    execution_id: str
    source: str
    text: str


class Readings(FeedbackLog):
    """The readings of the feedback in `home`, which the feedback is given out with."""

    def add_reading(self, reading: Reading) -> bool:
        """Store a reading instead of an earlier one that made nothing of it; whether there was none that did."""
        signal, value = encoded_signal(reading.signal)
        row = (reading.feedback, reading.at, signal.reader, signal.kind, value, signal.confidence, signal.reason)
        with self.write() as connection:
            made = connection.execute(_SAVE, clean((*row, reading.quote, reading.suggestion, reading.tries)))
            return made.rowcount > 0

    def tries(self, function: str) -> dict[int, tuple[str, int]]:
        """Return who read each feedback on a function that is unread all the same, by its id, and how often."""
        rows = self.query(f"SELECT feedback.id, readings.reader, tries{_OF} AND readings.kind = 'unread'", (function,))
        return {number: (reader, tries) for number, reader, tries in rows}

    def has_unread(self, function: str) -> bool:
        """Return whether there is feedback on a function that nobody understood when it came."""
        asked = "SELECT 1 FROM feedback JOIN executions ON executions.id = execution_id WHERE function = ?"
        return bool(self.query(f"{asked} AND kind = 'unread' LIMIT 1", (function,)))

    def unread(self, function: str) -> list[Feedback]:
        """Return what stands of the feedback on a function and was not understood, in order of arrival."""
        return [item for item in self.for_function(function) if item.signal.kind == "unread"]

    def readers(self, function: str) -> dict[str, int]:
        """Return how much of what stands of the feedback on a function each language model read, by its name."""
        said = self.for_function(function)
        return dict(Counter(item.signal.model for item in said if item.signal.model and item.signal.kind != "unread"))

    def suggestions(self, function: str) -> list[Suggestion]:
        """Return what was suggested for a function in feedback that stands, newest first."""
        rows = self.query(f"SELECT feedback.id, suggestion{_OF} AND suggestion != ''", (function,))
        said = dict(rows)
        standing_now = standing(self.all_for_function(function)) if said else []
        return [
            Suggestion(item.id, item.execution_id, item.source, said[item.id])
            for item in reversed(standing_now)
            if item.id in said
        ]
