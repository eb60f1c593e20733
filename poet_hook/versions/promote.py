"""Which version is in use: forward with `promote` and `refine`, back with `rollback`."""

from __future__ import annotations

from poet_hook.errors import VersionError
from poet_hook.model import Plan
from poet_hook.versions.chain import Chain
from poet_hook.versions.rebase import fits, same_code


def promote(
    chain: Chain,
    number: int,
    plan: Plan | None = None,
    *,
    learned: bool = False,
    held_back: bool = False,
    instead_of: int | None = None,
) -> int:
    """Put version `number` in use; returns the version that was. Raises `VersionError` where it can't run.

    `learned` says that its own verdict put it there, not a person. With `held_back` the version that was is served to
    a share of the calls, so that the two go on being compared. Raises `MovedError` where the champion is not
    `instead_of` (None: the one that it is now) by then.
    """
    if number != 1:
        version = chain.read(number)
        if plan is not None and version.source_hash != plan.source_hash and same_code(version.source, plan.source):
            raise VersionError(
                f"{chain.function}: v{number} is the function's own text now, which is called v1: "
                f"python -m poet_hook promote {chain.function} 1"
            )
        if plan is not None:
            fits(version, plan)
    try:
        before, history = chain.champion_number(), chain.history()
    except VersionError:  # a damaged pointer is repaired by writing it anew
        chain.point(number, [])
        return 1
    if number != before:
        turns = () if learned else None
        place = before if instead_of is None else instead_of
        chain.point(number, [*history, before], turns, held_back=held_back, instead_of=place)
    return before


def refine(chain: Chain, number: int, plan: Plan, instead_of: int | None = None) -> None:
    """Put version `number` in the champion's place, whose history it takes over. Raises `VersionError` likewise."""
    fits(chain.read(number), plan)
    pointer = chain.pointer()
    chain.point(number, list(pointer.history), pointer.turns, instead_of=instead_of)


def rollback(chain: Chain, why: str = "", *, at_once: bool = False, instead_of: int | None = None) -> tuple[int, int]:
    """Put the version before the champion back in use; returns (from, to). Raises `VersionError` where none was.

    `why` is kept, where no person did it, and whether its first calls did. Raises `MovedError` as `promote` does.
    """
    before, history = chain.champion_number(), chain.history()
    if not history:
        raise VersionError(f"{chain.function}: v{before} is in use, and no other was in use before it")
    chain.undo(why, at_once, before if instead_of is None else instead_of)
    return before, history[-1]
