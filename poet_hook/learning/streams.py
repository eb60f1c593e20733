"""What bodies return, by replay -> what callers would have got, where something is remembered between calls.

What a body returns depends on its arguments alone; what `runtime/steady.py` makes of it, on the earlier results of its
stream. So the bodies of all executions of the streams are replayed, once for each set of numbers, and the memory is
played over them in the order in which they ended, from nothing on. An option is known at every whole number by playing
alone. A number of the body is traced once, and the memory played where it makes a body decide otherwise: at each such
place, or, where there are more, at `MOST_PIECES` of them. Then the steps are not exact.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any

from poet_hook.domains.base import decision, with_decision
from poet_hook.isolation.slice import Slice
from poet_hook.learning.constants import Steps
from poet_hook.learning.replay import Outcome, Replay
from poet_hook.learning.scale import place_of
from poet_hook.learning.study import Study, arguments_of, seen, values_of
from poet_hook.model import Steady, Tunable, Value
from poet_hook.runtime.steady import NOTHING, play
from poet_hook.store import codec

MOST_PIECES = 200
KEPT = 4  # replays, and traces

_Traced = tuple[str, float, float, tuple[tuple[str, Value], ...]]
"""A tunable, its range, and the values of the others of the body."""
_Turn = tuple[float, int, bool, bool]
"""Where a body decides otherwise as a number rises: at what value, the execution, the decision there and beyond."""


@dataclass(slots=True)
class _Track:
    """One stream: executions by index in the order in which they ended, when each began, where the body says yes."""

    members: list[int] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    yes: list[int] = field(default_factory=list)
    given: set[int] = field(default_factory=set)
    stale: bool = True

    def take(self, index: int, moment: float, decided: bool) -> None:
        if decided:
            self.yes.append(len(self.members))
        self.members.append(index)
        self.moments.append(moment)

    def turn(self, position: int, decided: bool) -> None:
        """The body decides so there."""
        at = bisect_left(self.yes, position)
        if decided == (at < len(self.yes) and self.yes[at] == position):
            return
        if decided:
            insort(self.yes, position)
        else:
            del self.yes[at]
        self.stale = True

    def play(self, spec: Steady) -> set[int]:
        """The executions whose callers get a yes."""
        if self.stale:
            alerts, _ = play(spec, NOTHING, self._results(spec.hold))
            self.given, self.stale = {self.members[position] for position, due in alerts if due}, False
        return self.given

    def _results(self, hold: int) -> Iterator[tuple[int, bool, float]]:
        for position, after in pairwise([*self.yes, len(self.members)]):
            yield position, True, self.moments[position]
            for quiet in range(position + 1, min(after, position + hold + 1)):
                yield quiet, False, self.moments[quiet]


class _Bits:
    """Whether the callers of some executions get a yes, as one value rises."""

    def __init__(self, chosen: Sequence[int], given: set[int]) -> None:
        self.values = {i: [i in given] for i in chosen}
        self.breaks: dict[int, list[float]] = {i: [] for i in chosen}
        self.at: dict[int, list[bool]] = {i: [] for i in chosen}

    def turn(self, t: float, before: set[int], at: set[int], after: set[int]) -> None:
        """At the value t, and beyond it, other callers than before get one."""
        for i in (before ^ at) | (at ^ after):
            if i in self.values:
                self.breaks[i].append(t)
                self.at[i].append(i in at)
                self.values[i].append(i in after)

    def steps(self, i: int, exact: bool) -> Steps:
        return Steps(tuple(self.breaks[i]), tuple(self.values[i]), tuple(self.at[i]), exact)


class Streams:
    """A replay of a study's executions that gives what callers get; indices are those of `study.known`."""

    def __init__(self, study: Study, bodies: Replay) -> None:
        self.study, self.bodies, self.plan = study, bodies, study.plan
        self.executions = study.executions
        self._runs: dict[tuple[object, ...], list[Outcome]] = {}
        self._traces: dict[_Traced, list[Steps]] = {}
        self._decisions: dict[Outcome, bool | None] = {}
        self._turned: dict[tuple[Outcome, bool], Outcome] = {}
        self._order = sorted(
            range(len(self.executions)), key=lambda i: self.executions[i].started + self.executions[i].duration
        )

    def run(self, values: Mapping[str, Value]) -> list[Outcome]:
        """What the caller of each execution gets with `values` in place of the original's."""
        own, spec = self.body(values), self._spec(values)
        known = range(len(self.study.known))
        if not spec:
            return own[: len(known)]
        given = _together(track.play(spec) for track in self._tracks(own))
        return [self._settled(own[i], i in given, i) for i in known]

    def body(self, values: Mapping[str, Value]) -> list[Outcome]:
        """What the body returns for each execution, and behind those of `study.known` for its context.

        What it did is believed of the context where it ran with these values, or was traced; all else is run.
        """
        numbers = self._numbers(values)
        key = tuple(sorted(numbers.items()))
        if key not in self._runs:
            known = len(self.study.known)
            found = self._as_traced(numbers) or self._as_recorded(numbers)
            missing = [i for i in range(len(self.executions)) if i < known or i not in found]
            found |= zip(missing, self.bodies.run(numbers, missing), strict=True)
            _make_room(self._runs)
            self._runs[key] = [found[i] for i in range(len(self.executions))]
        return self._runs[key]

    def _as_traced(self, numbers: Mapping[str, Value]) -> dict[int, Outcome]:
        for (name, *_, others), traced in self._traces.items():
            rest = tuple(sorted((other, value) for other, value in numbers.items() if other != name))
            if rest == others and all(steps.exact for steps in traced):
                tunable = next(tunable for tunable in self.plan.tunables if tunable.name == name)
                place = place_of(tunable, numbers.get(name, tunable.value))
                return {i: steps(place) for i, steps in enumerate(traced)}
        return {}

    def _as_recorded(self, numbers: Mapping[str, Value]) -> dict[int, Outcome]:
        first, same = len(self.study.known), set()
        for version in {execution.version for execution in self.study.context}:
            values = values_of(self.study, version)
            if values is not None and self._numbers(values) == numbers:
                same.add(version)
        return {
            first + i: ("r", execution.raw or execution.result or b"")
            for i, execution in enumerate(self.study.context)
            if execution.version in same
        }

    def trace(
        self, tunable: Tunable, values: Mapping[str, Value], lower: float, upper: float, chosen: Sequence[int]
    ) -> list[Steps]:
        """For each chosen execution what its caller gets over `lower`..`upper` of one tunable."""
        if tunable.kind == "option":
            return self._over_option(tunable, values, lower, upper, chosen)
        numbers, spec = self._numbers(values), self._spec(values)
        if not spec:
            return self.bodies.trace(tunable, numbers, lower, upper, chosen)
        start = place_of(tunable, numbers.get(tunable.name, tunable.value))
        others = tuple(sorted((name, value) for name, value in numbers.items() if name != tunable.name))
        key = (tunable.name, lower, upper, others)
        traced = self._traces.get(key)
        if traced is None or not all(steps.exact for steps in traced):  # which depend on where one starts
            traced = self.bodies.trace(tunable, numbers, lower, upper, range(len(self.executions)))
            _make_room(self._traces)
            self._traces[key] = traced
        return self._over_number(spec, traced, start, chosen)

    def _spec(self, values: Mapping[str, Value]) -> Steady:
        return self.plan.with_options(values).pragma.steady

    def _numbers(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """The values that the body knows of."""
        options = {tunable.name for tunable in self.plan.tunables if tunable.kind == "option"}
        return {name: value for name, value in values.items() if name not in options}

    # -- outcomes

    def _decided(self, outcome: Outcome) -> bool | None:
        if outcome not in self._decisions:
            self._decisions[outcome] = decision(seen(outcome))
        return self._decisions[outcome]

    def _settled(self, own: Outcome, given: bool, index: int) -> Outcome:
        """What the caller gets in place of the body's outcome."""
        decided = self._decided(own)
        if decided is None or decided == given or not self._belongs(index):
            return own
        if (own, given) not in self._turned:
            self._turned[own, given] = ("r", codec.encode(with_decision(seen(own), given)))
        return self._turned[own, given]

    # -- streams

    def _belongs(self, index: int) -> bool:
        """Whether anything is remembered of an execution."""
        return self.plan.pragma.stream is None or self.executions[index].stream is not None

    def _tracks(self, own: Sequence[Outcome]) -> list[_Track]:
        tracks: dict[str | None, _Track] = {}
        for i in self._order:
            decided = self._decided(own[i])
            if decided is not None and self._belongs(i):  # what decides nothing counts for nothing
                stream = self.executions[i].stream if self.plan.pragma.stream else None
                tracks.setdefault(stream, _Track()).take(i, self.executions[i].started, decided)
        return list(tracks.values())

    def _over_option(
        self, tunable: Tunable, values: Mapping[str, Value], lower: float, upper: float, chosen: Sequence[int]
    ) -> list[Steps]:
        own, start = self.body(values), round(place_of(tunable, values.get(tunable.name, tunable.value)))
        tracks = self._tracks(own)
        bits, before = None, set[int]()
        for n in range(min(round(lower), start), max(round(upper), start) + 1):
            spec = self._spec({**values, tunable.name: n})
            for track in tracks:
                track.stale = True
            given = _together(track.play(spec) for track in tracks)
            if bits is None:
                bits = _Bits(chosen, given)
            else:
                bits.turn(n - 0.5, before, given, given)
            before = given
        assert bits is not None
        return [self._merged(Steps((), (own[i],), ()), bits.steps(i, True), i) for i in chosen]

    def _over_number(self, spec: Steady, traced: Sequence[Steps], start: float, chosen: Sequence[int]) -> list[Steps]:
        at_start = [steps(start) for steps in traced]
        tracks = self._tracks(at_start)
        places = {i: (track, position) for track in tracks for position, i in enumerate(track.members)}
        turns: list[_Turn] = []
        for i, (track, position) in places.items():
            steps = traced[i].map(self._decided)
            track.turn(position, bool(steps.values[0]))
            turns += [
                (t, i, bool(at), bool(after))
                for t, at, after in zip(steps.breaks, steps.at, steps.values[1:], strict=True)
            ]
        turns.sort()
        looked_at = self._looked_at(turns, start)
        exact = len(looked_at) == len({turn[0] for turn in turns}) and all(steps.exact for steps in traced)
        bits = _Bits(chosen, _together(track.play(spec) for track in tracks))
        touched: dict[int, _Track] = {}
        for t, here in groupby(turns, key=lambda turn: turn[0]):
            moved = [(*places[i], at, after) for _, i, at, after in here]
            touched |= {id(track): track for track, *_ in moved}
            for track, position, at, _ in moved:
                track.turn(position, at)
            before = _together(track.given for track in touched.values()) if t in looked_at else set()
            there = _together(track.play(spec) for track in touched.values()) if t in looked_at else set()
            for track, position, _, after in moved:
                track.turn(position, after)
            if t in looked_at:
                bits.turn(t, before, there, _together(track.play(spec) for track in touched.values()))
                touched = {}
        return [self._merged(traced[i], bits.steps(i, exact), i) for i in chosen]

    def _looked_at(self, turns: Sequence[_Turn], start: float) -> set[float]:
        """The values at which memory is played: all, or a half where labelled executions turn, and a half of all."""
        every = sorted({turn[0] for turn in turns})
        if len(every) <= MOST_PIECES:
            return set(every)
        known, share = self.study.known, MOST_PIECES // 2
        said = sorted({t for t, i, _, _ in turns if i < len(known) and known[i].label is not None})
        here = bisect_left(every, start)
        around = every[max(0, here - 1) : here + 2]  # what is in use is known exactly
        return {each[k * len(each) // share] for each in (said, every) if each for k in range(share)}.union(around)

    def _merged(self, own: Steps, bits: Steps, index: int) -> Steps:
        """The body's outcomes and what is remembered -> what the caller gets."""
        breaks = sorted({*own.breaks, *bits.breaks})

        def beyond(steps: Steps, t: float) -> object:
            return steps.values[bisect_right(steps.breaks, t)]

        pairs = [(own.values[0], bits.values[0]), *((beyond(own, t), beyond(bits, t)) for t in breaks)]
        at = [(own(t), bits(t)) for t in breaks]
        settled = [self._settled(outcome, given, index) for outcome, given in pairs]
        there = [self._settled(outcome, given, index) for outcome, given in at]
        return Steps(tuple(breaks), tuple(settled), tuple(there), own.exact and bits.exact).map(lambda value: value)


@contextmanager
def replayed(study: Study, part: Slice) -> Iterator[Streams]:
    """The study's executions in a process of their own, which ends with the block."""
    with Replay(study.plan, part, study.source, [arguments_of(item) for item in study.executions]) as bodies:
        yield Streams(study, bodies)


def _together(sets: Iterable[set[int]]) -> set[int]:
    return set().union(*sets)


def _make_room(kept: dict[Any, Any]) -> None:
    if len(kept) >= KEPT:
        del kept[next(iter(kept))]
