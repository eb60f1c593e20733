"""A file of feedback -> the store, row by row, and what became of each row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from poet_hook.errors import (
    AmbiguousResultError,
    FeedbackError,
    NotEnhancedError,
    SettingsError,
    UnknownExecutionError,
)
from poet_hook.model import Execution, Signal
from poet_hook.settings import Settings
from poet_hook.signals.attach import of_incident
from poet_hook.signals.give import Subject, Understood, subject_of, understand
from poet_hook.signals.rows import FileRow, Table, open_table
from poet_hook.store.database import Store

SAID = ("said", "feedback")
ID, KEY = "execution_id", "key"
Outcome = Literal["understood", "unread", "there", "empty", "unknown", "ambiguous", "broken"]
KEPT = frozenset(("understood", "unread", "there", "empty"))
_MOST_LISTED = 5


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one row, which begins in this `line` (1-based).

    "understood" and "unread" are stored, "there" was before (`reason` says if it was revised since then), "empty" says
    nothing. Of "unknown" or "ambiguous" executions, and of "broken" rows, nothing is stored, and `reason` says why.
    """

    line: int
    outcome: Outcome
    reason: str = ""
    name: str = ""
    execution_id: str | None = None
    function: str | None = None
    signal: Signal | None = None

    @property
    def kept(self) -> bool:
        """Whether all that the row says is in the store now."""
        return self.outcome in KEPT


def import_feedback(
    store: Store,
    settings: Settings,
    path: Path,
    *,
    key: str | None = None,
    id: str | None = None,
    said: str | None = None,
    source: str = "user",
    function: str | None = None,
    dry_run: bool = False,
) -> Iterator[Fate]:
    """Store each row of a .csv or .jsonl file as feedback of `source`; yields what became of it, in order.

    `key` or `id` is the column with the business key or the whole id of the execution (neither: "execution_id", else
    "key"), `said` that of what was said (None: "said", else "feedback"). With `function`, only its executions are
    meant. What this source said of an execution before, in the same words, is not stored again; with `dry_run`
    nothing is. Raises `FeedbackError` at once where the file can't be read or has no such columns.
    """
    if key is not None and id is not None:
        raise FeedbackError("an execution is named by its key or by its id, not by both")
    table = open_table(path)
    columns = _Columns(path, key, id, said)
    if table.columns is not None:
        columns.choose(table.columns, repeated=True)
    return _fates(table, columns, _Importer(store, settings, source, function, dry_run))


class _Columns:
    """Which column names the execution, by what, and which has what was said."""

    def __init__(self, path: Path, key: str | None, id: str | None, said: str | None) -> None:
        self.path = path
        named = [(name, by) for name, by in ((key, KEY), (id, ID)) if name is not None]
        self.ways = named or [(ID, ID), (KEY, KEY)]
        self.sayings = (said,) if said is not None else SAID

    def choose(self, given: Sequence[str], *, repeated: bool = False) -> tuple[str, str, str]:
        """(column of the execution, ID or KEY, column of what was said); raises `FeedbackError`."""
        way = next((way for way in self.ways if way[0] in given), None)
        saying = next((name for name in self.sayings if name in given), None)
        have = f"{self.path}:1: " if repeated else ""
        listed = ", ".join(name or "''" for name in given)
        if way is None:
            names = " or ".join(repr(name) for name, _ in self.ways)
            raise FeedbackError(f"{have}no column {names} for the execution; there are: {listed}")
        if saying is None:
            names = " or ".join(map(repr, self.sayings))
            raise FeedbackError(f"{have}no column {names} for what was said; there are: {listed}")
        twice = next((name for name in (way[0], saying) if given.count(name) > 1), None)
        if twice is not None:
            raise FeedbackError(f"{have}there are several columns {twice!r}")
        return way[0], way[1], saying


def _fates(table: Table, columns: _Columns, importer: _Importer) -> Iterator[Fate]:
    for row in table.rows:
        yield _fate(row, columns, importer)


def _fate(row: FileRow, columns: _Columns, importer: _Importer) -> Fate:
    if row.problem:
        return Fate(row.line, "broken", row.problem)
    try:
        column, by, saying = columns.choose(list(row.cells))
    except FeedbackError as error:
        return Fate(row.line, "broken", str(error))
    name = _name(row.cells[column])
    if not name:
        return Fate(row.line, "broken", f"no {column!r} names the execution")
    said = _said(row.cells[saying])
    if said is None or said == "":
        return Fate(row.line, "empty", "nothing was said", name)
    return importer.take(row.line, name, by, said)


def _name(cell: Any) -> str:
    """How an execution is called in a cell: as its key is recorded, as text."""
    return "" if cell is None or isinstance(cell, (list, dict)) else str(cell).strip()


def _said(cell: Any) -> Any:
    """What was said in a cell; an object or a list that a table holds as text is one all the same."""
    if not isinstance(cell, str):
        return cell
    text = cell.strip()
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


class _Importer:
    """Feedback of one source on its way into the store."""

    def __init__(self, store: Store, settings: Settings, source: str, function: str | None, dry_run: bool) -> None:
        self.store = store
        self.settings = settings
        self.source = source
        self.function = function
        self.dry_run = dry_run
        self.subjects: dict[str, Subject] = {}
        self.seen: set[tuple[str, str]] = set()

    def take(self, line: int, name: str, by: str, said: Any) -> Fate:
        """Store what was said about the execution of this name."""
        try:
            execution = self._execution(name, by)
            subject = self._subject(execution.function)
        except AmbiguousResultError as error:
            return Fate(line, "ambiguous", str(error), name)
        except (UnknownExecutionError, NotEnhancedError, SettingsError) as error:
            return Fate(line, "unknown", str(error), name)
        try:
            understood = understand(self.store, self.settings, execution, said, subject)
        except FeedbackError as error:  # it names a second execution: none, or several
            outcome: Outcome = "unknown" if isinstance(error, UnknownExecutionError) else "ambiguous"
            return Fate(line, outcome, str(error), name)
        new = self._new(understood)
        outcome = "there" if not new else "unread" if understood.signal.kind == "unread" else "understood"
        reason = understood.signal.reason if new else self._revised(understood)
        return Fate(line, outcome, reason, name, execution.id, execution.function, understood.signal)

    def _execution(self, name: str, by: str) -> Execution:
        ids = self.store.ids_for_key(self.function, name) if by == KEY else [name] if self.store.has(name) else []
        incident = of_incident(ids, self.store) if len(ids) > 1 else None
        if incident is not None:
            return incident
        if len(ids) > 1:
            listed = ", ".join(ids[:_MOST_LISTED]) + (", ..." if len(ids) > _MOST_LISTED else "")
            raise AmbiguousResultError(f"{len(ids)} executions have the key {name!r}: {listed}", ids)
        execution = self.store.execution(ids[0]) if ids else None
        if execution is None:
            of = f" of {self.function}" if self.function else ""
            raise UnknownExecutionError(f"no execution{of} has the {'key' if by == KEY else 'id'} {name!r}")
        if self.function is not None and execution.function != self.function:
            raise UnknownExecutionError(f"{name} is an execution of {execution.function}")
        return execution

    def _subject(self, function: str) -> Subject:
        if function not in self.subjects:
            self.subjects[function] = subject_of(self.store, function)
        return self.subjects[function]

    def _revised(self, understood: Understood) -> str:
        """Why what was said before counts no longer; "" where it does."""
        for row in understood.rows:
            words = (row.execution_id, row.raw, self.source)
            if self.store.was_said(*words) and not self.store.stands(*words):
                return f"{self.source} said something else since then, and that is what counts"
        return ""

    def _new(self, understood: Understood) -> bool:
        """Store it; whether anything of it was not there before."""
        if not self.dry_run:
            return bool(self.store.add_word(understood.rows, self.source, once=True))
        new = False
        for row in understood.rows:
            words = (row.execution_id, repr(row.raw))
            if words not in self.seen and not self.store.was_said(row.execution_id, row.raw, self.source):
                self.seen.add(words)
                new = True
        return new
