"""Several objectives at once -> a search whose losses are lower only for what is better by each of them.

A candidate counts as better on an event by as much as it is by the objective where it gains least there, or loses most.
If that is above 0 on the average, so is what it gains by each objective: one bet proves all, at one alpha. Of what is
better by one objective and worse by another, nothing is decided here: `learning/front.py` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from poet_hook.learning.aims import Aims
from poet_hook.learning.constants import Steps
from poet_hook.learning.events import combined
from poet_hook.learning.replay import Outcome
from poet_hook.learning.search import Progress, Search
from poet_hook.learning.streams import Streams
from poet_hook.learning.study import Study


class Together(Search):
    """What can be known of candidates where each objective in `parts` is asked for."""

    def __init__(
        self, study: Study, replay: Streams, champion: Sequence[Outcome], parts: Sequence[Aims], progress: Progress
    ) -> None:
        self.traced: list[Mapping[int, Steps]] = []
        """For each tunable, what each execution gives with every value."""
        self._asked = tuple(parts)
        fits_only = frozenset(number for aims in parts for number in aims.fits_only)
        super().__init__(study, replay, champion, replace(parts[0], fits_only=fits_only), progress)
        self.parts = self._asked

    def _keep(self, traced: Mapping[int, Steps]) -> None:
        self.traced.append(traced)

    def loss(self, number: int, outcomes: Sequence[Outcome]) -> float:
        now = [self.loss_by(aims, number, self.champion) for aims in self._asked]
        return _least_gain(now, [self.loss_by(aims, number, outcomes) for aims in self._asked])

    def _steps(self, number: int, traced: Mapping[int, Steps]) -> Steps:
        now = [self.loss_by(aims, number, self.champion) for aims in self._asked]
        return combined(
            [self._steps_by(aims, number, traced) for aims in self._asked], lambda losses: _least_gain(now, losses)
        )


def _least_gain(now: Sequence[float], losses: Sequence[float]) -> float:
    """What is lost where the champion, which loses the most of `now`, is left for the least of the gains."""
    return max(now) - min(before - after for before, after in zip(now, losses, strict=True))


def search_of(
    study: Study, replay: Streams, champion: Sequence[Outcome], objectives: Sequence[Aims], progress: Progress
) -> Search:
    """The search by one objective, or by several."""
    if len(objectives) == 1:
        return Search(study, replay, champion, objectives[0], progress)
    return Together(study, replay, champion, objectives, progress)
