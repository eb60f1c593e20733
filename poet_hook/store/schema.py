"""The tables of poet.db, and the test that a file has exactly these and nothing else in it."""

from __future__ import annotations

import sqlite3
from functools import cache

APPLICATION_ID = 0x504F4554  # "POET"
VERSION = 4

_SINCE_2 = ", stream TEXT, raw BLOB, shadow BLOB, incident TEXT"
_EXECUTIONS = f"""CREATE TABLE executions (
        id TEXT NOT NULL UNIQUE, function TEXT NOT NULL, version INTEGER NOT NULL, source_hash TEXT NOT NULL,
        started REAL NOT NULL, duration REAL NOT NULL, outcome TEXT NOT NULL, arguments BLOB, result BLOB,
        error TEXT, key TEXT, attempts INTEGER NOT NULL, replayable TEXT NOT NULL{_SINCE_2}
    )"""
_INDICES = (
    "CREATE INDEX executions_by_function ON executions (function, started)",
    "CREATE INDEX executions_by_start ON executions (started)",
    "CREATE INDEX executions_by_key ON executions (key, started) WHERE key IS NOT NULL",
)
TABLES = (
    """CREATE TABLE functions (
        function TEXT PRIMARY KEY, module TEXT NOT NULL, qualname TEXT NOT NULL, path TEXT NOT NULL,
        line INTEGER NOT NULL, source_hash TEXT NOT NULL, optimize_for TEXT NOT NULL, domain TEXT,
        seen REAL NOT NULL
    )""",
    """CREATE TABLE sources (
        function TEXT NOT NULL, source_hash TEXT NOT NULL, source TEXT NOT NULL,
        PRIMARY KEY (function, source_hash)
    )""",
    _EXECUTIONS,
    *_INDICES,
    # AUTOINCREMENT: an id that learning has seen is never given again.
    """CREATE TABLE feedback (
        id INTEGER PRIMARY KEY AUTOINCREMENT, execution_id TEXT NOT NULL, given REAL NOT NULL,
        source TEXT NOT NULL, raw BLOB NOT NULL, kind TEXT NOT NULL, value BLOB NOT NULL,
        confidence REAL NOT NULL, reader TEXT NOT NULL, reason TEXT NOT NULL, comment TEXT NOT NULL
    )""",
    "CREATE INDEX feedback_by_execution ON feedback (execution_id, source)",
    "CREATE TABLE journals (name TEXT PRIMARY KEY, offset INTEGER NOT NULL)",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
)
# What a language model made of feedback that no rule reads; it stands beside the feedback, and replaces nothing.
_SINCE_3 = (
    """CREATE TABLE readings (
        feedback INTEGER PRIMARY KEY, at REAL NOT NULL, reader TEXT NOT NULL, kind TEXT NOT NULL, value BLOB NOT NULL,
        confidence REAL NOT NULL, reason TEXT NOT NULL, quote TEXT NOT NULL, suggestion TEXT NOT NULL,
        tries INTEGER NOT NULL
    )""",
)
# What a language model was asked for, without a word of it, and what it replied.
_SINCE_4 = (
    """CREATE TABLE llm_calls (
        id INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT NOT NULL, started REAL NOT NULL, purpose TEXT NOT NULL,
        function TEXT NOT NULL, model TEXT NOT NULL, outcome TEXT NOT NULL, tokens_in INTEGER NOT NULL,
        tokens_out INTEGER NOT NULL, cost REAL NOT NULL, seconds REAL NOT NULL
    )""",
    "CREATE INDEX llm_calls_by_day ON llm_calls (day)",
    """CREATE TABLE llm_replies (
        key TEXT PRIMARY KEY, made REAL NOT NULL, text TEXT NOT NULL, tokens_in INTEGER NOT NULL,
        tokens_out INTEGER NOT NULL
    )""",
)


def create(connection: sqlite3.Connection, version: int = VERSION) -> None:
    """Make the tables in an empty database."""
    for statement in (*TABLES, *_since(1, version)):
        connection.execute(statement.replace(_SINCE_2, "") if version == 1 else statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {version}")


def is_old(connection: sqlite3.Connection) -> bool:
    """Whether this is a database of ours that `upgrade` brings up to date."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return 1 <= version < VERSION and _content(connection) == _expected(version)


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring an old database up to date, inside a transaction; nothing in it is lost."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 1:
        _add_streams(connection)
    for statement in _since(version, VERSION):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _since(old: int, new: int) -> tuple[str, ...]:
    return (*(_SINCE_3 if old < 3 <= new else ()), *(_SINCE_4 if old < 4 <= new else ()))


def _add_streams(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE executions RENAME TO executions_1")
    for index in _INDICES:
        connection.execute(f"DROP INDEX {index.split()[2]}")
    connection.execute(_EXECUTIONS)
    connection.execute("INSERT INTO executions SELECT *, NULL, NULL, NULL, NULL FROM executions_1 ORDER BY rowid")
    connection.execute("DROP TABLE executions_1")
    for index in _INDICES:
        connection.execute(index)


def objection(connection: sqlite3.Connection) -> str:
    """Return what is wrong with a database in words, or "" where it is one of ours, untouched."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application_id != APPLICATION_ID:
        return "is no database of poet_hook"
    if version > VERSION:
        return f"was written by a newer poet_hook (its schema is {version}, this one knows {VERSION})"
    if is_old(connection):
        return "was written by an older poet_hook, and can't be brought up to date: it is read-only"
    odd = sorted(f"{kind} {name}" for kind, name, *_ in _content(connection) ^ _expected(VERSION))
    return f"has a foreign or changed schema ({', '.join(odd)})" if odd else ""


def _content(connection: sqlite3.Connection) -> frozenset[tuple[str, ...]]:
    return frozenset(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))


@cache
def _expected(version: int) -> frozenset[tuple[str, ...]]:
    connection = sqlite3.connect(":memory:")
    try:
        create(connection, version)
        return _content(connection)
    finally:
        connection.close()
