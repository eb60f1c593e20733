"""A function to learn -> a thread that does it beside the program, and not longer than the program wants to end."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable

from poet_hook.errors import LearnWarning, warn
from poet_hook.model import Learned

logger = logging.getLogger("poet_hook")
PATIENCE = 5.0  # seconds that a program which ends waits


class Background:
    """One learning thread at a time. A program that ends waits for it, but not for ever."""

    def __init__(self, learn: Callable[[str], Learned | None]) -> None:
        self.learn = learn
        self.lock = threading.Lock()
        self.waiting: list[tuple[str, Callable[[str], Learned | None]]] = []
        self.thread: threading.Thread | None = None
        self.ending = False
        atexit.register(self.end)
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """In a forked child: the thread stayed with the parent, and so may a locked lock."""
        self.lock = threading.Lock()
        self.waiting.clear()
        self.thread = None

    def ask(self, function: str, do: Callable[[str], Learned | None] | None = None) -> None:
        """Learn this function next, or `do` something else with it, unless it waits for that already."""
        task = (function, do or self.learn)
        with self.lock:
            if task not in self.waiting:
                self.waiting.append(task)
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self._run, name="poet_hook learn", daemon=True)
                try:
                    self.thread.start()
                except RuntimeError:  # the interpreter is ending: the next process learns
                    self.waiting.clear()

    def wait(self, seconds: float | None) -> bool:
        """Wait until nothing is being learned; False where `seconds` were not enough."""
        with self.lock:
            thread = self.thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(seconds)
        return not thread.is_alive()

    def end(self) -> None:
        """At the end of the program: what is not done in time is done after the next feedback."""
        interrupted = issubclass(getattr(sys, "last_type", None) or Exception, KeyboardInterrupt)
        try:
            done = self.wait(0.0 if interrupted else PATIENCE)
        except KeyboardInterrupt:
            done = False
        if not done:
            from poet_hook.isolation.worker import end_all

            self.ending = True
            with self.lock:
                self.waiting.clear()
            end_all("the program ends")
            self.wait(1.0)

    def _run(self) -> None:
        while True:
            with self.lock:
                if not self.waiting:
                    self.thread = None
                    return
                function, do = self.waiting.pop(0)
            try:
                learned = do(function)
                logger.info("%s: %s", function, "; ".join(learned.reasons) if learned else "nothing speaks against it")
            except Exception as error:  # noqa: BLE001 - a thread of ours: nothing was changed, and one warning says so
                if self.ending:
                    late = "the program ended before it had learned. The next feedback starts it again"
                    warn(f"{function}: {late}; to do it now: python -m poet_hook learn {function}", LearnWarning)
                    continue
                warn(f"{function}: learning in the background failed: {error}", LearnWarning)
