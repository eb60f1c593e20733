"""Feedback on a function that no rule read -> what a language model reads in it, stored beside it.

It is done where nobody waits for it, and where an endpoint is configured. What it can't read stays unread, with the
reason. After a reply that is of no use it is asked again another time, up to `MOST_TRIES` times in all; an endpoint
that gives no reply is asked again later, without end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from poet_hook.domains.base import Domain, load
from poet_hook.errors import CodecError, LlmError, PoetError, SettingsError, StoreError
from poet_hook.model import INSTRUCTION, UNSET, Execution, Feedback, Plan, Signal
from poet_hook.model.feedback import MODEL
from poet_hook.settings import Settings
from poet_hook.signals.phrases import CONTRADICTS
from poet_hook.signals.question import question, readable
from poet_hook.signals.scales import unread
from poet_hook.signals.verified import Said, Verified, verified
from poet_hook.store import codec
from poet_hook.store.database import FunctionRecord, Store
from poet_hook.store.readings import Reading
from poet_hook.versions.chain import Chain
from poet_hook.versions.current import plan_of
from poet_hook.versions.lock import alone

if TYPE_CHECKING:
    from poet_hook.llm.client import Client
    from poet_hook.llm.endpoint import Endpoint

PURPOSE = "read feedback"
MOST_TRIES = 3
AT_ONCE = 20  # feedbacks that one learning run has read, in about
SECONDS = 60.0
MOST_ODD = 2  # replies that were none, after which something else is wrong than the question
REST = 600.0  # seconds for which an endpoint that failed is not asked unless somebody wants it now


@dataclass(frozen=True, slots=True)
class OneRead:
    """What was made of one feedback: a signal, "unread" where it was nothing, and a suggestion, "" without one."""

    feedback: int
    execution_id: str
    source: str
    text: str
    signal: Signal
    suggestion: str


@dataclass(frozen=True, slots=True)
class ReadFeedback:
    """What one run read of a function's feedback; `left` is how many it did not come to, and `reason` why not."""

    function: str
    model: str
    items: tuple[OneRead, ...]
    left: int
    reason: str

    @property
    def understood(self) -> int:
        """How many it made a signal of."""
        return sum(item.signal.kind != "unread" for item in self.items)

    def in_words(self) -> str:
        """What came of it, in a sentence; "" where there was nothing to read."""
        if not (self.items or self.left):
            return ""
        told = [f"{self.model} read {len(self.items)} of {len(self.items) + self.left} unread feedbacks"]
        if self.items:
            told.append(f"and understood {self.understood}")
        return " ".join(told) + (f": {self.reason}" if self.reason else "")


class Asking(NamedTuple):
    """Feedback that a model may be asked about, what it is about, and how often it was asked in vain."""

    item: Feedback
    execution: Execution
    outcome: Any
    plan: Plan
    tried: int


def due(store: Store, settings: Settings, function: str, model: str = "") -> list[Asking]:
    """The unread feedback on a function that a model may be asked about: "" for any model, or this one.

    Left out is what asks something of the function, what can't be about this result, what has no words in it, what this
    model was asked about often enough, and what could teach nothing: calls that failed, and those of an earlier text.
    """
    plan = _plan(store, settings, function) if store.has_unread(function) else None
    if plan is None or plan.pragma.record != "full":
        return []
    tries = store.tries(function) if model else {}
    spent = {number for number, (reader, count) in tries.items() if reader == MODEL + model and count >= MOST_TRIES}
    items = [
        item
        for item in store.unread(function)
        if item.id not in spent
        and item.signal.value != INSTRUCTION
        and not item.signal.reason.startswith(CONTRADICTS)
        and _text(item)
    ]
    executions = {each.id: each for each in store.some([item.execution_id for item in items])}
    found = []
    for item in items:
        execution = executions.get(item.execution_id)
        outcome = _result_of(execution) if execution and execution.source_hash == plan.source_hash else UNSET
        if execution is not None and outcome is not UNSET:
            tried = tries.get(item.id, ("", 0))
            found.append(Asking(item, execution, outcome, plan, tried[1] if tried[0] == MODEL + model else 0))
    return found


def read_feedback(
    function: str,
    store: Store,
    settings: Settings,
    endpoint: Endpoint,
    *,
    limit: int | None = None,
    seconds: float | None = None,
    patient: bool = False,
    dry_run: Callable[[str], None] | None = None,
) -> ReadFeedback:
    """Ask about the unread feedback on a function, at most `limit` of it, and begin none after so many seconds.

    With `patient` an endpoint that failed lately is left alone. With `dry_run`, that is given what would be sent, and
    nothing is sent or stored. Raises `StoreError`.
    """
    from poet_hook.llm.client import Client

    record = store.function(function)
    with _alone(settings, function, dry_run):
        waiting = due(store, settings, function, endpoint.model)
        if record is None or not waiting:
            return ReadFeedback(function, endpoint.model, (), 0, "")
        if patient and (why := _resting(store, endpoint)):
            return ReadFeedback(function, endpoint.model, (), len(waiting), why)
        reader = _Reader(record, store, settings, Client(endpoint, store, settings, dry_run))
        return reader.run(waiting, limit, seconds)


@contextmanager
def _alone(settings: Settings, function: str, dry_run: object) -> Iterator[None]:
    """Nobody else asks about the same feedback meanwhile."""
    folder = Chain(settings, function).folder
    with ExitStack() as stack:
        if dry_run is None:
            try:
                stack.enter_context(alone(folder, ".reading"))
            except OSError as error:
                raise StoreError(f"{folder}: can't be written: {error}") from error
        yield


def _resting(store: Store, endpoint: Endpoint) -> str:
    """Why the endpoint is left alone for now; "" where it is not."""
    failed, _, why = (store.get_meta(f"reading:failed:{endpoint.model}") or "0 ").partition(" ")
    try:
        return why if 0.0 <= time.time() - float(failed) < REST else ""
    except ValueError:  # nothing of ours
        return ""


def _text(item: Feedback) -> str:
    try:
        return readable(codec.decode(item.raw, plain=True))
    except CodecError:
        return ""


class _Reader:
    """One run over the feedback on one function."""

    def __init__(self, record: FunctionRecord, store: Store, settings: Settings, client: Client) -> None:
        self.function = record.function
        self.store = store
        self.settings = settings
        self.client = client
        self.model = client.endpoint.model
        self.domain = _domain(record)

    def run(self, waiting: list[Asking], limit: int | None, seconds: float | None) -> ReadFeedback:
        """Ask about one after the other, until something speaks against going on."""
        until = None if seconds is None else time.monotonic() + seconds
        items: list[OneRead] = []
        reason, odd = "", 0
        for asking in waiting[:limit]:
            if (until is not None and time.monotonic() > until) or odd == MOST_ODD:
                break
            try:
                made = self._made_of(asking)
                items.append(self._keep(asking, made, MOST_TRIES if made.usable else asking.tried + 1))
            except LlmError as error:
                if error.kind == "dry run":
                    continue
                reason = str(error)
                failed = Verified(unread(f"it could not be asked: {reason}"))
                if error.kind == "reply":  # of this question, perhaps, and not of another
                    odd += 1
                    items.append(self._keep(asking, failed, asking.tried + 1))
                    continue
                self._keep(asking, failed, asking.tried)  # it is no fault of this feedback
                self.store.set_meta(f"reading:failed:{self.model}", f"{time.time()} {reason}")
                break
        return ReadFeedback(self.function, self.model, tuple(items), len(waiting) - len(items), reason)

    def _made_of(self, asking: Asking) -> Verified:
        """What the model makes of one feedback. Raises `LlmError`."""
        from poet_hook.llm.extract import NotExtracted, extract_object

        text, plan = _text(asking.item), asking.plan
        asked = question(text, asking.execution, asking.outcome, plan, self.domain, self.settings)
        reply = self.client.ask(PURPOSE, asked.system, asked.user, asked.schema, self.function, n=asking.tried + 1)
        said = extract_object(reply.text, Said, reply.finish_reason)
        if isinstance(said, NotExtracted):
            return Verified(unread(f"its reply was of no use: {said.message}"), usable=False)
        return verified(said, asked.text, asking.outcome, self.domain, plan.source)

    def _keep(self, asking: Asking, made: Verified, tries: int) -> OneRead:
        item, signal = asking.item, _by(made.signal, self.model, made.quote)
        self.store.add_reading(Reading(item.id, time.time(), signal, made.quote, made.suggestion, tries))
        return OneRead(item.id, item.execution_id, item.source, _text(item), signal, made.suggestion)


def _by(signal: Signal, model: str, quote: str) -> Signal:
    """A signal that says who read it, and from which words."""
    if signal.kind == "fields":
        signal = replace(
            signal, value={name: replace(part, reader=MODEL + model) for name, part in signal.value.items()}
        )
    reason = f"{model}: {signal.reason}" if signal.kind == "unread" else f"read by {model} from {quote!r}"
    return replace(signal, reader=MODEL + model, reason=reason)


def _plan(store: Store, settings: Settings, function: str) -> Plan | None:
    try:
        return plan_of(function, store, settings)[0]
    except PoetError:  # its source has gone
        return None


def _domain(record: FunctionRecord) -> Domain | None:
    try:
        return load(record.domain) if record.domain else None
    except SettingsError:  # of another poet_hook, perhaps
        return None


def _result_of(execution: Execution) -> Any:
    """What a call returned, dataclasses as dicts; UNSET where it ended otherwise, or that can't be told."""
    if execution.outcome != "result" or execution.result is None:
        return UNSET
    try:
        value = codec.decode(execution.result, plain=True)
    except CodecError:
        return UNSET
    return UNSET if isinstance(value, codec.Summary) else value
