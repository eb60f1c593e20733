"""What the attempts of an async function wait for: the pause between two, the time limit of one, the fallback."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from types import TracebackType
from typing import Any

from poet_hook.errors import OperateTimeout
from poet_hook.runtime.operate import how_long

logger = logging.getLogger("poet_hook")


class AsyncTimeLimit:
    """One attempt's time limit: at its end the task is cancelled where it waits, and that becomes `OperateTimeout`.

    A body that does not wait can't be stopped. Under an event loop other than asyncio's there is no limit, which is
    said once.
    """

    def __init__(self, seconds: float, function: str) -> None:
        self.seconds = seconds
        self.function = function
        self.timeout: asyncio.Timeout | None = None

    async def __aenter__(self) -> None:
        try:
            self.timeout = await asyncio.timeout(self.seconds).__aenter__()
        except RuntimeError:  # no task of asyncio's
            if self.function not in _told:
                _told.add(self.function)
                logger.warning("%s: timeout= has no effect: this is no task of asyncio's", self.function)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.timeout is None:
            return
        try:
            await self.timeout.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise OperateTimeout(f"{self.function} took longer than timeout={self.seconds:g}s") from None


_told: set[str] = set()


def cancels() -> int:
    """How often the task that runs here was to be cancelled, and was not told that this is over."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # another event loop's
        return 0
    return 0 if task is None else task.cancelling()


async def pause(attempt: int, first: float) -> None:
    """Wait as `operate.pause` does, while other tasks run."""
    seconds = how_long(attempt, first)
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # another event loop's, whose way to sleep is not ours to know
        time.sleep(seconds)
    else:
        await asyncio.sleep(seconds)


async def awaited(value: Any) -> Any:
    """What a fallback gives, whether it is async or not."""
    return await value if inspect.isawaitable(value) else value
