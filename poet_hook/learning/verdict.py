"""What the gate found -> a verdict in words, a version, a promotion; or the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from poet_hook.isolation.level import level
from poet_hook.learning.aims import SHARES, WORDS, Aims, aims_of
from poet_hook.learning.compared import compared
from poet_hook.learning.evidence import mean_gain
from poet_hook.learning.gate import Judgement
from poet_hook.learning.live import as_good, canaried, end_trial
from poet_hook.learning.objective import Loss
from poet_hook.learning.refine import refinement
from poet_hook.learning.replay import Outcome
from poet_hook.learning.scale import value_at
from poet_hook.learning.search import Offer, Search
from poet_hook.learning.study import Study, results_of, values_of
from poet_hook.model import CODE, Candidate, Decision, Evidence, Learned, Value, Verdict, Version
from poet_hook.transform.compile import Champion
from poet_hook.transform.render import render
from poet_hook.transform.values import with_values
from poet_hook.versions.promote import promote, refine, rollback


def concluded(search: Search, judgement: Judgement, offers: Sequence[Offer]) -> Learned:
    """Confirm the best candidate by replay, store it, and put it in use where the function's `learn=` allows it."""
    study, champion = search.study, search.champion
    plan = study.plan
    values = values_of_best(search, judgement, offers)
    if values is None:
        verdict = _verdict(search, judgement, "keep", champion)
        end_trial(study, "nothing does better than the version in use any more")
        return Learned(plan.function, study.champion.version, verdict, None, False, verdict.reasons)
    numeric = judgement.axis is not None and not search.tunables[judgement.axis].choices
    interval = judgement.fit.interval if judgement.fit and numeric else None
    challenger = as_good(study, values, interval)
    if challenger is not None:
        values = dict(challenger.values)
    text = with_values(plan.source, plan.tunables, values)
    candidate = Candidate(plan.function, study.champion.version, values, text, interval)
    after = search.replay.run(values)
    reason = _doubt(search, after)
    if reason:
        verdict = _verdict(search, judgement, "keep", after, values)
        return Learned(plan.function, study.champion.version, verdict, None, False, (reason, *verdict.reasons))
    refined = refinement(search, judgement)
    if refined:
        judgement = replace(
            judgement, decision="promote", level="provisional", needed=None, reasons=(refined, *judgement.reasons)
        )
    decided, why = _decided(search, judgement, challenger, values, after)
    verdict = _verdict(search, judgement, decided, after, values, why)
    if decided not in ("promote", "propose", "challenge"):
        return Learned(plan.function, study.champion.version, verdict, None, False, verdict.reasons, candidate)
    if decided == "challenge" and challenger is not None and plan.pragma.canary:
        number = challenger.number  # whatever its level is by now: its calls are counted
    else:
        number = stored(study, values, verdict)
    if decided == "promote" and refined:
        refine(study.chain, number, plan, study.in_use)
    elif decided == "promote":
        promote(study.chain, number, plan, learned=True, instead_of=study.in_use)
    if decided == "challenge" and study.chain.pointer().challenger != number:
        study.chain.challenge(number)
    promoted = decided == "promote"
    return Learned(plan.function, study.champion.version, verdict, number, promoted, verdict.reasons, candidate)


def _decided(
    search: Search,
    judgement: Judgement,
    challenger: Version | None,
    values: Mapping[str, Value],
    after: Sequence[Outcome],
) -> tuple[Decision, tuple[str, ...]]:
    """What becomes of the best candidate by `learn=` and `canary=`, and why it is not what the gate decided."""
    study, pragma = search.study, search.study.plan.pragma
    found = level() if CODE in values else "closed"
    open_here = f"files and network are not closed to other code here (isolation: {found})"
    if pragma.learn == "shadow" and found == "closed":
        return "challenge", ("learn=shadow: it runs beside the version in use, and its results are only recorded",)
    if judgement.decision != "promote" or judgement.level is None:
        return judgement.decision, (f"learn=shadow: {open_here}",) if pragma.learn == "shadow" else ()
    for gone in study.chain.pointer().undone:
        if gone.at_once and values_of(study, gone.version) == values:
            return "wait", (f"v{gone.version}, with the same values, was rolled back at once: {gone.why}",)
    if pragma.learn == "propose":
        return "propose", ()
    if found != "closed":
        return "propose", (f"{open_here}, so a person decides",)
    if pragma.learn == "proven" and judgement.level != "proven":
        return "wait", ("learn=proven: a provisional version waits for more evidence",)
    if lone := _mostly_read_by_a_model(search, after):
        return "propose", (lone,)
    if pragma.canary is not None:
        decided, reason = canaried(study, challenger, values, judgement.level)
        return decided, (reason,)
    return "promote", ()


def _mostly_read_by_a_model(search: Search, after: Sequence[Outcome]) -> str:
    """Why a person must promote it: a model read more of what speaks for it than the rules did; "" otherwise.

    What one model misreads it misreads often, and whoever writes feedback may write it for the model.
    """
    study = search.study
    gains = {True: 0.0, False: 0.0}
    for number, label in search.labels.items() if study.by_model else ():
        event = search.events[number]
        spoken = (study.known[i] for i in {*event.members, event.first})
        alone = all(item.execution.id in study.by_model for item in spoken if item.label is not None)
        gains[alone] += label.weight * search.fresh[number] * (search.now(number) - search.loss(number, after))
    if gains[True] <= max(gains[False], 0.0):
        return ""
    models = " and ".join(study.readers)
    return (
        f"more of what speaks for it was read by {models} than by the rules: it waits until somebody promotes it, or "
        "until feedback that the rules read says the same"
    )


def values_of_best(search: Search, judgement: Judgement, offers: Sequence[Offer]) -> dict[str, Value] | None:
    """The values of the best candidate; None where nothing does better than the champion."""
    if judgement.offer is not None:
        return dict(offers[judgement.offer].values)
    if judgement.axis is None or judgement.value is None:
        return None
    tunable = search.tunables[judgement.axis]
    return {**search.study.champion.values, tunable.name: value_at(tunable, judgement.value)}


def _doubt(search: Search, after: Sequence[Outcome]) -> str:
    """Why the values, put in and run, are no better after all over the labelled executions; "" where they are."""
    gains = [k.weight * search.fresh[i] * (search.now(i) - search.loss(i, after)) for i, k in search.labels.items()]
    if sum(gains) <= 0:
        return "replay with the value itself does not confirm that it does better"
    for aims in search.parts:
        metric, now, then = aims.metric, _measured(search, aims, search.champion), _measured(search, aims, after)
        if metric in SHARES and metric != "accuracy" and then < now:
            return f"it costs less, but would lower the {WORDS[metric]} of what was said, which is what is asked for"
    return ""


def stored(study: Study, values: Mapping[str, Value], verdict: Verdict) -> int:
    for version in study.chain.versions():
        same = version.parent == study.champion.version and version.source_hash == study.plan.source_hash
        if same and dict(version.values) == dict(values) and version.level == verdict.level:
            return version.number  # proposed before, and still waiting
    plan = study.plan
    number = max([*study.chain.numbers(), 1]) + 1
    enhanced = render(study.source, plan, Champion(number, values))
    return study.chain.add(plan, study.champion.version, values, verdict, enhanced).number


def _verdict(
    search: Search,
    judgement: Judgement,
    decided: Decision,
    after: Sequence[Outcome],
    values: Mapping[str, Value] | None = None,
    why: Sequence[str] = (),
) -> Verdict:
    study, champion = search.study, search.champion
    replayed = study.reproduced
    flips = tuple(study.known[i].execution.id for i in replayed if champion[i] != after[i])
    aside = sum(study.set_aside.values())
    reasons = [*judgement.reasons]
    reasons += [f"{count} executions with feedback were set aside: {why}" for why, count in study.set_aside.items()]
    if study.unlike:
        reasons.append(
            f"{study.unlike} executions without feedback were set aside: their replay does not give the recorded result"
        )
    reasons += _as_read(study)
    reasons += why
    told = judgement.bets and len(search.parts) == 1  # what is gained by several at once has no unit
    gains = mean_gain(judgement.bets, study.plan.pragma.alpha) if told else ()
    gain, gain_low, gain_high = (search.aims.last.unit * each for each in gains) if gains else (None, None, None)
    return Verdict(
        decision=decided,
        level=judgement.level if decided in ("promote", "propose", "challenge") else None,
        alpha=study.plan.pragma.alpha,
        evidence=Evidence(
            labelled=len(search.recent()),
            comments=None if study.incidents is None else sum(search.events[i].comments for i in search.recent()),
            wins=judgement.wins,
            losses=judgement.losses,
            e_value=judgement.e_value,
            before=_measured(search, search.aims, champion),
            after=_measured(search, search.aims, after),
            silent=sum(search.events[i].stands_for > 0 for i in search.silent),
            silent_weight=judgement.silent_weight,
            set_aside=aside,
            metric=search.aims.metric,
            gain=gain,
            gain_low=gain_low,
            gain_high=gain_high,
        ),
        reasons=tuple(reasons),
        regressions=judgement.regressions,
        flips=flips,
        needed=judgement.needed,
        replayed=len(replayed) if study.sampled else None,
        isolation=None if values is None or CODE not in values else level(),
    )


def _measured(search: Search, aims: Aims, outcomes: Sequence[Outcome]) -> float:
    return aims.measured([(i, label, search.returned(i, outcomes)) for i, label in search.recent().items()])


def rolled_back(search: Search) -> Learned | None:
    """Back to the version before where feedback since the promotion shows, by the same test, that it is better."""
    study = search.study
    number, history = study.champion.version, study.chain.history()
    if number == 1 or study.plan.pragma.learn not in ("auto", "proven") or not history:
        return None
    values = values_of(study, history[-1])
    since = study.chain.since()  # feedback before that helped to find the champion
    if values is None:
        return None
    before = search.replay.run(values)
    judging = {index for index in search.labels if search.events[index].given > since}
    # people speak of the alerts of the champion, never of those that only its parent would have raised
    silent = {i for i in search.silent if study.known[search.events[i].first].execution.version == number}
    needed = len(search.parts) / study.plan.pragma.alpha  # by each objective at its share of alpha
    for aims in search.parts:
        result = compared(search, before, aims, judging, silent)
        if result.found.gain <= 0 or result.found.e_value < needed:
            continue
        back, by = history[-1], f" by {aims.name}" if len(search.parts) > 1 else ""
        last = "last " if study.plan.pragma.half_life is not None else ""
        reason = (
            f"v{number} did worse than v{back}{by} on the {last}{result.labelled} {search.reading.labelled} since "
            f"it was promoted (e = {result.found.e_value:.0f}, at least {needed:.0f} needed): rolled back to v{back}"
        )
        rollback(study.chain, reason, instead_of=study.in_use)
        return Learned(study.plan.function, back, None, None, False, (reason, *result.found.reasons))
    return None


def _as_read(study: Study) -> list[str]:
    """What a model read of the feedback, and what nobody did."""
    count = study.unread
    told = [f"{'1 feedback was' if n == 1 else f'{n} feedbacks were'} read by {m}" for m, n in study.readers.items()]
    if count == 1:
        told.append("1 feedback could not be read and counts for nothing")
    elif count:
        told.append(f"{count} feedbacks could not be read and count for nothing")
    return told


def nothing(study: Study, reason: str) -> Learned:
    """What a run says that could judge nothing."""
    reasons = [reason]
    reasons += [f"{count} executions with feedback were set aside: {why}" for why, count in study.set_aside.items()]
    reasons += _as_read(study)
    return Learned(study.plan.function, study.champion.version, None, None, False, tuple(reasons))


def objectives_of(study: Study, champion: Sequence[Outcome], own: Loss | None) -> list[Aims]:
    """What `optimize_for` names, each for each event by what was said before."""
    pragma, since = study.plan.pragma, study.chain.since()
    labelled = [
        (number, event.label, event.returned(results_of(event, champion)))
        for number, event in enumerate(study.events)
        if event.label is not None
    ]
    older = sum(study.events[number].given <= since for number, _, _ in labelled)
    asked = {number for number, _, _ in labelled if study.events[number].asked}
    silent = [
        (event.returned(results_of(event, champion)), event.stands_for) for event in study.events if not event.label
    ]
    return [aims_of(name, pragma.cost, labelled, older, own, asked, silent) for name in pragma.objectives]
