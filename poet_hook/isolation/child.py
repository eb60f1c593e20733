"""Work that is not trusted -> its items, one by one, from a forked child of this process that is locked down.

The child writes a line of JSON for each item, and nothing it writes is taken for more than that. It is killed where
it keeps silent for too long, takes too much memory, or writes what is no item; this process goes on.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from poet_hook.isolation.seal import MEMORY, Seal, size

LONGEST = 400_000  # bytes of one item: the largest stored value, in base64
MOST = 128 << 20  # bytes of all items
_PAUSE = 0.001  # seconds for a child to write more items: to be woken for each costs as much as a small function
_LOOK = 0.05  # seconds between two looks at the memory of a child


class EndedError(Exception):
    """The child has gone, or was killed: the text says why."""


class Child:
    """A child that runs `work` behind a seal, for `seconds` of computing at most; use as a context manager.

    Raises `EndedError` where none can be forked. Whatever `work` raises ends the child.
    """

    def __init__(self, work: Callable[[], Iterable[Any]], seconds: float, seal: Seal | None = None) -> None:
        if not hasattr(os, "fork"):
            raise EndedError("this system can't fork a process, and so can't judge generated code")
        if _threads() > 1:
            raise EndedError("its module runs threads, so that no process can be forked to judge generated code")
        seal = seal or Seal()
        self._most = seal.memory + MEMORY
        self._look = time.monotonic() + _LOOK
        self._read = 0
        self._rest = b""
        try:
            self._replies, reply = os.pipe()
            self.pid = _forked(self._replies, reply)
        except OSError as error:
            raise EndedError(f"no process could be forked to judge generated code: {error}") from None
        if not self.pid:
            _compute(work, seal, reply, seconds)
        os.close(reply)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        if self.pid:
            self._end()
        os.close(self._replies)

    def next(self, seconds: float) -> Any:
        """The next item; raises `EndedError` where none comes in `seconds`, and the child is gone then."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            if len(self._rest) > LONGEST or self._read > MOST:
                raise self._ended("it returned too much")
            self._wait(deadline)
            if self._read:
                time.sleep(_PAUSE)
            part = os.read(self._replies, 1 << 16)
            if not part:
                raise self._gone()
            self._read += len(part)
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            return json.loads(line)
        except (ValueError, RecursionError):
            raise self._ended("it wrote what is no reply") from None

    def _wait(self, deadline: float) -> None:
        """Until there is something to read; looks at the memory now and then."""
        while True:
            now = time.monotonic()
            if now >= self._look:
                self._look = now + _LOOK
                if size(self.pid)[1] > self._most:
                    raise self._ended("it took too much memory")
            left = deadline - now
            ready, _, _ = select.select([self._replies], [], [], max(min(left, _LOOK), 0.0))
            if ready:
                return
            if left <= 0.0:
                raise self._ended("took too long")

    def _ended(self, why: str) -> EndedError:
        self._end()
        return EndedError(why)

    def _gone(self) -> EndedError:
        status = self._end()
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            why = _SIGNALS.get(number, "it crashed")
            return EndedError(f"{why} ({signal.Signals(number).name})")
        return EndedError("it ended its process")

    def _end(self) -> int:
        """Kill the child, and take its status: of one that has ended by itself, how."""
        pid, self.pid = self.pid, 0
        try:
            gone, status = os.waitpid(pid, os.WNOHANG)
            if not gone:
                os.kill(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
        except ChildProcessError:  # the judged module had SIGCHLD ignored
            return 0
        return status


FORBIDDEN = "it tried to change something outside of its process, and was ended"
_SIGNALS = {
    getattr(signal, "SIGSYS", 0): FORBIDDEN,
    getattr(signal, "SIGXCPU", 0): "took too long",
    signal.SIGTERM: "it was ended",
    getattr(signal, "SIGKILL", 0): "it was killed, as where it takes too much memory or time",
}


def _forked(*pipe: int) -> int:
    try:
        return os.fork()
    except OSError:
        for end in pipe:
            os.close(end)
        raise


def _compute(
    work: Callable[[], Iterable[Any]], seal: Seal, reply: int, seconds: float
) -> None:  # pragma: no cover - what runs here can write no coverage
    """The child's side; does not return."""
    try:
        seal.close(reply, seconds)
        for item in work():
            line = json.dumps(item).encode() + b"\n"
            while line:
                line = line[os.write(reply, line) :]
        os._exit(0)
    finally:
        os._exit(1)


def _threads() -> int:
    """How many threads this process has: those that C started too, where the system tells."""
    try:
        return len(os.listdir("/proc/self/task")) if sys.platform == "linux" else threading.active_count()
    except OSError:
        return threading.active_count()
