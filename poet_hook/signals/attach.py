"""Whatever the user holds -> the execution that it belongs to, or an error; never a guess."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from poet_hook.domains.base import decision
from poet_hook.errors import AmbiguousResultError, CodecError, UnknownExecutionError
from poet_hook.model import Execution, POETResult
from poet_hook.runtime.record import recent
from poet_hook.store import codec
from poet_hook.store.database import Store

WAYS = (
    "result = poet_hook.call(f, ...) and feedback(result, ...); an execution id (poet_hook log FUNCTION); "
    "or a business key (`# poet: key=...`)"
)
_SINGLE = (bool, int, type(None), str, float, bytes)


def execution_of(held: Any, store: Store) -> Execution:
    """The execution that `held` names: a POETResult, an execution id or its end, a key, or a returned object.

    A key that several share names none of them, unless they are one incident.

    Raises `UnknownExecutionError`, or `AmbiguousResultError` with the ids that it could be.
    """
    if isinstance(held, POETResult):
        return _stored(held.execution_id, store)
    if isinstance(held, Execution):
        return held
    if isinstance(held, str):
        found = _by_text(held, store)
        if found is not None:
            return found
    return _by_object(held, store)


def _stored(execution_id: str, store: Store) -> Execution:
    execution = store.execution(execution_id)
    if execution is None:
        raise UnknownExecutionError(
            f"no execution {execution_id!r} in {store.home}; `python -m poet_hook log FUNCTION` lists the ids"
        )
    return execution


def _by_text(text: str, store: Store) -> Execution | None:
    execution = store.execution(text)
    if execution is not None:
        return execution
    ids = store.ids_for_key(None, text)
    if len(ids) > 1:
        incident = of_incident(ids, store)
        if incident is not None:
            return incident
        named = ", ".join(f"{id} of {_stored(id, store).function}" for id in ids[:5])
        raise AmbiguousResultError(f"{len(ids)} executions have the key {text!r}: {named}. Name one by its id", ids)
    return _stored(ids[0], store) if ids else None


def of_incident(ids: Sequence[str], store: Store) -> Execution | None:
    """The execution that stands for all of these, where they are one incident that `group=` names; else None.

    It is the first that raised an alert, or else the first: what is said of it is said of the incident.
    """
    found = sorted(store.some(ids), key=lambda execution: execution.started)
    if len({(each.function, each.stream, each.incident) for each in found}) != 1 or found[0].incident is None:
        return None
    return next(filter(_alerted, found), found[0])


def _alerted(execution: Execution) -> bool:
    try:
        return execution.result is not None and decision(codec.decode(execution.result, plain=True)) is True
    except CodecError:
        return False


def _by_object(held: Any, store: Store) -> Execution:
    found = recent.of(held)
    shown = repr(held) if len(repr(held)) <= 60 else f"this {type(held).__name__}"
    if not found:
        raise UnknownExecutionError(
            f"{shown} is no execution id, no key, and nothing that a recorded call of this process returned "
            f"lately. Give {WAYS}"
        )
    # True is the same object for all that return it, also for calls that are no longer remembered
    if len(found) > 1 or (recent.dropped and isinstance(held, _SINGLE)):
        ids = [execution_id for execution_id, _ in found]
        listed = ", ".join(f"{i} ({f})" for i, f in found[:5])
        raise AmbiguousResultError(f"{shown} could be the result of {listed}. Give {WAYS}", ids)
    return _stored(found[0][0], store)
