"""Recorded executions and feedback -> a judged candidate -> a version, and perhaps a new champion."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from poet_hook.domains.base import decision
from poet_hook.errors import StoreError
from poet_hook.learning import objective as objectives
from poet_hook.learning.constants import Steps
from poet_hook.learning.gate import Case, Difference, Judgement, compare, judge
from poet_hook.learning.objective import Label, Objective
from poet_hook.learning.replay import Outcome, Replay
from poet_hook.learning.silence import Near, near
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
Losses = dict[int, Steps]
"""Of executions, by their index in `study.known`, for every value of a tunable."""


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
        aim = _objective(study, champion)
        losses = [_losses(study, replay, champion, each, aim, progress) for each in plan.tunables]
        progress("", 1.0)
        distances = _distances(study, losses)
        back = _rollback(study, replay, champion, aim, distances)
        if back is not None:
            return back
        judged = _judged(study, champion, aim, losses, distances)
        return _conclude(study, replay, champion, *judged)


# --------------------------------------------------------------------------- candidates


def _judged(
    study: Study, champion: list[Outcome], aim: Objective, losses: list[Losses], distances: dict[int, Near]
) -> tuple[Judgement, Tunable]:
    """Each tunable alone, the others as in the champion; the best judgement counts, at its share of alpha."""
    plan = study.plan
    judged = []
    for tunable, known in zip(plan.tunables, losses, strict=True):
        lower, upper = range_of(tunable)
        judgement = judge(
            *_cases(study, champion, aim, known, distances),
            incumbent=_incumbent(study, tunable),
            lower=lower,
            upper=upper,
            integer=tunable.integer,
            alpha=ALPHA / len(plan.tunables),
        )
        judged.append((judgement, tunable))
    return max(judged, key=lambda pair: _rank(pair[0]))


def _incumbent(study: Study, tunable: Tunable) -> float:
    return study.champion.values.get(tunable.name, tunable.value)


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


def _losses(
    study: Study, replay: Replay, champion: list[Outcome], tunable: Tunable, aim: Objective, progress: Progress
) -> Losses:
    """What each execution that replay reproduces loses with every value of a tunable; silence is agreement."""
    progress(tunable.name, study.plan.tunables.index(tunable) / len(study.plan.tunables))
    chosen = [i for i, item in enumerate(study.known) if item.execution.replayable != NOT_REPRODUCED]
    traced = replay.trace(tunable, study.champion.values, *range_of(tunable), chosen)
    losses = {}
    for index, found in zip(chosen, traced, strict=True):
        # code that looks at the type of a number can tell the traced one from a plain one: then nothing is known
        plain = found(_incumbent(study, tunable)) == champion[index]
        steps = found if plain else Steps((), (champion[index],), (), exact=False)
        item = study.known[index]
        label = item.label or _agreed(item, seen(champion[index]))
        losses[index] = steps.map(partial(_loss, aim, label))
    return losses


def _loss(aim: Objective, label: Label, outcome: Outcome) -> float:
    return aim.loss(label, seen(outcome))


def _distances(study: Study, losses: list[Losses]) -> dict[int, Near]:
    """How far each tunable may move, down and up, before the result of an execution changes."""
    tunables = study.plan.tunables
    return {
        index: tuple(
            d for each, known in zip(tunables, losses, strict=True) for d in near(known[index], _incumbent(study, each))
        )
        for index in losses[0]
    }


def _cases(
    study: Study, champion: list[Outcome], aim: Objective, losses: Losses, distances: dict[int, Near]
) -> tuple[list[Case], list[Case]]:
    since = study.chain.since()  # feedback before that helped to find the champion
    labelled, silent = [], []
    for index, loss in losses.items():
        item, label = study.known[index], study.known[index].label
        id, alarm = item.execution.id, decision(seen(champion[index]))
        if label is not None:
            older = item.given <= since
            labelled.append(Case(id, loss, label.weight, label.approved, older, alarm, distances[index]))
        # silence about what another version returned says nothing of a champion that returns something else
        elif not aim.loss(_agreed(item, seen(champion[index])), value_of(item.execution.result)):
            silent.append(Case(id, loss, item.stands_for, alarm=alarm, distances=distances[index]))
    return labelled, silent


def _agreed(item: Known, outcome: Any) -> Label:
    """Silence about an execution, taken as agreement with what the champion returns there."""
    decided = decision(outcome)
    if decided is None:
        return Label(item.execution.id, "value", outcome, 1.0, True, 0)
    return Label(item.execution.id, "decision", decided, 1.0, True, 0)


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
    enhanced = render(study.source, plan, Champion(number, values))
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


def _rollback(
    study: Study, replay: Replay, champion: list[Outcome], aim: Objective, distances: dict[int, Near]
) -> Learned | None:
    """Back to the champion's parent where feedback since the promotion shows, by the same test, that it is better."""
    number = study.champion.version
    if number == 1 or study.plan.pragma.learn not in ("auto", "proven"):
        return None
    parent = study.chain.read(number).parent or 1
    values = values_of(study, parent)
    history = study.chain.history()
    since = study.chain.since()  # feedback before that helped to find the champion
    if values is None or not history or history[-1] != parent:
        return None
    before = replay.run(values)
    labelled, silent = [], []
    for index, where in distances.items():
        item, now, then = study.known[index], seen(champion[index]), seen(before[index])
        label, alarm = item.label, decision(now)
        if label is not None and item.given > since:
            loss = aim.loss(label, now)
            approved = label.approved if label.approved == (loss <= 0.0) else None
            labelled.append(Difference(loss - aim.loss(label, then), label.weight, approved, alarm, where))
        # people speak of the alerts of the champion, never of those that only its parent would have raised
        elif label is None and item.execution.version == number:
            silent.append(Difference(-aim.loss(_agreed(item, now), then), item.stands_for, None, alarm, where))
    found = compare(labelled, silent)
    if found.gain <= 0 or found.e_value < 1 / ALPHA:
        return None
    rollback(study.chain)
    reason = (
        f"v{number} did worse than v{parent} on the {len(labelled)} executions with feedback since it was promoted "
        f"(e = {found.e_value:.0f}, at least {1 / ALPHA:.0f} needed): rolled back to v{parent}"
    )
    return Learned(study.plan.function, parent, None, None, False, (reason, *found.reasons))


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
        descriptor = os.open(chain.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{chain.folder}: can't be written: {error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


__all__: Sequence[str] = ("ALPHA", "learn", "plan_of", "range_of", "value_of")
