"""What was said about an execution, and what was understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

SignalKind = Literal[
    "right", "wrong", "expected", "range", "direction", "reward", "cost", "fields", "requested", "unread"
]


MODEL = "model "
"""How a `Signal.reader` begins that is a model; its name follows."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Feedback understood.

    kind "right" / "wrong" speak of the result as it was; "expected" carries the true value; "direction" says
    that a number was too high (-1, it should be lower) or too low (+1); "range" carries limits that the true number
    keeps, by the names at_least, at_most, above and below ({"at_least": 3, "below": 10}); "reward" is a score in
    0..1, "cost" what the execution cost; "fields" carries a signal by the name of each field of the result that was
    spoken of; "requested" carries numbers by the names of tunables that somebody asked for, and says nothing of the
    result; "unread" means that nothing understood it (`reason` says why), and its value is
    `INSTRUCTION` where it asks something of the function. `confidence` is in 0..1, of "fields" the
    least of its signals. `reader` is "rules", or "model " and the name of the model that read it.
    """

    kind: SignalKind
    value: Any = None
    confidence: float = 1.0
    reader: str = "rules"
    reason: str = ""
    comment: str = ""

    @property
    def model(self) -> str:
        """The name of the model that read it; "" where that was the rules."""
        return self.reader.removeprefix(MODEL) if self.reader.startswith(MODEL) else ""


@dataclass(frozen=True, slots=True)
class Feedback:
    """One thing that was said about one execution. `raw` is it, encoded; `given` is seconds since the epoch.

    `read` is when a language model made of it what `signal` says, 0 where the rules did that at once.
    """

    id: int
    execution_id: str
    given: float
    source: str
    raw: bytes
    signal: Signal
    read: float = 0.0


@dataclass(frozen=True, slots=True)
class FeedbackReceipt:
    """What became of feedback: `signal.kind == "unread"` means that it was stored but not understood."""

    execution_id: str
    function: str
    signal: Signal
