"""A function and its replay -> what every candidate loses on every execution: one value changed, or several.

One number is traced: its loss is known at every value. Of a choice every one is run. For several at once each is
fitted exactly in turn, the others held, until none moves (coordinate descent), from every one as a start; where the
whole numbers and choices among them have few combinations, each combination is tried, and with one other number the
result is the optimum. Such candidates are offers: the one made from the first so many labelled executions is judged
by those that come after.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from poet_hook.domains.base import decision
from poet_hook.learning.aims import Aims
from poet_hook.learning.candidates import Axis, Case
from poet_hook.learning.constants import Steps, Sweep
from poet_hook.learning.objective import Label, Objective
from poet_hook.learning.replay import Outcome
from poet_hook.learning.scale import place_of, range_of, value_at
from poet_hook.learning.silence import KINDS, Near, Opinions, near
from poet_hook.learning.streams import Streams
from poet_hook.learning.study import NOT_REPRODUCED, Known, Study, seen, value_of
from poet_hook.model import Tunable, Value

Progress = Callable[[str, float], None]
Losses = dict[int, Steps]
"""Of executions, by their index in `study.known`, for every value of a tunable."""

FIRST_OFFER = 8  # labelled executions; each further one comes after half as many again, whatever was said
MOST_COMBINATIONS = 64
ROUNDS = 4
MOST = 1_000  # labelled executions that a descent looks at, spread evenly
QUIET = 150  # silent executions of each kind that a descent looks at
SECONDS = 30.0  # for all offers of a learning run; the last one begins at half of that at the latest


@dataclass(frozen=True, slots=True)
class Offer:
    """Several numbers at once: chosen from the first `after` labelled executions; its loss by execution."""

    after: int
    values: Mapping[str, Value]
    losses: Mapping[int, float]


class Search:
    """All that can be known of candidates in one learning run."""

    def __init__(
        self, study: Study, replay: Streams, champion: Sequence[Outcome], aims: Aims, progress: Progress
    ) -> None:
        self.study, self.replay, self.champion, self.aims = study, replay, champion, aims
        self.tunables = study.plan.tunables
        self.labels: dict[int, Label] = {}
        self.silent: list[int] = []
        for index, item in enumerate(study.known):
            if item.execution.replayable == NOT_REPRODUCED:
                continue
            if item.label is not None:
                self.labels[index] = item.label
            else:
                self.silent.append(index)
        self._deadline = 0.0
        self.losses: list[Losses] = []
        for number, tunable in enumerate(self.tunables):
            progress(tunable.name, number / (len(self.tunables) + 1))
            self.losses.append(self._traced(tunable, study.champion.values, [*self.labels, *self.silent], champion))
        self.distances: dict[int, Near] = {
            index: tuple(
                d
                for tunable, known in zip(self.tunables, self.losses, strict=True)
                if not tunable.choices  # one lies no nearer than another
                for d in near(known[index], self.incumbent(tunable))
            )
            for index in (*self.labels, *self.silent)
        }

    def incumbent(self, tunable: Tunable) -> float:
        """Its place in the champion."""
        return place_of(tunable, self.study.champion.values.get(tunable.name, tunable.value))

    def axes(self) -> list[Axis]:
        """One for each tunable."""
        return [Axis(self.incumbent(t), *range_of(t), t.integer, number=not t.choices) for t in self.tunables]

    def now(self, index: int) -> float:
        """What the champion loses on an execution."""
        return self.loss(index, self.champion[index])

    def loss(self, index: int, outcome: Outcome) -> float:
        """What an outcome loses on an execution."""
        return _loss(self.aims.at(index), self._label(index), outcome)

    def _label(self, index: int) -> Label:
        return self.labels.get(index) or agreed(self.study.known[index], seen(self.champion[index]))

    def _traced(
        self,
        tunable: Tunable,
        values: Mapping[str, Value],
        chosen: Sequence[int],
        plain: Sequence[Outcome] | None = None,
    ) -> Losses:
        """What each execution loses with every value of a tunable, the others as in `values`; silence is agreement."""
        traced = self.replay.trace(tunable, values, *range_of(tunable), chosen)
        start, losses = place_of(tunable, values.get(tunable.name, tunable.value)), {}
        for index, found in zip(chosen, traced, strict=True):
            # code that looks at the type of a number can tell the traced one from a plain one: then nothing is known
            known = plain is None or found(start) == plain[index]
            steps = found if known else Steps((), (self.champion[index],), (), exact=False)
            losses[index] = steps.map(partial(_loss, self.aims.at(index), self._label(index)))
        return losses

    def cases(self, offers: Sequence[Offer] = ()) -> tuple[list[Case], list[Case]]:
        """Labelled and silent executions, as the gate takes them."""
        since = self.study.chain.since()  # feedback before that helped to find the champion
        labelled, silent = [], []
        for index in (*self.labels, *self.silent):
            item = self.study.known[index]
            outcome = seen(self.champion[index])
            case = Case(
                id=item.execution.id,
                now=self.now(index),
                losses=tuple(known[index] for known in self.losses),
                alarm=decision(outcome),
                distances=self.distances[index],
                offers=tuple(offer.losses[index] for offer in offers),
                **self._weights(index, since),
            )
            if item.label is not None:
                labelled.append(case)
            elif self._was_agreed(item, outcome):
                silent.append(case)
        return labelled, silent

    def _weights(self, index: int, since: float) -> dict[str, Any]:
        item = self.study.known[index]
        if item.label is None:
            return {"weight": item.stands_for}
        return {
            "weight": item.label.weight,
            "approved": item.label.approved,
            "fits_only": item.given <= since or index in self.aims.fits_only,
            "asked": item.asked,
        }

    def _was_agreed(self, item: Known, outcome: Any) -> bool:
        """Silence about what another version returned says nothing of a champion that returns something else."""
        return not self.aims.last.loss(agreed(item, outcome), value_of(item.execution.result))

    def agreeing(self) -> Iterator[int]:
        """The executions that nobody spoke of, and whose recorded result is the champion's."""
        return (i for i in self.silent if self._was_agreed(self.study.known[i], seen(self.champion[i])))

    def flips(self, index: int, outcome: Outcome) -> bool:
        """Whether an outcome differs from the champion's in what the objective looks at."""
        return self.aims.last.loss(agreed(self.study.known[index], seen(self.champion[index])), seen(outcome)) > 0.0

    # -- several numbers at once

    def offers(self, progress: Progress) -> list[Offer]:
        """The best of several numbers at once, as it was after so many labelled executions, and as it is now."""
        if len(self.tunables) < 2:
            return []
        self._deadline = time.monotonic() + SECONDS
        labelled, found = list(self.labels), []
        sizes = list(_sizes(len(labelled)))
        for number, size in enumerate(sizes):
            progress("several numbers", number / len(sizes))
            last = size == len(labelled)
            if time.monotonic() > self._deadline - SECONDS / 2 and not last:
                continue
            known = labelled[:size]
            if size > MOST:
                known = [known[i * size // MOST] for i in range(MOST)]
            values = self._descended(known, thorough=last)
            changed = [name for name, value in values.items() if value != self.study.champion.values.get(name)]
            if len(changed) < 2:  # one number alone is followed at each step anyway
                continue
            outcomes = self.replay.run(values)
            losses = {i: self.loss(i, outcomes[i]) for i in self.distances}
            found.append(Offer(size, values, losses))
        return found

    def _descended(self, labelled: Sequence[int], *, thorough: bool) -> dict[str, Value]:
        weights = self._agreements(labelled)
        before = sum(weight * self.now(index) for index, weight in weights.items())
        best, least = dict(self.study.champion.values), before
        starts = range(len(self.tunables)) if thorough else [self._promising(weights)]
        for start in starts:
            if time.monotonic() > self._deadline:
                break
            values, loss = self._from(start, weights, before)
            if loss < least - _slack(weights):
                best, least = values, loss
        if thorough:
            for values in self._combinations():
                if time.monotonic() > self._deadline:
                    break
                values, loss = self._settled(values, weights, float("inf"), self._others())
                if loss < least - _slack(weights):
                    best, least = values, loss
        return best

    def _agreements(self, labelled: Sequence[int]) -> dict[int, float]:
        """What each execution weighs, silence included, by what was said so far."""
        opinions = {kind: Opinions(kind) for kind in KINDS}
        weights = {}
        kinds: dict[bool | None, list[int]] = {kind: [] for kind in KINDS}
        for index in labelled:
            label = self.labels[index]
            weights[index] = min(label.weight, 1.0)
            if self.study.known[index].asked:
                opinions[decision(seen(self.champion[index]))].answer()
            elif label.approved == (self.now(index) <= 0.0):
                opinions[decision(seen(self.champion[index]))].hear(label.approved, self.distances[index])
        for index in self.silent:
            item, outcome = self.study.known[index], seen(self.champion[index])
            if self._was_agreed(item, outcome):
                kinds[decision(outcome)].append(index)
                opinions[decision(outcome)].hush(item.stands_for, 0.0, self.distances[index])
        for kind, members in kinds.items():
            agreement = opinions[kind].in_choice(opinions[kind].agreement())
            kept = [members[i * len(members) // QUIET] for i in range(QUIET)] if len(members) > QUIET else members
            for index in kept if agreement else ():
                share = len(members) / len(kept)
                weights[index] = agreement * self.study.known[index].stands_for * share
        return weights

    def _promising(self, weights: Mapping[int, float]) -> int:
        fits = [self._fit(i, self.losses[i], self.study.champion.values, weights)[1] for i in range(len(self.losses))]
        return fits.index(min(fits))

    def _from(self, first: int, weights: Mapping[int, float], before: float) -> tuple[dict[str, Value], float]:
        """Fit one number, and then the others, until none moves."""
        values = dict(self.study.champion.values)
        value, loss = self._fit(first, self.losses[first], values, weights)
        if loss >= before - _slack(weights):
            return values, before
        values[self.tunables[first].name] = value
        others = [i for i in range(len(self.tunables)) if i != first]
        return self._settled(values, weights, loss, [*others, first])

    def _settled(
        self, values: dict[str, Value], weights: Mapping[int, float], least: float, order: Sequence[int]
    ) -> tuple[dict[str, Value], float]:
        values, still = dict(values), 0
        for number in itertools.islice(itertools.cycle(order), ROUNDS * len(order)):
            losses = self._traced(self.tunables[number], values, list(weights))
            value, loss = self._fit(number, losses, values, weights)
            moved = loss < least - _slack(weights)
            if moved:
                values[self.tunables[number].name], least = value, loss
            still = 0 if moved else still + 1
            if still >= len(order) - moved or time.monotonic() > self._deadline:
                break
        return values, least

    def _fit(
        self, number: int, losses: Losses, values: Mapping[str, Value], weights: Mapping[int, float]
    ) -> tuple[Value, float]:
        tunable = self.tunables[number]
        start = place_of(tunable, values.get(tunable.name, tunable.value))
        sweep = Sweep(start, *range_of(tunable), integer=tunable.integer)
        for index, weight in weights.items():
            sweep.add(losses[index], weight)
        fit = sweep.fit()
        return value_at(tunable, fit.value), fit.loss

    def _others(self) -> list[int]:
        """What is fitted beside each combination: the options too, of which there are too many."""
        return [i for i, tunable in enumerate(self.tunables) if not tunable.integer or tunable.kind == "option"]

    def _combinations(self) -> Iterator[dict[str, Value]]:
        """Every combination of the whole numbers and choices, where they are few and something else is left to fit."""
        whole = [t for t in self.tunables if t.integer and t.kind != "option"]
        ranges = [range(round(low), round(high) + 1) for low, high in map(range_of, whole)]
        if not whole or not self._others() or math.prod(map(len, ranges)) > MOST_COMBINATIONS:
            return
        for chosen in itertools.product(*ranges):
            yield dict(self.study.champion.values) | {
                t.name: value_at(t, float(place)) for t, place in zip(whole, chosen, strict=True)
            }


def agreed(item: Known, outcome: Any) -> Label:
    """Silence about an execution, taken as agreement with what the champion returns there."""
    decided = decision(outcome)
    if decided is None:
        return Label(item.execution.id, "value", outcome, 1.0, True, 0)
    return Label(item.execution.id, "decision", decided, 1.0, True, 0)


def _loss(aim: Objective, label: Label, outcome: Outcome) -> float:
    return aim.loss(label, seen(outcome))


def _slack(weights: Mapping[int, float]) -> float:
    return 1e-9 * sum(weights.values())


def _sizes(total: int) -> Iterator[int]:
    """After how many labelled executions offers are made: on a grid that no feedback moves, and at the end."""
    size = FIRST_OFFER
    while size < total:
        yield size
        size += size // 2
    if total:
        yield total
