"""One SQLite file: opened with care, checked, shared by threads, and never open while a process forks.

The locks of SQLite belong to a process: a child that merely closes an inherited connection can destroy the
file, and one that opens another is protected by locks which it does not have.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shlex
import sqlite3
import stat
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from poet_hook.errors import StoreError
from poet_hook.store import schema
from poet_hook.store.codec import utf8
from poet_hook.store.journal import make_home

PATIENCE = 10.0
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")  # the end of a journal that does: SQLite, file format 3
_MAKE_ROOM = "; is the disk full? Make room on it, or set POET_HOME to another folder"

_lock = threading.RLock()  # one for all: a fork must wait for each of them
_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_inherited: list[sqlite3.Connection] = []  # by a fork that ran no hooks: must not even be closed


class Database:
    """`home`/poet.db; with `create=False`, a folder that is not there is an empty one and stays so."""

    def __init__(self, home: Path, create: bool = True) -> None:
        self._connection: sqlite3.Connection | None = None
        self.home = home
        self.path = home / "poet.db"
        self.read_only = False
        self.no_room = False
        """Whether it can only be read because nothing can be written beside it."""
        self._create = create
        self._opened: tuple[int, ...] = ()
        _databases.add(self)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a SELECT."""
        with self._guarded() as connection:
            return connection.execute(sql, clean(parameters)).fetchall() if connection else []

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A connection inside a transaction, which is committed at the end."""
        with self._guarded() as connection:
            if connection is None or self.read_only:
                why = f"there is no room to write{_MAKE_ROOM}" if self.no_room else "it is read-only"
                raise StoreError(f"{self.home}: {why if connection else 'nothing is stored here'}")
            with self._transaction(connection):
                yield connection

    def close(self) -> None:
        """Close the file; it is opened anew when it is needed again."""
        with _lock:
            self._disconnect()

    def __del__(self) -> None:
        self._disconnect()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection | None]:
        """The connection, for this thread alone, or None where nothing is stored; all errors are ours."""
        with _lock:
            try:
                yield self._connect()
            except OSError as error:
                raise StoreError(f"{error.filename or self.home}: {error.strerror or error}") from error
            except sqlite3.Error as error:
                code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                    raise self._unusable(f"is damaged ({error})") from error
                room = _MAKE_ROOM if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) else ""
                raise StoreError(f"{self.path}: {error}{room}") from error
            finally:
                if self.no_room:  # nobody else could open it meanwhile, and there may be room the next time
                    self._disconnect()

    def _unusable(self, reason: str) -> StoreError:
        place = shlex.quote(str(self.home / "moved-away"))
        fix = f"mkdir -p {place} && mv {shlex.quote(str(self.path))}* {place}/"
        return StoreError(f"{self.path} {reason}; move it away: {fix}")

    def is_absent(self) -> bool:
        """Whether nothing was ever stored in this folder."""
        return not self.path.exists() and not (self.home / "journal").exists()

    def _connect(self) -> sqlite3.Connection | None:
        if self._connection is not None:
            # Another process id: an inherited connection. Another file: the folder was deleted under us.
            if self._opened == self._identity():
                return self._connection
            self._disconnect()
        if not self.path.exists():
            if not self._create and (self.is_absent() or not os.access(self.home, os.W_OK)):
                return None
            self._make()
        self._opened = self._identity()
        if objection := self._planted():
            raise self._unusable(objection)
        self.read_only = not (os.access(self.home, os.W_OK) and os.access(self.path, os.W_OK))
        self.no_room = False
        if not self.read_only:
            try:
                self._connection = self._checked("rw")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _NO_ROOM:
                    raise
                # alone, SQLite keeps in memory what it otherwise writes beside the file
                self._connection = self._checked("rw", alone=True)
                self.read_only = self.no_room = True
        else:
            try:
                self._connection = self._checked("ro")
            except sqlite3.OperationalError:  # SQLite needs files beside it, which can't be made here
                self._connection = self._checked("ro&immutable=1")
        return self._connection

    def _planted(self) -> str:
        """What is wrong with the files, in words: SQLite writes into them, and deletes what one of them may name."""
        for suffix in ("", "-wal", "-shm", "-journal"):
            path = f"{self.path}{suffix}"
            try:
                status = os.stat(path) if not suffix else os.lstat(path)
            except FileNotFoundError:
                continue
            if not stat.S_ISREG(status.st_mode):
                return f"is not usable: {path} is no regular file, and may have come with a checkout"
            if status.st_nlink > 1:
                return f"is not usable: {path} is a hard link, and what it is a name of would be written to"
        # Before a look at any table, SQLite deletes the file that is named at the end of a journal that was left here.
        with contextlib.suppress(FileNotFoundError), open(f"{self.path}-journal", "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - len(_NAMES_ANOTHER)))
            if file.read() == _NAMES_ANOTHER:
                return "is not usable: the journal beside it names another file, which SQLite would delete"
        return ""

    def _identity(self) -> tuple[int, ...]:
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return (os.getpid(),)
        return os.getpid(), status.st_dev, status.st_ino

    def _checked(self, mode: str, alone: bool = False) -> sqlite3.Connection:
        connection = _open(self.path, mode, alone)
        try:
            if mode == "rw" and not alone and schema.is_old(connection):
                with self._transaction(connection):
                    if schema.is_old(connection):  # no other process was faster
                        schema.upgrade(connection)
            if objection := schema.objection(connection):
                if objection.startswith("was written by a newer"):
                    raise StoreError(f"{self.path} {objection}; upgrade poet_hook, or set POET_HOME to another folder")
                raise self._unusable(objection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._opened[0] == os.getpid():
            connection.close()
        else:
            _inherited.append(connection)

    def _make(self) -> None:
        """Make the file elsewhere and put it in place whole, so that nobody ever opens half of one."""
        make_home(self.home)
        draft = self.home / f"new-{os.getpid()}-{os.urandom(8).hex()}.db"
        with self._writer():
            if self.path.exists():
                return
            for suffix in ("-wal", "-shm"):  # of a database that was moved away: would be read into this one
                with contextlib.suppress(FileNotFoundError):
                    os.rename(f"{self.path}{suffix}", f"{self.path}{suffix}.{time.time_ns()}")
            os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            try:
                with contextlib.closing(_open(draft, "rw")) as connection:
                    connection.execute("PRAGMA journal_mode = WAL")
                    schema.create(connection)
                os.rename(draft, self.path)
            finally:
                draft.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _writer(self, patience: float = PATIENCE) -> Iterator[None]:
        """One writer at a time: SQLite up to 3.51.2 can damage a WAL in which two processes write at once."""
        path = self.home / "poet.lock"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + patience
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise StoreError(f"{path}: another process has been writing for {patience:g} s") from None
                    time.sleep(0.002)
                except OSError:  # no such locks on this file system: SQLite's own are left
                    break
            yield
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def _transaction(self, connection: sqlite3.Connection, patience: float = PATIENCE) -> Iterator[None]:
        with self._writer(patience):
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def clean(parameters: Sequence[Any]) -> tuple[Any, ...]:
    """Return parameters that SQLite takes: lone surrogates spelled out."""
    return tuple(utf8(value) if isinstance(value, str) else value for value in parameters)


def _open(path: Path, mode: str, alone: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(os.path.abspath(path))}?mode={mode}",
        uri=True,
        timeout=PATIENCE,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        own = ("locking_mode = EXCLUSIVE", "query_only = ON") if alone else ()
        for pragma in (*own, "trusted_schema = OFF", "synchronous = NORMAL", "cell_size_check = ON"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _before_fork() -> None:
    _lock.acquire()
    for database in list(_databases):
        database._disconnect()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


os.register_at_fork(before=_before_fork, after_in_parent=lambda: _lock.release(), after_in_child=_after_fork_in_child)


@atexit.register
def _close_all() -> None:
    """While there is an interpreter yet that can do it."""
    with _lock:
        for database in list(_databases):
            database._disconnect()
