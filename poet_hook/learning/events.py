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
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
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
) -> list[Incident]:
    """The incidents among calls, in order; `told` says of those spoken of whether they deserve an alert.

    None says that a label is no yes or no. Of what is `heard` but not told nothing is known, not even silence.
    """
    timeline = Timeline(calls, group)
    runs = timeline.together([n for n, call in enumerate(calls) if call.alert])
    owner = {number: index for index, run in reversed([*enumerate(runs)]) for number in timeline.around(run)}
    spoken: list[list[int]] = [[] for _ in runs]
    apart: dict[bool | None, list[int]] = {True: [], False: [], None: []}
    for number, call in enumerate(calls):
        if call.id not in told:
            continue
        joins = call.alert or (told[call.id] and number in owner)
        (spoken[owner[number]] if joins else apart[told[call.id]]).append(number)
    silent = [
        index for index, run in enumerate(runs) if not spoken[index] and not any(calls[n].id in heard for n in run)
    ]
    missed = timeline.together(apart[True])
    near = owner.keys() | {number for run in missed for number in timeline.around(run)}
    most = MOST_REPLAYED // max(1, len(runs) - len(silent) + min(len(silent), MOST_SILENT) + len(missed))
    most_alerts, most = (min(limit, max(LEAST_MEMBERS, most)) for limit in (most_alerts, MOST_MEMBERS))

    def ids(numbers: Sequence[int]) -> tuple[str, ...]:
        return tuple(calls[number].id for number in numbers)

    def incident(run: Sequence[int], words: Sequence[int], stands_for: float = 1.0) -> Incident:
        around = [n for n in timeline.around(run) if calls[n].usable]
        alerts = [n for n in run if calls[n].alert]
        kept, quiet = thinned(alerts, most_alerts), thinned([n for n in around if not calls[n].alert], most)
        return Incident(ids(words), ids(kept), ids(sorted({*kept, *quiet})), stands_for)

    found = [incident(run, words) for run, words in zip(runs, spoken, strict=True) if words]
    found += [incident(run, run) for run in missed]
    found += [Incident(ids(run)) for kind in (False, None) for run in timeline.together(apart[kind])]
    kept = thinned(silent, MOST_SILENT)
    found += [incident(runs[index], (), len(silent) / len(kept)) for index in kept]
    for kind in (False, None):
        rest = [
            n
            for n, call in enumerate(calls)
            if call.usable and call.alert is kind and call.id not in heard and n not in near
        ]
        few = thinned(rest, MOST_SILENT)
        weight = len(set(map(timeline.period, rest))) / len(few) if few else 0.0
        found += [Incident(window=(calls[n].id,), stands_for=weight, period=timeline.period(n)) for n in few]
    return found


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
