"""A process that has just been forked -> one that can compute and write its reply, and nothing else.

Whatever the system does not have is left out: `isolation.level` says, by trying, what that comes to. Nothing of it can
be undone from inside.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import signal
import sys

from poet_hook.isolation import landlock, seccomp

MEMORY = 512 << 20  # bytes that a sealed process may take beyond what it was forked with
_DIE_WITH_PARENT, _NO_NEW_PRIVILEGES = 1, 38


class Seal:
    """What this system has to lock a process down with, and how large this one is: looked up before the fork."""

    def __init__(self) -> None:
        import resource  # noqa: F401 - Unix only, and behind the seal there is nothing to load it from

        self.linux = sys.platform == "linux"
        self.landlock = landlock.version()
        self.machine = seccomp.machine()
        self.parent = os.getpid()
        self.space, self.memory = size("self")

    def close(self, reply: int, seconds: float) -> None:  # pragma: no cover - what runs here can write no coverage
        """Lock this process down, single-threaded, right after the fork; it may write to `reply`, `seconds` long."""
        if self.linux:
            prctl = ctypes.CDLL(None).prctl
            prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
            prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        if os.getppid() != self.parent:
            os._exit(0)
        _close_others(reply)
        _forget_environment()
        sys.stdin, sys.stdout, sys.stderr = io.StringIO(), _Nowhere(), _Nowhere()
        landlock.restrict(self.landlock)
        _limit(seconds, self.space)
        if self.machine and not seccomp.install(seccomp.program(self.machine, reply)):
            os._exit(1)  # what can be locked is not judged unlocked


def size(pid: int | str) -> tuple[int, int]:
    """Bytes of address space and of memory that a process has; zeros where the system does not tell."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            space, memory, *_ = file.read().split()
    except (OSError, ValueError):
        return 0, 0
    page = os.sysconf("SC_PAGE_SIZE")
    return int(space) * page, int(memory) * page


class _Nowhere(io.TextIOBase):
    """What the judged code prints."""

    def write(self, text: str) -> int:
        return len(text)


def _close_others(reply: int) -> None:
    try:
        found = [int(name) for name in os.listdir("/dev/fd")]
    except (OSError, ValueError):
        found = list(range(os.sysconf("SC_OPEN_MAX")))
    for descriptor in found:
        if descriptor != reply:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _forget_environment() -> None:
    """Overwrite the variables where the process got them, then take them away: keys may be among them."""
    with contextlib.suppress(ValueError):  # no such symbol
        place = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")
        index = 0
        while place and (entry := place[index]):
            ctypes.memset(entry, 0, len(ctypes.string_at(entry)))
            index += 1
    os.environ._data.clear()  # type: ignore[attr-defined] # to unset them one by one would look for their names


def _limit(seconds: float, space: int) -> None:
    import resource  # Unix only

    limits = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_AS, space + MEMORY if space else 0),
        (getattr(resource, "RLIMIT_NPROC", -1), 0),
    ]
    for kind, value in limits:
        with contextlib.suppress(ValueError, OSError):
            if kind >= 0 and (value or kind != resource.RLIMIT_AS):
                resource.setrlimit(kind, (value, value))
