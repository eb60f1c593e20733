"""Executions: appended to the journals, moved into the database before each question, and found again."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import math
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from poet_hook.errors import AmbiguousResultError, CodecError, StoreError
from poet_hook.model import Execution
from poet_hook.store.codec import pack_execution, unpack_execution
from poet_hook.store.connection import PATIENCE, Database
from poet_hook.store.journal import NAME, Journal, open_file, read

logger = logging.getLogger("poet_hook")

BATCH_ROWS = 5_000
BATCH_BYTES = 1 << 24
PAGE = 200
SHORTEST_PART = 6

_COLUMNS = ", ".join(field.name for field in fields(Execution))
_INSERT = f"INSERT OR IGNORE INTO executions ({_COLUMNS}) VALUES ({', '.join('?' * len(fields(Execution)))})"
_REMEMBER = "INSERT INTO journals VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET offset = max(offset, excluded.offset)"


class Outline(NamedTuple):
    """What of an execution says where it stands in its stream, and what its result was."""

    id: str
    started: float
    duration: float
    source_hash: str
    outcome: str
    result: bytes | None
    raw: bytes | None
    stream: str | None
    incident: str | None


class Served(NamedTuple):
    """A call without its arguments and its result."""

    id: str
    version: int
    started: float
    duration: float
    outcome: str
    key: str | None
    stream: str | None
    shadow: bytes | None
    attempts: int
    error: str | None


class Executions(Database):
    """Every execution that was ever recorded in `home`, by whichever process."""

    def __init__(self, home: Path, create: bool = True) -> None:
        super().__init__(home, create)
        self._journal = Journal(home / "journal")
        self._told = False

    def record(self, execution: Execution) -> None:
        """Append an execution to this process's journal: once this returns, it is not lost."""
        if not self._create and self.is_absent():
            raise StoreError(f"{self.home}: nothing is stored here")
        self._journal.append(pack_execution(execution))

    @property
    def restarts(self) -> int:
        """How often the folder had gone while this process wrote to it (or the journal was full)."""
        return self._journal.restarts

    def absorb(self, seconds: float = math.inf) -> int:
        """Bring what the journals hold into the database; return how many executions were new.

        What `seconds` are not enough for is left to the next one who asks.
        """
        with self._guarded() as connection:
            self._journal.rescue()
            return self._absorb(connection, seconds) if connection and not self.read_only else 0

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a SELECT, over all that was recorded up to now."""
        self._absorb_if_possible()
        return super().query(sql, parameters)

    def _absorb_if_possible(self) -> None:
        """On a full or a read-only disk, what is in the database can still be read, and the journals wait."""
        try:
            self.absorb()
            if self.read_only and not self._told and (waiting := self._waiting()):
                why = "there is no room to write" if self.no_room else "it is read-only"
                logger.warning("what was recorded last is not shown: %s: %s (%d bytes wait)", self.home, why, waiting)
                self._told = True
        except StoreError as error:
            cause = error.__cause__
            code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
            full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            if code not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) and getattr(cause, "errno", 0) not in full:
                raise
            logger.warning("what was recorded last is not shown: %s", error)

    def _waiting(self) -> int:
        """How many bytes of the journals are not in the database."""
        offsets = dict(Database.query(self, "SELECT name, offset FROM journals"))
        return sum(max(0, size - offsets.get(name, 0)) for name, size in self._journals().items())

    def close(self) -> None:
        """Close the files; each is opened anew when it is needed again."""
        self._journal.close()
        super().close()

    def execution(self, part: str) -> Execution | None:
        """Return the execution with this id, or whose id alone begins or ends so (6 characters or more).

        `AmbiguousResultError` lists the first five where several do.
        """
        rows = self.query(f"SELECT {_COLUMNS} FROM executions WHERE id = ?", (part,))
        if not rows and len(part) >= SHORTEST_PART:
            size = len(part)
            ids = self.query(
                "SELECT id FROM executions WHERE substr(id, 1, ?) = ? OR substr(id, ?) = ? ORDER BY id LIMIT 6",
                (size, part, -size, part),
            )
            if len(ids) > 1:
                listed = ", ".join(found for (found,) in ids[:5]) + (", ..." if len(ids) > 5 else "")
                message = f"several executions have {part!r} at an end of their id: {listed}; give more of it"
                raise AmbiguousResultError(message, [found for (found,) in ids])
            if ids:
                rows = self.query(f"SELECT {_COLUMNS} FROM executions WHERE id = ?", ids[0])
        return Execution(*rows[0]) if rows else None

    def executions(
        self,
        function: str | None = None,
        *,
        since: float | None = None,
        until: float | None = None,
        with_feedback: bool | None = None,
        outcome: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        every: int = 1,
    ) -> Iterator[Execution]:
        """Yield executions in order of their start, `since` <= start < `until` (seconds since the epoch).

        With `every` = n only one execution in n is looked at, evenly spread over the time of recording.
        They are read page by page, so that a slow reader holds up nobody; what is recorded meanwhile may appear.
        """
        conditions: list[tuple[str, tuple[Any, ...]]] = []
        for condition, value in (
            ("function = ?", function),
            ("started >= ?", since),
            ("started < ?", until),
            ("outcome = ?", outcome),
        ):
            if value is not None:
                conditions.append((condition, (value,)))
        if every > 1:
            conditions.append(("rowid % ? = 0", (every,)))
        if with_feedback is not None:
            word = "EXISTS" if with_feedback else "NOT EXISTS"
            conditions.append((f"{word} (SELECT 1 FROM feedback WHERE execution_id = executions.id)", ()))
        self._absorb_if_possible()
        return self._pages(conditions, newest_first, limit)

    def _pages(
        self, conditions: list[tuple[str, tuple[Any, ...]]], newest_first: bool, limit: int | None
    ) -> Iterator[Execution]:
        after, direction = ("<", "DESC") if newest_first else (">", "ASC")
        place: list[tuple[str, tuple[Any, ...]]] = []
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            where = " AND ".join(condition for condition, _ in conditions + place) or "1"
            rows = Database.query(
                self,
                f"SELECT {_COLUMNS}, rowid FROM executions WHERE {where}"
                f" ORDER BY started {direction}, rowid {direction} LIMIT {size}",
                [value for _, values in conditions + place for value in values],
            )
            for *row, _ in rows:
                yield Execution(*row)
            if len(rows) < size:
                return
            left = None if left is None else left - size
            place = [(f"(started, rowid) {after} (?, ?)", (rows[-1][4], rows[-1][-1]))]

    def outline(self, function: str, limit: int) -> list[Outline]:
        """Return what orders the latest executions of a function into streams, in order of their start."""
        rows = self.query(
            f"SELECT {', '.join(Outline._fields)} FROM executions WHERE function = ?"
            " ORDER BY started DESC, rowid DESC LIMIT ?",
            (function, limit),
        )
        return [Outline(*row) for row in reversed(rows)]

    def some(self, ids: Sequence[str]) -> Iterator[Execution]:
        """Yield the executions with these ids, as far as they exist, in this order."""
        for start in range(0, len(ids), PAGE):
            page = ids[start : start + PAGE]
            marks = ", ".join("?" * len(page))
            rows = self.query(f"SELECT {_COLUMNS} FROM executions WHERE id IN ({marks})", page)
            found = {row[0]: Execution(*row) for row in rows}
            yield from (found[name] for name in page if name in found)

    def count(self, function: str) -> int:
        """Return how many executions of a function there are."""
        rows = self.query("SELECT count(*) FROM executions WHERE function = ?", (function,))
        return rows[0][0] if rows else 0

    def versions_used(self, function: str, since: float = 0.0) -> dict[int, int]:
        """Return how many executions each version of a function had, by its number, started since then."""
        return dict(
            self.query(
                "SELECT version, count(*) FROM executions WHERE function = ? AND started >= ?"
                " GROUP BY version ORDER BY version",
                (function, since),
            )
        )

    def shadows(self, function: str, unchanged: bytes) -> list[tuple[bytes, bytes | None, int]]:
        """Return what was recorded of challengers in the shadow, beside which result, and how often.

        Of those that recorded `unchanged` the result is left out.
        """
        return self.query(
            "SELECT shadow, CASE WHEN shadow = ? THEN NULL ELSE result END, count(*) FROM executions"
            " WHERE function = ? AND shadow IS NOT NULL GROUP BY 1, 2",
            (unchanged, function),
        )

    def differing(self, function: str, unchanged: bytes) -> list[str]:
        """Return the ids of the executions that nobody spoke of, and whose challenger recorded anything else."""
        rows = self.query(
            "SELECT id FROM executions WHERE function = ? AND shadow IS NOT NULL AND shadow != ?"
            " AND NOT EXISTS (SELECT 1 FROM feedback WHERE execution_id = executions.id)",
            (function, unchanged),
        )
        return [found for (found,) in rows]

    def served(self, function: str, source_hash: str, since: float, until: float = math.inf) -> list[Served]:
        """Return what is known of how each call of this text went, `since` <= start < `until`, in order of start."""
        rows = self.query(
            "SELECT id, version, started, duration, outcome, key, stream, shadow, attempts, error FROM executions"
            " WHERE function = ? AND source_hash = ? AND started >= ? AND started < ? ORDER BY started, rowid",
            (function, source_hash, since, until),
        )
        return [Served(*row) for row in rows]

    def calls_of(
        self, function: str, source_hash: str, version: int, since: float = 0.0, oldest: int = 0, newest: int = 0
    ) -> list[Served]:
        """Return how the `oldest` or the `newest` calls of one version of this text went, that started since then."""
        rows = self.query(
            "SELECT id, version, started, duration, outcome, key, stream, shadow, attempts, error FROM executions"
            " WHERE function = ? AND started >= ? AND source_hash = ? AND version = ?"
            f" ORDER BY started {'DESC' if newest else 'ASC'} LIMIT ?",
            (function, since, source_hash, version, newest or oldest),
        )
        return [Served(*row) for row in rows]

    def ids_for_key(self, function: str | None, key: str) -> list[str]:
        """Return the ids of the executions with this business key, of one function or of any, newest first."""
        rows = self.query(
            "SELECT id FROM executions WHERE key = ? AND function = coalesce(?, function)"
            " ORDER BY started DESC, rowid DESC",
            (key, function),
        )
        return [found for (found,) in rows]

    def _absorb(self, connection: sqlite3.Connection, seconds: float) -> int:
        end = time.monotonic() + seconds
        sizes = self._journals()
        offsets = dict(connection.execute("SELECT name, offset FROM journals")) if sizes else {}
        new, more = 0, any(size > offsets.get(name, 0) for name, size in sizes.items())
        while more and time.monotonic() < end:
            with self._transaction(connection, min(seconds, PATIENCE)):
                added, more = self._absorb_batch(connection, sizes)
            new += added
        self._delete_finished(connection, sizes)
        return new

    def _journals(self) -> dict[str, int]:
        """The sizes of the journals by name, oldest first."""
        try:
            with os.scandir(self._journal.folder) as entries:
                found = [entry for entry in entries if NAME.fullmatch(entry.name)]
        except FileNotFoundError:
            return {}
        sizes = {}
        for entry in sorted(found, key=lambda entry: entry.name):
            with contextlib.suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False):
                    sizes[entry.name] = entry.stat(follow_symlinks=False).st_size
        return sizes

    def _absorb_batch(self, connection: sqlite3.Connection, names: dict[str, int]) -> tuple[int, bool]:
        """Insert one batch; return how many executions were new, and whether there may be more."""
        offsets = dict(connection.execute("SELECT name, offset FROM journals"))
        ends: dict[str, int] = {}
        rows, size = [], 0
        for name in names:
            with contextlib.suppress(FileNotFoundError, CodecError):  # deleted, or by a newer poet_hook: later
                for end, payload in read(self._journal.folder / name, offsets.get(name, 0)):
                    rows.append(unpack_execution(payload))
                    ends[name] = end
                    size += len(payload)
                    if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES:
                        break
            if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES:
                break
        added = connection.executemany(_INSERT, rows).rowcount if rows else 0
        connection.executemany(_REMEMBER, ends.items())
        return added, len(rows) >= BATCH_ROWS or size >= BATCH_BYTES

    def _delete_finished(self, connection: sqlite3.Connection, names: dict[str, int]) -> None:
        """Delete each journal whose writer is gone and whose last frame is in the database."""
        offsets = dict(connection.execute("SELECT name, offset FROM journals"))
        gone: list[tuple[str]] = []
        for name in names:
            path = self._journal.folder / name
            with contextlib.suppress(OSError), open(open_file(path), "rb") as file:
                # A writer holds this lock while it lives; unlike a process id it means that in a container
                # too, and is never given to somebody else.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file.fileno()).st_size <= offsets.get(name, 0):
                    if not gone:  # what is deleted below must be on the disk here, whatever happens
                        with self._writer():
                            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                    path.unlink()
                elif next(read(path, offsets.get(name, 0)), None) is None:
                    path.rename(path.with_suffix(".torn"))  # its writer died inside a write
                else:
                    continue
                gone.append((name,))
        if gone:
            with self._transaction(connection):
                connection.executemany("DELETE FROM journals WHERE name = ?", gone)
