"""A process of its own for code that is being judged: one request, one reply, and a hard end.

Frames are a 4-byte length and msgpack. The child's own standard output goes nowhere, so that nothing the
judged code prints can pass for a reply.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from poet_hook.errors import ReplayError

_HEADER = struct.Struct(">I")
_MEMORY = 2 << 30  # bytes of address space that the child may use
# of numpy's library: what has threads can't be forked
ONE_THREAD = dict.fromkeys([f"{name}_NUM_THREADS" for name in ("OPENBLAS", "OMP", "MKL", "BLIS", "NUMEXPR")], "1")
# which nothing that is judged is to see
_OUR_KEYS = frozenset({"OPENAI_API_KEY", "AITOMATIC_API_KEY", "POET_SIGNING_KEY"})
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])


_workers: weakref.WeakSet[Worker] = weakref.WeakSet()
_refused = ""  # why no worker is started any more


os.register_at_fork(after_in_child=_workers.clear)  # they are the parent's


def end_all(reason: str) -> None:
    """Kill every child of this process, for good: whoever waits for one gets a `ReplayError`."""
    global _refused
    _refused = reason
    for worker in list(_workers):
        worker.kill()


class Worker:
    """A child process that runs `module`'s `main()`; use as a context manager."""

    def __init__(self, module: str) -> None:
        code = f"import sys; sys.path.insert(0, {_PACKAGE_PARENT!r}); from {module} import main; main()"
        if _refused:
            raise ReplayError(_refused)
        # -I: nothing of the environment or the working directory decides what is imported
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if name not in _OUR_KEYS} | ONE_THREAD,
        )
        _workers.add(self)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def ask(self, request: Any, seconds: float) -> Any:
        """The reply to `request`; raises `ReplayError` (and ends the child) where none comes in `seconds`."""
        deadline = time.monotonic() + seconds
        data = msgspec.msgpack.encode(request)
        try:
            assert self.process.stdin is not None
            self.process.stdin.write(_HEADER.pack(len(data)) + data)
            self.process.stdin.flush()
            size = _HEADER.unpack(self._read(_HEADER.size, deadline))[0]
            return msgspec.msgpack.decode(self._read(size, deadline))
        except TimeoutError:
            self.end()
            raise ReplayError(f"the replay took longer than {seconds:g} s and was ended") from None
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            self.end()
            raise ReplayError(f"the replay process ended: {error or 'it was killed'}") from error

    def _read(self, size: int, deadline: float) -> bytes:
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        parts = []
        while size:
            ready, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))
            if not ready:
                raise TimeoutError
            part = os.read(descriptor, min(size, 1 << 20))
            if not part:
                raise EOFError("no reply")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def kill(self) -> None:
        """Kill the child, and those that it forked; only SIGKILL stops what runs in C."""
        if hasattr(os, "killpg") and self.process.returncode is None:  # so its number is still its own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)  # it leads a group of its own
        self.process.kill()

    def end(self) -> None:
        """Kill the child, and wait for its end."""
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass
        self.process.wait()


def serve(handle: Callable[[Any], Any], *, may_write: bool = False) -> None:
    """The child's side: answer each request with `handle(request)` until the parent goes.

    Where the system can see to that, it writes and deletes no file, connects to nothing, and signals nobody outside.
    """
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    _hear()
    _die_with_parent()
    _limit()
    if not may_write:
        _only_read()
    with os.fdopen(source, "rb") as requests, os.fdopen(sink, "wb") as replies:
        while True:
            header = requests.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return
            reply = handle(msgspec.msgpack.decode(requests.read(_HEADER.unpack(header)[0])))
            data = msgspec.msgpack.encode(reply)
            replies.write(_HEADER.pack(len(data)) + data)
            replies.flush()


def _hear() -> None:
    """What the program ignores or holds back, this process inherits: it needs its alarms, and how its children end."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _die_with_parent() -> None:
    """On Linux the kernel ends the child when the thread that started it has gone, however that went."""
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _only_read() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import ctypes

            from poet_hook.isolation import landlock

            ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
            landlock.restrict(landlock.version(), may_read=True)


def _limit() -> None:
    """No file may grow, no core is dumped, memory is bounded."""
    try:
        import resource
    except ImportError:  # pragma: no cover - not on Windows
        return
    limits: Sequence[tuple[int, int]] = (
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, _MEMORY),
    )
    for kind, value in limits:
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):
            continue
