"""A call of the champion -> what a challenger makes of the same arguments, beside it and never returned.

The challenger is the user's own body with other values, a plain function that records nothing. It runs on the
arguments as they were recorded, so that nothing it does to them is seen by anybody, in the thread of the call and
after its result is known.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from poet_hook.errors import CodecError, OperateTimeout, VersionWarning, warn
from poet_hook.runtime.operate import TimeLimit, ends_more
from poet_hook.store import codec

AS_LONG = 5.0  # times the call itself, and
AT_LEAST = 0.05  # seconds, is what the challenger may take
LATE = 3  # times it may take longer, in one process
_TOLD = 200  # characters of an exception


@dataclass(frozen=True, slots=True)
class Challenger:
    """A version on trial, as it runs in this process."""

    number: int
    body: FunctionType


Find = Callable[[Any, Challenger | None], Challenger | None]
"""A slot and the challenger that it knows -> the one that the pointer names now."""


class _Here(threading.local):
    busy = False


_here = _Here()
_find: Find | None = None
_used = False


def follow(find: Find) -> None:
    """Say how challengers are found, before the first call."""
    global _find
    _find = find


def is_shadow() -> bool:
    """Whether a challenger runs beside a call in this thread just now: what it calls was called by nobody."""
    return _used and _here.busy


class Trial:
    """What one slot knows of its challenger; looked for at the first call, and whenever the pointer has moved."""

    __slots__ = ("challenger", "late", "sought")

    def __init__(self) -> None:
        self.challenger: Challenger | None = None
        self.sought = False
        self.late = 0

    def seek(self, slot: Any) -> None:
        """Follow the pointer."""
        self.sought = True
        if _find is not None:
            found = _find(slot, self.challenger)
            if found is not self.challenger:
                self.challenger, self.late = found, 0

    def beside(self, slot: Any, call: Any, result: bytes | None, duration: float) -> bytes | None:
        """What the challenger made of a call that gave `result`, encoded as `told` reads it; None where it did not run.

        Raises only what ends more than this call: Ctrl-C, or the time limit of a call around it.
        """
        global _used
        if not self.sought:
            self.seek(slot)
        challenger, (arguments, reason) = self.challenger, call.frozen
        if challenger is None or result is None or arguments is None or reason or _here.busy:
            return None
        _used = _here.busy = True
        limit = max(AT_LEAST, AS_LONG * duration)
        try:
            data = codec.encode(_limited(slot, challenger, codec.decode(arguments), limit))
        except CodecError:  # of the arguments, or of what was returned: then they can't be compared
            return None
        except OperateTimeout as error:
            if ends_more(error):
                raise
            self._was_late(slot, challenger)
            return codec.encode((challenger.number, "e", f"it took longer than {limit:.3g} s"))
        except Exception as error:  # noqa: BLE001 - whatever the challenger does is its own result
            return codec.encode((challenger.number, "e", _told(error)))
        finally:
            _here.busy = False
        return unchanged(challenger.number) if data == result else codec.encode((challenger.number, "r", data))

    def _was_late(self, slot: Any, challenger: Challenger) -> None:
        self.late += 1
        if self.late >= LATE:
            self.challenger = None
            warn(
                f"{slot.function}: v{challenger.number} no longer runs beside it in this process: {LATE} times it took "
                f"{AS_LONG:g} times as long as the call, and longer than {AT_LEAST:g} s",
                VersionWarning,
            )


def _limited(slot: Any, challenger: Challenger, arguments: Sequence[Any], seconds: float) -> Any:
    limit = TimeLimit(seconds, slot.function)
    try:
        return apply(challenger.body, arguments)
    finally:
        limit.cancel()


def _told(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:_TOLD]
    except Exception:  # noqa: BLE001 - the user's own __str__
        return type(error).__name__


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
