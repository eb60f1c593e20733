"""One call -> an `Execution` in the journal, and the ids that feedback may name."""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import logging
import math
import os
import random
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from poet_hook.errors import CodecError, StoreError, StoreWarning, warn
from poet_hook.model import UNSET, Execution, Phase, POETResult
from poet_hook.runtime import handed
from poet_hook.store import codec
from poet_hook.store.database import FunctionRecord, Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from poet_hook.model import RecordMode
    from poet_hook.runtime.slot import Slot

logger = logging.getLogger("poet_hook")

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no letter that reads like a digit
_PAIRS = [a + b for a in _DIGITS for b in _DIGITS]
_RECENT = 256
_FIX = "make that folder writable, or set POET_HOME to another one"
_SMALL = 4096  # encoded bytes
_ROOM = "make room on that disk, or set POET_HOME to another one"
_AGAIN = 5.0  # seconds
_SETTLE = 2.0  # seconds that the end of a process may take; the journal keeps the rest


class Ids:
    """Makes execution ids: 20 characters that sort by time; 50 random bits a process and a counter."""

    def __init__(self) -> None:
        self.seed()

    def seed(self) -> None:
        """Begin anew, in a forked child too, where another thread's lock would never be released."""
        self.lock = threading.Lock()
        self.tag = random.SystemRandom().getrandbits(32)
        self.counter = 0

    def make(self, seconds: float) -> str:
        with self.lock:
            self.counter = (self.counter + 1) & 0x3FFFF
            rest = self.tag << 18 | self.counter
        time_ms = int(seconds * 1000)
        return "".join(
            [_PAIRS[time_ms >> shift & 1023] for shift in (40, 30, 20, 10, 0)]
            + [_PAIRS[rest >> shift & 1023] for shift in (40, 30, 20, 10, 0)]
        )


def process_of(execution_id: str) -> str:
    """What the ids made by one process have in common, and those of others have not; "" for any other id."""
    # 30 bits of the tag: the other two share a digit with the counter
    return execution_id[10:16] if len(execution_id) == 20 else ""


_ids = Ids()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.seed)

_captured: ContextVar[tuple[list[POETResult], ...]] = ContextVar("poet_hook_captured", default=())


@contextmanager
def capture() -> Iterator[list[POETResult]]:
    """Collect a `POETResult` of each execution recorded inside the block, in the order in which they end."""
    results: list[POETResult] = []
    token = _captured.set((*_captured.get(), results))
    try:
        yield results
    finally:
        with contextlib.suppress(ValueError):  # an async call that is given up is ended in another context
            _captured.reset(token)


class Recent:
    """The last results of this process, so that `feedback(result, ...)` can find the execution."""

    def __init__(self) -> None:
        self.results: deque[tuple[Callable[[], Any], str, str]] = deque(maxlen=_RECENT)
        self.dropped = False

    def add(self, result: Any, size: int | None, execution_id: str, function: str) -> None:
        """Remember a result of `size` encoded bytes (None: not encoded), without keeping it alive if it is large."""
        if len(self.results) == _RECENT:
            self.dropped = True
        held: Callable[[], Any]
        if result is None or type(result) in (bool, int, float) or (size is not None and size <= _SMALL):
            held = functools.partial(_itself, result)
        else:
            try:
                held = weakref.ref(result)
            except TypeError:
                return  # then only its id or its key can name it
        self.results.append((held, execution_id, function))

    def of(self, result: Any) -> list[tuple[str, str]]:
        """(execution id, function) of each recent execution that returned this very object, newest first."""
        return [(i, f) for held, i, f in reversed(self.results.copy()) if held() is result and not _is_gone(held)]


def _is_gone(held: Callable[[], Any]) -> bool:
    return isinstance(held, weakref.ref) and held() is None  # which is not a result that was None


def _itself(value: Any) -> Any:
    return value


recent = Recent()


class Recorder:
    """Where executions go; shared by every slot."""

    def __init__(self) -> None:
        self._store: Store | None = None
        self._maker: Callable[[], Store | None] | None = None
        self.lost = 0
        self.known: dict[tuple[str, str], FunctionRecord] = {}
        self.restarts = 0
        self.unsaved = math.inf  # when to try again
        atexit.register(self.settle)

    @property
    def store(self) -> Store | None:
        """Into which calls are recorded: that of the latest activation."""
        maker = handed.make_store
        if maker is not self._maker:
            self._store = None if maker is None else maker()
            self.restarts = 0 if self._store is None else self._store.restarts
            self.known.clear()
            self._maker = maker  # the last one: another thread that sees it finds the store
        return self._store

    def knows(self, function: str, source_hash: str) -> bool:
        """Whether the store was told of a function already, or there is none to tell."""
        return self.store is None or (function, source_hash) in self.known

    def introduce(self, function: FunctionRecord) -> None:
        """Tell the store of a function, once per process and source text."""
        mark = (function.function, function.source_hash)
        if self.store is not None and mark not in self.known:
            self.known[mark] = function
            try:
                self.store.save_function(function)
            except StoreError as error:
                self.complain(error)
                self.unsaved = time.monotonic() + _AGAIN

    def _introduce_again(self) -> None:
        """After the folder was deleted under us, with what it knew of the functions; or could not be written."""
        if self.store is not None and (self.store.restarts != self.restarts or time.monotonic() > self.unsaved):
            self.restarts, self.unsaved = self.store.restarts, math.inf
            functions = list(self.known.values())
            self.known.clear()
            for function in functions:
                self.introduce(function)

    def write(self, execution: Execution) -> str:
        """Keep an execution; "" or why that was not possible."""
        if self.store is None:
            return "poet_hook is not active"
        try:
            self.store.record(execution)
        except StoreError as error:
            self.complain(error)
            return str(error)
        self._introduce_again()
        return ""

    def settle(self) -> None:
        """At the end of the process, bring what it recorded into the database; a killed one leaves that to others."""
        if self.known and self.store is not None:
            try:
                self.store.absorb(_SETTLE)
                self.unsaved = 0.0 if self.unsaved < math.inf else math.inf
                self._introduce_again()
            except StoreError as error:
                logger.debug("left in the journal: %s", error)

    def complain(self, error: Exception, what: str = "executions are not recorded") -> None:
        """One warning for all: the user's calls go on."""
        self.lost += 1
        if self.lost == 1:
            fix = f"; {_fix_of(error)}" if isinstance(error, StoreError) and ";" not in str(error) else ""
            warn(f"{what}: {error}{fix}", StoreWarning, stacklevel=4)
        logger.debug("%s: %s", what, error)


def _fix_of(error: StoreError) -> str:
    cause = error.__cause__
    full = getattr(cause, "errno", 0) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return _ROOM if full or "full" in str(cause) or "No space" in str(error) else _FIX


recorder = Recorder()


def introduce(slot: Slot) -> None:
    """Tell the store of a slot's function, unless it knows."""
    if not recorder.knows(slot.function, slot.source_hash):
        recorder.introduce(
            FunctionRecord(
                function=slot.function,
                module=slot.module,
                qualname=slot.qualname,
                path=slot.path,
                line=slot.line,
                source=slot.source,
                source_hash=slot.source_hash,
                optimize_for=slot.optimize_for or "",
                domain=slot.domain_name,
                seen=time.time(),
            )
        )


def freeze(
    arguments: tuple[Any, ...], names: tuple[str, ...], mode: RecordMode, modes: Mapping[str, RecordMode]
) -> tuple[bytes | None, str]:
    """The arguments, encoded now (the body may change them), and why they can't be replayed ("" if they can)."""
    if mode == "full" and not modes:
        try:
            return codec.encode(arguments), ""
        except CodecError:
            pass
    elif mode == "none" and not modes:
        return None, "record=none"
    parts: list[Any] = []
    reason = ""
    for name, value in zip(names, arguments, strict=True):
        kept = modes.get(name, mode)
        if kept == "full":
            try:
                codec.encode(value)
                parts.append(value)
                continue
            except CodecError as error:
                parts.append(codec.Summary("shape", codec.shape(value)))
                reason = reason or f"argument {name!r}: {error}"
                continue
        text = codec.digest(value) if kept == "hash" else codec.shape(value) if kept == "shape" else ""
        parts.append(codec.Summary(kept, text))
        reason = reason or f"argument {name!r} is recorded as {kept}"
    try:
        return codec.encode(tuple(parts)), reason
    except CodecError as error:  # each part fits, but not all together
        return None, str(error)


def note(slot: Any, call: Any, result: Any, outcome: str, error: BaseException | None) -> None:
    """Write one execution of a slot's call, and remember it for `capture` and for feedback by object."""
    duration = time.perf_counter() - call.clock
    encoded, reason = _frozen_result(slot.record, result, outcome, call.frozen[1])
    raw = None
    if outcome == "result" and call.own is not UNSET and call.own is not result:
        raw, reason = _frozen_result(slot.record, call.own, outcome, reason)
    shadow = slot.trial.made_of(slot, call, outcome, encoded, duration) if slot.trial is not None else None
    version = call.served.number if call.served is not None and call.served.error is None else slot.version
    execution_id = _ids.make(call.started)
    lost = recorder.write(
        Execution(
            id=execution_id,
            function=slot.function,
            version=version,
            source_hash=slot.source_hash,
            started=call.started,
            duration=duration,
            outcome=outcome,  # type: ignore[arg-type]
            arguments=call.frozen[0],
            result=encoded,
            error=None if error is None else described(error, slot.hides),
            key=call.key,
            attempts=call.attempt,
            replayable=reason,
            stream=call.stream,
            incident=call.incident,
            raw=raw,
            shadow=shadow,
        )
    )
    if slot.early is not None and version == slot.version:
        slot.early.saw(slot.function, outcome, duration)
    if outcome != "error":
        size = len(encoded) if encoded is not None and slot.record == "full" else None
        recent.add(result, size, execution_id, slot.function)
    captured = _captured.get()
    if captured:
        phases = (
            Phase("perceive", "ok"),
            Phase("operate", "fallback" if outcome == "fallback" else "retried" if call.attempt > 1 else "ok"),
            Phase("enforce", "ok" if outcome == "result" else "skipped"),
            Phase("train", f"not recorded: {lost}" if lost else reason or "recorded"),
        )
        made = POETResult(result, execution_id, slot.function, version, duration, phases)
        for results in captured:
            results.append(made)


def _frozen_result(mode: RecordMode, result: Any, outcome: str, reason: str) -> tuple[bytes | None, str]:
    if outcome == "error" or mode == "none":
        return None, reason
    if mode != "full":
        text = codec.digest(result) if mode == "hash" else codec.shape(result)
        return codec.encode(codec.Summary(mode, text)), reason
    try:
        return codec.encode(result), reason
    except CodecError as problem:
        return None, reason or f"result: {problem}"


def described(error: BaseException, hides: bool) -> str:
    """An exception's text may quote what must not be recorded: then only its type is kept."""
    try:
        return type(error).__name__ if hides else f"{type(error).__name__}: {error}"[:2000]
    except Exception:  # noqa: BLE001 - the user's own __str__
        return type(error).__name__


def now() -> tuple[float, float]:
    """The wall clock (seconds since the epoch) and the clock for durations."""
    return time.time(), time.perf_counter()
