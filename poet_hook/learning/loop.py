"""Recorded executions and feedback -> a judged candidate -> a version, and perhaps a new champion."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from poet_hook.domains.base import decision
from poet_hook.errors import StoreError
from poet_hook.learning import objective as objectives
from poet_hook.learning.constants import Steps
from poet_hook.learning.gate import Case, Judgement, e_value, judge
from poet_hook.learning.objective import Label, Objective
from poet_hook.learning.replay import Outcome, Replay
from poet_hook.learning.slice import slice_function
from poet_hook.learning.study import (
    NOT_REPRODUCED,
    Known,
    Study,
    arguments_of,
    keep_reproduced,
    plan_of,
    seen,
    study_of,
    value_of,
    values_of,
)
from poet_hook.model import Candidate, Decision, Evidence, Learned, Tunable, Verdict
from poet_hook.settings import Settings
from poet_hook.store.database import Store
from poet_hook.transform.compile import Champion
from poet_hook.transform.render import render
from poet_hook.transform.tunables import with_values
from poet_hook.versions.chain import Chain
from poet_hook.versions.promote import promote, rollback

ALPHA = 0.05
Progress = Callable[[str, float], None]


def learn(function: str, store: Store, settings: Settings, progress: Progress | None = None) -> Learned:
    """Look for better numbers for `function`, judge them, and put them in use where its `learn=` allows it.

    Raises `UnknownFunctionError` and `ReplayError`; whatever evidence is missing is said in the result.
    """
    plan, source = plan_of(function, store, settings)
    chain = Chain(settings, function)
    with _alone(chain):
        upto = store.last_feedback(function)
        study = study_of(plan, source, chain, store)
        learned = _learn(study, settings, progress or (lambda _what, _share: None))
        store.set_meta(f"learned:{function}", str(upto))
    return learned


def _learn(study: Study, settings: Settings, progress: Progress) -> Learned:
    plan = study.plan
    labelled = [item for item in study.known if item.label is not None]
    if plan.pragma.learn == "off":
        return _nothing(study, "learn=off: nothing is judged")
    if not plan.tunables:
        return _nothing(
            study, "there is no number in it that learning may change; mark one with: # poet: tune LOW..HIGH"
        )
    if not labelled:
        return _nothing(study, "no execution of this source has feedback that could be read yet")
    part = slice_function(study.source, plan.qualname, plan.line, settings.replay_modules)
    if part.reason:
        return _nothing(study, f"it can't be replayed: {part.reason}")
    with Replay(plan, part, study.source, [arguments_of(item.execution) for item in study.known]) as replay:
        champion = keep_reproduced(study, replay)
        labelled = [item for item in study.known if item.label is not None]
        if not labelled:
            return _nothing(study, "none of the executions with feedback can be reproduced by replay")
        back = _rollback(study, replay, champion)
        if back is not None:
            return back
        return _choose(study, replay, champion, progress)


# --------------------------------------------------------------------------- candidates


def _choose(study: Study, replay: Replay, champion: list[Outcome], progress: Progress) -> Learned:
    """Each tunable alone, the others as in the champion; the best judgement counts, at its share of alpha."""
    plan = study.plan
    aim = _objective(study, champion)
    best: tuple[Judgement, Tunable] | None = None
    for index, tunable in enumerate(plan.tunables):
        progress(tunable.name, index / len(plan.tunables))
        incumbent = study.champion.values.get(tunable.name, tunable.value)
        lower, upper = range_of(tunable)
        labelled, silent = _cases(study, replay, champion, tunable, aim, (lower, upper))
        judgement = judge(
            labelled,
            silent,
            incumbent=incumbent,
            lower=lower,
            upper=upper,
            integer=tunable.integer,
            alpha=ALPHA / len(plan.tunables),
        )
        if best is None or _rank(judgement) > _rank(best[0]):
            best = judgement, tunable
    progress("", 1.0)
    assert best is not None
    return _conclude(study, replay, champion, *best)


def _rank(judgement: Judgement) -> tuple[bool, float, float]:
    return judgement.decision == "promote", judgement.e_value, judgement.after - judgement.before


def range_of(tunable: Tunable) -> tuple[float, float]:
    """Where learning looks for a number: the range given by `tune`, else on its side of 0 up to 20 times it."""
    reach = 20.0 * abs(tunable.value) or 1.0
    lower, upper = (0.0, reach) if tunable.value > 0 else (-reach, 0.0) if tunable.value < 0 else (-1.0, 1.0)
    if tunable.integer and tunable.value > 0:
        lower = 1.0
    return (
        lower if tunable.lower is None else tunable.lower,
        upper if tunable.upper is None else tunable.upper,
    )


def _objective(study: Study, champion: list[Outcome]) -> Objective:
    pragma = study.plan.pragma
    pairs = [(k.label, seen(o)) for k, o in zip(study.known, champion, strict=True) if k.label is not None]
    return objectives.objective(pragma.optimize_for or "accuracy", pragma.cost, objectives.score(pairs).f1)


def _cases(
    study: Study,
    replay: Replay,
    champion: list[Outcome],
    tunable: Tunable,
    aim: Objective,
    limits: tuple[float, float],
) -> tuple[list[Case], list[Case]]:
    chosen = [i for i, item in enumerate(study.known) if item.execution.replayable != NOT_REPRODUCED]
    traced = replay.trace(tunable, study.champion.values, *limits, chosen)
    since = study.chain.since()  # feedback before that helped to find the champion
    labelled, silent = [], []
    incumbent = study.champion.values.get(tunable.name, tunable.value)
    for index, found in zip(chosen, traced, strict=True):
        # code that looks at the type of a number can tell the traced one from a plain one: then nothing is known
        steps = found if found(incumbent) == champion[index] else Steps((), (champion[index],), (), exact=False)
        item = study.known[index]
        outcome = seen(champion[index])
        if item.label is not None:
            labelled.append(_labelled_case(item, item.label, steps, outcome, aim, since))
        else:
            case = _case(item, _agreed(item, outcome), steps, outcome, aim)
            silent.append(replace(case, weight=item.stands_for))
    return labelled, silent


def _agreed(item: Known, outcome: Any) -> Label:
    """Silence about an execution, taken as agreement with what the champion returns there."""
    decided = decision(outcome)
    if decided is None:
        return Label(item.execution.id, "value", outcome, 1.0, True, 0)
    return Label(item.execution.id, "decision", decided, 1.0, True, 0)


def _labelled_case(item: Known, label: Label, steps: Steps, outcome: Any, aim: Objective, since: float) -> Case:
    case = _case(item, label, steps, outcome, aim)
    return replace(case, weight=label.weight, approved=label.approved, fits_only=item.given <= since)


def _case(item: Known, label: Label, steps: Steps, outcome: Any, aim: Objective) -> Case:
    losses = steps.map(lambda wire: aim.loss(label, seen(wire)))
    return Case(item.execution.id, losses, alarm=decision(outcome))


# --------------------------------------------------------------------------- verdict


def _conclude(
    study: Study,
    replay: Replay,
    champion: list[Outcome],
    judgement: Judgement,
    tunable: Tunable,
) -> Learned:
    plan = study.plan
    if judgement.value is None or judgement.fit is None:
        verdict = _verdict(study, judgement, "keep", champion, champion)
        return Learned(plan.function, study.champion.version, verdict, None, False, verdict.reasons)
    values = {**study.champion.values, tunable.name: judgement.value}
    text = with_values(plan.source, plan.tunables, values)
    candidate = Candidate(plan.function, study.champion.version, values, text, judgement.fit.interval)
    after = replay.run(values)
    outcome: Decision = judgement.decision
    if not _confirmed(study, champion, after):
        verdict = _verdict(study, judgement, "keep", champion, after)
        reason = "replay with the value itself does not confirm that it does better"
        return Learned(plan.function, study.champion.version, verdict, None, False, (reason, *verdict.reasons))
    if outcome == "promote" and plan.pragma.learn == "propose":
        outcome = "propose"
    if outcome == "promote" and plan.pragma.learn == "proven" and judgement.level != "proven":
        outcome = "wait"
    verdict = _verdict(study, judgement, outcome, champion, after)
    if outcome not in ("promote", "propose"):
        return Learned(plan.function, study.champion.version, verdict, None, False, verdict.reasons, candidate)
    number = _stored(study, values, verdict)
    if outcome == "promote":
        promote(study.chain, number, plan)
    return Learned(
        plan.function,
        study.champion.version,
        verdict,
        number,
        outcome == "promote",
        verdict.reasons,
        candidate,
    )


def _confirmed(study: Study, champion: list[Outcome], after: list[Outcome]) -> bool:
    """Whether the value, put in and run, loses less over the labelled executions than the champion does."""
    aim = _objective(study, champion)
    labels = [(i, item.label) for i, item in enumerate(study.known) if item.label is not None]
    gains = [k.weight * (aim.loss(k, seen(champion[i])) - aim.loss(k, seen(after[i]))) for i, k in labels]
    return sum(gains) > 0


def _stored(study: Study, values: Mapping[str, float], verdict: Verdict) -> int:
    for version in study.chain.versions():
        same = version.parent == study.champion.version and version.source_hash == study.plan.source_hash
        if same and dict(version.values) == dict(values) and version.level == verdict.level:
            return version.number  # proposed before, and still waiting
    plan = study.plan
    number = max([*study.chain.numbers(), 1]) + 1
    enhanced = render(study.source, plan.path, plan.module, plan.qualname, lambda _: Champion(number, values))
    return study.chain.add(plan, study.champion.version, values, verdict, enhanced).number


def _verdict(
    study: Study, judgement: Judgement, decided: Decision, champion: list[Outcome], after: list[Outcome]
) -> Verdict:
    labelled = [(i, item.label) for i, item in enumerate(study.known) if item.label is not None]
    silent = [item for item in study.known if item.label is None and item.execution.replayable != NOT_REPRODUCED]
    flips = tuple(
        item.execution.id
        for i, item in enumerate(study.known)
        if champion[i] != after[i] and item.execution.replayable != NOT_REPRODUCED
    )
    aside = sum(study.set_aside.values())
    reasons = [*judgement.reasons]
    reasons += [f"{count} executions with feedback were set aside: {why}" for why, count in study.set_aside.items()]
    if study.unread:
        reasons.append(f"{study.unread} feedbacks could not be read and count for nothing")
    if study.plan.pragma.learn == "proven" and decided == "wait" and judgement.decision == "promote":
        reasons.append("learn=proven: a provisional version waits for more evidence")
    return Verdict(
        decision=decided,
        level=judgement.level if decided in ("promote", "propose") else None,
        alpha=ALPHA,
        evidence=Evidence(
            labelled=len(labelled),
            wins=judgement.wins,
            losses=judgement.losses,
            e_value=judgement.e_value,
            before=_share_right(labelled, champion, judgement.before, study),
            after=_share_right(labelled, after, judgement.after, study),
            silent=len(silent),
            silent_weight=judgement.silent_weight,
            set_aside=aside,
        ),
        reasons=tuple(reasons),
        regressions=judgement.regressions,
        flips=flips,
        needed=judgement.needed,
    )


def _share_right(labelled: list[tuple[int, Label]], outcomes: list[Outcome], closeness: float, study: Study) -> float:
    """The share of labelled executions that are right; for distances, 1 minus their mean loss."""
    if study.plan.pragma.optimize_for == "error":
        return closeness
    return objectives.score([(k, seen(outcomes[i])) for i, k in labelled]).accuracy or 0.0


def _rollback(study: Study, replay: Replay, champion: list[Outcome]) -> Learned | None:
    """Back to the champion's parent where feedback since the promotion shows, by the same test, that it is better."""
    number = study.champion.version
    if number == 1 or study.plan.pragma.learn not in ("auto", "proven"):
        return None
    parent = study.chain.read(number).parent or 1
    values = values_of(study, parent)
    history = study.chain.history()
    since = study.chain.since()  # feedback before that helped to find the champion
    fresh = [i for i, item in enumerate(study.known) if item.label is not None and item.given > since]
    if values is None or not fresh or not history or history[-1] != parent:
        return None
    before = replay.run(values)
    aim = _objective(study, champion)
    labels = [(i, study.known[i].label) for i in fresh]
    gains = [
        k.weight * (aim.loss(k, seen(champion[i])) - aim.loss(k, seen(before[i]))) for i, k in labels if k is not None
    ]
    # people speak of the alerts of the champion, never of those that only its parent would have raised
    for i, item in enumerate(study.known):
        if item.label is None and item.execution.version == number and item.execution.replayable != NOT_REPRODUCED:
            loss = aim.loss(_agreed(item, seen(champion[i])), seen(before[i]))
            gains += [-loss] * round(item.stands_for) if loss else []
    if sum(gains) <= 0:
        return None
    evidence = e_value(gains)
    if evidence < 1 / ALPHA:
        return None
    rollback(study.chain)
    reason = (
        f"v{number} did worse than v{parent} on the {len(fresh)} executions with feedback since it was promoted "
        f"(e = {evidence:.0f}, at least {1 / ALPHA:.0f} needed): rolled back to v{parent}"
    )
    return Learned(study.plan.function, parent, None, None, False, (reason,))


def _nothing(study: Study, reason: str) -> Learned:
    reasons = [reason]
    reasons += [f"{count} executions with feedback were set aside: {why}" for why, count in study.set_aside.items()]
    if study.unread:
        reasons.append(f"{study.unread} feedbacks could not be read and count for nothing")
    return Learned(study.plan.function, study.champion.version, None, None, False, tuple(reasons))


@contextmanager
def _alone(chain: Chain) -> Iterator[None]:
    """One learning run of a function at a time, over all processes."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows: two runs at once store two versions, and one pointer wins
        yield
        return
    try:
        chain.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(chain.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{chain.folder}: can't be written: {error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


__all__: Sequence[str] = ("ALPHA", "learn", "plan_of", "range_of", "value_of")
