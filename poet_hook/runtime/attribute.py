"""A function with a pragma -> its attribute `poet`, through which it is taught and looked at."""

from __future__ import annotations

import poet_hook  # the public face, which imports what does the work only when that is asked for
from poet_hook.errors import NotEnhancedError

TYPE_CHECKING = False  # as `typing` has it, which takes long to import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FunctionType
    from typing import Any

    from poet_hook.learning.ask import Asked
    from poet_hook.model import Execution, FeedbackReceipt, Learned, Version


class Poet:
    """What `poet_hook` can do with one function, as `f.poet`; it knows the name of the function, where that learns.

    Everything raises `NotEnhancedError` where the function's pragma has no optimize_for=, and otherwise what the
    function of `poet_hook` with that name raises.
    """

    __slots__ = ("function", "place", "trains")

    def __init__(self, function: str, place: str, trains: bool) -> None:
        self.function = function
        self.place = place
        self.trains = trains

    def __repr__(self) -> str:
        return f"<poet of {self.function}>"

    def _given_to(self, function: FunctionType) -> FunctionType:
        """The function itself, which has the attribute now; generated code calls this as its innermost decorator."""
        function.__dict__["poet"] = self
        return function

    def train(self, progress: Callable[[str, float], None] | None = None) -> Learned:
        """Look for a better version now, as `poet_hook.learn` does."""
        return poet_hook.learn(self._name(), progress)

    def feedback(self, about: Any, said: Any, *, source: str = "user") -> FeedbackReceipt:
        """Say anything about an execution, as `poet_hook.feedback` does."""
        self._name()
        return poet_hook.feedback(about, said, source=source)

    def ask(self, limit: int = 5) -> Asked:
        """The executions whose label would decide most, as `poet_hook.ask` finds them."""
        return poet_hook.ask(self._name(), limit)

    def rollback(self) -> tuple[int, int]:
        """Put the version before the champion back in use; returns (from, to)."""
        return poet_hook.rollback(self._name())

    @property
    def versions(self) -> list[Version]:
        """Its versions, ascending; the first is the original."""
        return poet_hook.versions_of(self._name())

    @property
    def executions(self) -> Iterator[Execution]:
        """Its recorded executions, newest first."""
        return poet_hook.executions(self._name())

    def _name(self) -> str:
        if not self.trains:
            raise NotEnhancedError(
                f"it does not learn: its pragma, in {self.place}, has no optimize_for=, so nothing is recorded. Add "
                "one, such as: optimize_for=accuracy"
            )
        return self.function
