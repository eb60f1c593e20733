"""A function and its replay -> offers of another structure: one change, alone or with the numbers fitted around it.

Each change alone is known before any feedback, so it bets from the first execution on. Guards, and changes with other
numbers, are made from the first so many labelled executions, as other offers are, where that settles three complaints
more than numbers do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from poet_hook.learning.ageing import counting
from poet_hook.learning.candidates import Terms, rank_share
from poet_hook.learning.descent import offers as combined
from poet_hook.learning.events import thinned
from poet_hook.learning.gate import BEYOND, STRUCTURES, Judgement, judge
from poet_hook.learning.guards import Guards
from poet_hook.learning.margins import SecondLimit
from poet_hook.learning.rewriting import Rewriting
from poet_hook.learning.search import Offer, Progress, Search, sizes_of, slack
from poet_hook.model import CODE, Value
from poet_hook.transform.values import as_text

FEW = 60  # executions on which it is seen which change is worth fitting
ALONE = 0.5  # of the share of structures; the rest is for those that are made on the way


def judged(search: Search, progress: Progress, rewriting: Rewriting | None = None) -> tuple[Judgement, list[Offer]]:
    """Everything that may be better, and the judgement of the best."""
    offers = offered(search, progress, rewriting)
    progress("judging", 0.9)
    labelled, silent = search.cases(offers)
    axes, terms, pragma = search.axes(), [offer.terms for offer in offers], search.study.plan.pragma
    kinds = {"structures": bool(search.structures), "rewrites": rewriting is not None}
    ages = pragma.half_life is not None
    found = judge(labelled, silent, axes, terms, pragma.alpha, search.reading, **kinds, ages=ages)
    if ages:
        bets = [case for case in labelled if not case.fits_only]
        told = f"half_life: the latest {len(counting(bets))} of {len(bets)} {search.reading.labelled} are evidence"
        found = replace(found, reasons=(*found.reasons, told))
    progress("", 1.0)
    if search.notes:
        found = replace(found, reasons=(*found.reasons, *search.notes))
    if found.offer is not None:
        found = replace(found, reasons=(*_in_words(search, offers[found.offer]), *found.reasons))
    return found, offers


def offered(search: Search, progress: Progress, rewriting: Rewriting | None) -> list[Offer]:
    """Several numbers at once, other structures, other code."""
    offers = combined(search, progress)
    offers += _structures(search, offers)
    if rewriting is not None:
        progress("other code", 0.8)
        offers += rewriting.offers(search, offers)
        search.notes += rewriting.notes
    return offers


def _structures(search: Search, offers: list[Offer]) -> Iterator[Offer]:
    """The changes of structure, first alone."""
    champion = search.study.champion.values
    changes = [
        {**champion, tunable.name: choice}
        for tunable in search.structures
        for choice in tunable.choices
        if choice != champion.get(tunable.name, tunable.value)
    ]
    alone = [search.offer(Terms(0, ALONE * STRUCTURES / len(changes), structural=True), values) for values in changes]
    yield from alone
    guards = [Guards(search, tunable) for tunable in search.structures if tunable.kind == "guard" and search.labels]
    seconds = [SecondLimit(search, tunable) for tunable in search.structures if tunable.kind == "option"]
    made: list[Mapping[str, Value]] = []
    for step, size in enumerate(sizes_of(len(search.labels))):
        weights = search.weights(search.first(size))
        # what was made of later feedback must not decide whether something is offered now
        known = [offer for offer in (*offers, *alone) if offer.terms.after <= size]
        least = _least(search, known, weights)
        guarded: list[dict[str, Value]] = []
        rules: dict[tuple[str, Value], str] = {}
        for guard in guards:
            text = guard.best(weights, least - BEYOND)
            if text:
                guarded.append({**champion, guard.tunable.name: text})
                rules[guard.tunable.name, text] = guard.why(text)
        margins = [(second.tunable.name, second.best(weights, least - BEYOND)) for second in seconds]
        guarded += [{**champion, name: value} for name, value in margins if value is not None]
        several = step % 2 == 0 or size == len(search.labels)  # it takes long
        fitted = _with_numbers(search, [*changes, *guarded], weights, least - BEYOND) if several else None
        for values in (*guarded, fitted):
            if values is not None and values not in made:
                made.append(values)
                share = (1.0 - ALONE) * STRUCTURES * rank_share(len(made))
                why = tuple(rules[item] for item in values.items() if item in rules)
                yield search.offer(Terms(size, share, structural=True), values, why)


def _in_words(search: Search, offer: Offer) -> Iterator[str]:
    """What an offer of another structure changes, and how many of the complaints it settles."""
    champion = search.study.champion.values
    changed = [t for t in search.structures if offer.values.get(t.name, t.value) != champion.get(t.name, t.value)]
    yield from offer.why
    for tunable in changed:
        if tunable.kind == "choice":
            old, new = (as_text(values.get(tunable.name, tunable.value)) for values in (champion, offer.values))
            yield f"{tunable.name}: {new} in place of {old}"
        elif tunable.kind == "option":
            yield from SecondLimit(search, tunable).why(offer.values)
    if changed or CODE in offer.values:
        wrong = [number for number in search.labels if search.now(number) > 0]
        settled = sum(offer.losses[number] < search.now(number) for number in wrong)
        yield f"it settles {settled} of {len(wrong)} complaints, which no number does so well"


def _least(search: Search, offers: list[Offer], weights: Mapping[int, float]) -> float:
    """What the best of all else loses."""
    least = sum(weight * search.now(number) for number, weight in weights.items())
    for i, losses in enumerate(search.losses):
        least = min(least, search.fit(i, losses, search.study.champion.values, weights)[1])
    for offer in offers:
        least = min(least, sum(weight * offer.losses[number] for number, weight in weights.items()))
    return least


def _with_numbers(
    search: Search, changes: list[dict[str, Value]], weights: Mapping[int, float], enough: float
) -> Mapping[str, Value] | None:
    """The best change with the numbers fitted around it, where that does a good deal better than all else.

    Which one is tried in full is found on a sample.
    """
    order = range(len(search.tunables))
    if not order or not changes or enough < 0.0:
        return None
    few = {number: weights[number] for number in thinned(list(weights), FEW)}
    tried = []
    for values in changes:
        if search.late:
            return None
        tried.append(search.settled(values, few, float("inf"), order)[1])
    best = changes[tried.index(min(tried))]
    fitted, loss = search.settled(best, weights, float("inf"), order)
    return fitted if loss <= enough + slack(weights) and fitted != best else None
