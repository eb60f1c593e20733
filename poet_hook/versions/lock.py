"""A folder and a name -> a block that one process, and one thread of it, runs at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(folder: Path, name: str = "") -> Iterator[None]:
    """Hold the folder's lock of that name, or its own without one, and make it where it is missing; others wait.

    Raises `OSError`.
    """
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows: two at once, and the last one's word counts
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    how = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW if name else os.O_RDONLY | os.O_DIRECTORY
    descriptor = os.open(folder / name, how | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
