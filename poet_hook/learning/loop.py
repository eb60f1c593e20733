"""Recorded executions and feedback -> a judged candidate -> a version, and perhaps a new champion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from poet_hook.errors import MovedError, ReplayError, StoreError
from poet_hook.learning.front import choices_of
from poet_hook.learning.own_loss import LossError, own_loss
from poet_hook.learning.requested import Proposed, proposed
from poet_hook.learning.rewriting import slice_of, writer_of
from poet_hook.learning.search import Progress
from poet_hook.learning.several import Together, search_of
from poet_hook.learning.streams import replayed
from poet_hook.learning.structure import judged, offered
from poet_hook.learning.study import Study, keep_reproduced, study_of
from poet_hook.learning.trial import tried
from poet_hook.learning.trip import tripped
from poet_hook.learning.verdict import concluded, nothing, objectives_of, rolled_back
from poet_hook.model import CODE, Learned
from poet_hook.pragma.options import LIVE_OBJECTIVES
from poet_hook.settings import Settings
from poet_hook.store.database import Store
from poet_hook.versions.chain import Chain
from poet_hook.versions.current import plan_of
from poet_hook.versions.lock import alone


def learn(function: str, store: Store, settings: Settings, progress: Progress | None = None) -> Learned:
    """Look for better numbers for `function`, judge them, and put them in use where its `learn=` allows it.

    Raises `UnknownFunctionError` and `ReplayError`; whatever evidence is missing is said in the result.
    """
    plan, source = plan_of(function, store, settings)
    chain = Chain(settings, function)
    with _alone(chain):
        upto = store.last_feedback(function)
        study = study_of(plan, source, chain, store)
        asked = Proposed((), ()) if plan.pragma.learn == "off" else proposed(study, store, settings)
        try:
            learned = _learn(study, store, settings, progress or (lambda _what, _share: None))
        except RecursionError as error:
            raise ReplayError(f"{function} can't be replayed: its code is nested too deep") from error
        except (LossError, MovedError) as error:
            learned = nothing(study, str(error))
        store.set_meta(f"learned:{function}", str(upto))
    return replace(learned, requested=asked.numbers, reasons=(*asked.reasons, *learned.reasons))


def look(function: str, store: Store, settings: Settings) -> Learned | None:
    """Put the version before back in use, where the first calls of the one in use say so; None where they do not."""
    plan, source = plan_of(function, store, settings)
    chain = Chain(settings, function)
    with _alone(chain):
        return tripped(plan, source, chain, store, settings)


def would_ask(function: str, store: Store, settings: Settings, sink: Callable[[str], None]) -> Learned:
    """Give `sink` what `learn` would send to a language model for other code; nothing is sent, stored or put in use.

    Raises what `learn` does.
    """
    plan, source = plan_of(function, store, settings)
    study = study_of(plan, source, Chain(settings, function), store)
    if plan.pragma.learn == "off" or plan.pragma.optimize_for in LIVE_OBJECTIVES:
        return nothing(study, "no other code would be asked for: it is not judged by replay")
    sent: list[str] = []

    def send(text: str) -> None:
        sent.append(text)
        sink(text)

    writer = writer_of(study, store, settings, send)
    if writer is None or writer.ask is None:
        return nothing(study, "; ".join(writer.notes if writer else ()) or "no language model is configured")
    part = slice_of(study, settings, writes=True)
    if part.reason:
        return nothing(study, f"it can't be replayed: {part.reason}")
    try:
        own = own_loss(plan.pragma.optimize_for, settings)
    except LossError as error:
        return nothing(study, str(error))
    with replayed(study, part) as replay:
        champion = keep_reproduced(study, replay)
        objectives = objectives_of(study, champion, own)
        search = search_of(study, replay, champion, objectives, lambda _what, _share: None)
        offered(search, lambda _what, _share: None, writer)
    return nothing(study, f"{len(sent)} requests would be sent" if sent else "no other code would be asked for now")


def _learn(study: Study, store: Store, settings: Settings, progress: Progress) -> Learned:
    plan = study.plan
    labelled = [item for item in study.known if item.label is not None]
    if plan.pragma.learn == "off":
        return nothing(study, "learn=off: nothing is judged")
    back = tripped(plan, study.source, study.chain, store, settings)
    if back is not None:
        return back
    if plan.pragma.optimize_for in LIVE_OBJECTIVES:
        return tried(study, store)
    writer = writer_of(study, store, settings)
    values = study.champion.values
    if writer is None and CODE not in values and not plan.tunables_with(values):
        return nothing(
            study, "there is nothing in it that learning may change; mark a number with: # poet: tune LOW..HIGH"
        )
    if not labelled:
        return nothing(study, "no execution of this source has feedback that could be read yet")
    part = slice_of(study, settings, writes=writer is not None)
    if part.reason:
        return nothing(study, f"it can't be replayed: {part.reason}")
    own = own_loss(plan.pragma.optimize_for, settings)
    with replayed(study, part) as replay:
        champion = keep_reproduced(study, replay)
        if all(event.label is None for event in study.events):
            return nothing(study, "none of the executions with feedback can be reproduced by replay")
        search = search_of(study, replay, champion, objectives_of(study, champion, own), progress)
        back = rolled_back(search)
        if back is not None:
            progress("", 1.0)
            return back
        judgement, offers = judged(search, progress, writer)
        learned = concluded(search, judgement, offers)
        if isinstance(search, Together) and not learned.promoted:
            learned = replace(learned, choices=choices_of(search, offers))
        return learned


@contextmanager
def _alone(chain: Chain) -> Iterator[None]:
    """One learning run of a function at a time, over all processes."""
    with ExitStack() as stack:
        try:
            stack.enter_context(alone(chain.folder, ".lock"))
        except OSError as error:
            fix = "make it writable, or set POET_HOME to another folder"
            raise StoreError(f"{chain.folder}: can't be written: {error}; {fix}") from error
        yield
