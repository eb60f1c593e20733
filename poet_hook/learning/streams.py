"""What bodies return, by replay -> what callers would have got, where something is remembered between calls.

What a body returns depends on its arguments alone; what `runtime/steady.py` makes of it, on the earlier results of its
stream in the same process. So bodies are replayed, once for each set of numbers, and the memory is played over them in
the order in which the executions ended, from nothing on. Replayed are those that are judged, and all others whose body
said yes. An option is known at every whole number by playing alone. A number of the body is traced once, and the memory
played where it makes a body decide otherwise: at each such place, or, where there are more, at `MOST_PIECES` of them.
Then the steps are not exact.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, pairwise, zip_longest
from typing import Any

from poet_hook.domains.base import decision, with_decision
from poet_hook.isolation.slice import Slice
from poet_hook.learning.constants import Steps
from poet_hook.learning.replay import Outcome, Replay
from poet_hook.learning.scale import place_of
from poet_hook.learning.study import Memory, Study, arguments_of, seen, values_of
from poet_hook.model import Steady, Tunable, Value
from poet_hook.runtime.steady import NOTHING, play
from poet_hook.store import codec

MOST_PIECES = 200
KEPT = 4  # replays, and traces

_Key = tuple[Any, ...]
"""What a replay or a trace depends on."""
_Turn = tuple[float, int, int, bool, bool]
"""Where a body decides otherwise as a number rises: at what value, the track, the place in it, and what it says there
and beyond."""


@dataclass(slots=True)
class _Track:
    """One stream: by position, executions (by index) and when each began; and the positions where the body says yes."""

    members: dict[int, int] = field(default_factory=dict)
    moments: dict[int, float] = field(default_factory=dict)
    yes: list[int] = field(default_factory=list)
    given: set[int] = field(default_factory=set)
    _played: Steady | None = None
    _results: list[tuple[int, bool, float]] = field(default_factory=list)
    _held: int = -1
    _until: float = 0.0

    def turn(self, position: int, decided: bool) -> None:
        """The body decides so there."""
        at = bisect_left(self.yes, position)
        if decided == (at < len(self.yes) and self.yes[at] == position):
            return
        if decided:
            insort(self.yes, position)
        else:
            del self.yes[at]
        self._played, self._held = None, -1

    def play(self, spec: Steady) -> set[int]:
        """The executions whose callers get a yes."""
        if not self._knows(spec):
            if self._held != spec.hold:
                self._held, self._results = spec.hold, self._that_matter(spec.hold)
            members, given = self.members, play(spec, NOTHING, self._results)[0]
            self.given = {members[p] for p in given if p in members}
            self._played, self._until = spec, min((b - a - 1 for a, b in pairwise(given)), default=math.inf)
        return self.given

    def _knows(self, spec: Steady) -> bool:
        """Whether that gives what was played last: a longer cool-down does, up to the nearest two alerts."""
        last = self._played
        if last is None or (last.min_run, last.hold) != (spec.min_run, spec.hold):
            return False
        counts = isinstance(spec.cooldown, int) and isinstance(last.cooldown, int)
        return last == spec or (counts and last.cooldown <= spec.cooldown <= self._until)

    def _that_matter(self, hold: int) -> list[tuple[int, bool, float]]:
        """The results that `play` must know: each yes, and each no that may be held."""
        moments = self.moments
        if not hold:
            return [(position, True, moments[position]) for position in self.yes]
        out = []
        for position, after in zip_longest(self.yes, self.yes[1:]):
            moment = moments[position]
            out.append((position, True, moment))
            end = position + hold + 1
            out += [(q, False, moments.get(q, moment)) for q in range(position + 1, min(after or end, end))]
        return out

    def copy(self) -> _Track:
        """The same, of which the decisions may be changed."""
        return _Track(self.members, self.moments, [*self.yes])


@dataclass(frozen=True, slots=True)
class _Traced:
    """A number of the body, traced: what bodies return, the streams at its lower end, and where that changes."""

    steps: dict[int, Steps]
    exact: bool
    tracks: list[_Track]
    turns: list[_Turn]


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
        self._runs: dict[_Key, list[Outcome]] = {}
        self._laid: dict[_Key, tuple[dict[int, Outcome], list[_Track]]] = {}
        self._steps: dict[_Key, dict[int, Steps]] = {}
        self._traces: dict[_Key, _Traced] = {}
        self._decisions: dict[Outcome, bool | None] = {}
        self._turned: dict[tuple[Outcome, bool], Outcome] = {}
        recorded = [("r", execution.raw or execution.result or b"") for execution in self.executions]
        self._yes = frozenset(i for i, own in enumerate(recorded) if study.places and self._decided(own))

    def run(self, values: Mapping[str, Value]) -> list[Outcome]:
        """What the caller of each execution gets with `values` in place of the original's."""
        own, spec = self.body(values), self._spec(values)
        known = range(len(self.study.known))
        if not spec:
            return own[: len(known)]
        given = _together(track.play(spec) for track in self._tracks(dict(enumerate(own))))
        return [self._settled(own[i], i in given, i) for i in known]

    def names(self, values: Mapping[str, Value], guard: Tunable) -> tuple[list[Outcome], list[dict[str, Any] | None]]:
        """What bodies return, and what the names that a guard may look at were there."""
        return self.bodies.names(self._numbers(values), guard, range(len(self.study.known)))

    def body(self, values: Mapping[str, Value]) -> list[Outcome]:
        """What the body returns for each execution, and behind those of `study.known` for its context.

        Of the context, what it did is believed where it ran with these values.
        """
        numbers = self._numbers(values)
        key = _key(numbers)
        if key not in self._runs:
            found = self._as_recorded(numbers)
            missing = [i for i in range(len(self.executions)) if i not in found]
            found |= zip(missing, self.bodies.run(numbers, missing), strict=True)
            _make_room(self._runs)
            self._runs[key] = [found[i] for i in range(len(self.executions))]
        return self._runs[key]

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
        self,
        tunable: Tunable,
        values: Mapping[str, Value],
        lower: float,
        upper: float,
        chosen: Sequence[int],
        until: float | None = None,
    ) -> list[Steps]:
        """For each chosen execution what its caller gets over `lower`..`upper` of one tunable.

        What is neither chosen, nor an execution whose body said yes, is taken to stay quiet. Raises `LateError` where
        bodies would have to run longer than `until`.
        """
        wanted = self._yes.union(chosen)
        if tunable.kind == "option":
            return self._over_option(tunable, values, (lower, upper), chosen, wanted)
        numbers, spec = self._numbers(values), self._spec(values)
        if not spec:
            return self.bodies.trace(tunable, numbers, lower, upper, chosen, until)
        start = place_of(tunable, numbers.get(tunable.name, tunable.value))
        key = (tunable.name, lower, upper, _key(numbers, tunable.name))
        traced = self._traces.get((*key, wanted))
        if traced is None or not traced.exact:  # then it depends on where one starts
            known = self._steps.pop(key, {}) if traced is None else {}
            missing = sorted(wanted - known.keys())
            known |= zip(missing, self.bodies.trace(tunable, numbers, lower, upper, missing, until), strict=True)
            traced = self._turning({i: known[i] for i in wanted}, start)
            _make_room(self._traces)
            self._traces[*key, wanted] = traced
            if traced.exact:
                _make_room(self._steps)
                self._steps[key] = known
        return self._over_number(spec, traced, start, chosen)

    def _laid_out(self, values: Mapping[str, Value], wanted: frozenset[int]) -> tuple[dict[int, Outcome], list[_Track]]:
        """What the body returns for each of these, and the streams that they make."""
        numbers = self._numbers(values)
        key = (_key(numbers), wanted)
        if key not in self._laid:
            own = self._as_traced(numbers, wanted)
            if own is None:
                outcomes = self.body(values)
                own = {i: outcomes[i] for i in wanted}
            _make_room(self._laid)
            self._laid[key] = own, self._tracks(own)
        return self._laid[key]

    def _as_traced(self, numbers: Mapping[str, Value], wanted: frozenset[int]) -> dict[int, Outcome] | None:
        for (name, _, _, others), known in self._steps.items():
            if _key(numbers, name) == others and wanted <= known.keys():
                tunable = next(tunable for tunable in self.plan.tunables if tunable.name == name)
                place = place_of(tunable, numbers.get(name, tunable.value))
                return {i: known[i](place) for i in wanted}
        return None

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
        if decided is None or decided == given or self.executions[index].id not in self.study.places:
            return own
        if (own, given) not in self._turned:
            self._turned[own, given] = ("r", codec.encode(with_decision(seen(own), given)))
        return self._turned[own, given]

    # -- streams

    def _tracks(self, own: Mapping[int, Outcome]) -> list[_Track]:
        tracks: dict[Memory, _Track] = {}
        for i, outcome in own.items():
            execution = self.executions[i]
            if execution.id in self.study.places:
                memory, position = self.study.places[execution.id]
                track = tracks.setdefault(memory, _Track())
                track.members[position], track.moments[position] = i, execution.started
                if self._decided(outcome):
                    track.yes.append(position)
        for track in tracks.values():
            track.yes.sort()
        return list(tracks.values())

    def _over_option(
        self,
        tunable: Tunable,
        values: Mapping[str, Value],
        limits: tuple[float, float],
        chosen: Sequence[int],
        wanted: frozenset[int],
    ) -> list[Steps]:
        own, tracks = self._laid_out(values, wanted)
        places = (*limits, place_of(tunable, values.get(tunable.name, tunable.value)))
        bits, before = None, set[int]()
        for n in range(round(min(places)), round(max(places)) + 1):
            spec = self._spec({**values, tunable.name: n})
            given = _together(track.play(spec) for track in tracks)
            if bits is None:
                bits = _Bits(chosen, given)
            else:
                bits.turn(n - 0.5, before, given, given)
            before = given
        assert bits is not None
        return [self._merged(Steps((), (own[i],), ()), bits.steps(i, True), i) for i in chosen]

    def _turning(self, traced: dict[int, Steps], start: float) -> _Traced:
        tracks = self._tracks({i: steps(start) for i, steps in traced.items()})
        turns: list[_Turn] = []
        for number, track in enumerate(tracks):
            for position, i in track.members.items():
                steps = traced[i].map(self._decided)
                track.turn(position, bool(steps.values[0]))
                sides = zip(steps.breaks, steps.at, steps.values[1:], strict=True)
                turns += [(t, number, position, bool(at), bool(after)) for t, at, after in sides]
        return _Traced(traced, all(steps.exact for steps in traced.values()), tracks, sorted(turns))

    def _over_number(self, spec: Steady, traced: _Traced, start: float, chosen: Sequence[int]) -> list[Steps]:
        tracks = [track.copy() for track in traced.tracks]
        looked_at, every = self._looked_at(traced, start)
        bits = _Bits(chosen, _together(track.play(spec) for track in tracks))
        touched: dict[int, _Track] = {}
        for t, here in groupby(traced.turns, key=lambda turn: turn[0]):
            moved = [(tracks[number], position, at, after) for _, number, position, at, after in here]
            touched |= {id(track): track for track, *_ in moved}
            before = _together(track.given for track in touched.values()) if t in looked_at else set()
            there = None
            if every:  # else the steps are not exact anyway
                for track, position, at, _ in moved:
                    track.turn(position, at)
                there = _together(track.play(spec) for track in touched.values())
            for track, position, _, after in moved:
                track.turn(position, after)
            if t in looked_at:
                beyond = _together(track.play(spec) for track in touched.values())
                bits.turn(t, before, beyond if there is None else there, beyond)
                touched = {}
        exact = traced.exact and every
        return [self._merged(traced.steps[i], bits.steps(i, exact), i) for i in chosen]

    def _looked_at(self, traced: _Traced, start: float) -> tuple[set[float], bool]:
        """The values at which memory is played, and whether that is everywhere.

        Where there are too many, a half of them are where labelled executions turn, and a half of all.
        """
        every = sorted({turn[0] for turn in traced.turns})
        if len(every) <= MOST_PIECES:
            return set(every), True
        known, share = self.study.known, MOST_PIECES // 2
        labelled = [i for i in traced.steps if i < len(known) and known[i].label is not None]
        said = sorted({t for i in labelled for t in traced.steps[i].breaks}.intersection(every))
        here = bisect_left(every, start)
        around = every[max(0, here - 1) : here + 2]  # what is in use is known exactly
        some = {each[k * len(each) // share] for each in (said, every) if each for k in range(share)}
        return some.union(around), False

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


def _key(numbers: Mapping[str, Value], but: str = "") -> _Key:
    return tuple(sorted((name, value) for name, value in numbers.items() if name != but))


def _make_room(kept: dict[Any, Any]) -> None:
    if len(kept) >= KEPT:
        del kept[next(iter(kept))]
