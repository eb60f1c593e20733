"""A challenger on live calls: what is put on trial, and what its calls came to."""

from __future__ import annotations

from dataclasses import dataclass

from poet_hook.domains.base import decision
from poet_hook.learning.constants import same
from poet_hook.learning.study import Study, value_of, values_of
from poet_hook.model import UNSET, Candidate, Verdict
from poet_hook.runtime.trial import told, unchanged
from poet_hook.store.database import Store


@dataclass(frozen=True, slots=True)
class Beside:
    """How many calls a challenger was computed beside, how many of them it would have answered otherwise, or failed."""

    challenger: int
    calls: int
    differ: int
    failed: int


def beside(store: Store, function: str, challenger: int) -> Beside:
    """What the recorded calls say of a challenger in the shadow; of a yes or no, only that counts."""
    calls = differ = failed = 0
    for shadow, result, count in store.shadows(function, unchanged(challenger)):
        said = told(shadow)
        if said is None or said.version != challenger:
            continue
        calls += count
        failed += count if said.error is not None else 0
        if said.error is None and not said.same and differs(value_of(result), value_of(said.result)):
            differ += count
    return Beside(challenger, calls, differ, failed)


def differs(returned: object, other: object) -> bool:
    """Whether two results differ in their yes or no, or, where they are none, at all."""
    one, two = decision(returned), decision(other)
    if one is not None and two is not None:
        return one != two
    return returned is UNSET or other is UNSET or not same(returned, other)


def on_trial(study: Study, candidate: Candidate, verdict: Verdict) -> int | None:
    """The challenger, where it is as good as this candidate, and its level no other: what runs beside it goes on."""
    number = study.chain.pointer().challenger
    values = None if number is None else values_of(study, number)
    if number is None or values is None or study.chain.read(number).level != verdict.level:
        return None
    moved = [name for name in {*values, *candidate.values} if values.get(name) != candidate.values.get(name)]
    if not moved:
        return number
    value = values.get(moved[0]) if len(moved) == 1 else None
    if candidate.interval is None or value is None or isinstance(value, str):
        return None
    return number if candidate.interval[0] <= value <= candidate.interval[1] else None


def end_shadow(study: Study, why: str) -> None:
    """Take back, with the reason, a challenger that only runs beside the version in use."""
    number = study.chain.pointer().challenger
    if number is not None and study.plan.pragma.learn == "shadow":
        study.chain.withdraw(number, why)
