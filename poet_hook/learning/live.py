"""A challenger on live calls: what is put on trial, and what its calls came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from poet_hook.domains.base import decision
from poet_hook.learning.constants import same
from poet_hook.learning.study import Study, value_of, values_of
from poet_hook.model import UNSET, Decision, Level, Value, Version
from poet_hook.runtime.trial import told, unchanged
from poet_hook.store.database import Store
from poet_hook.versions.pointer import Pointer

ENOUGH = 20  # calls that a canary must have answered before it may be promoted


@dataclass(frozen=True, slots=True)
class OnTrial:
    """A challenger of `share` of the calls, or, where that is None, one in the shadow; `held_back` where it is what the
    version in use replaced.

    `calls` are those that it answered, or ran beside; `differ` those of the latter that it would have answered
    otherwise; `failed` those that it was to answer and could not.
    """

    challenger: int
    share: float | None
    calls: int
    differ: int
    failed: int
    held_back: bool = False


def on_trial(store: Store, function: str, pointer: Pointer, share: float | None) -> OnTrial | None:
    """What the recorded calls say of the challenger, if there is one; of a yes or no, only that differs."""
    challenger = pointer.challenger
    if challenger is None:
        return None
    calls = differ = failed = 0
    for shadow, result, count in store.shadows(function, unchanged(challenger)):
        said = told(shadow)
        if said is None or said.version != challenger:
            continue
        calls += count
        failed += count if said.error is not None else 0
        if said.error is None and not said.same and differs(value_of(result), value_of(said.result)):
            differ += count
    if share is not None:
        since = pointer.challenged if pointer.held_back else 0.0  # all calls were its own before
        calls = store.versions_used(function, since).get(challenger, 0)
    return OnTrial(challenger, share, calls, differ, failed, pointer.held_back)


def differs(returned: object, other: object) -> bool:
    """Whether two results differ in their yes or no, or, where they are none, at all."""
    one, two = decision(returned), decision(other)
    if one is not None and two is not None:
        return one != two
    return returned is UNSET or other is UNSET or not same(returned, other)


def as_good(study: Study, values: Mapping[str, Value], interval: tuple[float, float] | None) -> Version | None:
    """The challenger, where it does as well as these values: then it goes on, and takes their place."""
    number = study.chain.pointer().challenger
    tried = None if number is None else values_of(study, number)
    if number is None or tried is None:
        return None
    moved = [name for name in {*tried, *values} if tried.get(name) != values.get(name)]
    value = tried.get(moved[0]) if len(moved) == 1 else None
    near = interval is not None and isinstance(value, int | float) and interval[0] <= value <= interval[1]
    return study.chain.read(number) if near or not moved else None


def canaried(
    study: Study, challenger: Version | None, values: Mapping[str, Value], level: Level
) -> tuple[Decision, str]:
    """What becomes of a candidate that could be promoted, where a share of the calls comes first, and why."""
    for gone in study.chain.pointer().withdrawn:
        if values_of(study, gone.version) == values:
            return "wait", f"v{gone.version}, with the same values, was withdrawn: {gone.why}"
    if challenger is None:
        return "challenge", f"canary: it answers {study.plan.pragma.canary:.0%} of the calls first"
    answered = study.calls.get(challenger.number, 0)
    if level == "proven" and answered >= ENOUGH:
        return "promote", f"canary: it answered {answered} calls"
    if answered < ENOUGH:
        return "challenge", f"canary: it answered {answered} calls so far, and {ENOUGH} come first"
    return "challenge", f"canary: it answered {answered} calls, and waits until it is proven"


def end_trial(study: Study, why: str) -> None:
    """Take the challenger back, if there is one, and keep the reason."""
    number = study.chain.pointer().challenger
    if number is not None:
        study.chain.withdraw(number, why)
