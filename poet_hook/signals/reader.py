"""Feedback on a function that no rule read -> what a language model reads in it, stored beside it.

It is done where nobody waits for it, and where an endpoint is configured. What it can't read stays unread, with the
reason. After a reply that is of no use it is asked again another time, up to `MOST_TRIES` times in all; an endpoint
that gives no reply is asked again later, without end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from poet_hook.domains.base import Domain, load
from poet_hook.errors import CodecError, LlmError, SettingsError, StoreError
from poet_hook.model import INSTRUCTION, UNSET, Execution, Feedback, Signal
from poet_hook.model.feedback import MODEL
from poet_hook.settings import Settings
from poet_hook.signals.phrases import CONTRADICTS
from poet_hook.signals.question import Question, question, readable
from poet_hook.signals.scales import unread
from poet_hook.signals.verified import SCHEMA, Said, Verified, verified
from poet_hook.store import codec
from poet_hook.store.database import FunctionRecord, Store
from poet_hook.store.readings import Reading
from poet_hook.versions.chain import Chain
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


def due(store: Store, function: str, model: str = "") -> list[Feedback]:
    """The unread feedback on a function that a model may be asked about: "" for any model, or this one.

    Left out is what asks something of the function, what is about another result, what has no words in it, and what
    this model was asked about often enough.
    """
    tries = store.tries(function) if model else {}
    return [
        item
        for item in store.unread(function)
        if item.signal.value != INSTRUCTION
        and not item.signal.reason.startswith(CONTRADICTS)
        and _text(item)
        and not (item.id in tries and tries[item.id][0] == MODEL + model and tries[item.id][1] >= MOST_TRIES)
    ]


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
        waiting = due(store, function, endpoint.model)
        if record is None or not waiting:
            return ReadFeedback(function, endpoint.model, (), 0, "")
        if patient and (why := _resting(store, endpoint)):
            return ReadFeedback(function, endpoint.model, (), len(waiting), why)
        reader = _Reader(record, store, settings, Client(endpoint, store, settings, dry_run))
        return reader.run(waiting, limit, seconds)


@contextmanager
def _alone(settings: Settings, function: str, dry_run: object) -> Iterator[None]:
    """Nobody else asks about the same feedback meanwhile."""
    if dry_run is not None:
        yield
        return
    folder = Chain(settings, function).folder
    held = alone(folder, ".reading")
    try:
        held.__enter__()
    except OSError as error:
        raise StoreError(f"{folder}: can't be written: {error}") from error
    try:
        yield
    finally:
        held.__exit__(None, None, None)


def _resting(store: Store, endpoint: Endpoint) -> str:
    failed, _, why = (store.get_meta(f"reading:failed:{endpoint.model}") or "0 ").partition(" ")
    return why if time.time() - float(failed) < REST else ""


def _text(item: Feedback) -> str:
    try:
        return readable(codec.decode(item.raw, plain=True))
    except CodecError:
        return ""


class _Reader:
    """One run over the feedback on one function."""

    def __init__(self, record: FunctionRecord, store: Store, settings: Settings, client: Client) -> None:
        self.record = record
        self.store = store
        self.settings = settings
        self.client = client
        self.model = client.endpoint.model
        self.domain = _domain(record)
        self.tries = store.tries(record.function)

    def run(self, waiting: list[Feedback], limit: int | None, seconds: float | None) -> ReadFeedback:
        """Ask about one after the other, until something speaks against going on."""
        until = None if seconds is None else time.monotonic() + seconds
        items: list[OneRead] = []
        reason, odd = "", 0
        for item in waiting[:limit]:
            if (until is not None and time.monotonic() > until) or odd == MOST_ODD:
                break
            try:
                items.append(self._item(item))
            except LlmError as error:
                if error.kind == "dry run":
                    continue
                reason = str(error)
                if error.kind == "reply":  # of this question, perhaps, and not of another
                    odd += 1
                    items.append(self._keep(item, Verified(unread(reason)), self._tried(item) + 1))
                    continue
                self._failed(item, reason)
                break
        return ReadFeedback(self.record.function, self.model, tuple(items), len(waiting) - len(items), reason)

    def _failed(self, item: Feedback, reason: str) -> None:
        """The endpoint gave no reply: that is no fault of this feedback, and is not counted as a try of it."""
        self.store.set_meta(f"reading:failed:{self.model}", f"{time.time()} {reason}")
        self._keep(item, Verified(unread(f"{self.model} could not be asked: {reason}")), self._tried(item))

    def _item(self, item: Feedback) -> OneRead:
        """What the model makes of one feedback. Raises `LlmError`."""
        text, tried = _text(item), self._tried(item)
        execution = self.store.execution(item.execution_id)
        outcome = UNSET if execution is None else _result_of(execution)
        if execution is None or outcome is UNSET:
            made, tries = Verified(unread("what the call returned is not recorded")), MOST_TRIES
        else:
            source = self.store.source_of(execution.function, execution.source_hash) or ""
            asked = question(text, execution, outcome, source, self.domain, self.settings.user_dir)
            made = self._asked(asked, outcome, source, tried)
            tries = MOST_TRIES if made.usable else tried + 1
        return self._keep(item, made, tries)

    def _asked(self, asked: Question, outcome: Any, source: str, tried: int) -> Verified:
        from poet_hook.llm.extract import NotExtracted, extract_object

        reply = self.client.ask(PURPOSE, asked.system, asked.user, SCHEMA, self.record.function, n=tried + 1)
        said = extract_object(reply.text, Said, reply.finish_reason)
        if isinstance(said, NotExtracted):
            return Verified(unread(f"its reply was of no use: {said.message}"), usable=False)
        return verified(said, asked.text, outcome, self.domain, source)

    def _tried(self, item: Feedback) -> int:
        reader, tries = self.tries.get(item.id, ("", 0))
        return tries if reader == MODEL + self.model else 0

    def _keep(self, item: Feedback, made: Verified, tries: int) -> OneRead:
        signal = _by(made.signal, self.model, made.quote)
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
