"""Enhanced code that runs -> Perceive, Operate, Enforce and Train of one function.

Generated code (`transform.rewrite`) holds one `Slot` as a constant. No failure of ours may reach the user's
call: what is written here either does its work or leaves the call as it was.
"""

from __future__ import annotations

import builtins
import json
import logging
import math
import sys
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

from poet_hook.domains.base import Domain, load
from poet_hook.errors import OperateTimeout
from poet_hook.model import UNSAID, UNSET, Steady
from poet_hook.runtime import record
from poet_hook.runtime.early import Early
from poet_hook.runtime.enforce import checked, kept
from poet_hook.runtime.operate import TimeLimit, ends_more, falls_back, pause, tries_again
from poet_hook.runtime.perceive import perceived, perceived_all, required
from poet_hook.runtime.steady import Step, memory, settle
from poet_hook.runtime.trial import Canary, Served, Shadow, is_shadow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from poet_hook.model import RecordMode
    from poet_hook.runtime.waits import AsyncTimeLimit

logger = logging.getLogger("poet_hook")
_OURS = ("_poet_call", "_poet_result", "_poet_type")


class Call:
    """What one call in progress carries through its attempts."""

    __slots__ = (
        "alerting",
        "arguments",
        "attempt",
        "cancels",
        "clock",
        "frozen",
        "incident",
        "key",
        "limit",
        "own",
        "raised",
        "served",
        "started",
        "step",
        "stream",
    )

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self.arguments = arguments
        self.attempt = 1
        self.alerting: bool | None = None  # what this attempt was told, if it asked
        self.raised = False
        self.limit: TimeLimit | None = None
        self.key: str | None = None
        self.stream: str | None = None
        self.incident: str | None = None
        self.own: Any = UNSET  # what the body returned, where `steady` looked at it
        self.step: Step | None = None
        self.served: Served | None = None  # where a challenger was chosen to answer
        self.cancels: int | None = None  # of an async call: how often its task was to be cancelled when it began
        self.frozen: tuple[bytes | None, str] = (None, "")
        self.started = self.clock = 0.0


class Slot:
    """The runtime side of one function at one version.

    What a phase decides is a function in the module of that phase, and a method here: with no call in between.
    """

    __slots__ = (  # a class with so many attributes is slow without
        "__weakref__",
        "backoff",
        "coerce",
        "domain",
        "domain_name",
        "early",
        "function",
        "has_fallback",
        "has_streams",
        "hides",
        "line",
        "module",
        "names",
        "optimize_for",
        "parameters",
        "path",
        "promise",
        "qualname",
        "record",
        "record_arguments",
        "retries",
        "returns",
        "rule",
        "source",
        "source_hash",
        "steadies",
        "text",
        "timeout",
        "trains",
        "trial",
        "version",
    )

    BaseException = builtins.BaseException
    unset = UNSET

    def __init__(self, text: str, source: str = "") -> None:
        spec = UNSAID | json.loads(text)
        self.text = text
        self.source = source
        self.function: str = spec["function"]
        self.module: str = spec["module"]
        self.qualname: str = spec["qualname"]
        self.path: str = spec["path"]
        self.line: int = spec["line"]
        self.version: int = spec["version"]
        self.source_hash: str = spec["source_hash"]
        self.parameters = [(name, kind, optional) for name, kind, optional in spec["parameters"]]
        self.names = tuple(name for name, _, _ in self.parameters)
        self.returns: str = spec["returns"]
        self.optimize_for: str | None = spec["optimize_for"]
        self.trains = self.optimize_for is not None
        self.retries: int = spec["retries"]
        self.backoff: float = spec["backoff"]
        self.timeout: float | None = spec["timeout"]
        self.has_fallback: bool = spec["has_fallback"]
        self.rule: str | None = spec["rule"]
        self.promise: str | None = spec["promise"]
        self.coerce: str = spec["coerce"]
        self.record: RecordMode = spec["record"]
        self.record_arguments: dict[str, RecordMode] = spec["record_arguments"]
        self.steadies = Steady(*spec["steadies"])
        self.has_streams: bool = spec["has_streams"]
        self.hides = any(mode != "full" for mode in (self.record, *self.record_arguments.values()))
        self.domain_name: str | None = spec["domain_name"]
        self.domain: Domain | None = load(self.domain_name) if self.domain_name else None
        self.early = Early() if self.version != 1 and self.trains else None
        self.trial: Shadow | Canary | None = None
        if spec["shadow"]:
            self.trial = Shadow()
        elif spec["canary"]:
            self.trial = Canary(spec["canary"])
        if source:
            _slots.add(self)

    # -- Perceive

    perceive = perceived
    perceive_all = perceived_all
    require = required

    # -- Operate

    def begin(
        self,
        arguments: tuple[Any, ...],
        key: Callable[..., Any] | None = None,
        stream: Callable[..., Any] | None = None,
        incident: Callable[..., Any] | None = None,
    ) -> Call:
        """Start a call: keep its arguments as they are now."""
        call = Call(arguments)
        if self.trains:
            try:
                record.introduce(self)
                call.frozen = record.freeze(arguments, self.names, self.record, self.record_arguments)
                if key is not None:
                    call.key = self._mark("key", key, arguments)
                if stream is not None:
                    call.stream = self._mark("stream", stream, arguments)
                if incident is not None:
                    call.incident = self._mark("incident", incident, arguments)
            except Exception as error:  # noqa: BLE001 - recording never breaks the call
                record.recorder.complain(error)
            call.started, call.clock = record.now()
        elif self.steadies:
            if stream is not None:
                call.stream = self._mark("stream", stream, arguments)
            call.started, call.clock = record.now()
        return call

    def _mark(self, what: str, expression: Callable[..., Any], arguments: tuple[Any, ...]) -> str | None:
        try:
            value = expression(*arguments)
            return None if value is None else str(value)
        except Exception as error:  # noqa: BLE001 - the user's expression
            record.recorder.complain(error, f"{self.function}: executions have no {what}: {type(error).__name__}")
            return None

    def arm(self, call: Call) -> None:
        """Start the time limit of this attempt."""
        if self.timeout is not None:
            try:
                call.limit = TimeLimit(self.timeout, self.function)
            except OperateTimeout:
                raise
            except Exception as error:  # noqa: BLE001 - no thread or signal to be had: the body runs unlimited
                logger.warning("%s: timeout= has no effect: %s", self.function, error)

    def serves(self, call: Call, promise: Callable[..., Any] | None = None) -> bool:
        """True where a challenger answered in place of the body: the answer is in `call.served`."""
        return isinstance(self.trial, Canary) and self.trial.serves(self, call, promise)

    def raised(self, call: Call) -> None:
        """The body raised: remember it, so that `end` knows."""
        if call.limit is not None:
            call.limit.cancel()
        self._take_back(call)
        call.alerting = None
        call.raised = True

    def retry(self, call: Call) -> bool:
        """True where the body shall be run once more, which it waited for."""
        if not self.again(call):
            return False
        try:
            pause(call.attempt - 1, self.backoff)
        except BaseException as error:
            self._gave_up(call, error)
            raise
        return True

    again = tries_again
    falls_back = falls_back

    def _gave_up(self, call: Call, error: builtins.BaseException) -> None:
        """The wait for another attempt ended otherwise."""
        call.attempt -= 1
        self._note(call, None, "error", error)

    def waits(self, call: Call) -> Call:
        """The same call, of an async function."""
        from poet_hook.runtime import waits

        call.cancels = waits.cancels()
        return call

    async def pause(self, call: Call) -> None:
        """What an async function waits for before it is run once more."""
        from poet_hook.runtime import waits

        try:
            await waits.pause(call.attempt - 1, self.backoff)
        except BaseException as error:
            self._gave_up(call, error)
            raise

    def limit(self, _call: Call) -> AsyncTimeLimit:
        """The time limit of this attempt of an async function."""
        from poet_hook.runtime import waits

        return waits.AsyncTimeLimit(self.timeout or math.inf, self.function)

    def awaited(self, value: Any) -> Coroutine[Any, Any, Any]:
        """The value of an async function's fallback, which may be async or not."""
        from poet_hook.runtime import waits

        return waits.awaited(value)

    def fell_back(self, call: Call, value: Any) -> Any:
        """The fallback's value, recorded as such."""
        logger.info("%s: fell back after %d attempt(s): %r", self.function, call.attempt, sys.exc_info()[1])
        self._note(call, value, "fallback", sys.exc_info()[1])
        return value

    def failed(self, call: Call) -> None:
        """The last attempt failed, and the user's exception goes on."""
        self._note(call, None, "error", sys.exc_info()[1])

    def alerting(self, call: Call) -> bool:
        """Whether the body last said yes to its stream, so that its limit is the nearer one: once for each attempt."""
        if call.alerting is None:
            none = (self.has_streams and call.stream is None) or is_shadow()
            call.alerting = not none and memory.alerting((self.function, call.stream), self.version, call.step)
        return call.alerting

    def steady(self, call: Call, result: Any) -> Any:
        """What the caller gets in place of the body's result, by what its stream remembers of the earlier ones.

        A `finally` of the user's may return once more: then the last one counts.
        """
        self._take_back(call)
        call.own = result
        if (self.has_streams and call.stream is None) or is_shadow():
            return result
        try:
            served = call.served if call.served is not None and call.served.error is None else None
            rules, version = (self.steadies, self.version) if served is None else (served.steady, served.number)
            on_trial = self.trial is not None and self.trial.challenger is not None
            settled, call.step = settle((self.function, call.stream), version, rules, result, call.started, on_trial)
        except OperateTimeout:
            raise
        except Exception as error:  # noqa: BLE001 - the user's own class, or a mistake of ours: the call goes on
            memory.complain(self.function, f"{type(error).__name__}: {error}")
            return result
        return settled

    def _take_back(self, call: Call) -> None:
        if call.step is not None:
            step, call.step = call.step, None
            memory.undo(step)
        call.own = UNSET

    # -- Enforce

    check = checked
    keep = kept

    def end(self, call: Call, result: Any, promise: Callable[..., Any] | None = None) -> None:
        """Check what is about to be returned, and record it; raises `EnforceError`."""
        if call.raised:
            return
        if call.limit is not None:
            call.limit.cancel()
        own = result if call.own is UNSET else call.own
        try:
            self.check(own)
            if promise is not None:
                self.keep(promise, own, call.arguments)
            self._note(call, result, "result", None)
        except BaseException:
            self._take_back(call)
            raise

    # -- Train

    def _note(self, call: Call, result: Any, outcome: str, error: builtins.BaseException | None) -> None:
        if not self.trains or is_shadow():
            return
        try:
            record.note(self, call, result, outcome, error)
        except Exception as problem:
            if ends_more(problem):
                raise
            record.recorder.complain(problem)

    # -- hygiene

    def __reduce__(self) -> tuple[Any, ...]:
        """Code that is sent to another process by value carries its slot along."""
        return Slot, (self.text, self.source)

    @staticmethod
    def visible(names: Any) -> Any:
        """What `locals()`, `vars()` or `dir()` answered, without our names."""
        if type(names) is dict:
            for name in _OURS:
                names.pop(name, None)
        elif type(names) is list:
            names[:] = [name for name in names if name not in _OURS]
        return names


_slots: weakref.WeakSet[Slot] = weakref.WeakSet()


def slots() -> list[Slot]:
    """The slots of the functions that train, of all code that is loaded in this process."""
    return list(_slots)
