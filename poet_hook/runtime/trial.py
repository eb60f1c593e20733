"""A call -> what a challenger makes of it: beside the champion and never returned, or in its place.

The challenger is the user's own body with other values, a plain function that records nothing.

In the shadow it runs on the arguments as they were recorded, so that nothing it does to them is seen by anybody, in the
thread of the call and after its result is known.

As a canary it answers a share of the calls, which a hash of their key chooses. Where it fails, or what it returns is
refused, the champion's own body answers.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any, NamedTuple

from poet_hook.errors import CodecError, OperateTimeout, VersionWarning, warn
from poet_hook.model import Steady
from poet_hook.runtime.early import Calls, stands_out
from poet_hook.runtime.operate import TimeLimit, ends_more, pause
from poet_hook.runtime.record import described
from poet_hook.runtime.steady import memory, settle
from poet_hook.store import codec

AS_LONG = 5.0  # times the call itself, and
AT_LEAST = 0.05  # seconds, is what the challenger may take
LATE = 3  # times it may take longer, in one process
UNLIMITED = 60.0  # seconds that a canary may take where there is no timeout=
EVERY = 60.0  # seconds between two judgements of these that a process asks for
CHANCE = 0.01  # that so many failures, in one process, fall to it rather than to the champion: then it is withdrawn
_TOLD = 200  # characters of an exception
_random = random.Random()  # never the user's own, whose seeded stream must stay as it is


class Options(NamedTuple):
    """How one version is carried out: what the pragma says, with what learning put in its place."""

    steady: Steady
    retries: int
    backoff: float
    timeout: float | None


@dataclass(frozen=True, slots=True)
class Challenger:
    """A version on trial, as it runs in this process."""

    number: int
    body: FunctionType
    options: Options
    near: FunctionType | None
    """The body with the nearer limit, where it has a `margin=`."""

    def now(self, slot: Any, call: Any) -> FunctionType:
        """The body to run, by what it last said to the stream of this call."""
        if self.near is None or (slot.has_streams and call.stream is None):
            return self.body
        return self.near if memory.alerting((slot.function, call.stream), self.number, call.step) else self.body


Find = Callable[[Any, Challenger | None], Challenger | None]
"""A slot and the challenger that it knows -> the one that the pointer names now."""
Withdraw = Callable[[Any, int, str], None]
"""A slot, the number of its challenger, and why it is taken back, in every process."""


class _Here(threading.local):
    busy = False


_here = _Here()
_find: Find | None = None
_withdraw: Withdraw | None = None
_judge: Callable[[str], None] | None = None
_used = False


def follow(find: Find, withdraw: Withdraw) -> None:
    """Say how challengers are found, and taken back, before the first call."""
    global _find, _withdraw
    _find, _withdraw = find, withdraw


def when_due(judge: Callable[[str], None]) -> None:
    """Say what is called with a function's name when its canary is to be judged and no feedback will ask for that."""
    global _judge
    _judge = judge


def is_shadow() -> bool:
    """Whether a challenger runs beside a call in this thread just now: what it calls was called by nobody."""
    return _used and _here.busy


class Trial:
    """What one slot knows of its challenger; looked for at the first call, and whenever the pointer has moved."""

    __slots__ = ("challenger", "failures", "sought")

    def __init__(self) -> None:
        self.challenger: Challenger | None = None
        self.sought = False
        self.failures = 0

    def seek(self, slot: Any) -> None:
        """Follow the pointer."""
        self.sought = True
        if _find is not None:
            found = _find(slot, self.challenger)
            if found is not self.challenger:
                self.challenger, self.failures = found, 0


class Shadow(Trial):
    """A challenger whose results are recorded and never returned."""

    __slots__ = ()

    def made_of(self, slot: Any, call: Any, outcome: str, result: bytes | None, duration: float) -> bytes | None:
        """What the challenger made of a call that gave `result`, encoded as `told` reads it; None where it did not run.

        Raises only what ends more than this call: Ctrl-C, or the time limit of a call around it.
        """
        global _used
        if outcome != "result":
            return None
        if not self.sought:
            self.seek(slot)
        challenger, (arguments, reason) = self.challenger, call.frozen
        if challenger is None or result is None or arguments is None or reason or _here.busy:
            return None
        _used = _here.busy = True
        limit = max(AT_LEAST, AS_LONG * duration)
        try:
            answer = _limited(slot, challenger.now(slot, call), codec.decode(arguments), limit)
            data = codec.encode(self._settled(slot, call, challenger, answer))
        except CodecError:  # of the arguments, or of what was returned: then they can't be compared
            return None
        except OperateTimeout as error:
            if ends_more(error):
                raise
            self._was_late(slot, challenger)
            return _failed(challenger.number, f"it took longer than {limit:.3g} s")
        except Exception as error:  # noqa: BLE001 - whatever the challenger does is its own result
            return _failed(challenger.number, described(error, slot.hides))
        finally:
            _here.busy = False
        return unchanged(challenger.number) if data == result else codec.encode((challenger.number, "r", data))

    @staticmethod
    def _settled(slot: Any, call: Any, challenger: Challenger, answer: Any) -> Any:
        """What a caller would have got by the challenger's own `min_run`, `hold` and `cooldown`, and its own memory."""
        rules = challenger.options.steady
        if not rules or (slot.has_streams and call.stream is None):
            return answer
        key = (slot.function, call.stream)
        return settle(key, challenger.number, rules, answer, call.started, True, call.step)[0]

    def _was_late(self, slot: Any, challenger: Challenger) -> None:
        self.failures += 1
        if self.failures >= LATE:
            self.challenger = None
            warn(
                f"{slot.function}: v{challenger.number} no longer runs beside it in this process: {LATE} times it took "
                f"{AS_LONG:g} times as long as the call, and longer than {AT_LEAST:g} s",
                VersionWarning,
            )


@dataclass(slots=True)
class Served:
    """A call that the canary was chosen for: its `answer`, settled by `steady`, or by which `error` it failed.

    `spent` are the seconds of its attempts and of the pauses between them.
    """

    number: int
    steady: Steady
    answer: Any = None
    error: str | None = None
    spent: float = 0.0


class Canary(Trial):
    """A challenger that answers a share of the calls."""

    __slots__ = ("chosen", "due", "own", "own_failures", "share", "unspoken")

    def __init__(self, share: float) -> None:
        from poet_hook.pragma.options import UNSPOKEN  # few programs have a canary

        super().__init__()
        self.share = share
        self.unspoken = UNSPOKEN
        self.due = 0.0
        self.own = self.own_failures = self.chosen = 0

    def seek(self, slot: Any) -> None:
        """Follow the pointer; another challenger begins anew."""
        before = self.challenger
        super().seek(slot)
        if self.challenger is not before:
            self.chosen = 0

    def serves(self, slot: Any, call: Any, promise: Callable[..., Any] | None) -> bool:
        """True where the challenger answered this call: `call.served` holds its answer, which is not refused.

        The challenger has its own attempts, each with its own time limit; those of the champion begin anew after them.
        Raises only what ends more than this call.
        """
        if call.attempt > 1 or is_shadow():
            return False
        if not self.sought:
            self.seek(slot)
        challenger, begun = self.challenger, time.perf_counter()
        if challenger is None or not self._chooses(slot, challenger, _unit(slot, call, challenger)):
            return False
        if call.limit is not None:
            call.limit.cancel()
        call.served = served = Served(challenger.number, challenger.options.steady)
        try:
            return self._attempted(slot, call, challenger, promise, served)
        finally:  # what it takes to try is not what the challenger takes
            call.clock += time.perf_counter() - begun - served.spent

    def _attempted(
        self, slot: Any, call: Any, challenger: Challenger, promise: Callable[..., Any] | None, served: Served
    ) -> bool:
        for attempt in range(1, challenger.options.retries + 2):
            try:
                served.answer = self._answer(slot, challenger, call, promise, served)
                served.error, call.attempt = None, attempt
                return True
            except Exception as error:
                if ends_more(error):
                    raise
                served.error = described(error, slot.hides)
                if isinstance(error, RecursionError):
                    break
            if attempt <= challenger.options.retries:
                start = time.perf_counter()
                pause(attempt, challenger.options.backoff)
                served.spent += time.perf_counter() - start
        slot.arm(call)
        return False

    @staticmethod
    def _answer(
        slot: Any,
        challenger: Challenger,
        call: Any,
        promise: Callable[..., Any] | None,
        served: Served,
    ) -> Any:
        limit = TimeLimit(challenger.options.timeout or UNLIMITED, slot.function)
        start = time.perf_counter()
        try:
            answer = apply(challenger.now(slot, call), call.arguments)
        finally:
            served.spent += time.perf_counter() - start
            limit.cancel()
        slot.check(answer)
        if promise is not None:
            slot.keep(promise, answer, call.arguments)
        return answer

    def _chooses(self, slot: Any, challenger: Challenger, unit: str | None) -> bool:
        if unit is None:
            return _random.random() < self.share
        name = f"{slot.function} {challenger.number} {unit}".encode("utf-8", "backslashreplace")
        return int.from_bytes(hashlib.blake2b(name, digest_size=4).digest()) < self.share * (1 << 32)

    def made_of(self, slot: Any, call: Any, outcome: str, _result: bytes | None, _duration: float) -> bytes | None:
        """That the canary failed this call, encoded as `told` reads it; None where it did not.

        If the champion had a result, that counts against it, and a few of these end its trial everywhere, unless the
        champion fails about as often.
        """
        if slot.optimize_for in self.unspoken:
            self._call_judge(slot, call.started)
        served = call.served
        if served is None:
            self.own += 1
            self.own_failures += outcome != "result"
            return None
        self.chosen += 1
        if served.error is None:
            return None
        challenger = self.challenger
        if outcome == "result" and challenger is not None and challenger.number == served.number:
            self.failures += 1
            if self._fails_too_often():
                self.challenger = None
                if _withdraw is not None:
                    why = f"it failed {self.failures} calls that the version in use answered: {served.error}"
                    _withdraw(slot, served.number, why)
        return _failed(served.number, served.error)

    def _fails_too_often(self) -> bool:
        """A body that fails now and then, whatever version it is, is no fault of the challenger's."""
        return stands_out(Calls(self.chosen, self.failures), Calls(self.own, self.own_failures), CHANCE)

    def _call_judge(self, slot: Any, now: float) -> None:
        """Once in a while; a clock that was set back makes that no longer."""
        if not 0.0 <= self.due - now <= EVERY:
            due, self.due = self.due, now + EVERY
            if due and _judge is not None:
                _judge(slot.function)


def _unit(slot: Any, call: Any, challenger: Challenger) -> str | None:
    """What is served by one version; a whole stream where something is remembered of it."""
    key: str | None = call.key
    stream: str | None = call.stream
    return stream or key if slot.steadies or challenger.options.steady else key or stream


def _failed(number: int, error: str) -> bytes:
    return codec.encode((number, "e", error[:_TOLD]))


def _limited(slot: Any, body: FunctionType, arguments: Sequence[Any], seconds: float) -> Any:
    limit = TimeLimit(seconds, slot.function)
    try:
        return apply(body, arguments)
    finally:
        limit.cancel()


def apply(function: FunctionType, arguments: Sequence[Any]) -> Any:
    """Call with arguments in the order of the signature: *args and **kwargs are one item each."""
    code = function.__code__
    positional = code.co_argcount
    rest = positional
    star: Sequence[Any] = ()
    if code.co_flags & 0x04:
        star, rest = arguments[positional], positional + 1
    names = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    keywords = dict(zip(names, arguments[rest : rest + len(names)], strict=True))
    if code.co_flags & 0x08:
        keywords |= arguments[-1]
    return function(*arguments[:positional], *star, **keywords)


@dataclass(frozen=True, slots=True)
class Told:
    """What `Execution.shadow` says: the challenger returned the `same`, or `result` (encoded), or failed by `error`."""

    version: int
    same: bool = False
    result: bytes | None = None
    error: str | None = None


def unchanged(version: int) -> bytes:
    """What is recorded where this challenger returned what the call did."""
    return codec.encode((version, "="))


def told(shadow: bytes) -> Told | None:
    """What was recorded of a challenger; None for bytes that say nothing."""
    try:
        match codec.decode(shadow, plain=True):
            case (int(number), "="):
                return Told(number, same=True)
            case (int(number), "r", bytes(data)):
                return Told(number, result=data)
            case (int(number), "e", str(error)):
                return Told(number, error=error)
    except CodecError:
        pass
    return None
