"""The text of a function and recorded arguments -> outcomes, inside the process that `replay.Replay` starts.

One reply answers one request. Any code may run here: the process is killed from outside where it does not answer.
"""

from __future__ import annotations

import ast
import base64
import binascii
import gc
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

from poet_hook.errors import CodecError
from poet_hook.isolation.slice import bare, narrow, plain
from poet_hook.isolation.worker import serve
from poet_hook.learning.affine import Affine
from poet_hook.learning.constants import MAX_INTEGERS, Steps, on_integers, trace, trace_integers
from poet_hook.model import Tunable
from poet_hook.runtime.trial import apply
from poet_hook.store import codec
from poet_hook.transform.constants import constant_in, replace_reads
from poet_hook.transform.defaults import defaults_of, number_of, replacement
from poet_hook.transform.exits import returns_of
from poet_hook.transform.guards import LONGEST
from poet_hook.transform.places import place
from poet_hook.transform.values import lines_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from poet_hook.learning.replay import Outcome

VARIABLE = "_poet_value"
"""The name that stands in the text of a function for the value that is traced."""
_SEE, _LOCALS = "_poet_see", "_poet_locals"
_ONE_CALL = 2.0  # seconds for one execution with one value
_ONE_TRACE = 3.0  # seconds for one execution with all values of a tunable
_ALL_TRACES = 120.0  # seconds for all executions
_GRACE = 1.0  # seconds more until what does not stop itself is killed
_MOST_ENDS = 3  # of the children of a candidate: then the rest of its executions have failed too
_MOST_TEXT = 2000  # characters of a reason
# what these import when it is first needed, and behind the seal nothing can be
_IMPORTED_LATE = {"datetime": ("_strptime",), "numpy": ("numpy.fft", "numpy.ma")}


class _TooLongError(BaseException):
    """One execution with one value does not end."""


class _NoTimeLeftError(BaseException):
    """An execution has so many intervals, or takes so long, that it is not followed any further."""


def _names_of(module: str, kept_as: str) -> Iterator[str]:
    """What a module kept as `services.shop.monitor` may have been called where it ran."""
    parts = kept_as.split(".")
    yield from ("__main__", module, *(".".join(parts[start:]) for start in range(len(parts))))


class Rerun:
    """A function, its module as far as it needs it, and the recorded arguments; each request is one method."""

    def __init__(self) -> None:
        self.arguments: list[bytes] = []
        self.namespace: dict[str, Any] = {}
        self.types: dict[str, type] = {}
        self.path = ""
        self.defaults: dict[str, Tunable] = {}

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        operations = {
            "load": self.load,
            "run": self.run,
            "sealed": self.sealed,
            "trace": self.trace,
            "names": self.names,
        }
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, _rang)
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
        gc.freeze()  # what is loaded stays: a child that is forked need not copy it
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

    def chosen(self, request: dict[str, Any]) -> Sequence[int]:
        return range(len(self.arguments)) if request["chosen"] is None else request["chosen"]

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        function = self.function(request["text"])
        deadline = time.monotonic() + request["seconds"]
        return {
            "outcomes": [
                _wire(self.call(function, index)) if time.monotonic() < deadline else _LATE
                for index in self.chosen(request)
            ]
        }

    def sealed(self, request: dict[str, Any]) -> dict[str, Any]:
        """The same for a text that is not trusted, all of which runs in children that are locked down.

        A candidate that ends its child has failed that execution, and begins anew with the next one.
        """
        from poet_hook.isolation.child import Child, EndedError  # which most workers do not need

        for name, late in _IMPORTED_LATE.items():
            for needed in late if name in sys.modules else ():
                import_module(needed)
        chosen, until = self.chosen(request), time.monotonic() + request["seconds"]
        outcomes: list[Outcome] = []
        ends, last = 0, _LATE
        while len(outcomes) < len(chosen) and ends < _MOST_ENDS and (left := until - time.monotonic()) > 0.0:
            rest = chosen[len(outcomes) :]
            try:
                with Child(partial(self.told, request["text"], rest), left) as child:
                    for _ in rest:
                        seconds = min(_ONE_CALL + _GRACE, max(until - time.monotonic(), 0.0))
                        outcomes.append(_received(child.next(seconds)))
            except EndedError as ended:
                ends, last = ends + 1, ("x", str(ended))
                outcomes.append(last)
        return {"outcomes": outcomes + [last if ends else _LATE] * (len(chosen) - len(outcomes))}

    def told(self, text: str, chosen: Sequence[int]) -> Iterator[tuple[str, str]]:  # pragma: no cover - in a child
        """What the child writes of each execution: the kind of the outcome, and its bytes in base64 or its text."""
        try:
            function = self.function(text)
        except BaseException as error:  # noqa: BLE001 - whatever the parser makes of it, or a default of it raises
            yield from [("x", f"{type(error).__name__}: {error}"[:_MOST_TEXT])] * len(chosen)
            return
        for index in chosen:
            try:
                kind, data = _wire(self.call(function, index))
            except BaseException as error:  # noqa: BLE001 - SystemExit, or an error that has no text
                kind, data = "x", f"it raised {type(error).__name__}"
            yield kind, base64.b64encode(data).decode() if isinstance(data, bytes) else data

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
                self.globals[VARIABLE] = value
                outcome = self.call(function, index)
                if outcome[0] == "e" and type(value) is Affine:
                    # `timedelta` and its like refuse what is no plain number, and would take one
                    self.globals[VARIABLE] = plain_of(value.path.t0)
                    value.path.escaped |= self.call(function, index) != outcome
                return outcome

            try:
                found = trace(run, request["lower"], request["upper"], start=request["start"])
                if integer:
                    found = self.whole(run, found, request)
            except _NoTimeLeftError:  # then no other value is known to change anything
                self.globals[VARIABLE] = int(request["start"]) if integer else request["start"]
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
            except MemoryError:  # which says more of this process than of the function
                return ("x", "it took too much memory")
            except Exception as error:  # noqa: BLE001 - an outcome like any other
                return ("e", codec.utf8(f"{type(error).__name__}: {error}"[:_MOST_TEXT]))


def _is_plain(value: Any) -> bool:
    """Whether a guard may compare it."""
    if type(value) is str:
        return len(value) <= LONGEST and value.isprintable()
    return type(value) is bool or (type(value) in (int, float) and abs(value) < 1e300)  # not so for NaN


_LATE: Outcome = ("x", "there was no time left to replay it")


def _received(item: Any) -> Outcome:
    """The outcome that a locked-down child wrote; raises `EndedError` where it is none."""
    from poet_hook.isolation.child import EndedError

    if type(item) is list and [type(part) for part in item] == [str, str]:
        kind, text = item
        if kind in ("e", "x"):
            return kind, codec.utf8(text[:_MOST_TEXT])
        if kind == "r":
            try:
                return kind, base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                pass
    raise EndedError("it wrote what is no reply")


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
            signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def __exit__(self, *_: object) -> None:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)


def _rang(_number: int, _frame: Any) -> None:
    raise _TooLongError


def main() -> None:
    """Serve replays to the parent until it goes."""
    sys.setrecursionlimit(2000)
    serve(Rerun().handle)
