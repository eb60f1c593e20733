"""What one call was, and what it knows of those before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Steady:
    """How a yes or no depends on the earlier ones of its stream (`runtime/steady.py`); by default it does not.

    `min_run` and `hold` count calls; `cooldown` is calls where it is an int, and seconds where it is a float. `margin`
    is how much nearer the limit of the body lies (`Limit`) while the body last said yes.
    """

    min_run: int = 1
    hold: int = 0
    cooldown: int | float = 0
    margin: float = 0.0

    def __bool__(self) -> bool:
        """Whether there is anything to remember."""
        return self.min_run > 1 or self.hold > 0 or self.cooldown > 0 or self.margin > 0


@dataclass(frozen=True, slots=True)
class Execution:
    """The record of one call.

    `started` is seconds since the epoch, `duration` seconds. `arguments` are the encoded arguments (None
    where nothing may be stored), `replayable` is "" or the reason why it can't be run again. `outcome` is
    "result", "error" or "fallback"; `result` is the encoded value, `error` the exception as "Type: text".
    `stream` names the stream that it belongs to, `incident` the incident, where the pragma says how to tell; `raw`
    is what the body returned, encoded, where the caller got another yes or no; `shadow` is what a challenger made of it
    (`runtime.trial.told` reads that).
    """

    id: str
    function: str
    version: int
    source_hash: str
    started: float
    duration: float
    outcome: Literal["result", "error", "fallback"]
    arguments: bytes | None = None
    result: bytes | None = None
    error: str | None = None
    key: str | None = None
    attempts: int = 1
    replayable: str = ""
    stream: str | None = None
    raw: bytes | None = None
    shadow: bytes | None = None
    incident: str | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """How one phase of a call went: "ok", "retried", "fallback", "skipped", "recorded", or why it can't be replayed."""

    name: Literal["perceive", "operate", "enforce", "train"]
    outcome: str


@dataclass(frozen=True, slots=True)
class POETResult:
    """What `poet_hook.call(f, ...)` returns: the value, and the execution that feedback may name."""

    value: Any
    execution_id: str
    function: str
    version: int
    duration: float
    phases: tuple[Phase, ...] = ()
