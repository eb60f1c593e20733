"""A version proven better than the one before it, and more feedback -> whether a better fit may take its place.

A version rests on the few labels that proved it. To prove the next one against it takes as many again, though what was
said meanwhile tells more exactly where the number should be. So the bets go on: the wealth that promoted the version
goes on betting that whatever learning has in use is better than what was replaced. Each version was chosen before the
feedback that it is judged by, so that wealth is evidence too, at the same error rate: it exceeds 1/alpha with
probability at most alpha where the versions in use are, on the average, no better. As long as it does, a candidate may
take the champion's place that does better on everything said, breaks nothing approved and changes one number little.

What is claimed is better than what was replaced; nothing is claimed against the version whose place it takes.
"""

from __future__ import annotations

from poet_hook.errors import VersionError
from poet_hook.learning.evidence import e_value
from poet_hook.learning.gate import Judgement
from poet_hook.learning.search import Search
from poet_hook.learning.study import values_of
from poet_hook.versions.pointer import Turn

OWN = 1.4  # evidence against the champion itself: without any, half of the refinements by wrong labels were worse


def refinement(search: Search, judgement: Judgement) -> str:
    """Why the best candidate may take the place of the champion without a proof against it; "" where it may not."""
    study, pragma = search.study, search.study.plan.pragma
    pointer, alpha = study.chain.pointer(), pragma.alpha
    lasts = pragma.half_life is None  # else what was proved before may be true no more
    allowed = lasts and pragma.learn == "auto" and pragma.canary is None and pointer.history and pointer.turns
    if not allowed or judgement.decision != "wait" or not judgement.harmless or judgement.e_value < OWN:
        return ""
    evidence = standing(search, pointer.history[-1], pointer.turns)
    if evidence < 1.0 / alpha:
        return ""
    own, base = f"v{study.champion.version}", f"v{pointer.history[-1]}"
    return (
        f"it refines {own}: it does better on all that was said, which is no proof against {own}; that the versions in "
        f"use since {base} are better than {base} has evidence {evidence:.3g}, and {1 / alpha:g} are needed"
    )


def standing(search: Search, base: int, turns: tuple[Turn, ...]) -> float:
    """The evidence that the versions in use since `base` are better than that; 0 where it can't be told."""
    study = search.study
    values = {number: values_of(study, number) for number in (base, *(turn.version for turn in turns))}
    try:
        verdict = study.chain.read(turns[0].version).verdict
    except VersionError:
        return 0.0
    if verdict is None or any(each is None for each in values.values()):
        return 0.0
    outcomes = {number: search.replay.run(each) for number, each in values.items() if each is not None}
    gains = []
    for number, label in search.labels.items():
        given = search.events[number].given
        turn = next((turn for turn in reversed(turns) if turn.since < given), None)
        if turn is not None and number not in search.aims.fits_only:
            before, after = (search.loss(number, outcomes[version]) for version in (base, turn.version))
            gains.append(min(label.weight, 1.0) * (before - after))
    return verdict.evidence.e_value * e_value(gains)
