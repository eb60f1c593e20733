"""A file and a port -> what a process can do to them, to memory and to other processes: plainly, and behind the seal.

Each attempt is made in a child of its own, since some of them end it. What fails plainly, too, proves nothing.
"""

from __future__ import annotations

import mmap
import os
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from poet_hook.isolation.child import FORBIDDEN, Child, EndedError
from poet_hook.isolation.seal import MEMORY, Seal
from poet_hook.isolation.worker import serve

_SECONDS = 5.0  # for one attempt
_SEIZE = 0x4206  # ptrace: take a process without stopping it


class Open(Seal):
    """No seal."""

    def close(self, reply: int, seconds: float) -> None:
        pass


def _compute(_path: str, _port: int) -> None:
    sum(map(float, map(str, range(100))))


def _read(path: str, _port: int) -> None:
    os.close(os.open(path, os.O_RDONLY))


def _empty(path: str, _port: int) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))


def _shorten(path: str, _port: int) -> None:
    os.truncate(path, 0)


def _change_mode(path: str, _port: int) -> None:
    os.chmod(path, 0o644)


def _delete(path: str, _port: int) -> None:
    os.unlink(path)


def _connect(_path: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.connect(("127.0.0.1", port))


def _send(_path: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", port))


def _fork(_path: str, _port: int) -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)


def _signal(_path: str, _port: int) -> None:
    os.kill(os.getppid(), 0)


def _trace(_path: str, _port: int) -> None:
    import ctypes

    if ctypes.CDLL(None).ptrace(_SEIZE, os.getppid(), 0, 0):
        raise PermissionError


def _raise_limits(_path: str, _port: int) -> None:
    import resource  # Unix only

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 1))


def _take(_path: str, _port: int) -> None:
    mmap.mmap(-1, MEMORY + (64 << 20)).close()  # address space, of which nothing is used


ATTEMPTS: dict[str, Callable[[str, int], None]] = {
    "read a file": _read,
    "empty a file": _empty,
    "shorten a file": _shorten,
    "change the mode of a file": _change_mode,
    "delete a file": _delete,
    "connect to a port": _connect,
    "send a datagram": _send,
    "start a process": _fork,
    "send a signal": _signal,
    "take another process": _trace,
    "take much memory": _take,
    "raise its limits": _raise_limits,
}


def handle(request: dict[str, Any]) -> dict[str, Any]:
    """Whether each attempt works behind the seal and plainly, and whether computing does there."""
    seal = Seal()
    found = {}
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for name, attempt in ATTEMPTS.items():
            behind = _tries(attempt, request["sealed"], port, seal)
            plainly = _tries(attempt, request["plain"], port, Open())
            found[name] = [behind is not False, plainly is True]
        computes = _tries(_compute, request["sealed"], port, seal) is True
    return {"attempts": found, "computes": computes, "landlock": seal.landlock, "seccomp": seal.machine}


def _tries(attempt: Callable[[str, int], None], path: str, port: int, seal: Seal) -> bool | None:
    """Whether the attempt works; None where that is not known, as where its child took too long."""
    try:
        with Child(partial(_tried, attempt, path, port), _SECONDS, seal) as child:
            return bool(child.next(_SECONDS))
    except EndedError as ended:
        return False if str(ended).startswith(FORBIDDEN) else None


def _tried(attempt: Callable[[str, int], None], path: str, port: int) -> Iterator[bool]:
    try:
        attempt(path, port)
    except (OSError, ValueError):
        yield False
    else:
        yield True


def main() -> None:
    """Serve attempts to the parent until it goes; what is tried plainly must be possible."""
    serve(handle, may_write=True)
