"""What was said about an execution -> rows in the store.

One row, one for each item of a list, two for a preference, and two for a word about the result with an instruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from poet_hook.domains.base import Domain, load
from poet_hook.errors import CodecError, NotEnhancedError
from poet_hook.model import INSTRUCTION, UNSET, Execution, Signal
from poet_hook.settings import Settings
from poet_hook.signals.agreement import in_sum
from poet_hook.signals.attach import execution_of
from poet_hook.signals.fields import fields_of
from poet_hook.signals.request import asked_for, request_in
from poet_hook.signals.rules import PREFERENCES, WORDS, comment_of, no_list, read
from poet_hook.signals.scales import spent, unread
from poet_hook.store import codec
from poet_hook.store.database import Store

HALF = 0.5


class Subject(NamedTuple):
    """What of a function says how feedback about it is read."""

    domain: Domain | None
    objective: str


class Row(NamedTuple):
    """One feedback as it is stored."""

    execution_id: str
    raw: Any
    signal: Signal


class Understood(NamedTuple):
    """What is stored, and what it says in sum about the execution that was spoken of."""

    signal: Signal
    rows: list[Row]


def give(store: Store, settings: Settings, about: Any, said: Any, source: str) -> tuple[Execution, Signal]:
    """Store what was said about what `about` names; returns the execution and what was understood, in sum.

    Raises `NotEnhancedError`, and what `execution_of` and the store raise.
    """
    execution = execution_of(about, store)
    understood = understand(store, settings, execution, said, subject_of(store, execution.function))
    store.add_word(understood.rows, source)
    return execution, understood.signal


def subject_of(store: Store, function: str) -> Subject:
    """What is known of a function that learns; raises `NotEnhancedError` for any other."""
    record = store.function(function)
    if record is None or not record.optimize_for:
        raise NotEnhancedError(f"{function} has no optimize_for=, so feedback can't teach it anything")
    return Subject(load(record.domain) if record.domain else None, record.optimize_for)


def understand(store: Store, settings: Settings, execution: Execution, said: Any, about: Subject) -> Understood:
    """What was said, each item of a list by itself, as signals.

    Raises `UnknownExecutionError` and `AmbiguousResultError` where it names another execution that is not to be found.
    """
    outcome = _result_of(execution)
    items = [said]
    if isinstance(said, (list, tuple)):
        if reason := no_list(said, outcome):
            return Understood(unread(reason), [Row(execution.id, said, unread(reason))])
        items = list(said)
    rows: list[Row] = []
    for item in items:
        paid = spent(item) if about.objective == "cost" else None
        if paid is not None:
            rows.append(Row(execution.id, item, paid))
            continue
        word = _preference_in(item, outcome)
        if word is not None:
            rows += _preference(store, execution, item, word)
            continue
        made = _requested(store, settings, execution, item, outcome, about.domain)
        rows += made or [Row(execution.id, item, read(item, outcome=outcome, domain=about.domain))]
    if len(items) == 1 and (len(rows) == 1 or rows[1].execution_id != execution.id):
        return Understood(rows[0].signal, rows)
    own = [row.signal for row in rows if row.execution_id == execution.id]
    try:
        return Understood(in_sum(own, outcome), rows)
    except Exception:  # noqa: BLE001 - comparing anybody's values runs anybody's code
        return Understood(unread("its items could not be compared with the result"), rows)


def _result_of(execution: Execution) -> Any:
    """A recorded result, dataclasses as dicts; UNSET where there is none that can be read."""
    try:
        return UNSET if execution.result is None else codec.decode(execution.result, plain=True)
    except CodecError:
        return UNSET


def _requested(
    store: Store, settings: Settings, execution: Execution, item: Any, outcome: Any, domain: Domain | None
) -> list[Row]:
    """The rows of an instruction, and of what is said of the result beside it; none where there is no instruction."""
    try:
        request, said = request_in(item, outcome), comment_of(item)
    except Exception:  # noqa: BLE001 - the mapping may be anybody's
        return []
    asked = asked_for(request, execution.function, store, settings) if request is not None else None
    if request is None or asked is None:
        return []
    if asked.kind == "unread":  # it says nothing of the result, and revises nothing that was said of it
        asked = replace(asked, value=INSTRUCTION)
    rows = [Row(execution.id, item, replace(asked, comment=said))]
    if request.rest is not None:
        told = read(request.rest, outcome=outcome, domain=domain)
        if told.kind != "unread":
            rows.insert(0, Row(execution.id, item, replace(told, comment=said)))
    return rows


def _preference_in(item: Any, outcome: Any) -> str | None:
    """The word by which an item compares executions, if that is no field of the result."""
    try:
        if isinstance(item, Mapping):
            return next((word for word in PREFERENCES if word in item and word not in fields_of(outcome)), None)
    except Exception:  # noqa: BLE001 - the mapping may be anybody's
        pass
    return None


def _preference(store: Store, execution: Execution, item: Mapping[Any, Any], word: str) -> list[Row]:
    """The two rows of a preference, of the execution that was spoken of first."""
    others = [key for key in item if key != word and not (key in WORDS and isinstance(item[key], str))]
    if others:
        reason = f"beside {word}, only a comment can be given, and not {', '.join(map(str, others))}"
        return [Row(execution.id, item, unread(reason))]
    other = execution_of(item[word], store)
    if reason := _incomparable(execution, other):
        return [Row(execution.id, {**item, word: other.id}, unread(reason))]
    better = word == "better_than"
    sure = 1.0 if _same_arguments(execution, other) else HALF
    comment = "\n".join(item[key] for key in WORDS if key in item)
    rows = []
    for one, two, right in ((execution, other, better), (other, execution, not better)):
        way = "better_than" if right else "worse_than"
        reason = f"{way.replace('_', ' ')} {two.id}"
        signal = Signal("right" if right else "wrong", confidence=sure, reason=reason, comment=comment)
        rows.append(Row(one.id, {**{k: v for k, v in item.items() if k != word}, way: two.id}, signal))
    return rows


def _incomparable(one: Execution, other: Execution) -> str:
    if one.id == other.id:
        return "an execution is neither better nor worse than itself"
    if one.function != other.function:
        return f"{one.id} is one of {one.function}, and {other.id} one of {other.function}"
    if _same_arguments(one, other) and (one.outcome, one.result) == (other.outcome, other.result):
        return f"{one.id} and {other.id} had the same arguments and the same result"
    return ""


def _same_arguments(one: Execution, other: Execution) -> bool:
    """Whether two executions are known to have had equal arguments: of a shape alone, that is not known."""
    if one.arguments is None or one.arguments != other.arguments:
        return False
    try:
        arguments = codec.decode(one.arguments, plain=True)
    except CodecError:
        return False
    return all(not isinstance(item, codec.Summary) or item.mode == "hash" for item in arguments)
