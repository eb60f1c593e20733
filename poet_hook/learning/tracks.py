"""What bodies say along a stream -> what callers get, and how that changes as one value rises.

With `margin=`, two things are known of each execution: what its body says with the limit as it is (far), and what it
says with the nearer one, which counts after a yes.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, zip_longest

from poet_hook.learning.constants import Steps
from poet_hook.model import Steady
from poet_hook.runtime.steady import NOTHING, play

Turn = tuple[float, int, int, bool, bool, bool]
"""Where a body decides otherwise as a number rises: at what value, the track, the place in it, whether that is with the
nearer limit, and what it says there and beyond."""
Played = tuple[set[int], set[int]]
"""The executions whose callers get a yes, and those whose bodies ran with the nearer limit."""


@dataclass(slots=True)
class Track:
    """One stream: by position, executions (by index) and when each began; and the positions where the body says yes.

    `near` are those where it does so with the nearer limit (None: there is none).
    """

    members: dict[int, int] = field(default_factory=dict)
    moments: dict[int, float] = field(default_factory=dict)
    far: list[int] = field(default_factory=list)
    near: list[int] | None = None
    played: Played = field(default_factory=lambda: (set(), set()))
    _spec: Steady | None = None
    _yes: list[int] | None = None
    _results: list[tuple[int, bool, float]] = field(default_factory=list)
    _held: int = -1
    _until: float = 0.0

    def turn(self, position: int, near: bool, decided: bool) -> None:
        """The body decides so there."""
        places = self.near if near and self.near is not None else self.far
        at = bisect_left(places, position)
        if decided == (at < len(places) and places[at] == position):
            return
        if decided:
            insort(places, position)
        else:
            del places[at]
        self._spec, self._yes, self._held = None, None, -1

    def play(self, spec: Steady) -> Played:
        """What callers get."""
        if not self._knows(spec):
            if self._yes is None:
                self._yes = self.far if self.near is None else _decided(self.far, self.near)
            if self._held != spec.hold:
                self._held, self._results = spec.hold, self._that_matter(self._yes, spec.hold)
            members, given = self.members, play(spec, NOTHING, self._results)[0]
            after = () if self.near is None else (p + 1 for p in self._yes)
            self.played = {members[p] for p in given if p in members}, {members[p] for p in after if p in members}
            self._spec, self._until = spec, min((b - a - 1 for a, b in pairwise(given)), default=math.inf)
        return self.played

    def _knows(self, spec: Steady) -> bool:
        """Whether that gives what was played last: a longer cool-down does, up to the nearest two alerts."""
        last = self._spec
        if last is None or (last.min_run, last.hold) != (spec.min_run, spec.hold):
            return False
        counts = isinstance(spec.cooldown, int) and isinstance(last.cooldown, int)
        return last.cooldown == spec.cooldown or (counts and last.cooldown <= spec.cooldown <= self._until)

    def _that_matter(self, yes: Sequence[int], hold: int) -> list[tuple[int, bool, float]]:
        """The results that `play` must know: each yes, and each no that may be held."""
        moments = self.moments
        if not hold:
            return [(position, True, moments[position]) for position in yes]
        out = []
        for position, after in zip_longest(yes, yes[1:]):
            moment = moments[position]
            out.append((position, True, moment))
            end = position + hold + 1
            out += [(q, False, moments.get(q, moment)) for q in range(position + 1, min(after or end, end))]
        return out

    def copy(self) -> Track:
        """The same, of which the decisions may be changed."""
        return Track(self.members, self.moments, [*self.far], None if self.near is None else [*self.near])


def _decided(far: Sequence[int], near: Sequence[int]) -> list[int]:
    """Where the body says yes: what it says with the nearer limit counts just after a yes, else the other."""
    out: list[int] = []
    by_far, by_near, last = set(far), set(near), -2
    for position in sorted(by_far | by_near):
        if position in (by_near if position - last == 1 else by_far):
            out.append(position)
            last = position
    return out


def together(tracks: Iterable[Track], spec: Steady) -> Played:
    """What callers get in several streams."""
    return joined(track.play(spec) for track in tracks)


def joined(played: Iterable[Played]) -> Played:
    """What is known of each of several streams, as one."""
    given, near = set[int](), set[int]()
    for one, other in played:
        given |= one
        near |= other
    return given, near


class Bits:
    """Whether callers of some executions get a yes, and whether bodies run with the nearer limit, as a value rises."""

    def __init__(self, chosen: Sequence[int], played: Played) -> None:
        self.values = {i: [_pair(played, i)] for i in chosen}
        self.breaks: dict[int, list[float]] = {i: [] for i in chosen}
        self.at: dict[int, list[tuple[bool, bool]]] = {i: [] for i in chosen}

    def turn(self, t: float, before: Played, at: Played, after: Played) -> None:
        """At the value t, and beyond it, it is otherwise than before."""
        moved = set().union(*((a ^ b) | (b ^ c) for a, b, c in zip(before, at, after, strict=True)))
        for i in moved:
            if i in self.values:
                self.breaks[i].append(t)
                self.at[i].append(_pair(at, i))
                self.values[i].append(_pair(after, i))

    def steps(self, i: int, exact: bool) -> Steps:
        """The pairs of one execution."""
        return Steps(tuple(self.breaks[i]), tuple(self.values[i]), tuple(self.at[i]), exact)


def _pair(played: Played, i: int) -> tuple[bool, bool]:
    return i in played[0], i in played[1]


def moved(steps: Steps, start: float, towards: int) -> Steps:
    """Steps over a limit -> the same over how far the limit lies from `start`, in the direction `towards` (1 or -1)."""
    if towards > 0:
        return Steps(tuple(t - start for t in steps.breaks), steps.values, steps.at, steps.exact)
    return Steps(tuple(start - t for t in reversed(steps.breaks)), steps.values[::-1], steps.at[::-1], steps.exact)
