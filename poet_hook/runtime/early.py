"""The first calls of a version in use -> somebody looks at them, once some have failed or taken long.

Whether that is the version's doing is for `learning.trip` to say, by what all processes recorded.
"""

from __future__ import annotations

from collections.abc import Callable

FIRST = 1000  # calls of a version that are looked at
SLOW = 0.05  # seconds: what takes less is never slow

_look: Callable[[str], None] | None = None


def when_bad(look: Callable[[str], None]) -> None:
    """Say what is called with a function's name when calls of a new version were bad."""
    global _look
    _look = look


class Early:
    """What this process saw of the calls of one version; asks after 3, 6, 12, ... of them that may be bad."""

    __slots__ = ("bad", "calls", "due")

    def __init__(self) -> None:
        self.calls = self.bad = 0
        self.due = 3

    def saw(self, function: str, outcome: str, duration: float) -> None:
        """Take in how one call ended, and how many seconds it took."""
        self.calls += 1
        if self.calls > FIRST or (outcome == "result" and duration < SLOW):
            return
        self.bad += 1
        if self.bad >= self.due:
            self.due *= 2
            if _look is not None:
                _look(function)
