"""What the gate found -> a verdict in words, a version, a promotion; or the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from poet_hook.domains.base import decision
from poet_hook.learning import objective as objectives
from poet_hook.learning.evidence import Difference, compare
from poet_hook.learning.gate import ALPHA, Judgement
from poet_hook.learning.objective import Label, Objective
from poet_hook.learning.replay import Outcome
from poet_hook.learning.search import Offer, Search, agreed
from poet_hook.learning.study import NOT_REPRODUCED, Study, seen, values_of
from poet_hook.model import Candidate, Decision, Evidence, Learned, Verdict
from poet_hook.transform.compile import Champion
from poet_hook.transform.render import render
from poet_hook.transform.tunables import with_values
from poet_hook.versions.promote import promote, rollback


def concluded(search: Search, judgement: Judgement, offers: Sequence[Offer]) -> Learned:
    """Confirm the best candidate by replay, store it, and put it in use where the function's `learn=` allows it."""
    study, champion = search.study, search.champion
    plan = study.plan
    values = values_of_best(search, judgement, offers)
    if values is None:
        verdict = _verdict(search, judgement, "keep", champion)
        return Learned(plan.function, study.champion.version, verdict, None, False, verdict.reasons)
    text = with_values(plan.source, plan.tunables, values)
    interval = judgement.fit.interval if judgement.fit else None
    candidate = Candidate(plan.function, study.champion.version, values, text, interval)
    after = search.replay.run(values)
    decided: Decision = judgement.decision
    if not _confirmed(search, after):
        verdict = _verdict(search, judgement, "keep", after)
        reason = "replay with the value itself does not confirm that it does better"
        return Learned(plan.function, study.champion.version, verdict, None, False, (reason, *verdict.reasons))
    if decided == "promote" and plan.pragma.learn == "propose":
        decided = "propose"
    if decided == "promote" and plan.pragma.learn == "proven" and judgement.level != "proven":
        decided = "wait"
    verdict = _verdict(search, judgement, decided, after)
    if decided not in ("promote", "propose"):
        return Learned(plan.function, study.champion.version, verdict, None, False, verdict.reasons, candidate)
    number = _stored(study, values, verdict)
    promoted = decided == "promote"
    if promoted:
        promote(study.chain, number, plan)
    return Learned(plan.function, study.champion.version, verdict, number, promoted, verdict.reasons, candidate)


def values_of_best(search: Search, judgement: Judgement, offers: Sequence[Offer]) -> dict[str, float] | None:
    """The numbers of the best candidate; None where nothing does better than the champion."""
    if judgement.offer is not None:
        return dict(offers[judgement.offer].values)
    if judgement.axis is None or judgement.value is None:
        return None
    return {**search.study.champion.values, search.tunables[judgement.axis].name: judgement.value}


def _confirmed(search: Search, after: Sequence[Outcome]) -> bool:
    """Whether the values, put in and run, lose less over the labelled executions than the champion does."""
    gains = [k.weight * (search.now(i) - search.aim.loss(k, seen(after[i]))) for i, k in search.labels.items()]
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


def _verdict(search: Search, judgement: Judgement, decided: Decision, after: Sequence[Outcome]) -> Verdict:
    study, champion = search.study, search.champion
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


def _share_right(
    labelled: list[tuple[int, Label]], outcomes: Sequence[Outcome], closeness: float, study: Study
) -> float:
    """The share of labelled executions that are right; for distances, 1 minus their mean loss."""
    if study.plan.pragma.optimize_for == "error":
        return closeness
    return objectives.score([(k, seen(outcomes[i])) for i, k in labelled]).accuracy or 0.0


def rolled_back(search: Search) -> Learned | None:
    """Back to the version before where feedback since the promotion shows, by the same test, that it is better."""
    study, aim, champion = search.study, search.aim, search.champion
    number, history = study.champion.version, study.chain.history()
    if number == 1 or study.plan.pragma.learn not in ("auto", "proven") or not history:
        return None
    values = values_of(study, history[-1])
    since = study.chain.since()  # feedback before that helped to find the champion
    if values is None:
        return None
    before = search.replay.run(values)
    labelled, silent = [], []
    for index, where in search.distances.items():
        item, now, then = study.known[index], seen(champion[index]), seen(before[index])
        label, alarm = item.label, decision(now)
        if label is not None and item.given > since:
            loss = aim.loss(label, now)
            approved = label.approved if label.approved == (loss <= 0.0) else None
            gain = loss - aim.loss(label, then)
            labelled.append(Difference(gain, label.weight, approved, alarm, where, item.asked))
        # people speak of the alerts of the champion, never of those that only its parent would have raised
        elif label is None and item.execution.version == number:
            silent.append(Difference(-aim.loss(agreed(item, now), then), item.stands_for, None, alarm, where))
    found = compare(labelled, silent)
    if found.gain <= 0 or found.e_value < 1 / ALPHA:
        return None
    rollback(study.chain)
    back = history[-1]
    reason = (
        f"v{number} did worse than v{back} on the {len(labelled)} executions with feedback since it was promoted "
        f"(e = {found.e_value:.0f}, at least {1 / ALPHA:.0f} needed): rolled back to v{back}"
    )
    return Learned(study.plan.function, back, None, None, False, (reason, *found.reasons))


def nothing(study: Study, reason: str) -> Learned:
    """What a run says that could judge nothing."""
    reasons = [reason]
    reasons += [f"{count} executions with feedback were set aside: {why}" for why, count in study.set_aside.items()]
    if study.unread:
        reasons.append(f"{study.unread} feedbacks could not be read and count for nothing")
    return Learned(study.plan.function, study.champion.version, None, None, False, tuple(reasons))


def objective_of(study: Study, champion: Sequence[Outcome]) -> Objective:
    """What `optimize_for` names; for F1, by the score that is to be beaten."""
    pragma = study.plan.pragma
    pairs = [(k.label, seen(o)) for k, o in zip(study.known, champion, strict=True) if k.label is not None]
    return objectives.objective(pragma.optimize_for or "accuracy", pragma.cost, objectives.score(pairs).f1)
