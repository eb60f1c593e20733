"""What was said about an execution, and when it was understood -> its label, and since when that is known.

Evidence may be looked at after each feedback, since what comes later changes nothing of what came before. So feedback
that a model read later came when it was read: where it was said, it would change bets that somebody looked at.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, NamedTuple

from poet_hook.learning.objective import Label
from poet_hook.learning.opinions import alike, label
from poet_hook.model import Feedback, Signal
from poet_hook.store.feedback import standing

_NOT_YET = Signal("unread")


class Heard(NamedTuple):
    """What is known of an execution, since when (seconds since the epoch), and by whose word."""

    label: Label
    given: float
    source: str


def read_late(said: Sequence[Feedback]) -> Mapping[int, int]:
    """Which feedback came last before a model read each that it read, by their ids; `said` is in order of arrival."""
    moments: list[float] = []
    late: dict[int, int] = {}
    for item in said:
        if item.read:
            moments = moments or list(accumulate((each.given for each in said), max))
            late[item.id] = max(item.id, said[bisect_right(moments, item.read) - 1].id)
    return late


def heard(execution_id: str, words: Sequence[Feedback], recorded: Any, late: Mapping[int, int]) -> Heard | None:
    """What is known of an execution by all that was said about it, and since which word of it.

    To say the same again, later or by another source, is nothing new: what helped to choose a version is no evidence
    for the next. None where nothing is left.
    """
    found = label(execution_id, standing(words), recorded) if words else None
    if found is None:
        return None
    order, first = words[-1].id, words[-1]
    for moment, word, known in _as_it_came(words, late):
        before = label(execution_id, standing(known), recorded)
        if before is not None and alike(before, found):
            order, first = moment, word
            break
    return Heard(replace(found, order=order), first.read or first.given, first.source)


def _as_it_came(words: Sequence[Feedback], late: Mapping[int, int]) -> Iterator[tuple[int, Feedback, list[Feedback]]]:
    """Each word of those on an execution when it was understood, and what was known then."""
    ends = {a.id for a, b in zip(words, [*words[1:], None], strict=True) if b is None or a.given != b.given}
    for moment, word in sorted(((late.get(word.id, word.id), word) for word in words), key=lambda pair: pair[0]):
        if word.id not in ends and word.id not in late:
            continue  # what was said at one time is one word
        said = [each for each in words if each.id <= moment]
        yield moment, word, [_then(each, moment, late) for each in said]


def _then(word: Feedback, moment: int, late: Mapping[int, int]) -> Feedback:
    """A word as it was understood at a moment."""
    return replace(word, signal=_NOT_YET) if late.get(word.id, word.id) > moment else word
