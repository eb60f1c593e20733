"""What will be done to a function, and what learning may change in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from poet_hook.model import CODE, MARGIN, Value
from poet_hook.model.execution import Steady
from poet_hook.model.pragma import Pragma

TYPE_CHECKING = False
if TYPE_CHECKING:
    from poet_hook.settings import Assumption

FunctionKind = Literal["function", "coroutine", "generator", "async generator"]
TunableKind = Literal["number", "choice", "guard", "option"]


@dataclass(frozen=True, slots=True)
class Span:
    """A part of one line of a function's text.

    `line` counts from the `def` line (0); the columns, in bytes of UTF-8, from the start of that line after the
    function's indentation was taken away. Where both columns are one, text may be put in there.
    """

    line: int
    column: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Exit:
    """A `return` that a guard may stand at, the `number`th of the function from 0 on.

    `start` and `end` are before and after what it returns, `names` what is bound there for sure, `wraps` the words that
    join only what is in parentheses. Where `constant` is True or False, that is all it returns, and stands at `start`.
    """

    number: int
    start: Span
    end: Span
    names: tuple[str, ...]
    wraps: tuple[str, ...] = ()
    constant: bool | None = None


@dataclass(frozen=True, slots=True)
class Tunable:
    """A part of a function's body, or an option of its pragma, that learning may change.

    `name` is unique in the function, `value` what the user wrote (of an option: what it is without being written).
    `line` and the columns say where it stands, as in `Span`; of an option, `line` is that of the pragma. A number lies
    between `lower` and `upper`; `integer` keeps it an int. A choice is one of `choices`, which begin with what the user
    wrote and go on in the order of how little they change; `texts` are what each of them writes at each of `places`.
    Where `parameter` is a name, it is the default of that parameter; where `constant` is one, the number that the
    module calls so. A guard is a text ("": none) that stands at `exits`; it compares only `numbers` with a number.
    """

    name: str
    value: Value
    line: int
    column: int
    end_column: int
    integer: bool = False
    lower: float | None = None
    upper: float | None = None
    declared: bool = False
    kind: TunableKind = "number"
    choices: tuple[str, ...] = ()
    places: tuple[Span, ...] = ()
    texts: tuple[tuple[str, ...], ...] = ()
    parameter: str = ""
    constant: str = ""
    exits: tuple[Exit, ...] = ()
    numbers: tuple[str, ...] = ()

    @property
    def structural(self) -> bool:
        """Whether it changes more than a value, and nobody asked for that: then it must do a good deal better."""
        second_limit = self.kind == "option" and self.name == MARGIN and not self.value
        return self.kind == "guard" or (self.kind == "choice" and not self.declared) or second_limit


@dataclass(frozen=True, slots=True)
class Limit:
    """The one number of a body that `margin=` moves while the body last said yes.

    It stands at `place`, and is called `name` where it is a tunable, as it is where the function learns; else "". The
    further it goes `towards` -1 or 1, the more is an alert.
    """

    name: str
    value: float
    integer: bool
    place: Span
    towards: int

    def __str__(self) -> str:
        return self.name or f"{self.value:g}"

    def near(self, value: float, margin: float) -> float:
        """Where the limit lies in place of `value` as long as the body last said yes."""
        return value + self.towards * (int(margin) if self.integer else margin)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: `kind` is the annotation that Perceive checks ("" where it checks none)."""

    name: str
    kind: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done to one function.

    `source` is the function's own text (decorators left out, indentation taken away), with the lines of the module's
    constants that are among the tunables behind it, and `source_hash` its SHA-256 (hex): recorded executions and
    versions belong to exactly that text. `constants` are the lines (1-based) where these stand in the file. `assume` is
    what the settings say of the module: who plans it anew says it again. `kind` is what a call gives, `nested` whether
    the function is defined inside another, and `own` whether a pragma stands above itself. `limit` is what `margin=`
    moves, where that is there, or learning may put it in.
    """

    function: str
    module: str
    qualname: str
    path: str
    line: int
    pragma: Pragma
    parameters: tuple[Parameter, ...]
    returns: str
    tunables: tuple[Tunable, ...]
    source: str
    constants: tuple[int, ...] = ()
    assume: tuple[Assumption, ...] = ()
    kind: FunctionKind = "function"
    nested: bool = False
    own: bool = True
    limit: Limit | None = None

    @property
    def source_hash(self) -> str:
        """What stands for `source` in what is recorded and kept."""
        return _sha256(self.source)

    def line_of(self, tunable: Tunable) -> int:
        """The line of the file where a tunable stands."""
        if not tunable.constant:
            return self.line + tunable.line
        return self.constants[tunable.line - (self.source.count("\n") - len(self.constants))]

    def tunables_with(self, values: Mapping[str, Value]) -> tuple[Tunable, ...]:
        """What learning may change where these values are in use: of other code, nothing that stands in it."""
        return () if CODE in values else self.tunables

    def with_options(self, values: Mapping[str, Value]) -> Plan:
        """The same with `values` (by tunable name) in place of the options that the user wrote, or did not."""
        options = [t for t in self.tunables if t.kind == "option" and t.name in values]
        wanted: dict[str, Any] = {t.name: int(values[t.name]) if t.integer else values[t.name] for t in options}
        return replace(self, pragma=replace(self.pragma, **wanted)) if wanted else self

    def nearer(self, values: Mapping[str, Value]) -> Mapping[str, Value] | None:
        """What the body runs with, in place of `values`, while it last said yes; None where that is no other limit."""
        margin = self.with_options(values).pragma.margin
        if not margin or self.limit is None:
            return None
        value = values.get(self.limit.name, self.limit.value)
        assert not isinstance(value, str)
        return {**values, self.limit.name: self.limit.near(value, margin)}

    @property
    def remembers(self) -> bool:
        """Whether anything is remembered between calls, or learning may make it so by another value."""
        options = {tunable.name for tunable in self.tunables if tunable.kind == "option" and not tunable.structural}
        return bool(self.pragma.steady) or not options.isdisjoint(Steady.__dataclass_fields__)

    @property
    def may_remember(self) -> bool:
        """The same, or by another structure."""
        return self.remembers or any(tunable.kind == "option" and tunable.structural for tunable in self.tunables)


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A function with a pragma that is not enhanced, and why; `asked` is whether a pragma of its own wants that."""

    function: str
    path: str
    line: int
    reason: str
    asked: bool = True


@lru_cache(maxsize=256)
def _sha256(text: str) -> str:
    import hashlib  # what only checks types waits for it in vain

    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
