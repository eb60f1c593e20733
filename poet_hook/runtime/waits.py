"""What the attempts of an async function wait for: the pause between two, the time limit of one, the fallback."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import sys
import time
from types import TracebackType
from typing import Any

from poet_hook.errors import OperateTimeout
from poet_hook.runtime.operate import how_long

logger = logging.getLogger("poet_hook")


class AsyncTimeLimit:
    """One attempt's time limit: at its end the task is cancelled where it waits, and that becomes `OperateTimeout`.

    A body that does not wait can't be stopped. Under an event loop other than asyncio's and trio's there is no limit,
    which is said once.
    """

    def __init__(self, seconds: float, function: str) -> None:
        self.seconds = seconds
        self.function = function
        self.timeout: asyncio.Timeout | None = None
        self.scope: Any = None  # trio's

    async def __aenter__(self) -> None:
        try:
            self.timeout = await asyncio.timeout(self.seconds).__aenter__()
        except RuntimeError:  # no task of asyncio's
            trio = _trio()
            if trio is not None:
                self.scope = trio.CancelScope(deadline=trio.current_time() + self.seconds)
                self.scope.__enter__()
            elif self.function not in _told:
                _told.add(self.function)
                logger.warning("%s: timeout= has no effect: this is no task of asyncio or trio", self.function)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        over = False
        if self.timeout is not None:
            try:
                await self.timeout.__aexit__(kind, error, traceback)
            except TimeoutError:
                over = True
        elif self.scope is not None:
            self.scope.__exit__(kind, error, traceback)
            over = self.scope.cancelled_caught
        if over:
            raise OperateTimeout(f"{self.function} took longer than timeout={self.seconds:g}s") from None


_told: set[str] = set()


def cancels() -> int:
    """How often the task that runs here was to be cancelled, and was not told that this is over."""
    task = _task()
    if task is not None:
        return task.cancelling()
    trio = _trio()
    return 0 if trio is None else int(trio.current_effective_deadline() == -math.inf)


def _task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # another event loop's
        return None


def _trio() -> Any:
    """The module trio, where a task of its own runs here; it is imported then."""
    trio: Any = sys.modules.get("trio")
    try:
        trio.lowlevel.current_task()
    except (AttributeError, RuntimeError):
        return None
    return trio


async def pause(attempt: int, first: float) -> None:
    """Wait as `operate.pause` does, while other tasks run."""
    seconds = how_long(attempt, first)
    if _task() is not None:
        await asyncio.sleep(seconds)
    elif (trio := _trio()) is not None:
        await trio.sleep(seconds)
    else:  # another event loop's, whose way to sleep is not ours to know
        time.sleep(seconds)


async def awaited(value: Any) -> Any:
    """What a fallback gives, whether it is async or not."""
    return await value if inspect.isawaitable(value) else value
