"""Alerts that go on and off -> a second limit, nearer than the first, for as long as the last result was an alert.

Over all margins up to the limit itself it is known what each event would have lost: of those that do best the smallest
is taken. It must settle three complaints more than any numbers do, like each change of the structure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from poet_hook.learning.search import Losses, Search, slack
from poet_hook.model import Tunable, Value
from poet_hook.transform.values import as_text


class SecondLimit:
    """The margins of one function, over the executions of a learning run."""

    def __init__(self, search: Search, tunable: Tunable) -> None:
        self.search, self.tunable = search, tunable

    @cached_property
    def losses(self) -> Losses:
        """What each event loses with every margin."""
        return self.search.over(self.tunable)

    def best(self, weights: Mapping[int, float], enough: float) -> Value | None:
        """The smallest margin with which least is lost over weighted events, and at most `enough`; None without one."""
        if enough < 0.0:
            return None
        champion = self.search.study.champion.values
        value, loss = self.search.fit_of(self.tunable, self.losses, champion, weights)
        changed = value != champion.get(self.tunable.name, self.tunable.value)
        return value if changed and loss <= enough + slack(weights) else None

    def why(self, values: Mapping[str, Value]) -> Iterator[str]:
        """What a margin does, in words, and how many of the complaints are of the kind that it is for."""
        search, plan = self.search, self.search.study.plan
        limit, nearer = plan.limit, plan.nearer(values)
        if limit is None or nearer is None:
            yield f"{self.tunable.name}: one limit alone, whatever the last result was"
            return
        now, near = (as_text(each.get(limit.name, limit.value)) for each in (values, nearer))
        yield f"while the last result of its stream is an alert, {limit.name} is {near} in place of {now}"
        wrong = [number for number in search.labels if search.now(number) > 0]
        just_after = sum(any(map(self._just_after_an_alert, search.events[number].members)) for number in wrong)
        yield f"{just_after} of {len(wrong)} complaints are of results just after an alert: it goes on and off"

    def _just_after_an_alert(self, index: int) -> bool:
        study = self.search.study
        place = study.places.get(study.known[index].execution.id)
        return place is not None and place[2]
