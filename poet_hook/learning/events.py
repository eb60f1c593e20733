"""Executions in the order of their streams, and what was said of some -> events: what is judged as one.

Without `group=` each execution is an event. With it, people speak of incidents, and say the same twenty times:

- Alerts of a stream that follow each other within the gap are one incident, commented or not. Within the gap before
  the first and after the last of them is its *window*.
- What was said of its alerts is one label: the mean of yes and no, by how sure each was, so that who contradicts
  takes weight away. A "missed it" in the window joins in.
- A false incident costs the share of its alerts that remain. A true one costs a miss if nothing in its window is
  raised, else nothing: it need not be found at the very execution that somebody spoke of.
- A "missed it" elsewhere is an incident of its own, with its window. Quiet results that were called right, and results
  that are no yes or no, are one event where they follow each other within the gap; it costs the mean of what they cost.
- Of what nobody spoke of, an incident counts as a true one, and the quiet results as one event for each gap in which
  there are any: as many as there might have been false incidents. What is quiet in the window of an incident counts for
  nothing, since an alert there would be no other incident.

One event is one bet, so the evidence needs no more than that different events are independent. It is placed where the
first word was said about it, and its label is nothing that a candidate which bets on it has seen.

Of an incident at most `MOST_MEMBERS` alerts and as many quiet results are looked at, spread evenly; of functions that
remember more alerts, since a cool-down would leave any of them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from poet_hook.domains.base import decision
from poet_hook.learning.constants import Steps
from poet_hook.learning.objective import Label, Objective
from poet_hook.model import UNSET

MOST_MEMBERS = 24
LEAST_MEMBERS = 4  # where there are so many incidents that all together would be too much
MOST_REPLAYED = 12_000
MOST_SILENT = 500  # incidents, and quiet results, that nobody spoke of
_Item = TypeVar("_Item")
Gap = int | float | str
"""As `Pragma.group`: calls, seconds, or what names the incident."""
_ALERT = Label("", "decision", True, 1.0, True, 0)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function, in order; `alert` None where its result is no yes or no, or can't be used."""

    id: str
    started: float
    stream: str | None
    incident: str | None
    alert: bool | None
    usable: bool = True


@dataclass(frozen=True, slots=True)
class Incident:
    """Ids of executions that are one event: those spoken of, its alerts, and what else may be raised instead."""

    spoken: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    window: tuple[str, ...] = ()
    stands_for: float = 1.0
    period: Hashable = None
    """Of a quiet result that nobody spoke of: the stretch as long as the gap that it stands for, with others."""

    @property
    def members(self) -> tuple[str, ...]:
        """All of them, once each."""
        return tuple(dict.fromkeys((*self.spoken, *self.alerts, *self.window)))


class Timeline:
    """The calls of a function, stream by stream, and which of them are near each other."""

    def __init__(self, calls: Sequence[Call], group: Gap) -> None:
        self.calls, self.named = calls, isinstance(group, str)
        self.gap = 0.0 if isinstance(group, str) else float(group)
        by_time = isinstance(group, float)
        self._members: dict[Hashable, list[int]] = {}
        self._places: dict[Hashable, list[float]] = {}
        self._place: list[float] = []
        for number, call in enumerate(calls):
            members = self._members.setdefault(self._line(number), [])
            self._place.append(call.started if by_time else float(len(members)))
            members.append(number)
            self._places.setdefault(self._line(number), []).append(self._place[-1])

    def _line(self, number: int) -> Hashable:
        """What the call is in order with: its stream, or the others of its name; alone where it has none."""
        call = self.calls[number]
        if not self.named:
            return call.stream
        return (call.stream, call.incident) if call.incident is not None else number

    def together(self, chosen: Sequence[int]) -> list[list[int]]:
        """Calls, in order -> those that follow each other within the gap, or have one name."""
        runs: list[list[int]] = []
        last: dict[Hashable, list[int]] = {}
        for number in chosen:
            run = last.get(self._line(number))
            if run is None or not (self.named or self._place[number] - self._place[run[-1]] <= self.gap):
                run = last[self._line(number)] = []
                runs.append(run)
            run.append(number)
        return runs

    def around(self, run: Sequence[int]) -> list[int]:
        """All calls that are within the gap of these, which are one run."""
        members, places = self._members[self._line(run[0])], self._places[self._line(run[0])]
        if self.named:
            return members
        first = bisect_left(places, self._place[run[0]] - self.gap)
        return members[first : bisect_right(places, self._place[run[-1]] + self.gap)]

    def period(self, number: int) -> Hashable:
        """What stretch of time it belongs to, as long as the gap."""
        line = self._line(number)
        return line if self.named else (line, self._place[number] // self.gap)


def incidents(
    calls: Sequence[Call],
    group: Gap,
    told: Mapping[str, bool | None],
    heard: Collection[str],
    most_alerts: int = MOST_MEMBERS,
    settled: float = math.inf,
) -> list[Incident]:
    """The incidents among calls, in order; `told` says of those spoken of whether they deserve an alert.

    None says that a label is no yes or no. Of what is `heard` but not told nothing is known, not even silence. What
    nobody spoke of stands for nothing where it began after the moment `settled` (of an incident, its last alert).
    """
    sorting = _Sorting(calls, group, told, most_alerts)
    return [*sorting.spoken_of(), *sorting.silent(heard, settled)]


class _Sorting:
    """Calls put where they belong: alerts into runs, what was said to a run, or apart from all."""

    def __init__(self, calls: Sequence[Call], group: Gap, told: Mapping[str, bool | None], most_alerts: int) -> None:
        self.calls, self.timeline = calls, Timeline(calls, group)
        together, around = self.timeline.together, self.timeline.around
        self.runs = together([n for n, call in enumerate(calls) if call.alert])
        owner = {number: index for index, run in reversed([*enumerate(self.runs)]) for number in around(run)}
        self.spoken: list[list[int]] = [[] for _ in self.runs]
        apart: dict[bool | None, list[int]] = {True: [], False: [], None: []}
        for number, call in enumerate(calls):
            if call.id in told:
                joins = call.alert or (told[call.id] and number in owner)
                (self.spoken[owner[number]] if joins else apart[told[call.id]]).append(number)
        self.missed = together(apart[True])
        self.others = [run for kind in (False, None) for run in together(apart[kind])]
        self.near = owner.keys() | {number for run in self.missed for number in around(run)}
        unspoken = sum(not words for words in self.spoken)
        several = len(self.runs) - unspoken + min(unspoken, MOST_SILENT) + len(self.missed)
        most = max(LEAST_MEMBERS, MOST_REPLAYED // max(1, several))
        self.most_alerts, self.most = min(most_alerts, most), min(MOST_MEMBERS, most)

    def spoken_of(self) -> Iterator[Incident]:
        """What somebody spoke of."""
        for run, words in zip(self.runs, self.spoken, strict=True):
            if words:
                yield self._incident(run, words)
        for run in self.missed:
            yield self._incident(run, run)
        for run in self.others:
            yield Incident(self._ids(run))

    def silent(self, heard: Collection[str], settled: float) -> Iterator[Incident]:
        """What nobody spoke of: a sample, and how many each stands for."""
        runs = [run for run, words in zip(self.runs, self.spoken, strict=True) if not words]
        runs = [run for run in runs if not any(self.calls[n].id in heard for n in run)]
        for old, some in _by_age(runs, lambda run: self.calls[run[-1]].started, settled):
            kept = thinned(some, MOST_SILENT)
            for run in kept:
                yield self._incident(run, (), len(some) / len(kept) if old else 0.0)
        for kind in (False, None):
            quiet = [n for n, call in enumerate(self.calls) if call.usable and call.alert is kind]
            quiet = [n for n in quiet if n not in self.near and self.calls[n].id not in heard]
            for old, rest in _by_age(quiet, lambda n: self.calls[n].started, settled):
                few = thinned(rest, MOST_SILENT)
                weight = len(set(map(self.timeline.period, rest))) / len(few) if old else 0.0
                for n in few:
                    yield Incident(window=self._ids([n]), stands_for=weight, period=self.timeline.period(n))

    def _ids(self, numbers: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.calls[number].id for number in numbers)

    def _incident(self, run: Sequence[int], words: Sequence[int], stands_for: float = 1.0) -> Incident:
        around = [n for n in self.timeline.around(run) if self.calls[n].usable]
        alerts = thinned([n for n in run if self.calls[n].alert], self.most_alerts)
        most = self.most if words else LEAST_MEMBERS  # what may be raised instead matters less where nobody spoke
        quiet = thinned([n for n in around if not self.calls[n].alert], most)
        window = {*alerts, *quiet, *(n for n in words if not self.calls[n].alert)}
        return Incident(self._ids(words), self._ids(alerts), self._ids(sorted(window)), stands_for)


def _by_age(
    items: Sequence[_Item], moment: Callable[[_Item], float], settled: float
) -> Iterator[tuple[bool, list[_Item]]]:
    """Those that are old enough for silence to count, and those that are not, as far as there are any."""
    for old in (True, False):
        some = [item for item in items if (moment(item) <= settled) == old]
        if some:
            yield old, some


def thinned(items: Sequence[_Item], most: int) -> list[_Item]:
    """At most so many of them, spread evenly."""
    return list(items) if len(items) <= most else [items[i * len(items) // most] for i in range(most)]


# --------------------------------------------------------------------------- what an event costs


@dataclass(frozen=True, slots=True)
class Event:
    """What is judged as one: one execution, or several, by their index in `Study.known`.

    `label` is what is known of it (None: nobody spoke of it), `alerts` those that were raised, where it is an incident,
    `first` the one that stands for it where one is shown, `comments` on how many of them somebody spoke. Of several
    with the same `period` it is enough to ask about one.
    """

    label: Label | None
    members: tuple[int, ...]
    first: int
    alerts: tuple[int, ...] = ()
    given: float = 0.0
    stands_for: float = 1.0
    asked: bool = False
    comments: int = 1
    period: Hashable = None

    def labels(self, label: Label) -> tuple[Label, ...]:
        """What is known of each member, if `label` is known of the event."""
        if len(self.members) > 1 and label.kind == "fields":
            return tuple(part for _, part in label.value)
        return (label,) * len(self.members)

    def together(self, label: Label) -> Callable[[Sequence[float]], float]:
        """How the losses of its members make one."""
        if label.kind == "decision" and label.value:
            return min  # to be found once is enough
        weights = [part.weight for part in self.labels(label)]
        total = math.fsum(weights)
        return lambda losses: math.fsum(w * x for w, x in zip(weights, losses, strict=True)) / total

    def loss(self, aim: Objective, label: Label, results: Sequence[Any]) -> float:
        """What is lost where its members return this (UNSET: they failed) and `label` is known of it."""
        parts = zip(self.labels(label), results, strict=True)
        return self.together(label)([aim.loss(part, result) for part, result in parts])

    def returned(self, results: Sequence[Any]) -> Any:
        """What its members return, as one: whether any raised an alert; where that is no question, each of it."""
        if len(results) == 1:
            return results[0]
        if self.label is not None and self.label.kind == "fields":
            return dict(enumerate(results))
        decided = [decision(result) for result in results]
        return True if True in decided else False if False in decided else UNSET

    def place(self, label: Label) -> tuple[tuple[int, ...], Label]:
        """The members whose results tell how near to a limit it lies, and by what they are judged there."""
        if self.alerts:
            return self.alerts, _ALERT
        return (self.first,), label if len(self.members) == 1 or label.kind != "fields" else label.value[0][1]


def combined(steps: Sequence[Steps], f: Callable[[Sequence[float]], float]) -> Steps:
    """f of what several steps are, at every value."""
    if len(steps) == 1:
        return steps[0]
    breaks = sorted({t for each in steps for t in each.breaks})
    columns = [_spread(each, breaks) for each in steps]
    pieces = [f(column) for column in zip(*columns, strict=True)]  # interval, break, interval, ...
    made = Steps(tuple(breaks), tuple(pieces[::2]), tuple(pieces[1::2]), all(each.exact for each in steps))
    return made.map(lambda value: value)


def _spread(steps: Steps, breaks: Sequence[float]) -> list[float]:
    """Steps over more breaks than their own: the value on each interval and each break."""
    out, own = [], 0
    for t in breaks:
        here = own < len(steps.breaks) and steps.breaks[own] == t
        out += [steps.values[own], steps.at[own] if here else steps.values[own]]
        own += here
    return [*out, steps.values[-1]]


def told(label: Label) -> bool | None:
    """Whether a label says that an alert is deserved; None where it says something else."""
    if label.kind == "decision":
        return bool(label.value)
    parts = label.value if label.kind == "fields" else ()
    return next((bool(part.value) for path, part in parts if not path and part.kind == "decision"), None)


def agreed_on(labels: Sequence[Label]) -> Label | None:
    """What was said about members of one event, in the order in which it was said -> one label; None if it is nothing.

    Yes and no are weighed against each other; what is no yes or no stays as it is, member by member.
    """
    first = min(labels, key=lambda each: each.order)
    sides = [(told(each), each.weight) for each in labels]
    if any(side is not None for side, _ in sides):
        counted = [weight if side else -weight for side, weight in sides if side is not None]
        net = math.fsum(counted) / len(counted)
        if abs(net) < 1e-9:
            return None
        return Label(first.execution_id, "decision", net > 0, min(abs(net), 1.0), False, first.order)
    if len(labels) == 1:
        return first
    sure = math.fsum(each.weight for each in labels) / len(labels)
    parts = tuple(((place,), each) for place, each in enumerate(labels))
    approved = all(each.approved for each in labels)
    return replace(Label(first.execution_id, "fields", parts, sure, approved, first.order))
