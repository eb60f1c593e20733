"""Executions and what the names in them were -> the guard that settles most of what was said.

A guard looks at parameters and simple variables (`transform/guards.py`). One condition is found exactly: every text
that was seen (the 20 most frequent), every limit between two numbers that were seen. A second one is found exactly
beside each of the best first ones, and must be worth two complaints more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from poet_hook.domains.base import decision
from poet_hook.learning.replay import Outcome
from poet_hook.learning.search import Search
from poet_hook.learning.study import seen
from poet_hook.model import Tunable, Value
from poet_hook.store import codec
from poet_hook.transform.guards import Condition, Guard, read_guard

TEXTS = 20  # of one name that are looked at
FIRST = 40  # first conditions beside which a second one is looked for
SECOND = 1.5  # two complaints, read with some doubt: what a second condition must settle more
SUPPORT = 3  # complaints that a guard must settle

_NO: Outcome = ("r", codec.encode(False))
_YES: Outcome = ("r", codec.encode(True))


@dataclass(frozen=True, slots=True)
class _Row:
    """An execution that a guard would turn: what is gained by that, and what the names were."""

    gain: float
    names: Mapping[str, Any]


_Found = tuple[float, int, Condition]  # what is gained, on how many executions, by turning where it holds


class Guards:
    """The guards of one function, over the executions of a learning run."""

    def __init__(self, search: Search, tunable: Tunable) -> None:
        self.search, self.tunable = search, tunable
        self.bare: dict[str, Value] = {**search.study.champion.values, tunable.name: ""}
        self.outcomes, self.names = search.replay.names(self.bare, tunable)
        self.kinds = self._kinds()
        no, yes = [_NO] * len(self.outcomes), [_YES] * len(self.outcomes)
        self.losses = {
            number: (search.loss(number, self.outcomes), search.loss(number, no), search.loss(number, yes))
            for number in search.distances
        }

    def best(self, weights: Mapping[int, float], enough: float) -> str:
        """The guard with which at most `enough` is lost over weighted events; "" where there is none."""
        bare = sum(weight * self.losses[number][0] for number, weight in weights.items())
        best, least = "", enough
        for joiner in ("and", "or"):
            rows = [row for number, weight in weights.items() for row in self._rows(number, joiner == "and", weight)]
            for found, conditions in self._rules(rows):
                settled = sum(row.gain > 0 for row in rows if all(_holds(c, row) for c in conditions))
                if bare - found <= least and settled >= SUPPORT:
                    best, least = str(_guard(joiner, conditions)), bare - found - 1e-9
        return best

    def why(self, text: str) -> str:
        """What a guard does, in words, and how many of the complaints it settles."""
        joiner = text.partition(" ")[0]
        dropping = joiner == "and"
        conditions = _rule_of(text)
        wrong = [
            [row for row in self._rows(number, dropping, 1.0) if row.gain > 0]
            for number in self.search.labels
            if self.losses[number][0] > 0
        ]
        wrong = [rows for rows in wrong if rows]
        there = sum(any(all(_holds(c, row) for c in conditions) for row in rows) for rows in wrong)
        rule = " and ".join(map(str, conditions))
        what, who = ("no longer raises", "false alarms are") if dropping else ("raises too", "missed ones are")
        return f"it {what} where {rule}: {there} of {len(wrong)} {who} from there"

    def _rows(self, number: int, dropping: bool, weight: float) -> Iterator[_Row]:
        """The executions of an event that a guard may turn; what it gains is divided among them."""
        now, no, yes = self.losses[number]
        gain = weight * (now - (no if dropping else yes))
        members = [i for i in self.search.events[number].members if decision(seen(self.outcomes[i])) is dropping]
        for index in members if gain else ():
            names = self.names[index]
            if names is not None:
                yield _Row(gain / len(members), names)

    def _kinds(self) -> dict[str, type]:
        """The names that are of one kind wherever they were seen, and which: str, bool or float."""
        kinds: dict[str, set[type]] = {}
        for names in self.names:
            for name, value in (names or {}).items():
                kinds.setdefault(name, set()).add(float if type(value) is int else type(value))
        numbers = set(self.tunable.numbers)
        plain = {name: next(iter(found)) for name, found in kinds.items() if len(found) == 1}
        return {n: kind for n, kind in plain.items() if kind in (str, bool) or (kind is float and n in numbers)}

    def _rules(self, rows: Sequence[_Row]) -> Iterator[tuple[float, tuple[Condition, ...]]]:
        """The best rule of one condition, and that of two where it is worth it."""
        singles = sorted(self._singles(rows), key=lambda found: (-found[0], found[1], str(found[2])))
        if not singles or singles[0][0] <= 0:
            return
        gain, _, first = singles[0]
        yield gain, (first,)
        best = gain + SECOND
        for _, _, condition in singles[:FIRST]:
            inside = [row for row in rows if _holds(condition, row)]
            for more, _, second in self._singles(inside):
                if more >= best and second != condition:
                    best = more + 1e-9
                    yield more, (condition, second)

    def _singles(self, rows: Sequence[_Row]) -> Iterator[_Found]:
        """Every condition that tells rows apart."""
        for name, kind in self.kinds.items():
            here = [(row.names[name], row.gain) for row in rows if name in row.names]
            if kind is float:
                yield from _limits(name, here)
                continue
            total, sums = sum(gain for _, gain in here), dict[Any, float]()
            counts = Counter(value for value, _ in here)
            for value, gain in here:
                sums[value] = sums.get(value, 0.0) + gain
            for value, count in counts.most_common(TEXTS):
                if kind is bool:
                    yield sums[value], count, Condition(name, "is" if value else "not")
                else:
                    yield sums[value], count, Condition(name, "==", value)
                    yield total - sums[value], len(here) - count, Condition(name, "!=", value)


def _limits(name: str, here: list[tuple[Any, float]]) -> Iterator[_Found]:
    here = sorted(here, key=lambda pair: float(pair[0]))
    total, below = sum(gain for _, gain in here), 0.0
    for count, ((value, gain), (following, _)) in enumerate(pairwise(here), 1):
        below += gain
        if value < following:
            limit = _between(float(value), float(following))
            yield below, count, Condition(name, "<=", limit)
            yield total - below, len(here) - count, Condition(name, ">", limit)


def _between(low: float, high: float) -> float:
    """A number of few digits that is at least `low` and below `high`, near the middle."""
    middle = low + (high - low) / 2
    for digits in range(17):
        value = float(f"{middle:.{digits}e}")
        if low <= value < high:
            return value
    return low


def _holds(condition: Condition, row: _Row) -> bool:
    return condition.name in row.names and condition.holds(row.names)


def _guard(joiner: str, rule: tuple[Condition, ...]) -> Guard:
    """What drops, or adds, where all of a rule holds."""
    word: Literal["and", "or"] = "and" if joiner == "and" else "or"
    return Guard(word, tuple(condition.opposite for condition in rule) if word == "and" else rule)


def _rule_of(text: str) -> tuple[Condition, ...]:
    guard = read_guard(text)
    return tuple(c.opposite for c in guard.conditions) if guard.joiner == "and" else guard.conditions
