"""Payloads -> one append-only file per process, which outlives a SIGKILL of its writer.

A frame is the payload's length (u32), its CRC-32 (u32) and the payload, little-endian, in one write. The
writer holds a lock on its file for as long as it lives, so that a reader knows when nothing more can come.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import re
import stat
import struct
import threading
import time
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path

from poet_hook.errors import StoreError

NAME = re.compile(r"\d+-\d+-[0-9a-f]{16}\.log")
MAX_PAYLOAD = 1 << 28
MAX_FILE = 1 << 26  # then the next one, so that what has been read can be deleted while the process lives
LOOK_EVERY = 0.01  # seconds

_HEADER = struct.Struct("<II")
_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


class Journal:
    """One process's file in `folder`, made at the first append; safe in threads and across a fork."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._fd = -1
        self._inode = -1
        self._size = 0
        self._look_again = 0.0
        self.restarts = 0  # how often what was there before had gone, or was full
        # A signal handler may record a call while the thread that it interrupts is recording one.
        self._lock = threading.RLock()
        _journals.add(self)

    def append(self, payload: bytes) -> None:
        """Write one frame: once this returns, the payload survives the process. StoreError if it can't be."""
        size = len(payload)
        if not 0 < size <= MAX_PAYLOAD:
            raise StoreError(f"{self.folder}: a payload of {size} bytes can't be recorded")
        frame = _HEADER.pack(size, zlib.crc32(payload)) + payload
        with self._lock:
            try:
                if time.monotonic() >= self._look_again:
                    self._look()
                written = os.write(self._fd, frame)
            except OSError as error:
                self._look_again = 0.0
                raise StoreError(f"{self.folder}: {error.strerror or error}") from error
            if written != len(frame):
                self.close()  # a reader stops at the torn frame: what follows needs another file
                raise StoreError(f"{self.folder}: No space left on device (a frame was cut off)")

    def rescue(self) -> None:
        """Write again, into a new file, what went into one that had just been deleted. OSError if it can't be."""
        with self._lock:
            if self._fd >= 0 and (lost := self._lost()):
                self._open(lost)

    def close(self) -> None:
        """Close the file; a later append starts another one."""
        with self._lock:
            fd, self._fd = self._fd, -1
            if fd >= 0 and _status(fd)[0] == self._inode:
                os.close(fd)
            self._inode, self._look_again = -1, 0.0

    def _look(self) -> None:
        # Not at each append, which would double its cost: what falls in between is written again.
        lost = self._lost()
        if lost is not None:
            self._open(lost)
        self._look_again = time.monotonic() + LOOK_EVERY

    def _lost(self) -> bytes | None:
        """None while the file can take more; otherwise what the next one must begin with.

        The folder may have been deleted, and a program that closes every descriptor (a daemon does) may have
        given ours to a file of its own.
        """
        inode, links, size = _status(self._fd)
        if inode != self._inode:
            return b""
        if not links:
            return os.pread(self._fd, size - self._size, self._size)
        self._size = size
        return None if size < MAX_FILE else b""

    def _open(self, first: bytes) -> None:
        self.restarts += self._inode != -1
        self.close()
        make_home(self.folder.parent)
        self.folder.mkdir(0o700, exist_ok=True)
        links = 0
        while not links:  # a reader that found it empty and without its lock may have deleted it
            name = f"{time.time_ns() // 1_000_000}-{os.getpid()}-{os.urandom(8).hex()}.log"
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            fd = os.open(self.folder / name, flags, 0o600)
            with contextlib.suppress(OSError):  # no locks here: then nobody deletes it either
                fcntl.flock(fd, fcntl.LOCK_EX)
            self._inode, links, self._size = _status(fd)
            self._fd = fd
            if not links:
                self.close()
        if first:
            os.write(self._fd, first)

    def _after_fork(self) -> None:
        """In the child: leave the parent's file to the parent, and its locked lock behind."""
        self._lock = threading.RLock()
        self.close()


def _after_fork() -> None:
    for journal in list(_journals):
        journal._after_fork()


def _at_exit() -> None:
    for journal in list(_journals):
        with contextlib.suppress(OSError):
            journal.rescue()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)


def _status(fd: int) -> tuple[int, int, int]:
    """The number of an open file, how many names it has, and its size; zeros if it is not open."""
    try:
        status = os.fstat(fd)
    except OSError:
        return 0, 0, 0
    return status.st_ino, status.st_nlink, status.st_size


def make_home(home: Path) -> None:
    """Make the folder that holds everything, for its owner alone and out of version control."""
    home.mkdir(0o700, parents=True, exist_ok=True)
    ignore = home / ".gitignore"
    try:
        written = ignore.stat().st_size > 0
    except FileNotFoundError:
        written = False
    if not written:  # or the disk was full when it was
        draft = home / f".gitignore.{os.getpid()}.{os.urandom(4).hex()}"
        try:
            draft.write_text("*\n", encoding="ascii")
            os.replace(draft, ignore)
        finally:
            draft.unlink(missing_ok=True)


def open_file(path: Path) -> int:
    """Open a journal file for reading, or raise OSError; a link, pipe or device in its place is refused."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{path} is no regular file")
    return fd


def read(path: Path, offset: int) -> Iterator[tuple[int, bytes]]:
    """Yield (end offset, payload) of each whole frame from `offset` on; a torn frame ends it."""
    with open(open_file(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(offset)
        while offset + _HEADER.size < size:
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return
            length, checksum = _HEADER.unpack(header)
            offset += _HEADER.size + length
            if not 0 < length <= MAX_PAYLOAD or offset > size:
                return
            payload = file.read(length)
            if zlib.crc32(payload) != checksum:
                return
            yield offset, payload
