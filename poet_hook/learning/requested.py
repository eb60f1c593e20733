"""What somebody asked for in feedback -> stored versions that wait to be promoted, with what each would change.

A person's word is no evidence: such a version claims nothing but that it was asked for, and replay only tells which
past results would have been different.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from poet_hook.errors import ReplayError
from poet_hook.learning.aims import Aims, Labelled
from poet_hook.learning.gate import ALPHA
from poet_hook.learning.own_loss import LossError, own_loss
from poet_hook.learning.replay import Outcome
from poet_hook.learning.rewriting import slice_of
from poet_hook.learning.streams import replayed
from poet_hook.learning.study import Study, keep_reproduced, results_of
from poet_hook.learning.verdict import objectives_of
from poet_hook.model import CODE, Evidence, Feedback, Value, Verdict
from poet_hook.pragma.options import LIVE_OBJECTIVES
from poet_hook.settings import Settings
from poet_hook.store.database import Store
from poet_hook.transform.compile import Champion
from poet_hook.transform.render import render
from poet_hook.transform.values import as_text, with_values
from poet_hook.versions.rebase import allowed


@dataclass(frozen=True, slots=True)
class Proposed:
    """The versions that were made, and in words what became of everything that was asked for."""

    numbers: tuple[int, ...]
    reasons: tuple[str, ...]


def proposed(study: Study, store: Store, settings: Settings) -> Proposed:
    """Store a version for everything that was asked for since the last time, of each source its latest word."""
    function, known = study.plan.function, f"requested:{study.plan.function}"
    requests = store.requests(function, int(store.get_meta(known) or 0))
    numbers, reasons = [], []
    for wanted, sources in _latest(requests):
        number, reason = _proposal(study, settings, wanted, ", ".join(sources))
        reasons.append(reason)
        if number is not None:
            numbers.append(number)
    if requests:  # when all are stored: a run that was killed before begins again, and finds those that are there
        store.set_meta(known, str(requests[-1].id))
    return Proposed(tuple(numbers), tuple(reasons))


def _latest(requests: Sequence[Feedback]) -> list[tuple[Mapping[str, Value], list[str]]]:
    """Each thing that is asked for, and by whom; of a number that a source names twice, the latest counts."""
    taken: set[tuple[str, str]] = set()
    found: dict[tuple[tuple[str, Value], ...], list[str]] = {}
    for item in reversed(requests):
        wanted = {name: value for name, value in item.signal.value.items() if (item.source, name) not in taken}
        taken |= {(item.source, name) for name in wanted}
        sources = found.setdefault(tuple(sorted(wanted.items())), []) if wanted else []
        if item.source not in sources:
            sources.append(item.source)
    return [(dict(wanted), sorted(sources)) for wanted, sources in reversed(found.items())]


def _proposal(study: Study, settings: Settings, wanted: Mapping[str, Value], sources: str) -> tuple[int | None, str]:
    plan, champion = study.plan, study.champion
    told = ", ".join(f"{name} = {as_text(value)}" for name, value in wanted.items())
    start = f"{sources} asked for {told}"
    tunables = {tunable.name: tunable for tunable in plan.tunables}
    if CODE in champion.values:
        return None, f"{start}, and the version in use is other code, which has no such number"
    for name, value in wanted.items():
        if name not in tunables or not allowed(tunables[name], value):
            return None, f"{start}, which the function as it is now does not allow"
    values = {**champion.values, **wanted}
    text = with_values(plan.source, plan.tunables, values)
    if text == with_values(plan.source, plan.tunables, champion.values):
        return None, f"{start}: so it is in use already"
    for version in study.chain.versions():
        if version.source == text and version.source_hash == plan.source_hash:
            how = f"python -m poet_hook promote {plan.function} {version.number}"
            return (
                None,
                f"{start}: that is v{version.number} ({version.level or 'original'}); put it in use with: {how}",
            )
    verdict = _account(study, settings, values, start)
    number = max([*study.chain.numbers(), 1]) + 1
    enhanced = render(study.source, plan, Champion(number, values))
    number = study.chain.add(plan, champion.version, values, verdict, enhanced).number
    how = f"put it in use with: python -m poet_hook promote {plan.function} {number}"
    return number, f"v{number} waits: {'; '.join(verdict.reasons)}; {how}"


def _account(study: Study, settings: Settings, values: Mapping[str, Value], start: str) -> Verdict:
    """What the values would change among the recorded executions; that they are right is not claimed."""
    try:
        now, then, aims = _replayed(study, settings, values)
    except (ReplayError, LossError, RecursionError) as error:
        reasons = (start, f"what that would change is not known: {error}")
        return Verdict("propose", "requested", ALPHA, _evidence(study, (), (), None), reasons)
    told = study.reproduced
    flips = [i for i in told if now[i] != then[i]]
    labels = {i: label for i in flips if (label := study.known[i].label) is not None}
    approved = [study.known[i].execution.id for i, label in labels.items() if label.approved]
    sampled = " (of those without feedback a sample)" if study.sampled else ""
    reasons = (
        start,
        f"{len(flips)} of {len(told)} past results{sampled} would have been different: {len(labels) - len(approved)} "
        f"that you complained about, {len(approved)} that you approved",
    )
    changed = tuple(study.known[i].execution.id for i in flips)
    evidence = _evidence(study, now, then, aims)
    return Verdict("propose", "requested", ALPHA, evidence, reasons, tuple(approved), changed)


def _replayed(
    study: Study, settings: Settings, values: Mapping[str, Value]
) -> tuple[Sequence[Outcome], Sequence[Outcome], Aims]:
    """The outcomes of the champion and of the values, and by what they are judged."""
    plan = study.plan
    if plan.pragma.optimize_for in LIVE_OBJECTIVES:
        raise ReplayError(f"only live calls tell the {plan.pragma.optimize_for}")
    part = slice_of(study, settings)
    if part.reason:
        raise ReplayError(f"it can't be replayed: {part.reason}")
    if not study.known:
        raise ReplayError("no execution of this source can be replayed yet")
    own = own_loss(plan.pragma.optimize_for, settings)
    with replayed(study, part) as replay:
        now = keep_reproduced(study, replay)
        return now, replay.run(values), objectives_of(study, now, own)[0]


def _evidence(study: Study, now: Sequence[Outcome], then: Sequence[Outcome], aims: Aims | None) -> Evidence:
    """What is better and worse by what was said; an e-value of 1 bets on nothing."""
    before: list[Labelled] = []
    after: list[Labelled] = []
    gains, comments = [], 0
    for number, event in enumerate(study.events):
        if aims is None or event.label is None:
            continue
        was, would_be = results_of(event, now), results_of(event, then)
        before.append((number, event.label, event.returned(was)))
        after.append((number, event.label, event.returned(would_be)))
        loss, aim = event.loss, aims.at(number)
        gains.append(event.label.weight * (loss(aim, event.label, was) - loss(aim, event.label, would_be)))
        comments += event.comments
    return Evidence(
        labelled=len(gains),
        wins=sum(gain for gain in gains if gain > 0),
        losses=-sum(gain for gain in gains if gain < 0),
        e_value=1.0,
        before=aims.measured(before) if aims else 0.0,
        after=aims.measured(after) if aims else 0.0,
        silent=sum(event.label is None for event in study.events),
        set_aside=sum(study.set_aside.values()),
        metric=aims.metric if aims else "accuracy",
        comments=None if study.incidents is None else comments,
    )
