"""What bodies return, by replay -> what callers would have got, where something is remembered between calls.

What a body returns depends on its arguments, and with `margin=` on whether it last said yes to its stream; what
`runtime/steady.py` makes of it, on the earlier results of its stream in the same process. So bodies are replayed, once
for each set of numbers (and once with the nearer limit), and the memory is played over them in the order in which the
executions ended, from nothing on. Replayed are those that are judged, and all others whose body said yes (and, for a
margin, those soon after one). An option that counts is known at every whole number by playing alone, a margin by the
trace of its limit. A number of the body is traced once, and the memory played where it makes a body decide otherwise:
at each such place, or, where there are more, at `MOST_PIECES` of them. Then the steps are not exact.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from poet_hook.domains.base import decision, with_decision
from poet_hook.isolation.slice import Slice
from poet_hook.learning.constants import Steps
from poet_hook.learning.replay import Outcome, Replay
from poet_hook.learning.scale import place_of
from poet_hook.learning.study import Memory, Study, arguments_of, seen, values_of
from poet_hook.learning.tracks import Bits, Played, Track, Turn, joined, moved, together
from poet_hook.model import MARGIN, Limit, Steady, Tunable, Value
from poet_hook.store import codec

MOST_PIECES = 200
KEPT = 6  # replays, and traces

_Key = tuple[Any, ...]
"""What a replay or a trace depends on."""
_Outcomes = dict[int, Outcome]


@dataclass(frozen=True, slots=True)
class _Traced:
    """A number of the body, traced: what bodies return (and with the nearer limit), the streams at its lower end, and
    where that changes."""

    steps: dict[int, Steps]
    near: dict[int, Steps]
    exact: bool
    tracks: list[Track]
    turns: list[Turn]


class Streams:
    """A replay of a study's executions that gives what callers get; indices are those of `study.known`."""

    def __init__(self, study: Study, bodies: Replay) -> None:
        self.study, self.bodies, self.plan = study, bodies, study.plan
        self.executions = study.executions
        self._runs: dict[_Key, _Outcomes] = {}
        self._laid: dict[_Key, tuple[_Outcomes, _Outcomes, list[Track]]] = {}
        self._steps: dict[_Key, dict[int, Steps]] = {}
        self._traces: dict[_Key, _Traced] = {}
        self._decisions: dict[Outcome, bool | None] = {}
        self._turned: dict[tuple[Outcome, bool], Outcome] = {}
        recorded = [("r", execution.raw or execution.result or b"") for execution in self.executions]
        self._yes = frozenset(i for i, own in enumerate(recorded) if study.places and self._decided(own))
        self._placed = frozenset(i for i, item in enumerate(self.executions) if item.id in study.places)

    def run(self, values: Mapping[str, Value]) -> list[Outcome]:
        """What the caller of each execution gets with `values` in place of the original's."""
        spec, known = self._spec(values), range(len(self.study.known))
        if not spec:
            return self.body(values, len(known))
        own, nearer = self.body(values), self.plan.nearer(values)
        near = own if nearer is None else self.body(nearer)
        tracks = self._tracks(dict(enumerate(own)), {} if nearer is None else dict(enumerate(near)))
        given, after = together(tracks, spec)
        return [self._settled(near[i] if i in after else own[i], i in given, i) for i in known]

    def as_called(self, values: Mapping[str, Value]) -> list[Outcome]:
        """What the body of each execution returns with `values`, where its stream stood as it was recorded."""
        count, nearer = len(self.study.known), self.plan.nearer(values)
        far = self.body(values, count)
        near = far if nearer is None else self.body(nearer, count)
        return [near[i] if self._after_yes(item.execution.id) else far[i] for i, item in enumerate(self.study.known)]

    def names(self, values: Mapping[str, Value], guard: Tunable) -> tuple[list[Outcome], list[dict[str, Any] | None]]:
        """What bodies return, and what the names that a guard may look at were there."""
        return self.bodies.names(self._numbers(values), guard, range(len(self.study.known)))

    def body(self, values: Mapping[str, Value], count: int | None = None) -> list[Outcome]:
        """What the body returns for the first `count` executions: those of `study.known`, and behind them its context.

        Of the context, what it did is believed where it ran with these values.
        """
        numbers = self._numbers(values)
        key, every = _key(numbers), range(len(self.executions) if count is None else count)
        if key not in self._runs:
            _make_room(self._runs)
            self._runs[key] = self._as_recorded(numbers)
        found = self._runs[key]
        missing = [i for i in every if i not in found]
        if missing:
            found |= zip(missing, self.bodies.run(numbers, missing), strict=True)
        return [found[i] for i in every]

    def _as_recorded(self, numbers: Mapping[str, Value]) -> _Outcomes:
        first, same = len(self.study.known), set()
        for version in {execution.version for execution in self.study.context}:
            values = values_of(self.study, version)
            if values is not None:
                ran = values, self.plan.nearer(values) or values
                same |= {(version, after) for after in (False, True) if self._numbers(ran[after]) == numbers}
        return {
            first + i: ("r", execution.raw or execution.result or b"")
            for i, execution in enumerate(self.study.context)
            if (execution.version, self._after_yes(execution.id)) in same
        }

    def _after_yes(self, name: str) -> bool:
        """Whether the body had just said yes to the stream of an execution."""
        place = self.study.places.get(name)
        return place is not None and place[2]

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

        What is neither chosen, nor an execution whose body said yes, is taken to stay quiet; with `margin=`, what is
        not replayed. Raises `LateError` where bodies would have to run longer than `until`.
        """
        spec, margin = self._spec(values), tunable.kind == "option" and tunable.name == MARGIN
        wanted = (self._placed if spec.margin or margin else self._yes).union(chosen)
        if tunable.kind == "option" and not margin:
            return self._over_option(tunable, values, (lower, upper), chosen, wanted)
        if not spec and not margin:
            return self.bodies.trace(tunable, self._numbers(values), lower, upper, chosen, until)
        start = place_of(tunable, values.get(tunable.name, tunable.value))
        others = _key(self._numbers(values), tunable.name)
        key = (tunable.name, lower, upper, others, 0.0 if margin else spec.margin, wanted)
        traced = self._traces.get(key)
        if traced is None or not traced.exact:  # then it depends on where one starts
            if margin:
                steps, near = self._over_margin(values, upper, wanted, until)
            else:
                steps, near = self._over_limits(tunable, values, (lower, upper), wanted, until)
            traced = self._turning(steps, near, start)
            _make_room(self._traces)
            self._traces[key] = traced
        return self._over_number(spec, traced, start, chosen)

    def _bodies_over(
        self,
        tunable: Tunable,
        values: Mapping[str, Value],
        limits: tuple[float, float],
        wanted: frozenset[int],
        until: float | None,
    ) -> dict[int, Steps]:
        """What the body of each of these returns over a range of one of its numbers."""
        numbers = self._numbers(values)
        key = (tunable.name, *limits, _key(numbers, tunable.name))
        known = self._steps.pop(key, {})
        missing = sorted(wanted - known.keys())
        known |= zip(missing, self.bodies.trace(tunable, numbers, *limits, missing, until), strict=True)
        if all(steps.exact for steps in known.values()):
            _make_room(self._steps)
            self._steps[key] = known
        return {i: known[i] for i in wanted}

    def _over_limits(
        self,
        tunable: Tunable,
        values: Mapping[str, Value],
        limits: tuple[float, float],
        wanted: frozenset[int],
        until: float | None,
    ) -> tuple[dict[int, Steps], dict[int, Steps]]:
        """The same with the limit as it is, and with the nearer one, where there is one."""
        nearer, limit, margin = self.plan.nearer(values), self.plan.limit, self._spec(values).margin
        if nearer is None or limit is None:
            return self._bodies_over(tunable, values, limits, wanted, until), {}
        if tunable.name != limit.name:
            far = self._bodies_over(tunable, values, limits, wanted, until)
            return far, self._bodies_over(tunable, nearer, limits, wanted, until)
        reached = [end + way for end in limits for way in (0.0, limit.towards * margin)]
        far = self._bodies_over(tunable, values, (min(reached), max(reached)), wanted, until)
        return far, {i: moved(steps, limit.towards * margin, 1) for i, steps in far.items()}

    def _over_margin(
        self, values: Mapping[str, Value], upper: float, wanted: frozenset[int], until: float | None
    ) -> tuple[dict[int, Steps], dict[int, Steps]]:
        """What bodies return with the limit as it is, and over the margins up to `upper` with the nearer one."""
        limit = self.plan.limit
        assert isinstance(limit, Limit)
        tunable = next(tunable for tunable in self.plan.tunables if tunable.name == limit.name)
        value = place_of(tunable, values.get(limit.name, limit.value))
        ends = sorted((value, limit.near(value, upper)))
        steps = self._bodies_over(tunable, values, (ends[0], ends[1]), wanted, until)
        far = {i: Steps((), (each(value),), (), each.exact) for i, each in steps.items()}
        return far, {i: moved(each, value, limit.towards) for i, each in steps.items()}

    def _laid_out(
        self, values: Mapping[str, Value], wanted: frozenset[int]
    ) -> tuple[_Outcomes, _Outcomes, list[Track]]:
        """What the body returns for each of these, and with the nearer limit, and the streams that they make."""
        nearer = self.plan.nearer(values)
        key = (_key(self._numbers(values)), self._spec(values).margin, wanted)
        if key not in self._laid:
            own = self._of(values, wanted)
            near = {} if nearer is None else self._of(nearer, wanted)
            _make_room(self._laid)
            self._laid[key] = own, near, self._tracks(own, near)
        return self._laid[key]

    def _of(self, values: Mapping[str, Value], wanted: frozenset[int]) -> _Outcomes:
        own = self._as_traced(self._numbers(values), wanted)
        if own is None:
            outcomes = self.body(values)
            own = {i: outcomes[i] for i in wanted}
        return own

    def _as_traced(self, numbers: Mapping[str, Value], wanted: frozenset[int]) -> _Outcomes | None:
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

    def _tracks(self, own: Mapping[int, Outcome], near: Mapping[int, Outcome]) -> list[Track]:
        tracks: dict[Memory, Track] = {}
        for i, outcome in own.items():
            execution = self.executions[i]
            if execution.id in self.study.places:
                memory, position, _ = self.study.places[execution.id]
                track = tracks.setdefault(memory, Track(near=[] if near else None))
                track.members[position], track.moments[position] = i, execution.started
                if self._decided(outcome):
                    track.far.append(position)
                if track.near is not None and self._decided(near[i]):
                    track.near.append(position)
        for track in tracks.values():
            track.far.sort()
            if track.near is not None:
                track.near.sort()
        return list(tracks.values())

    def _over_option(
        self,
        tunable: Tunable,
        values: Mapping[str, Value],
        limits: tuple[float, float],
        chosen: Sequence[int],
        wanted: frozenset[int],
    ) -> list[Steps]:
        own, near, tracks = self._laid_out(values, wanted)
        places = (*limits, place_of(tunable, values.get(tunable.name, tunable.value)))
        bits, before = None, (set[int](), set[int]())
        for n in range(round(min(places)), round(max(places)) + 1):
            played = together(tracks, self._spec({**values, tunable.name: n}))
            if bits is None:
                bits = Bits(chosen, played)
            else:
                bits.turn(n - 0.5, before, played, played)
            before = played
        assert bits is not None
        return [self._merged(_always(own[i]), _always(near.get(i, own[i])), bits.steps(i, True), i) for i in chosen]

    def _turning(self, traced: dict[int, Steps], near: dict[int, Steps], start: float) -> _Traced:
        at_start = {i: steps(start) for i, steps in traced.items()}
        tracks = self._tracks(at_start, {i: steps(start) for i, steps in near.items()})
        turns: list[Turn] = []
        for number, track in enumerate(tracks):
            for position, i in track.members.items():
                for nearer, each in ((False, traced), (True, near)):
                    if each:
                        steps = each[i].map(self._decided)
                        track.turn(position, nearer, bool(steps.values[0]))
                        sides = zip(steps.breaks, steps.at, steps.values[1:], strict=True)
                        turns += [(t, number, position, nearer, bool(at), bool(after)) for t, at, after in sides]
        exact = all(steps.exact for each in (traced, near) for steps in each.values())
        return _Traced(traced, near, exact, tracks, sorted(turns))

    def _over_number(self, spec: Steady, traced: _Traced, start: float, chosen: Sequence[int]) -> list[Steps]:
        tracks = [track.copy() for track in traced.tracks]
        looked_at, every = self._looked_at(traced, start)
        bits = Bits(chosen, together(tracks, spec))
        touched: dict[int, Track] = {}
        for t, here in groupby(traced.turns, key=lambda turn: turn[0]):
            turning = [(tracks[number], position, near, at, after) for _, number, position, near, at, after in here]
            touched |= {id(track): track for track, *_ in turning}
            before: Played = set(), set()
            if t in looked_at:
                before = joined(track.played for track in touched.values())
            there = None
            if every or t == start:  # else the steps are not exact anyway
                for track, position, near, at, _ in turning:
                    track.turn(position, near, at)
                there = together(touched.values(), spec)
            for track, position, near, _, after in turning:
                track.turn(position, near, after)
            if t in looked_at:
                beyond = together(touched.values(), spec)
                bits.turn(t, before, beyond if there is None else there, beyond)
                touched = {}
        exact = traced.exact and every
        own, other = traced.steps, traced.near or traced.steps
        return [self._merged(own[i], other[i], bits.steps(i, exact), i) for i in chosen]

    def _looked_at(self, traced: _Traced, start: float) -> tuple[set[float], bool]:
        """The values at which memory is played, and whether that is everywhere.

        Where there are too many, a half of them are where labelled executions turn, and a half of all.
        """
        every = sorted({turn[0] for turn in traced.turns})
        if len(every) <= MOST_PIECES:
            return set(every), True
        known, share = self.study.known, MOST_PIECES // 2
        labelled = [i for i in traced.steps if i < len(known) and known[i].label is not None]
        both = [each for each in (traced.steps, traced.near) if each]
        said = sorted({t for each in both for i in labelled for t in each[i].breaks}.intersection(every))
        here = bisect_left(every, start)
        around = every[max(0, here - 1) : here + 2]  # what is in use is known exactly
        some = {each[k * len(each) // share] for each in (said, every) if each for k in range(share)}
        return some.union(around), False

    def _merged(self, far: Steps, near: Steps, bits: Steps, index: int) -> Steps:
        """The body's outcomes and what is remembered -> what the caller gets."""
        parts = (far, near, bits)
        breaks = sorted({t for steps in parts for t in steps.breaks})

        def settled(outcomes: Sequence[Any]) -> Outcome:
            own, nearer, (given, after) = outcomes
            return self._settled(nearer if after else own, given, index)

        def beyond(steps: Steps, t: float) -> object:
            return steps.values[bisect_right(steps.breaks, t)]

        values = [settled([steps.values[0] for steps in parts])]
        values += [settled([beyond(steps, t) for steps in parts]) for t in breaks]
        at = [settled([steps(t) for steps in parts]) for t in breaks]
        exact = all(steps.exact for steps in parts)
        return Steps(tuple(breaks), tuple(values), tuple(at), exact).map(lambda value: value)


@contextmanager
def replayed(study: Study, part: Slice) -> Iterator[Streams]:
    """The study's executions in a process of their own, which ends with the block."""
    with Replay(study.plan, part, study.source, [arguments_of(item) for item in study.executions]) as bodies:
        yield Streams(study, bodies)


def _always(outcome: Outcome) -> Steps:
    return Steps((), (outcome,), ())


def _key(numbers: Mapping[str, Value], but: str = "") -> _Key:
    return tuple(sorted((name, value) for name, value in numbers.items() if name != but))


def _make_room(kept: dict[Any, Any]) -> None:
    if len(kept) >= KEPT:
        del kept[next(iter(kept))]
