"""What a user writes: the options of a `# poet:` comment, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from poet_hook.model.execution import Steady

RecordMode = Literal["full", "hash", "shape", "none"]
Coerce = Literal["lax", "strict", "off"]
Learn = Literal["auto", "proven", "propose", "shadow", "off"]
Scope = Literal["function", "class", "module", "assume"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong in a pragma: `code` is PHnnn, lines are 1-based, columns 0-based."""

    code: str
    message: str
    line: int
    column: int
    end_column: int
    hint: str = ""
    source_line: str = ""


@dataclass(frozen=True, slots=True)
class Tune:
    """`# poet: tune ...` at the end of a line: the range, or the choices, for what stands there."""

    line: int
    lower: float | None = None
    upper: float | None = None
    name: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fallback:
    """What is returned when the body fails: a literal value, or the name of a function of the module."""

    value: Any = None
    function: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an option of a pragma was said: in the pragma of which scope, and where in the source.

    `line` is 1-based, the columns 0-based. What is assumed of code stands nowhere in it: `line` is 0 then, `said_in`
    names the setting, and the columns are those of its text, `source_line`.
    """

    scope: Scope
    line: int
    column: int
    end_column: int
    source_line: str
    said_in: str = ""


@dataclass(frozen=True, slots=True)
class Pragma:
    """The typed options of one function, or those that a class or a module gives to each of its functions.

    `line` is the first pragma line, `target_line` the first line after it; both are that of the function where it has
    no pragma of its own, and 0 for what is assumed. `origins` says of each option that was given, by its name, where.

    `group` is the gap within which alerts are one incident, calls where it is an int and seconds where it is a float,
    or an expression over the arguments whose value names the incident. `half_life` counts feedbacks where it is an int,
    and seconds where it is a float.
    """

    line: int
    target_line: int
    domain: str | None = None
    optimize_for: str | None = None
    retries: int = 0
    backoff: float = 0.05
    timeout: float | None = None
    fallback: Fallback | None = None
    ensure: str | None = None
    require: str | None = None
    coerce: Coerce = "lax"
    record: RecordMode = "full"
    record_arguments: Mapping[str, RecordMode] = field(default_factory=dict)
    key: str | None = None
    stream: str | None = None
    min_run: int | None = None
    hold: int | None = None
    cooldown: int | float | None = None
    margin: float | None = None
    learn: Learn = "auto"
    after: int = 5
    cost: tuple[float, float] = (1.0, 1.0)
    group: int | float | str | None = None
    assume_ok_after: float | None = None
    half_life: int | float | None = None
    alpha: float = 0.05
    canary: float | None = None
    tunes: tuple[Tune, ...] = ()
    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False)

    @property
    def objectives(self) -> tuple[str, ...]:
        """What `optimize_for` names, one or several."""
        return tuple((self.optimize_for or "accuracy").split("+"))

    @property
    def trains(self) -> bool:
        """True where calls are recorded and learned from."""
        return self.optimize_for is not None

    @property
    def steady(self) -> Steady:
        """What is remembered between calls."""
        return Steady(self.min_run or 1, self.hold or 0, self.cooldown or 0, self.margin or 0.0)
