"""Attempts of the body: whether there is another, the pause between two, and the time limit of one."""

from __future__ import annotations

import ctypes
import logging
import random
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from poet_hook.errors import OperateTimeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from poet_hook.runtime.slot import Call, Slot

logger = logging.getLogger("poet_hook")
_random = random.Random()  # never the user's own, whose seeded stream must stay as it is
_LONGEST_PAUSE = 5.0  # unless the first one may be longer


def pause(attempt: int, first: float) -> None:
    """Wait before attempt `attempt` + 1."""
    time.sleep(how_long(attempt, first))


def how_long(attempt: int, first: float) -> float:
    """Seconds before attempt `attempt` + 1: exponential from `first`, at most 5 s, with full jitter."""
    return _random.uniform(0.0, min(max(_LONGEST_PAUSE, first), first * 2.0 ** min(attempt - 1, 60)))


class TimeLimit:
    """One attempt's time limit: raises `OperateTimeout` in the thread that runs the body.

    In the main thread of a POSIX system where nobody else uses SIGALRM, the alarm also ends a call that
    waits in C (a sleep, a socket). Elsewhere the exception is set on the thread and is noticed when the
    interpreter next runs a line of Python: a call that waits in C ends late. A greenlet of gevent's gets it where it
    waits for gevent. A body that catches every exception can outlive its limit.
    """

    def __init__(self, seconds: float, function: str) -> None:
        self.error = OperateTimeout(f"{function} took longer than timeout={seconds:g}s")
        self.late: type[OperateTimeout] | None = None
        self.deadline = time.monotonic() + seconds
        self._alarm = False
        self._watch: _Watch | None = None
        self._timer: Any = None
        _running.append(self)
        try:
            gevent = _gevent()
            if gevent is not None:
                self._timer = gevent.Timeout.start_new(seconds, self.error)
                return
            self._alarm = _alarms.claim(self)
            self._watch = None if self._alarm else _Watch(self, seconds)
        except BaseException:  # no thread to be had, or a limit around this one rang just here
            self._alarm = self in _alarms.limits
            self.cancel()
            raise

    def cancel(self) -> None:
        """Stop the clock; safe to call twice."""
        if self in _running:
            _running.remove(self)
        if self._timer is not None:
            self._timer.close()
        elif self._alarm:
            self._alarm = False
            _alarms.release(self)
        elif self._watch is not None:
            watch, self._watch = self._watch, None
            watch.cancel()


_running: list[TimeLimit] = []


def _gevent() -> Any:
    """The module gevent, where one of its greenlets runs here, or its waits are those of every thread."""
    gevent: Any = sys.modules.get("gevent")
    if gevent is None:
        return None
    monkey: Any = sys.modules.get("gevent.monkey")
    try:
        greenlet = gevent.getcurrent().parent is not None
        return gevent if greenlet or (monkey is not None and monkey.is_module_patched("threading")) else None
    except AttributeError:  # another thread imports it just now
        return None


def ends_more(error: BaseException | None) -> bool:
    """True for the `OperateTimeout` of a call that goes on around this one: no attempt here may outlive it."""
    return isinstance(error, OperateTimeout) and any(
        limit.error is error or limit.late is type(error) for limit in _running
    )


def tries_again(slot: Slot, call: Call) -> bool:
    """`Slot.again`: True where the body shall be run once more."""
    error = sys.exc_info()[1]
    if not isinstance(error, Exception) or call.attempt > slot.retries:
        return False
    if isinstance(error, RecursionError):  # each depth would try again: 2 ** 1000 attempts
        return False
    if ends_more(error) or _is_said_so(slot, call, error):
        return False
    logger.debug("%s: attempt %d failed: %r", slot.function, call.attempt, error)
    call.attempt += 1
    call.raised = False
    return True


def falls_back(slot: Slot, call: Call) -> bool:
    """`Slot.falls_back`: True where the fallback takes over: not for KeyboardInterrupt and its like."""
    error = sys.exc_info()[1]
    if not slot.has_fallback or not isinstance(error, Exception):
        return False
    return not ends_more(error) and not _is_said_so(slot, call, error)


def _is_said_so(slot: Slot, call: Call, error: Exception) -> bool:
    """Whether an exception is no failure: it ends an iteration, says that there is no such attribute, or is what
    the body made of the cancellation of its task."""
    if isinstance(error, StopIteration | StopAsyncIteration):
        return True
    if isinstance(error, AttributeError) and slot.qualname.endswith(("__getattr__", "__getattribute__")):
        return True
    if call.cancels is None:
        return False
    from poet_hook.runtime import waits

    return waits.cancels() > call.cancels


def _late(message: str) -> type[OperateTimeout]:
    class Late(OperateTimeout):
        """Set on a thread as a class: the interpreter makes the instance there."""

        def __init__(self) -> None:
            super().__init__(message)

        def __reduce__(self) -> tuple[Any, ...]:
            return OperateTimeout, (message,)

    Late.__name__ = Late.__qualname__ = "OperateTimeout"
    Late.__module__ = OperateTimeout.__module__
    return Late


class _Alarms:
    """The process's one SIGALRM timer, shared by nested limits of the main thread."""

    def __init__(self) -> None:
        self.limits: list[TimeLimit] = []
        self.previous: Any = None

    def claim(self, limit: TimeLimit) -> bool:
        if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
            return False
        handler = signal.getsignal(signal.SIGALRM)
        if not self.limits:
            if handler not in (signal.SIG_DFL, signal.SIG_IGN) or signal.getitimer(signal.ITIMER_REAL)[0]:
                return False
            self.previous = handler
            signal.signal(signal.SIGALRM, self._rang)
        elif handler != self._rang:
            return False
        self.limits.append(limit)
        self._set()
        return True

    def release(self, limit: TimeLimit) -> None:
        if limit in self.limits:
            self.limits.remove(limit)
        self._set()

    def _set(self) -> None:
        if signal.getsignal(signal.SIGALRM) != self._rang:
            return  # the body took the alarm for itself, and keeps it
        if self.limits:
            nearest = min(limit.deadline for limit in self.limits)
            signal.setitimer(signal.ITIMER_REAL, max(nearest - time.monotonic(), 1e-4))
        else:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self.previous)

    def _rang(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        for limit in self.limits:  # outermost first: its time is up for all inside it
            if limit.deadline <= now:
                self.limits.remove(limit)
                self._set()
                raise limit.error
        self._set()


_alarms = _Alarms()


class _Watch:
    """A thread that waits, and sets the exception on the thread under watch.

    Only bare locks: the exception may come between any two lines of Python that the watched thread runs, and
    would leave what `threading.Timer` and `Event` hold inside locked for ever.
    """

    def __init__(self, limit: TimeLimit, seconds: float) -> None:
        self.thread = threading.get_ident()
        self.limit = limit
        self.lock = threading.Lock()
        self.ended = threading.Lock()
        self.ended.acquire()
        self.over = False
        threading.Thread(target=self._wait, args=(seconds,), name="poet_hook timeout", daemon=True).start()

    def _wait(self, seconds: float) -> None:
        if self.ended.acquire(timeout=seconds):
            return
        with self.lock:
            if not self.over:
                late = self.limit.late = _late(str(self.limit.error))
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread), ctypes.py_object(late))

    def cancel(self) -> None:
        while True:
            try:
                with self.lock:
                    self.over = True
                # Set but not delivered, perhaps: it comes at one of the next jumps back. Taking it back instead, by
                # setting None, leaves CPython 3.11's eval breaker on for good, and a traced thread spins.
                for _ in range(50):
                    pass
                if self.ended.locked():
                    self.ended.release()
                return
            except OperateTimeout:  # delivered just here: the body is over already
                continue
