"""The nouns of poet_hook, frozen. This module imports nothing of ours.

Words: a *pragma* is parsed from a comment; a *plan* says what will be done to one function; an
*execution* is the record of one call; *feedback* is what was said about it; a *signal* is feedback
understood; a *candidate* is a proposed change; a *verdict* is its judgement; a *version* is a stored,
numbered body of the function; the *champion* is the version in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from poet_hook.settings import Assumption

RecordMode = Literal["full", "hash", "shape", "none"]
Coerce = Literal["lax", "strict", "off"]
Learn = Literal["auto", "proven", "propose", "shadow", "off"]
FunctionKind = Literal["function", "coroutine", "generator", "async generator"]
Scope = Literal["function", "class", "module", "assume"]
Level = Literal["requested", "provisional", "proven"]
Decision = Literal["promote", "propose", "challenge", "wait", "keep"]
Metric = Literal[
    "accuracy",
    "precision",
    "recall",
    "f1",
    "cost",
    "relative_error",
    "absolute_error",
    "loss",
    "latency",
    "reliability",
    "reward",
    "spent",
]
TunableKind = Literal["number", "choice", "guard", "option"]
Value = float | str
"""What a tunable is set to: a number, one of its choices, or a guard."""
SignalKind = Literal[
    "right", "wrong", "expected", "range", "direction", "reward", "cost", "fields", "requested", "unread"
]

# a string constant of generated code that starts so is replaced by a slot when the code is loaded
SLOT_PREFIX = "poet_hook\x00"
LATE_PREFIX = "poet_hook\x01"  # this one stays, and is looked up by what it says
# and of what that constant says, this goes without saying
UNSAID: dict[str, Any] = {
    "module": "",
    "qualname": "",
    "path": "",
    "line": 0,
    "version": 1,
    "source_hash": "",
    "parameters": [],
    "returns": "",
    "domain_name": None,
    "optimize_for": None,
    "retries": 0,
    "backoff": 0.05,
    "timeout": None,
    "has_fallback": False,
    "rule": None,
    "promise": None,
    "coerce": "lax",
    "record": "full",
    "record_arguments": {},
    "steadies": [1, 0, 0, 0.0],
    "has_streams": False,
    "shadow": False,
    "canary": None,
}
MARGIN = "margin"
INSTRUCTION = "instruction"
ANOMALY_FIELDS = ("is_anomaly", "anomaly", "drift_detected", "drift", "alert")


class Unset:
    """The type of `UNSET`, which stands where a user may also mean None."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET = Unset()


# --------------------------------------------------------------------------- build plane


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
    source_hash: str
    constants: tuple[int, ...] = ()
    assume: tuple[Assumption, ...] = ()
    kind: FunctionKind = "function"
    nested: bool = False
    own: bool = True
    limit: Limit | None = None

    def line_of(self, tunable: Tunable) -> int:
        """The line of the file where a tunable stands."""
        if not tunable.constant:
            return self.line + tunable.line
        return self.constants[tunable.line - (self.source.count("\n") - len(self.constants))]

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
    """A function with a pragma that is not enhanced, and why; `asked` is whether the pragma is its own."""

    function: str
    path: str
    line: int
    reason: str
    asked: bool = True


# --------------------------------------------------------------------------- call plane


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


# --------------------------------------------------------------------------- learn plane


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
    least of its signals.
    """

    kind: SignalKind
    value: Any = None
    confidence: float = 1.0
    reader: str = "rules"
    reason: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Feedback:
    """One thing that was said about one execution. `raw` is it, encoded; `given` is seconds since the epoch."""

    id: int
    execution_id: str
    given: float
    source: str
    raw: bytes
    signal: Signal


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict counted: wins, losses and e-value on feedback that did not help to find the candidate.

    `wins` and `losses` are discordant executions (weighted), `e_value` the evidence against "the candidate is
    no better". `before` and `after` describe, and judge nothing: the `metric` of champion and candidate over the
    labelled executions, those that helped to find the candidate included. `gain` is what the candidates of their time
    lost less than the champion, per execution that did not help to find them, in the unit of the metric (for
    precision, recall and F1, of their costs); it lies above `gain_low`, and below `gain_high`, each but for a chance
    of alpha. None where there was no such execution, or the version is older than these. Where `group=` makes incidents
    of executions, all of this counts incidents, and `comments` the executions with feedback in them.
    """

    labelled: int
    wins: float
    losses: float
    e_value: float
    before: float
    after: float
    silent: int = 0
    silent_weight: float = 0.0
    set_aside: int = 0
    metric: Metric = "accuracy"
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    comments: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed change: `values` by tunable name, `interval` all numbers that do as well."""

    function: str
    parent: int
    values: Mapping[str, Value]
    source: str
    interval: tuple[float, float] | None = None
    kind: Literal["tune"] = "tune"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of a candidate; `reasons` are sentences, `regressions` ids of approved executions that flip.

    `flips` are the ids of all that do; where a sample was replayed, of `replayed` executions (None: of all).
    """

    decision: Decision
    level: Level | None
    alpha: float
    evidence: Evidence
    reasons: tuple[str, ...]
    regressions: tuple[str, ...] = ()
    flips: tuple[str, ...] = ()
    needed: int | None = None
    replayed: int | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A stored body of a function: v1 is the user's original, and has no verdict."""

    function: str
    number: int
    source: str
    source_hash: str
    created: float
    parent: int | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    level: Level | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """How good a choice is by one objective: the `metric`, on all that was said.

    `wins`, `losses` and `e_value` compare it with the champion by that objective alone, on `judging` labelled events
    (executions or incidents) that did not help to choose it, and on silence.
    """

    objective: str
    metric: Metric
    value: float
    wins: float
    losses: float
    e_value: float
    judging: int


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several versions, none of which is better than another by all objectives; `version` None is not stored."""

    version: int | None
    values: Mapping[str, Value]
    champion: bool
    measures: tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class Learned:
    """What one learning run did: the verdict, and the version that it made, if any.

    `requested` are the versions that it made because somebody asked for them; they wait to be promoted. `choices` are
    what can be had of several objectives, for a person to choose from.
    """

    function: str
    champion: int
    verdict: Verdict | None
    version: int | None
    promoted: bool
    reasons: tuple[str, ...]
    candidate: Candidate | None = None
    requested: tuple[int, ...] = ()
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedbackReceipt:
    """What became of feedback: `signal.kind == "unread"` means that it was stored but not understood."""

    execution_id: str
    function: str
    signal: Signal
