"""What is known of each number alone -> offers of several numbers at once.

Each is fitted exactly in turn, the others held, until none moves (coordinate descent), from every one as a start; where
the whole numbers and choices among them have few combinations, each combination is tried, and with one other number the
result is the optimum. Where many numbers hang together, and something is lost yet, Optuna looks further
(`learning/sampling.py`).
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Iterator, Mapping

from poet_hook.learning.candidates import Terms, rank_share
from poet_hook.learning.gate import OFFERS
from poet_hook.learning.sampling import FEWEST, readable, sampled
from poet_hook.learning.scale import range_of, value_at
from poet_hook.learning.search import SECONDS, Offer, Progress, Search, sizes_of, slack
from poet_hook.model import Value

MOST_COMBINATIONS = 64
LEAST_SECONDS = 1.0  # for sampling

Found = tuple[dict[str, Value], float]
"""Values, and what they lose."""


def offers(search: Search, progress: Progress) -> list[Offer]:
    """The best of several numbers at once, as it was after so many labelled executions, and as it is now."""
    search.deadline = time.monotonic() + SECONDS
    if len(search.tunables) < 2:
        return []
    made: list[Offer] = []
    champion = search.study.champion.values
    sizes = list(sizes_of(len(search.labels)))
    for number, size in enumerate(sizes):
        progress("several numbers", number / len(sizes))
        if size == len(search.labels):
            values, why = thorough(search, search.weights(search.first(size)), progress)
        elif time.monotonic() < search.deadline - SECONDS / 2:
            weights = search.weights(search.first(size))
            values, why = _descended(search, weights, [_promising(search, weights)])[0], ()
        else:
            continue
        changed = [name for name, value in values.items() if value != champion.get(name)]
        if len(changed) < 2:  # one number alone is followed at each step anyway
            continue
        made.append(search.offer(Terms(size, OFFERS * rank_share(len(made) + 1)), values, why))
    return made


def thorough(
    search: Search, weights: Mapping[int, float], progress: Progress
) -> tuple[dict[str, Value], tuple[str, ...]]:
    """The best values that are found in the time that there is, and what is to be said of them."""
    began, end = time.monotonic(), search.deadline
    many = sum(tunable.kind != "option" for tunable in search.tunables) >= FEWEST
    if many and search.samples:
        search.deadline = (began + end) / 2
    best, least = _descended(search, weights, range(len(search.tunables)))
    for values in _combinations(search):
        if search.late:
            break
        found, loss = search.settled(values, weights, float("inf"), _others(search))
        if loss < least - slack(weights):
            best, least = found, loss
    if search.late:
        seconds = SECONDS - (end - search.deadline)
        search.notes.append(f"the search for several numbers was ended after {seconds:.2g} s")
    search.deadline = end
    if many and least > slack(weights) and search.samples:
        return _sampled(search, weights, (best, least), progress)
    if many and least > slack(weights):
        search.notes.append("so many numbers may hang together: pip install 'poet_hook[search]' looks further")
    return best, ()


def _sampled(
    search: Search, weights: Mapping[int, float], descent: Found, progress: Progress
) -> tuple[dict[str, Value], tuple[str, ...]]:
    best, least = descent
    until = max(search.deadline, time.monotonic() + LEAST_SECONDS)

    def loss(values: Mapping[str, Value]) -> float:
        outcomes = search.replay.run(values)
        return sum(weight * search.loss(number, outcomes) for number, weight in weights.items())

    found, lower, count = sampled(search.tunables, loss, [best, search.study.champion.values], until, progress)
    if lower >= least - slack(weights):
        return best, ()
    found = readable(search.tunables, loss, found, lower, until)
    return found, (f"found by Optuna, in {count} trials",)


def _descended(search: Search, weights: Mapping[int, float], starts: Iterable[int]) -> Found:
    before = sum(weight * search.now(number) for number, weight in weights.items())
    best, least = dict(search.study.champion.values), before
    for start in starts:
        if search.late:
            break
        values, loss = _from(search, start, weights, before)
        if loss < least - slack(weights):
            best, least = values, loss
    return best, least


def _promising(search: Search, weights: Mapping[int, float]) -> int:
    champion = search.study.champion.values
    fits = [search.fit(i, losses, champion, weights)[1] for i, losses in enumerate(search.losses)]
    return fits.index(min(fits))


def _from(search: Search, first: int, weights: Mapping[int, float], before: float) -> Found:
    """Fit one number, and then the others, until none moves."""
    values = dict(search.study.champion.values)
    value, loss = search.fit(first, search.losses[first], values, weights)
    if loss >= before - slack(weights):
        return values, before
    values[search.tunables[first].name] = value
    others = [i for i in range(len(search.tunables)) if i != first]
    return search.settled(values, weights, loss, [*others, first])


def _others(search: Search) -> list[int]:
    """What is fitted beside each combination: the options too, of which there are too many."""
    return [i for i, tunable in enumerate(search.tunables) if not tunable.integer or tunable.kind == "option"]


def _combinations(search: Search) -> Iterator[dict[str, Value]]:
    """Every combination of the whole numbers and choices, where they are few and something else is left to fit."""
    whole = [t for t in search.tunables if t.integer and t.kind != "option"]
    ranges = [range(round(low), round(high) + 1) for low, high in map(range_of, whole)]
    if not whole or not _others(search) or math.prod(map(len, ranges)) > MOST_COMBINATIONS:
        return
    for chosen in itertools.product(*ranges):
        yield dict(search.study.champion.values) | {
            t.name: value_at(t, float(place)) for t, place in zip(whole, chosen, strict=True)
        }
