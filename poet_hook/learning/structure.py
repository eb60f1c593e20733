"""A function and its replay -> offers of another structure: one change, alone or with the numbers fitted around it.

Each change alone is known before any feedback, so it bets from the first execution on. With other numbers it is made
from the first so many labelled executions, as other offers are, where that settles three complaints more than numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from poet_hook.learning.candidates import Terms, rank_share
from poet_hook.learning.gate import BEYOND, STRUCTURES, Judgement, judge
from poet_hook.learning.search import Offer, Progress, Search, sizes_of, slack
from poet_hook.model import Value

ALONE = 0.5  # of the share of structures; the rest is for those that are made on the way


def judged(search: Search, progress: Progress) -> tuple[Judgement, list[Offer]]:
    """Everything that may be better, and the judgement of the best."""
    offers = search.offers(progress)
    offers += _structures(search, offers)
    progress("judging", 0.9)
    labelled, silent = search.cases(offers)
    terms = [offer.terms for offer in offers]
    alpha = search.study.plan.pragma.alpha
    found = judge(labelled, silent, search.axes(), terms, alpha, search.reading, structures=bool(search.structures))
    progress("", 1.0)
    return found, offers


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
    made = 0
    for size in sizes_of(len(search.labels)):
        values = _with_numbers(search, [*offers, *alone], changes, size)
        if values is not None:
            made += 1
            share = (1.0 - ALONE) * STRUCTURES * rank_share(made)
            yield search.offer(Terms(size, share, structural=True), values)


def _with_numbers(
    search: Search, offers: list[Offer], changes: list[dict[str, Value]], size: int
) -> Mapping[str, Value] | None:
    """The best change with the numbers fitted around it, where that does a good deal better than all else."""
    weights = search.weights(search.first(size))
    order = range(len(search.tunables))
    least = sum(weight * search.now(index) for index, weight in weights.items())
    for number in order:
        least = min(least, search.fit(number, search.losses[number], search.study.champion.values, weights)[1])
    for offer in offers:
        least = min(least, sum(weight * offer.losses[index] for index, weight in weights.items()))
    best, enough = None, least - BEYOND
    for values in changes if order and enough >= 0.0 else ():
        if search.late:
            break
        fitted, loss = search.settled(values, weights, float("inf"), order)
        if loss <= enough + slack(weights):
            best, enough = fitted, loss
    return best
