"""What was recorded and said about a function -> the executions that can judge a candidate, and why others can't."""

from __future__ import annotations

import ast
import contextlib
import math
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from poet_hook.domains.base import decision
from poet_hook.errors import CodecError, VersionError
from poet_hook.isolation.slice import used_parameters
from poet_hook.learning import opinions
from poet_hook.learning.constants import same
from poet_hook.learning.events import (
    MOST_MEMBERS,
    MOST_SILENT,
    Call,
    Event,
    Incident,
    agreed_on,
    incidents,
    thinned,
    told,
)
from poet_hook.learning.heard import heard, read_late
from poet_hook.learning.objective import Label
from poet_hook.learning.replay import Outcome
from poet_hook.model import UNSET, Execution, Feedback, Plan, Value
from poet_hook.runtime.record import process_of
from poet_hook.store import codec
from poet_hook.store.database import Store
from poet_hook.store.feedback import standing
from poet_hook.transform.compile import Champion
from poet_hook.versions.chain import Chain

if TYPE_CHECKING:
    from poet_hook.learning.streams import Streams

MOST_LABELLED = 5_000
READ_CALLS = 200_000  # in order, where `group=` makes incidents of them
READ_SILENT = 20_000  # executions without feedback that are looked at
MOST_CONTEXT = 20_000  # executions that are replayed where each depends on the ones before
MOST_AFTER = 50  # quiet results after a yes that are among them, where a nearer limit may make an alert go on
MOST_ALERTS = 400  # of an incident, where something is remembered
ASKED = "asked"  # the source of an answer to a question, or its start: asked:anna
NOT_REPRODUCED = "not reproduced"
_PLAIN = {codec.encode(value): value for value in (False, True)}  # most results, and decoded most often
Memory = tuple[str | None, str]
"""A stream (None where all calls are one) in one process: each remembers for itself."""
Place = tuple[Memory, int, bool]
"""Where something is remembered, how many results it had before, and whether the last of them was a yes of the body."""


@dataclass(frozen=True, slots=True)
class Known:
    """An execution that can be replayed, and what is known about it (None: nobody said anything)."""

    execution: Execution
    label: Label | None
    given: float
    stands_for: float = 1.0
    asked: bool = False
    """True where somebody spoke of it because `ask` had asked."""


@dataclass(slots=True)
class Study:
    """One learning run: the function as it is now, and the executions that belong to that text."""

    plan: Plan
    source: str
    chain: Chain
    champion: Champion
    known: list[Known]
    unread: int
    set_aside: dict[str, int]
    context: list[Execution]
    """The other executions on whose results those of `known` depend; of them, nothing else is asked."""
    places: dict[str, Place] = field(default_factory=dict)
    """Where executions stand, by id, where something is remembered between them."""
    calls: dict[int, int] = field(default_factory=dict)
    """How many executions each version had, where a challenger answers a share of them."""
    incidents: list[Incident] | None = None
    """Which executions are one event, where `group=` says so (None: each is one)."""
    events: list[Event] = field(default_factory=list)
    """What there is to judge, in the order in which it was spoken of, and then what nobody spoke of."""
    unlike: int = 0
    """How many executions that nobody spoke of were set aside, since their replay does not give what was recorded."""
    readers: Mapping[str, int] = field(default_factory=dict)
    """How many feedbacks each language model read, by its name."""
    by_model: frozenset[str] = frozenset()
    """Ids of executions of which a model read all that is known."""
    in_use: int | None = None
    """Which version the pointer named when the run began; None where it was damaged."""

    @property
    def executions(self) -> list[Execution]:
        """All that are replayed: those of `known`, and behind them their context."""
        return [*(item.execution for item in self.known), *self.context]

    @property
    def reproduced(self) -> list[int]:
        """Which of `known` (by index) were replayed as they were recorded."""
        return [i for i, item in enumerate(self.known) if item.execution.replayable != NOT_REPRODUCED]

    @property
    def sampled(self) -> bool:
        """Whether what is known may leave executions out that could be replayed."""
        return self.incidents is not None or any(item.stands_for > 1 for item in self.known)


def study_of(plan: Plan, source: str, chain: Chain, store: Store) -> Study:
    in_use = None
    with contextlib.suppress(VersionError):  # `champion` says it
        in_use = chain.champion_number()
    said: dict[str, list[Feedback]] = {}
    every = store.all_for_function(plan.function)
    late = read_late(every)
    for item in every:
        said.setdefault(item.execution_id, []).append(item)
    words_now = {execution_id: standing(words) for execution_id, words in said.items()}
    now = [item.signal for words in words_now.values() for item in words]
    unread = sum(signal.kind == "unread" for signal in now)
    readers = Counter(signal.model for signal in now if signal.model and signal.kind != "unread")
    by_model = frozenset(name for name, words in words_now.items() if opinions.read_by_model(words))
    aside: dict[str, int] = {}
    known: list[Known] = []
    spoken = store.executions(plan.function, with_feedback=True, newest_first=True, limit=MOST_LABELLED)
    for execution in spoken:
        reason = unusable(execution, plan)
        if reason:
            aside[reason] = aside.get(reason, 0) + 1
            continue
        words = said.get(execution.id, [])
        word = heard(execution.id, words, value_of(execution.result), late)
        if word is not None:  # what is unread or contradicts itself is no label, and no silence either
            # of an incident the first word decides, whatever was said of it later
            given = word.given if plan.pragma.group is None else words[0].given
            known.append(Known(execution, word.label, given, asked=word.source.partition(":")[0] == ASKED))
    known.sort(key=lambda item: (item.label.order if item.label else 0, item.given))
    found = None if plan.pragma.group is None else _incidents(plan, store, known, said)
    if found is None:
        known += sorted(_silent(plan, store, len(said)), key=lambda item: item.execution.started)
    else:
        known += _members(plan, store, found, {item.execution.id for item in known})
    context, places = _context(plan, store, {item.execution.id for item in known}) if plan.may_remember else ([], {})
    calls = store.versions_used(plan.function) if plan.pragma.canary else {}
    champion = chain.champion(plan)
    study = Study(plan, source, chain, champion, known, unread, aside, context, places, calls, found, in_use=in_use)
    return replace(study, readers=readers, by_model=by_model)


def _context(plan: Plan, store: Store, known: Set[str]) -> tuple[list[Execution], dict[str, Place]]:
    """The executions whose bodies said yes, besides those of `known`, and where each stands in what is remembered.

    Where a limit may lie nearer after a yes, those soon after one belong to them. All others are counted, and taken to
    stay quiet.
    """
    places: dict[str, Place] = {}
    lengths: dict[Memory, int] = {}
    last: dict[Memory, int] = {}  # the place of the last yes
    wanted = []
    soon = MOST_AFTER if plan.limit is not None else 0
    decided = cache(lambda data: decision(value_of(data)))
    for row in sorted(store.outline(plan.function, READ_CALLS), key=lambda row: row.started + row.duration):
        stream = row.stream if plan.pragma.stream else None
        if row.outcome != "result" or row.source_hash != plan.source_hash or (plan.pragma.stream and stream is None):
            continue
        own = decided(row.raw or row.result)
        if own is not None:
            memory = stream, process_of(row.id)
            position = lengths[memory] = lengths.get(memory, -1) + 1
            since = position - last.get(memory, -MOST_AFTER - 1)
            places[row.id] = memory, position, since == 1
            if own:
                last[memory] = position
            if (own or since <= soon) and row.id not in known:
                wanted.append(row.id)
    context = [item for item in store.some(wanted[-MOST_CONTEXT:]) if unusable(item, plan) is None]
    return context, {item: places[item] for item in (*known, *(each.id for each in context)) if item in places}


def _incidents(plan: Plan, store: Store, spoken: Sequence[Known], heard: Collection[str]) -> list[Incident]:
    """Which executions are one event, by the function's `group=` and what was said."""
    assert plan.pragma.group is not None
    calls = []
    for row in store.outline(plan.function, READ_CALLS):
        usable = row.source_hash == plan.source_hash and row.outcome == "result"
        alert = decision(value_of(row.result)) if usable else None
        calls.append(Call(row.id, row.started, row.stream, row.incident, alert, usable))
    labels = {item.execution.id: told(item.label) for item in spoken if item.label is not None}
    most_alerts = MOST_ALERTS if plan.remembers else MOST_MEMBERS
    return incidents(calls, plan.pragma.group, labels, heard, most_alerts, settled_before(plan))


def _members(plan: Plan, store: Store, found: Sequence[Incident], spoken: Collection[str]) -> Iterator[Known]:
    """The executions of incidents that nobody spoke of, as far as they can be replayed."""
    wanted = dict.fromkeys(name for incident in found for name in incident.members if name not in spoken)
    for execution in store.some(list(wanted)):
        if unusable(execution, plan) is None:
            yield Known(execution, None, 0.0)


def _events(study: Study) -> Iterator[Event]:
    """What is judged as one, of the executions that were reproduced."""
    where = {study.known[index].execution.id: index for index in study.reproduced}
    if study.incidents is None:
        for index in where.values():
            item = study.known[index]
            yield Event(item.label, (index,), index, (), item.given, item.stands_for, item.asked)
        return
    for incident in study.incidents:
        spoken = [where[name] for name in incident.spoken if name in where and study.known[where[name]].label]
        alerts = tuple(where[name] for name in incident.alerts if name in where)
        window = tuple(where[name] for name in incident.window if name in where)
        event = _spoken_of(study, spoken, alerts, window) if incident.spoken else None
        if event is None and not incident.spoken and window and (alerts or not incident.alerts):
            first, stands_for = (alerts or window)[0], incident.stands_for
            event = Event(None, window, first, alerts, stands_for=stands_for, period=incident.period)
        if event is not None:
            yield event


def _spoken_of(study: Study, spoken: list[int], alerts: tuple[int, ...], window: tuple[int, ...]) -> Event | None:
    said = [study.known[index] for index in spoken]
    labels = [item.label for item in said if item.label is not None]
    if not labels:
        return None
    label = agreed_on(labels)
    if label is None:
        reason = "as much was said for their incident as against it"
        study.set_aside[reason] = study.set_aside.get(reason, 0) + len(spoken)
        return None
    members = tuple(spoken)
    if label.kind == "decision":
        label = replace(label, approved=label.value == bool(alerts))
        members = (window if label.value else alerts) or members
    first = min(said, key=lambda item: item.label.order if item.label else 0)
    shown = spoken[said.index(first)]
    given = min(item.given for item in said)
    return Event(label, members, shown, alerts, given, asked=first.asked, comments=len(spoken))


def _silent(plan: Plan, store: Store, spoken: int) -> Iterator[Known]:
    """Executions that nobody spoke of: a sample of each kind of result, and how many each of it stands for.

    With `assume_ok_after=`, those that are younger say nothing yet, and stand for none.
    """
    every = max(1, -(-(store.count(plan.function) - spoken) // READ_SILENT))
    kinds: dict[tuple[bool | None, bool], list[Execution]] = {}
    until = settled_before(plan)
    for execution in store.executions(plan.function, with_feedback=False, every=every):
        if unusable(execution, plan) is None:
            kind = decision(value_of(execution.result)), execution.started <= until
            kinds.setdefault(kind, []).append(execution)
    for (_, settled), members in kinds.items():
        kept = thinned(members, MOST_SILENT)
        weight = every * len(members) / len(kept) if settled else 0.0
        for execution in kept:
            yield Known(execution, None, 0.0, weight)


def settled_before(plan: Plan) -> float:
    """Until when silence about an execution counts (seconds since the epoch)."""
    after = plan.pragma.assume_ok_after
    return math.inf if after is None else time.time() - after


def unusable(execution: Execution, plan: Plan) -> str | None:
    """Why an execution can judge nothing; None where it can."""
    if execution.source_hash != plan.source_hash:
        return "they belong to an earlier text of the function"
    if execution.outcome != "result":
        return "they ended in an error or in the fallback"
    if execution.arguments is None or execution.result is None:
        return f"they can't be replayed: {execution.replayable or 'nothing was recorded'}"
    if execution.replayable and not _only_unused_missing(execution, plan):
        return f"they can't be replayed: {execution.replayable}"
    return None


def _only_unused_missing(execution: Execution, plan: Plan) -> bool:
    """True where each argument that was not recorded in full is one that the body never reads."""
    assert execution.arguments is not None
    try:
        arguments = codec.decode(execution.arguments, plain=True)
        node = ast.parse(plan.source).body[0]
    except (CodecError, SyntaxError):
        return False
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    used = used_parameters(node)
    missing = [p.name for p, a in zip(plan.parameters, arguments, strict=False) if isinstance(a, codec.Summary)]
    return bool(missing) and not used & set(missing)


def arguments_of(execution: Execution) -> bytes:
    assert execution.arguments is not None
    return execution.arguments


def value_of(data: bytes | None) -> Any:
    """A recorded result, dataclasses as dicts (their modules need not be imported); UNSET if it can't be read."""
    if data is None:
        return UNSET
    if data in _PLAIN:
        return _PLAIN[data]
    try:
        return codec.decode(data, plain=True)
    except CodecError:
        return UNSET


def seen(outcome: Outcome) -> Any:
    kind, data = outcome
    return value_of(data) if kind == "r" and isinstance(data, bytes) else UNSET


def results_of(event: Event, outcomes: Sequence[Outcome]) -> list[Any]:
    """What the members of an event return, of the outcomes of all executions."""
    return [seen(outcomes[index]) for index in event.members]


def keep_reproduced(study: Study, replay: Streams) -> list[Outcome]:
    """Set aside executions whose body, replayed, does not give what it did; the champion's outcome of the others.

    What is left makes the events of the study.

    Indices into `study.known` must go on matching those of the replay, so what is set aside loses its label and
    counts for nothing, rather than being taken out.
    """
    outcomes: dict[int, list[Outcome]] = {}
    for number in {item.execution.version for item in study.known} | {study.champion.version}:
        values = values_of(study, number)
        outcomes[number] = [] if values is None else replay.as_called(values)
    kept: list[Known] = []
    for index, item in enumerate(study.known):
        own = outcomes[item.execution.version]
        reproduced = bool(own) and _is(own[index], item.execution.raw or item.execution.result)
        if not reproduced and item.label is not None:
            reason = "their replay does not give the recorded result: the function depends on more than its arguments"
            if study.plan.pragma.margin:
                reason += ", or calls of a stream overlapped within the margin"
            study.set_aside[reason] = study.set_aside.get(reason, 0) + 1
        elif not reproduced:
            study.unlike += 1
        kept.append(item if reproduced else Known(replace(item.execution, replayable=NOT_REPRODUCED), None, item.given))
    study.known = kept

    def place(event: Event) -> tuple[bool, float]:
        started = kept[event.first].execution.started
        return (True, started) if event.label is None else (False, event.label.order)

    study.events = sorted(_events(study), key=place)
    return replay.run(study.champion.values)


def _is(outcome: Outcome, recorded: bytes | None) -> bool:
    """Whether a replay gave what was recorded; a class of the main script has another module's name there."""
    if outcome == ("r", recorded):
        return True
    found, known = seen(outcome), value_of(recorded)
    return found is not UNSET and known is not UNSET and same(found, known)


def values_of(study: Study, number: int) -> Mapping[str, Value] | None:
    if number == 1:
        return {}
    if number == study.champion.version:
        return study.champion.values
    try:
        version = study.chain.read(number)
    except VersionError:
        return None
    return version.values if version.source_hash == study.plan.source_hash else None
