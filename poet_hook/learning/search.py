"""A function and its replay -> what every candidate loses on every execution: one value changed, or several.

One number is traced: its loss is known at every value. Of a choice every one is run. Several at once are offers
(`learning/descent.py`): what is made from the first so many labelled executions is judged by those that come after.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from poet_hook.domains.base import decision
from poet_hook.learning.ageing import moments_of, renewals, weights_of
from poet_hook.learning.aims import Aims
from poet_hook.learning.candidates import Axis, Case, Terms
from poet_hook.learning.constants import Steps, Sweep
from poet_hook.learning.events import combined, thinned
from poet_hook.learning.objective import Label, Objective
from poet_hook.learning.replay import LateError, Outcome
from poet_hook.learning.sampling import installed
from poet_hook.learning.scale import place_of, range_of, value_at
from poet_hook.learning.silence import EXECUTIONS, INCIDENTS, KINDS, Near, Opinions, Reading, near
from poet_hook.learning.streams import Streams
from poet_hook.learning.study import Study, results_of, seen, value_of
from poet_hook.model import Tunable, Value
from poet_hook.pragma.options import as_duration

Progress = Callable[[str, float], None]
Losses = dict[int, Steps]
"""Of events, by their number in `study.events`, for every value of a tunable."""

FIRST_OFFER = 8  # labelled executions; each further one comes after half as many again, whatever was said
ROUNDS = 4
MOST = 1_000  # labelled executions that a descent looks at, spread evenly
QUIET = 150  # silent executions of each kind that a descent looks at
SECONDS = 30.0  # for all offers of a learning run; the last one begins at half of that at the latest


@dataclass(frozen=True, slots=True)
class Offer:
    """Several values at once, or another structure: on which terms, what it loses on each event, and why."""

    terms: Terms
    values: Mapping[str, Value]
    losses: Mapping[int, float]
    why: tuple[str, ...] = ()


class Search:
    """All that can be known of candidates in one learning run."""

    def __init__(
        self, study: Study, replay: Streams, champion: Sequence[Outcome], aims: Aims, progress: Progress
    ) -> None:
        self.study, self.replay, self.champion, self.aims = study, replay, champion, aims
        self.parts: tuple[Aims, ...] = (aims,)
        tunables = study.plan.tunables_with(study.champion.values)
        self.tunables = [t for t in tunables if not t.structural]
        self.structures = [t for t in tunables if t.structural]
        self.events = study.events
        self.labels: dict[int, Label] = {n: e.label for n, e in enumerate(self.events) if e.label is not None}
        self.silent = [number for number, event in enumerate(self.events) if event.label is None]
        self.deadline = time.monotonic() + SECONDS
        self.samples = installed()
        self.notes: list[str] = []
        """What is to be said of the search, whatever it found."""
        self.losses: list[Losses] = []
        every: list[int] = [*self.labels, *self.silent]
        distances: dict[int, list[float]] = {number: [] for number in every}
        for tunable in self.tunables:
            progress(tunable.name, len(self.losses) / (len(self.tunables) + 1))
            traced = self._traced(tunable, study.champion.values, every, champion)
            self._keep(traced)
            self.losses.append({number: self._steps(number, traced) for number in every})
            for number in every if not tunable.choices else ():  # of choices, one lies no nearer than another
                distances[number] += near(self._place(number, traced), self.incumbent(tunable))
        self.distances: dict[int, Near] = {number: tuple(each) for number, each in distances.items()}
        half_life = study.plan.pragma.half_life
        moments: dict[int, float] = {}
        if half_life is not None:
            started = [study.known[event.first].execution.started for event in self.events]
            moments = moments_of(self.events, started, half_life)
        latest = max((moments[number] for number in self.labels if moments), default=0.0)
        self.fresh = weights_of(moments, latest, half_life or 1.0) or dict.fromkeys(every, 1.0)
        """What age has left of the weight of each event."""

    def _keep(self, traced: Mapping[int, Steps]) -> None:
        """Called with what each execution gives for every value of the next tunable."""

    @property
    def reading(self) -> Reading:
        """How what was said of its events, and not said, is called and read."""
        words = EXECUTIONS if self.study.incidents is None else INCIDENTS
        after = self.study.plan.pragma.assume_ok_after
        return words if after is None else words._replace(assumed=as_duration(after))

    def incumbent(self, tunable: Tunable) -> float:
        """Its place in the champion."""
        return place_of(tunable, self.study.champion.values.get(tunable.name, tunable.value))

    def axes(self) -> list[Axis]:
        """One for each tunable."""
        return [Axis(self.incumbent(t), *range_of(t), t.integer, number=not t.choices) for t in self.tunables]

    def now(self, number: int) -> float:
        """What the champion loses on an event."""
        return self.loss(number, self.champion)

    def loss(self, number: int, outcomes: Sequence[Outcome]) -> float:
        """What is lost on an event where each execution has such an outcome."""
        return self.loss_by(self.aims, number, outcomes)

    def loss_by(self, aims: Aims, number: int, outcomes: Sequence[Outcome]) -> float:
        """The same, by one objective."""
        event = self.events[number]
        return event.loss(aims.at(number), self._label(number), results_of(event, outcomes))

    def returned(self, number: int, outcomes: Sequence[Outcome]) -> Any:
        """What such outcomes are as the result of an event."""
        return self.events[number].returned(results_of(self.events[number], outcomes))

    def alarm(self, number: int) -> bool | None:
        """Whether the champion raises an alert there; None where that is no question."""
        return decision(self.returned(number, self.champion))

    def _label(self, number: int) -> Label:
        return self.labels.get(number) or agreed(self.returned(number, self.champion))

    def _traced(
        self,
        tunable: Tunable,
        values: Mapping[str, Value],
        chosen: Iterable[int],
        plain: Sequence[Outcome] | None = None,
        until: float | None = None,
    ) -> dict[int, Steps]:
        """What each execution of the chosen events gives with every value of a tunable, the others as in `values`.

        Raises `LateError` where that is not known at the time `until`.
        """
        members = sorted({index for number in chosen for index in self.events[number].members})
        traced = self.replay.trace(tunable, values, *range_of(tunable), members, until)
        start, outcomes = place_of(tunable, values.get(tunable.name, tunable.value)), {}
        for index, found in zip(members, traced, strict=True):
            # code that looks at the type of a number can tell the traced one from a plain one: then nothing is known
            known = plain is None or found(start) == plain[index]
            outcomes[index] = found if known else Steps((), (self.champion[index],), (), exact=False)
        return outcomes

    def _steps(self, number: int, traced: Mapping[int, Steps]) -> Steps:
        """What an event loses with every value; silence is agreement."""
        return self._steps_by(self.aims, number, traced)

    def _steps_by(self, aims: Aims, number: int, traced: Mapping[int, Steps]) -> Steps:
        event, label, aim = self.events[number], self._label(number), aims.at(number)
        parts = zip(event.members, event.labels(label), strict=True)
        return combined([traced[i].map(partial(_loss, aim, part)) for i, part in parts], event.together(label))

    def _place(self, number: int, traced: Mapping[int, Steps]) -> Steps:
        """What tells how near to a limit an event lies."""
        aim = self.aims.at(number)
        members, label = self.events[number].place(self._label(number))
        return combined([traced[i].map(partial(_loss, aim, label)) for i in members], min)

    def cases(self, offers: Sequence[Offer] = ()) -> tuple[list[Case], list[Case]]:
        """Labelled and silent events, as the gate takes them."""
        since = self.study.chain.since()  # feedback before that helped to find the champion
        bets = [n for n in self.labels if self.events[n].given > since and n not in self.aims.fits_only]
        older = self.labels.keys() - set(bets)
        agreeing, renewing = list(self.agreeing()), self.renewing(bets)
        cases = [
            Case(
                id=self.study.known[self.events[number].first].execution.id,
                now=self.now(number),
                losses=tuple(known[number] for known in self.losses),
                alarm=self.alarm(number),
                distances=self.distances[number],
                offers=tuple(offer.losses[number] for offer in offers),
                fits_only=number in older,
                renews=number in renewing,
                fresh=self.fresh[number],
                **self._weights(number),
            )
            for number in (*self.labels, *agreeing)
        ]
        return cases[: len(self.labels)], cases[len(self.labels) :]

    def _weights(self, number: int) -> dict[str, Any]:
        event = self.events[number]
        if event.label is None:
            return {"weight": event.stands_for}
        return {
            "weight": event.label.weight,
            "approved": event.label.approved,
            "asked": event.asked,
        }

    def recent(self) -> dict[int, Label]:
        """The labels whose weight age has not halved yet: what is told of the metric, and what it is told of."""
        return {number: label for number, label in self.labels.items() if self.fresh[number] > 0.5}

    def renewing(self, bets: Sequence[int]) -> set[int]:
        """Of labelled events that are bets, in order, those with which a half-life of evidence begins."""
        half_life = self.study.plan.pragma.half_life
        if half_life is None or not bets:
            return set()
        begun = self.study.chain.since() or self.events[bets[0]].given
        ages = [place if isinstance(half_life, int) else self.events[n].given - begun for place, n in enumerate(bets)]
        return {n for n, renews in zip(bets, renewals(ages, half_life), strict=True) if renews}

    def agreeing(self) -> Iterator[int]:
        """The events that nobody spoke of, and where the champion gives what was recorded.

        Silence about what another version returned says nothing of a champion that returns something else.
        """
        for number in self.silent:
            members = self.events[number].members
            recorded = self.events[number].returned([value_of(self.study.known[i].execution.result) for i in members])
            if not self.aims.last.loss(agreed(self.returned(number, self.champion)), recorded):
                yield number

    def flips(self, number: int, outcomes: Sequence[Outcome]) -> bool:
        """Whether outcomes differ from the champion's in what the objective looks at."""
        here = agreed(self.returned(number, self.champion))
        return self.aims.last.loss(here, self.returned(number, outcomes)) > 0.0

    def over(self, tunable: Tunable) -> Losses:
        """What each event loses for every value of a tunable, the others as in use."""
        every = [*self.distances]
        traced = self._traced(tunable, self.study.champion.values, every, self.champion)
        return {number: self._steps(number, traced) for number in every}

    def offer(self, terms: Terms, values: Mapping[str, Value], why: tuple[str, ...] = ()) -> Offer:
        """Values with what they lose on each event."""
        outcomes = self.replay.run(values)
        return Offer(terms, values, {number: self.loss(number, outcomes) for number in self.distances}, why)

    def first(self, size: int) -> list[int]:
        """The first so many labelled events, or a sample of them where they are many executions."""
        known = list(itertools.islice(self.labels, size))
        return thinned(known, max(FIRST_OFFER, MOST * size // sum(len(self.events[n].members) for n in known)))

    @property
    def late(self) -> bool:
        """Whether there is no time left for more offers."""
        return time.monotonic() > self.deadline

    def weights(self, labelled: Sequence[int]) -> dict[int, float]:
        """What each event weighs, silence included, by what was said so far."""
        opinions = {kind: Opinions(kind, self.reading) for kind in KINDS}
        weights = {}
        kinds: dict[bool | None, list[int]] = {kind: [] for kind in KINDS}
        for number in labelled:
            label = self.labels[number]
            weights[number] = min(label.weight, 1.0) * self.fresh[number]
            if self.events[number].asked:
                opinions[self.alarm(number)].answer(label.approved)
            elif label.approved == (self.now(number) <= 0.0):
                opinions[self.alarm(number)].hear(label.approved, self.distances[number])
        for number in self.agreeing():
            kinds[self.alarm(number)].append(number)
            opinions[self.alarm(number)].hush(self.events[number].stands_for, 0.0, self.distances[number])
        for kind, members in kinds.items():
            agreement = opinions[kind].in_choice(opinions[kind].agreement())
            kept = thinned(members, QUIET)
            for number in kept if agreement else ():
                share = len(members) / len(kept)
                weights[number] = agreement * self.events[number].stands_for * self.fresh[number] * share
        return weights

    def settled(
        self, values: dict[str, Value], weights: Mapping[int, float], least: float, order: Sequence[int]
    ) -> tuple[dict[str, Value], float]:
        """Fit the numbers of `order` in turn from `values` on, until none moves; `least` is what these lose."""
        values, still = dict(values), 0
        for number in itertools.islice(itertools.cycle(order), ROUNDS * len(order)):
            try:
                traced = self._traced(self.tunables[number], values, weights, until=self.deadline)
            except LateError:
                break
            losses = {event: self._steps(event, traced) for event in weights}
            value, loss = self.fit(number, losses, values, weights)
            moved = loss < least - slack(weights)
            if moved:
                values[self.tunables[number].name], least = value, loss
            still = 0 if moved else still + 1
            if still >= len(order) - moved or self.late:
                break
        return values, least

    def fit(
        self, number: int, losses: Losses, values: Mapping[str, Value], weights: Mapping[int, float]
    ) -> tuple[Value, float]:
        """The best value of one number, the others as in `values`, and what it loses."""
        return self.fit_of(self.tunables[number], losses, values, weights)

    def fit_of(
        self, tunable: Tunable, losses: Losses, values: Mapping[str, Value], weights: Mapping[int, float]
    ) -> tuple[Value, float]:
        """The same of a tunable that need not be among the numbers."""
        start = place_of(tunable, values.get(tunable.name, tunable.value))
        sweep = Sweep(start, *range_of(tunable), integer=tunable.integer)
        for index, weight in weights.items():
            sweep.add(losses[index], weight)
        fit = sweep.fit()
        return value_at(tunable, fit.value), fit.loss


def agreed(outcome: Any) -> Label:
    """Silence, taken as agreement with what the champion returns."""
    decided = decision(outcome)
    if decided is None:
        return Label("", "value", outcome, 1.0, True, 0)
    return Label("", "decision", decided, 1.0, True, 0)


def _loss(aim: Objective, label: Label, outcome: Outcome) -> float:
    return aim.loss(label, seen(outcome))


def slack(weights: Mapping[int, float]) -> float:
    return 1e-9 * sum(weights.values())


def sizes_of(total: int) -> Iterator[int]:
    """After how many labelled executions offers are made: on a grid that no feedback moves, and at the end."""
    size = FIRST_OFFER
    while size < total:
        yield size
        size += size // 2
    if total:
        yield total
