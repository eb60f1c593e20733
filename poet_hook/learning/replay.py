"""A function, its recorded executions and other values -> what it would have returned, in a process of its own.

What people said about the executions never enters that process: the parent compares.
"""

from __future__ import annotations

import ast
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FunctionType, ModuleType, TracebackType
from typing import Any

from poet_hook.errors import CodecError, ReplayError
from poet_hook.isolation.slice import Slice, bare, narrow, plain
from poet_hook.isolation.worker import Worker, serve
from poet_hook.learning.affine import Affine
from poet_hook.learning.constants import MAX_INTEGERS, Steps, of_choices, on_integers, trace, trace_integers
from poet_hook.model import Plan, Tunable, Value
from poet_hook.runtime.trial import apply
from poet_hook.store import codec
from poet_hook.transform.constants import constant_in, replace_reads
from poet_hook.transform.defaults import defaults_of, number_of, replacement
from poet_hook.transform.exits import returns_of
from poet_hook.transform.guards import LONGEST
from poet_hook.transform.hygiene import place
from poet_hook.transform.values import lines_of, with_values

_VARIABLE = "_poet_value"
_SEE, _LOCALS = "_poet_see", "_poet_locals"
_ONE_CALL = 2.0  # seconds for one execution with one value
_ONE_TRACE = 3.0  # seconds for one execution with all values of a tunable
_ALL_TRACES = 120.0  # seconds for all executions
_WHOLE = 300.0  # seconds for one request, enforced from outside

MOST_DEATHS = 3  # of a learning run: a candidate that ends the process has failed, and others are tried

# an outcome on the wire: ("r", encoded result), ("e", "Type: text"), or ("x", why it can't be compared)
Outcome = tuple[str, bytes | str]
_ENDED: Outcome = ("x", "it ended the process")


class LateError(Exception):
    """What was asked for is not known in time."""


class Replay:
    """A function loaded in a process of its own, with executions to run; use as a context manager."""

    def __init__(self, plan: Plan, part: Slice, source: str, arguments: Sequence[bytes]) -> None:
        self.plan = plan
        self.deaths = 0
        self._loading = {
            "op": "load",
            "source": source,
            "path": plan.path,
            "module": plan.module,
            "kept_as": plan.function.partition(":")[0],
            "keep": list(part.keep),
            "names": sorted(part.names),
            "sys_path": [*sys.path, *_import_folder(plan)],
            "defaults": [[t.parameter, t.value, t.integer] for t in plan.tunables if t.parameter],
            "arguments": list(arguments),
        }
        self._load()

    def _load(self) -> None:
        self.worker = Worker("poet_hook.learning.replay")
        self._ask(self._loading)

    def __enter__(self) -> Replay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.worker.end()

    def run(self, values: Mapping[str, Value], chosen: Sequence[int] | None = None) -> list[Outcome]:
        """The outcome of each execution, or of those chosen (by index), with `values` in place of the original's."""
        text = with_values(self.plan.source, self.plan.tunables, values)
        reply = self._tried({"op": "run", "text": text, "chosen": None if chosen is None else list(chosen)})
        if reply is None:
            return [_ENDED] * (len(self._loading["arguments"]) if chosen is None else len(chosen))
        return [(kind, data) for kind, data in reply["outcomes"]]

    def names(
        self, values: Mapping[str, Value], tunable: Tunable, chosen: Sequence[int]
    ) -> tuple[list[Outcome], list[dict[str, Any] | None]]:
        """Of the chosen executions what they return, and what the names that a guard may look at were there.

        Only plain values are told: texts, bools and numbers. None where another kind of `return` was taken.
        """
        exits = {place.number: list(place.names) for place in tunable.exits}
        text = with_values(self.plan.source, self.plan.tunables, values)
        reply = self._tried({"op": "names", "text": text, "exits": exits, "chosen": list(chosen)})
        if reply is None:
            return [_ENDED] * len(chosen), [None] * len(chosen)
        return [(kind, data) for kind, data in reply["outcomes"]], reply["names"]

    def trace(
        self,
        tunable: Tunable,
        values: Mapping[str, Value],
        lower: float,
        upper: float,
        chosen: Sequence[int],
        until: float | None = None,
    ) -> list[Steps]:
        """For each chosen execution (by index) the outcomes over `lower`..`upper` of one tunable.

        Those of a choice are over the numbers of its choices, from 0 on, all of which are run. Raises `LateError` where
        `until`, a time of `time.monotonic()`, comes before that.
        """
        if tunable.choices:
            runs = []
            for choice in tunable.choices:
                _seconds_until(until)
                runs.append(self.run({**values, tunable.name: choice}, chosen))
            return [of_choices(outcomes) for outcomes in zip(*runs, strict=True)]
        reply = self._tried(
            {
                "op": "trace",
                "text": with_values(self.plan.source, self.plan.tunables, values, (tunable.name, _VARIABLE)),
                "start": values.get(tunable.name, tunable.value),
                "integer": tunable.integer,
                "lower": lower,
                "upper": upper,
                "chosen": list(chosen),
                "seconds": _seconds_until(until),
            }
        )
        if reply is not None and reply.get("late"):
            raise LateError
        if reply is None:
            return [Steps((), (_ENDED,), (), exact=False)] * len(chosen)
        outcomes = [(kind, data) for kind, data in reply["outcomes"]]
        return [
            Steps(tuple(breaks), tuple(outcomes[i] for i in inside), tuple(outcomes[i] for i in at), exact)
            for breaks, inside, at, exact in reply["steps"]
        ]

    def _tried(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The reply; None where that ended the process, as endless recursion can: then a new one takes its place."""
        try:
            return self._ask(request)
        except ReplayError:
            self.deaths += 1
            if self.deaths > MOST_DEATHS:
                raise
            self._load()
            return None

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        reply = self.worker.ask(request, _WHOLE)
        if not isinstance(reply, dict) or reply.get("error"):
            why = reply.get("error") if isinstance(reply, dict) else "no proper reply"
            self.worker.end()
            raise ReplayError(f"{self.plan.function} can't be replayed: {why}")
        return reply


def _seconds_until(until: float | None) -> float | None:
    if until is None:
        return None
    seconds = until - time.monotonic()
    if seconds <= 0.0:
        raise LateError
    return seconds


def _import_folder(plan: Plan) -> list[str]:
    """Where the program found the module, so that its relative imports work: here another script is the main one."""
    place = Path(plan.path).with_suffix("").parts
    name = tuple(plan.module.split("."))
    return [str(Path(*place[: -len(name)]))] if place[-len(name) :] == name else []


# --------------------------------------------------------------------------- in the child


class _TooLongError(BaseException):
    """One execution with one value does not end."""


class _NoTimeLeftError(BaseException):
    """An execution has so many intervals, or takes so long, that it is not followed any further."""


def _names_of(module: str, kept_as: str) -> Iterator[str]:
    """What a module kept as `services.shop.monitor` may have been called where it ran."""
    parts = kept_as.split(".")
    yield from ("__main__", module, *(".".join(parts[start:]) for start in range(len(parts))))


class _Child:
    def __init__(self) -> None:
        self.arguments: list[bytes] = []
        self.namespace: dict[str, Any] = {}
        self.types: dict[str, type] = {}
        self.path = ""
        self.defaults: dict[str, Tunable] = {}

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        operations = {"load": self.load, "run": self.run, "trace": self.trace, "names": self.names}
        try:
            return operations[request["op"]](request)
        except Exception as error:  # noqa: BLE001 - a reason is better than a process that has gone
            return {"error": f"{type(error).__name__}: {error}"}

    def load(self, request: dict[str, Any]) -> dict[str, Any]:
        self.path = request["path"]
        self.arguments = request["arguments"]
        for name, value, integer in request["defaults"]:
            self.defaults[name] = Tunable(name, value, 0, 0, 0, integer, parameter=name)
        sys.path.extend(entry for entry in request["sys_path"] if entry not in sys.path)
        tree = ast.parse(request["source"])
        module = ast.Module([tree.body[i] for i in request["keep"]], [])
        narrow(module.body, request["names"])
        bare(module)
        # classes are stored by name: they must be found again by it
        home = ModuleType(request["module"])
        sys.modules.setdefault(request["module"], home)
        self.namespace = home.__dict__
        exec(compile(module, request["path"], "exec", dont_inherit=True), self.namespace)
        for name, value in self.namespace.items():
            if isinstance(value, type):
                self.types |= {f"{module}:{name}": value for module in _names_of(request["module"], request["kept_as"])}
        return {}

    def function(self, text: str, *, watched: bool = False) -> FunctionType:
        """The function of that text, in the namespace of its module; `watched`, it tells of what it returns."""
        found, *constants = ast.parse(text).body
        assert isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef))
        node = plain(found)
        values = {c.name: c.number for item in constants if (c := constant_in(item, lines_of(text))) is not None}
        replace_reads(node, (), {}, values)
        # executions are recorded as they were called; a version has its own defaults, and keeps the signature
        entry = [replacement(self.defaults[name], new) for name, new in defaults_of(node) if name in self.defaults]
        for statement in entry:
            place(statement, node.lineno)
        node.body[:0] = entry
        for number, found in enumerate(returns_of(node) if watched else ()):
            if found.value is not None:
                here = ast.Call(ast.Name(_LOCALS, ast.Load()), [], [])
                call = ast.Call(ast.Name(_SEE, ast.Load()), [ast.Constant(number), found.value, here], [])
                found.value = ast.fix_missing_locations(ast.copy_location(call, found.value))
        own = {id(default): self.own_default(name, default) for name, default in defaults_of(node)}
        node.args.defaults = [own[id(default)] for default in node.args.defaults]
        node.args.kw_defaults = [default and own[id(default)] for default in node.args.kw_defaults]
        bare(node)
        module = ast.Module([node], [])
        namespace = dict(self.namespace)
        exec(compile(module, self.path, "exec", dont_inherit=True), namespace)
        made = namespace[node.name]
        # the function sees its own name as the module does, and one namespace holds the variable
        self.globals = made.__globals__
        return made  # type: ignore[no-any-return]

    def own_default(self, name: str, default: ast.expr) -> ast.expr:
        """What a call of the function by itself leaves out: as the user wrote it where that is a literal, else None."""
        made: ast.expr = default if isinstance(default, ast.Constant) else ast.Constant(None)
        if name in self.defaults:
            made = ast.Constant(number_of(self.defaults[name], self.defaults[name].value))
        return ast.copy_location(made, default)

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        function = self.function(request["text"])
        chosen = range(len(self.arguments)) if request["chosen"] is None else request["chosen"]
        deadline = time.monotonic() + _ALL_TRACES
        late: Outcome = ("x", "there was no time left to replay it")
        return {
            "outcomes": [_wire(self.call(function, index)) if time.monotonic() < deadline else late for index in chosen]
        }

    def names(self, request: dict[str, Any]) -> dict[str, Any]:
        last: list[dict[str, Any] | None] = [None]

        def see(number: int, value: Any, names: dict[str, Any]) -> Any:
            wanted = request["exits"].get(number)
            last[0] = None if wanted is None else {n: names[n] for n in wanted if _is_plain(names.get(n))}
            return value

        function = self.function(request["text"], watched=True)
        self.globals |= {_SEE: see, _LOCALS: locals}
        outcomes, found = [], []
        for index in request["chosen"]:
            last[0] = None
            outcomes.append(_wire(self.call(function, index)))
            found.append(last[0])
        return {"outcomes": outcomes, "names": found}

    def trace(self, request: dict[str, Any]) -> dict[str, Any]:
        function, integer = self.function(request["text"]), request["integer"]
        outcomes: dict[Outcome, int] = {}

        def plain_of(number: float) -> float:
            return int(number) if integer and number == int(number) else number

        def index_of(outcome: Any) -> int:
            return outcomes.setdefault(_wire(outcome), len(outcomes))

        seconds = request["seconds"]
        everything = time.monotonic() + (_ALL_TRACES if seconds is None else seconds)
        steps = []
        for index in request["chosen"]:
            if seconds is not None and time.monotonic() > everything:
                break
            deadline = min(everything, time.monotonic() + _ONE_TRACE)

            def run(value: Any, index: int = index, deadline: float = deadline) -> Any:
                if time.monotonic() > deadline:
                    raise _NoTimeLeftError
                self.globals[_VARIABLE] = value
                outcome = self.call(function, index)
                if outcome[0] == "e" and type(value) is Affine:
                    # `timedelta` and its like refuse what is no plain number, and would take one
                    self.globals[_VARIABLE] = plain_of(value.path.t0)
                    value.path.escaped |= self.call(function, index) != outcome
                return outcome

            try:
                found = trace(run, request["lower"], request["upper"], start=request["start"])
                if integer:
                    found = self.whole(run, found, request)
            except _NoTimeLeftError:  # then no other value is known to change anything
                self.globals[_VARIABLE] = int(request["start"]) if integer else request["start"]
                found = Steps((), (self.call(function, index),), (), exact=False)
            numbered = found.map(index_of)
            steps.append([numbered.breaks, numbered.values, numbered.at, numbered.exact])
        if seconds is not None and time.monotonic() > everything:
            return {"late": True}
        return {"steps": steps, "outcomes": list(outcomes)}

    @staticmethod
    def whole(run: Callable[[Any], Any], found: Steps, request: dict[str, Any]) -> Steps:
        """What integers do: from the exact steps, or, where the body needs a real int, by trying those nearby."""
        start, lower, upper = (round(request[name]) for name in ("start", "lower", "upper"))
        if found.exact:
            return on_integers(found, min(lower, start), max(upper, start))
        window = MAX_INTEGERS // 2 - 1
        return trace_integers(run, max(min(lower, start), start - window), min(max(upper, start), start + window))

    def call(self, function: FunctionType, index: int) -> tuple[str, Any]:
        """The raw outcome of one execution; its arguments are decoded afresh, since the body may change them."""
        try:
            arguments = codec.decode(self.arguments[index], self.types)
        except CodecError as error:
            return ("x", f"its arguments can't be read: {error}")
        arguments = [None if isinstance(a, codec.Summary) else a for a in arguments]
        with _Alarm(_ONE_CALL):
            try:
                return ("r", apply(function, arguments))
            except _TooLongError:
                return ("x", "took too long")
            except Exception as error:  # noqa: BLE001 - an outcome like any other
                return ("e", f"{type(error).__name__}: {error}"[:2000])


def _is_plain(value: Any) -> bool:
    """Whether a guard may compare it."""
    if type(value) is str:
        return len(value) <= LONGEST and value.isprintable()
    return type(value) is bool or (type(value) in (int, float) and abs(value) < 1e300)  # not so for NaN


def _wire(outcome: tuple[str, Any]) -> Outcome:
    kind, value = outcome
    if kind != "r":
        return outcome
    try:
        return ("r", codec.encode(value))
    except CodecError as error:
        return ("x", str(error))


class _Alarm:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, self._rang)
            signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def __exit__(self, *_: object) -> None:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)

    @staticmethod
    def _rang(_number: int, _frame: Any) -> None:
        raise _TooLongError


def main() -> None:
    """Serve replays to the parent until it goes."""
    sys.setrecursionlimit(2000)
    serve(_Child().handle)
