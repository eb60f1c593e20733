"""The first calls of a version in use -> back at once, where they are bad as those of the version before were not.

A call is bad that ended in an error or in the fallback, or that took ten times as long as 99 of 100 calls of the
version before (and 50 ms at least). There must be three, and that so many fall to the newer version must be less likely
than 1 in 1,000 (`early.stands_out`). Where replay can run the function, a failed call counts only if the version before
does not fail on its arguments, and does anything else.

This is an alarm and no proof: it is looked at again and again, and a world that breaks just after a promotion
sets it off too. How often chance does: `benchmarks/trip.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from poet_hook.errors import MovedError, OperateTimeout, PoetError
from poet_hook.learning.replay import Replay
from poet_hook.learning.rewriting import slice_with
from poet_hook.model import CODE, Learned, Plan, Value
from poet_hook.runtime.early import FIRST, SLOW, Calls, stands_out
from poet_hook.settings import Settings
from poet_hook.store.database import Store
from poet_hook.store.executions import Served
from poet_hook.versions.chain import Chain
from poet_hook.versions.promote import rollback

CHANCE = 0.001  # that so many bad calls fall to the newer version
TIMES = 10.0  # as long as 99 of 100 calls is slow
_MOST_REPLAYED = 50  # failed calls


def tripped(plan: Plan, source: str, chain: Chain, store: Store, settings: Settings) -> Learned | None:
    """Put the version before back in use, where the first calls of the champion say so; None where they do not."""
    pointer, champion = chain.pointer(), chain.champion(plan)
    number = champion.version
    if number == 1 or number != pointer.champion or plan.pragma.learn not in ("auto", "proven") or not pointer.history:
        return None
    before = pointer.history[-1]
    old = store.calls_of(plan.function, plan.source_hash, before, newest=FIRST)
    new = store.calls_of(plan.function, plan.source_hash, number, since=pointer.since, oldest=FIRST)
    limit = _limit(old)
    usual, failed = Calls(len(old), _slow(old, limit) + len(_failed(old))), _failed(new)
    slow = _slow(new, limit)
    if not stands_out(Calls(len(new), slow + len(failed)), usual, CHANCE):
        return None
    own = _own_doing(plan, source, store, settings, failed, (champion.values, _values(chain, before)))
    found = Calls(len(new), slow + own)
    if not stands_out(found, usual, CHANCE):
        return None
    why = (
        f"v{number} failed, or took longer than {limit:.2g} s, in {found.bad} of its first {found.count} calls, and "
        f"v{before} in {usual.bad} of {usual.count}: rolled back at once to v{before}"
    )
    try:
        rollback(chain, why, at_once=True, instead_of=number)
    except MovedError:
        return None
    return Learned(plan.function, before, None, None, False, (why,))


def _limit(old: Sequence[Served]) -> float:
    """Beyond how many seconds a call is slow."""
    taken = sorted(call.duration for call in old if call.outcome == "result")
    return max(SLOW, TIMES * taken[len(taken) * 99 // 100]) if taken else float("inf")


def _slow(calls: Sequence[Served], limit: float) -> int:
    return sum(call.outcome == "result" and call.duration > limit for call in calls)


def _failed(calls: Sequence[Served]) -> list[str]:
    return [call.id for call in calls if call.outcome != "result"]


def _values(chain: Chain, number: int) -> Mapping[str, Value]:
    return {} if number == 1 else chain.read(number).values


def _own_doing(
    plan: Plan,
    source: str,
    store: Store,
    settings: Settings,
    failed: Sequence[str],
    versions: tuple[Mapping[str, Value], Mapping[str, Value]],
) -> int:
    """How many failed calls are the newer version's own doing, as far as replay can tell; else all.

    It knows no time limit, so what ran out of time is the version's.
    """
    part = slice_with(plan, source, settings, code=any(CODE in values for values in versions))
    chosen = list(store.some(failed[:_MOST_REPLAYED]))
    chosen = [call for call in chosen if not (call.error or "").startswith(OperateTimeout.__name__)]
    arguments = [call.arguments for call in chosen if call.arguments is not None and not call.replayable]
    if part.reason or not arguments:
        return len(failed)
    try:
        with Replay(plan, part, source, arguments) as replay:
            new, old = (replay.run(values) for values in versions)
    except PoetError:
        return len(failed)
    return len(failed) - sum(two[0] != "r" or one == two for one, two in zip(new, old, strict=True))
