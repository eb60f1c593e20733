"""Several objectives -> a few choices, none of which is better than another by all of them; a person takes one.

They are chosen on the labelled executions up to one of the sizes at which offers are made, two thirds of all at most.
What came later is the evidence for each of them, by each objective for itself. How good each is, is told of all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from poet_hook.learning.aims import SHARES, Aims
from poet_hook.learning.compared import compared
from poet_hook.learning.constants import Sweep
from poet_hook.learning.events import thinned
from poet_hook.learning.replay import Outcome
from poet_hook.learning.scale import value_at
from poet_hook.learning.search import FIRST_OFFER, Offer, sizes_of
from poet_hook.learning.several import Together
from poet_hook.learning.verdict import stored
from poet_hook.model import Choice, Evidence, Measure, Value, Verdict

MOST = 4  # choices beside the champion
PLACES = 60  # of each tunable
EARLY = 2 / 3


@dataclass(frozen=True, slots=True)
class _Point:
    """A candidate: what every execution gives, and its measures, each turned so that more is better."""

    values: Mapping[str, Value]
    outcomes: Sequence[Outcome]
    good: tuple[float, ...]


def front(search: Together, offers: Sequence[Offer]) -> list[Choice]:
    """The champion, and what is not worse than it, nor than another, by all objectives; none where too little was said.

    Their versions are not stored yet.
    """
    labelled = list(search.labels)
    size = max((n for n in sizes_of(len(labelled)) if n <= EARLY * len(labelled)), default=0)
    if size < FIRST_OFFER:
        return []
    early, since = labelled[:size], search.study.chain.since()
    later = {number for number in labelled[size:] if search.events[number].given > since}
    agreeing = set(search.agreeing())
    champion = _Point(search.study.champion.values, search.champion, _good(search, search.champion, early))
    points = [champion, *_points(search, offers, early, size)]
    found = [_choice(search, champion, labelled, later, agreeing, champion=True)]
    for point in _spread(_best(points[1:], champion), champion):
        found.append(_choice(search, point, labelled, later, agreeing))
    return found


def choices_of(search: Together, offers: Sequence[Offer]) -> tuple[Choice, ...]:
    """The front, all of it but the champion stored as proposals that wait to be promoted, each with its evidence."""
    kept, choices = [], front(search, offers)
    for choice in choices:
        if not choice.champion:
            verdict = _verdict(search, choices[0], choice)
            choice = replace(choice, version=stored(search.study, choice.values, verdict))
        kept.append(choice)
    return tuple(kept)


def _verdict(search: Together, champion: Choice, choice: Choice) -> Verdict:
    pairs = list(zip(champion.measures, choice.measures, strict=True))
    reasons = [
        f"{now.objective} {now.value:.3g} -> {then.value:.3g}; better on {then.wins:g}, worse on {then.losses:g} of "
        f"{then.judging} {search.reading.labelled} that did not help to choose it, e = {then.e_value:.3g}"
        for now, then in pairs
    ]
    now, then = pairs[0]
    evidence = Evidence(
        len(search.labels), then.wins, then.losses, then.e_value, now.value, then.value, metric=then.metric
    )
    return Verdict("propose", None, search.study.plan.pragma.alpha, evidence, ("one of several choices", *reasons))


def _points(search: Together, offers: Sequence[Offer], early: Sequence[int], size: int) -> Iterator[_Point]:
    """Every candidate that the early events tell apart: one tunable at a time, nearest first, and offers."""
    for index, tunable in enumerate(search.tunables):
        incumbent = search.incumbent(tunable)
        for place in sorted(_places(search, index, early), key=lambda place: abs(place - incumbent)):
            outcomes = list(search.champion)
            for execution, steps in search.traced[index].items():
                outcomes[execution] = steps(place)
            values = {**search.study.champion.values, tunable.name: value_at(tunable, place)}
            yield _Point(values, outcomes, _good(search, outcomes, early))
    for offer in offers:
        if offer.terms.after <= size:
            outcomes = list(search.replay.run(offer.values))
            yield _Point(offer.values, outcomes, _good(search, outcomes, early))


def _places(search: Together, index: int, early: Sequence[int]) -> list[float]:
    """A value between each two that the early events tell apart."""
    axis = search.axes()[index]
    if axis.integer:
        whole = range(round(axis.lower), round(axis.upper) + 1)
        return [float(n) for n in thinned(whole, PLACES) if n != axis.incumbent]
    inside = Sweep(axis.incumbent, axis.lower, axis.upper).inside
    breaks = sorted({t for n in early for t in search.losses[index][n].breaks if axis.lower < t < axis.upper})
    ends = thinned([axis.lower, *breaks, axis.upper], PLACES)
    places = {inside(low, high) for low, high in itertools.pairwise(ends) if low < high}
    return [place for place in places if place != axis.incumbent]


def _good(search: Together, outcomes: Sequence[Outcome], numbers: Sequence[int]) -> tuple[float, ...]:
    measures = [_measured(search, aims, outcomes, numbers) for aims in search.parts]
    return tuple(x if a.metric in SHARES else -x for a, x in zip(search.parts, measures, strict=True))


def _measured(search: Together, aims: Aims, outcomes: Sequence[Outcome], numbers: Sequence[int]) -> float:
    return aims.measured([(n, search.labels[n], search.returned(n, outcomes)) for n in numbers])


def _best(points: Sequence[_Point], champion: _Point) -> list[_Point]:
    """Those that nothing beats, the first of equals; the champion beats what is no better by any objective."""
    kept: list[_Point] = []
    for point in points:
        if not any(_covers(other.good, point.good) for other in (champion, *kept)):
            kept = [other for other in kept if not _covers(point.good, other.good)] + [point]
    return kept


def _covers(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether `one` is at least as good by every objective."""
    return all(a >= b for a, b in zip(one, other, strict=True))


def _spread(points: Sequence[_Point], champion: _Point) -> list[_Point]:
    """A few of them: the best by each objective, then what lies farthest from all that were taken."""
    columns = list(zip(*(point.good for point in points), strict=True))
    taken: list[_Point] = []
    for column in columns:
        best = points[column.index(max(column))]
        if best not in taken:
            taken.append(best)
    sizes = [max(column) - min(column) or 1.0 for column in columns]

    def distance(one: _Point, other: _Point) -> float:
        return max(abs(a - b) / size for a, b, size in zip(one.good, other.good, sizes, strict=True))

    while len(taken) < min(MOST, len(points)):
        rest = [point for point in points if point not in taken]
        taken.append(max(rest, key=lambda point: min(distance(point, other) for other in (champion, *taken))))
    return sorted(taken[:MOST], key=lambda point: point.good)


def _choice(
    search: Together,
    point: _Point,
    labelled: Sequence[int],
    later: set[int],
    agreeing: set[int],
    *,
    champion: bool = False,
) -> Choice:
    measures = []
    for name, aims in zip(search.study.plan.pragma.objectives, search.parts, strict=True):
        found = compared(search, point.outcomes, aims, later, agreeing)
        value = _measured(search, aims, point.outcomes, labelled)
        measures.append(
            Measure(name, aims.metric, value, found.wins, found.losses, found.found.e_value, found.labelled)
        )
    return Choice(search.study.champion.version if champion else None, dict(point.values), champion, tuple(measures))
