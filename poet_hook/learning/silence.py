"""What was said about the results of a version -> what its executions count for of which nobody spoke.

People complain more readily than they praise, and complaints alone say that every decision was wrong. So an
execution without feedback counts as one approved execution, and whatever flips it has lost there. This holds
for each kind of result by itself, since approved alerts say nothing of the quiet ones, until the feedback on
it looks like a random sample: then silence says nothing, and weighs 0. It looks so when
- at least half of it are approvals, or
- there are two approvals, and what was commented lies not much nearer to where it would flip than what was not: by
  less than a random sample exceeds in three of eight cases (Smirnov 1939, one-sided, 0.7 * sqrt(1/n + 1/m)), or by a
  tenth: of a large random sample hardly one exceeds that, and complaints about a good function all do.
  Complaints about a good function cluster near its limits, those about a bad one do not.
How near an execution lies is how few of its kind would flip first if one limit moved, the least over all limits.

Simulated on Gaussian classes, limits at their optimum, an operator who complains of every mistake and approves 3 %
of the rest. One limit, 40 comments: weighing silence as three times the complaints, less with each approval and
nothing from 20 % on, found something worse to promote in 75-93 of 100 streams; this rule in 0-4. (1.22, the 5 %
point, in 8-35.) Three limits, 60 comments: looking along one limit at a time, where two thirds of the mistakes lie
anywhere, 8 of 30 streams were ruined, and with six limits 28; by this rule none.
One approval may be a slip: where a tenth of the labels was wrong besides, and one was enough, 15 % of 60 streams were
ruined within 60 comments, with two 7 %, with three 5 %. Of alarms that are false nine times in ten and commented at
random, 40 times, it improved 88, 83 and 77 % of 60 streams, half of them within 15, 18 and 27 comments.

The tenth: 40 streams each of 150 comments, limits near their optimum (1, 3 and 6, and 1 and 3 with 10 % wrong labels),
only mistakes and 3 % of the rest commented on: none was ruined with it or without it.

Silence only ever lowers the evidence, so the error rate on a random sample stays what it was.

Answers to questions (`learning/ask.py`) are no opinions in this sense: what is asked lies near the limits by
construction, and who answers approves as a matter of course. They are audits of silence. Where there is one, silence
no longer holds a candidate back from being chosen; as evidence it counts as before for what was said unasked, and
answers are judged beside that by themselves (`evidence.Answers`). Where nothing was said unasked, it weighs 0.

With `assume_ok_after=` none of this is asked: silence about an execution that is old enough is one approval, and
younger silence is nothing. Where the assumption is right, a smaller weight would be wrong: whatever flips it has lost
as much there as on a spoken approval. Where only a share c of the mistakes is complained of, a full weight errs on the
side of the version in use: what settles all mistakes gains c and loses 1 - c of them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from poet_hook.learning.constants import Steps, same

APPROVING = 0.5
APPROVALS = 2
CLUSTERED = 0.7
FLOOR = 0.1
STALE = 0.05  # of the opinions may be new since the last look, where one looks after each
KINDS = {True: "alerts", False: "quiet results", None: "results"}


class Reading(NamedTuple):
    """How what was said, and not said, is called and read.

    `labelled` and `kinds` are words for what was spoken of, and for each kind of result. `assumed` is the time in which
    nobody spoke of a silent execution, where that means that it was right, whatever else was said ("" where not).
    """

    labelled: str
    kinds: Mapping[bool | None, str]
    assumed: str = ""


EXECUTIONS = Reading("labelled executions", KINDS)
INCIDENTS = Reading("labelled incidents", {**KINDS, True: "incidents"})
Near = tuple[float, ...]
"""How far each number may move down, and up, before a result changes (inf: as far as one likes)."""


def near(steps: Steps, t: float) -> tuple[float, float]:
    """How far below and above t the steps first change."""
    before, after = bisect_left(steps.breaks, t), bisect_right(steps.breaks, t)
    here = steps(t)
    # where t stands on a break itself, the steps may change at once
    below = before if same(steps.values[before], here) else after
    above = after if same(steps.values[after], here) else before
    return (
        t - steps.breaks[below - 1] if below else math.inf,
        steps.breaks[above] - t if above < len(steps.breaks) else math.inf,
    )


class Opinions:
    """What was said, and not said, about one kind of result of a version."""

    def __init__(self, kind: bool | None, reading: Reading = EXECUTIONS) -> None:
        self.kind, self.noun, self.assumed = kind, reading.kinds[kind], reading.assumed
        self.complaints = self.approvals = self.answers = self.refuted = 0
        self.silent_weight = 0.0
        self.flipped = 0.0
        """The loss on silent executions of the alternatives of their time."""
        self._said: list[Near] = []
        self._silent: list[Near] = []
        self._looked = (0, 0.0)

    def hear(self, approval: bool, distances: Near) -> None:
        """Take in what was said about one execution."""
        self.approvals += approval
        self.complaints += not approval
        self._said.append(distances)

    def answer(self, approval: bool) -> None:
        """Take in what was said about one execution because somebody asked."""
        self.answers += 1
        self.refuted += not approval

    def hush(self, weight: float, loss: float, distances: Near) -> None:
        """Take in a silent execution that stands for `weight` of them, and the alternative's loss on it."""
        self.silent_weight += weight
        self.flipped += weight * loss
        self._silent.append(distances)

    def agreement(self, *, in_passing: bool = False) -> float:
        """What one silent execution weighs: 1, or 0 where the feedback looks like a random sample (unless assumed).

        `in_passing` asks after each opinion, and may be answered by a look at nearly as many.
        """
        said, silent = len(self._said), len(self._silent)
        if self.assumed:
            return float(silent > 0)
        if not silent or (self.answers and not said):
            return 0.0
        if self.approvals and self.approvals >= APPROVING * said:
            return 0.0
        if self.approvals < APPROVALS:
            return 1.0
        looked, excess = self._looked
        if not in_passing or said > (1.0 + STALE) * looked:
            excess = clustering(self._said, self._silent)
            self._looked = said, excess
        return float(excess > max(FLOOR, CLUSTERED * math.sqrt(1.0 / said + 1.0 / silent)))

    def in_choice(self, agreement: float) -> float:
        """The same where a candidate is chosen: what was found by asking says more than silence."""
        return 0.0 if self.answers and not self.assumed else agreement

    def words(self, agreement: float) -> Iterator[str]:
        """What is assumed about silence, where that matters: where somebody complained, or the user said so."""
        if self.assumed:
            if self.silent_weight:
                what = f"{self.silent_weight:.0f} {self.noun} that nobody spoke of for {self.assumed}"
                yield f"{what} were taken as right (assume_ok_after)"
            if self.refuted:
                yield f"but of {self.answers} answers about {self.noun}, {self.refuted} said that it was wrong"
            return
        if agreement and self.complaints:
            what = f"silence on {len(self._silent)} {self.noun} counted as agreement"
            yield f"{what}, total weight {self.silent_weight * agreement:.0f}"
            if self.approvals < APPROVALS:
                so_far = "only one" if self.approvals else "none"
                yield f"{so_far} of the {self.noun} was ever approved: saying which are right helps"


def clustering(said: Sequence[Near], silent: Sequence[Near]) -> float:
    """By how much more of what was said than of the rest is near, at most, over all that near may mean: in 0..1."""
    nearest = ranked([*said, *silent])
    spoken, rest = sorted(nearest[: len(said)]), sorted(nearest[len(said) :])
    return max(
        (bisect_right(spoken, x) / len(spoken) - bisect_right(rest, x) / len(rest) for x in set(spoken)), default=0.0
    )


def ranked(distances: Sequence[Near]) -> list[int]:
    """How many executions would flip before each if one limit moved, the least over all limits (itself included)."""
    columns = [_ranks(column) for column in zip(*distances, strict=True)]
    return [min(each) for each in zip(*columns, strict=True)] if columns else [len(distances)] * len(distances)


def _ranks(distances: Sequence[float]) -> list[int]:
    """How many are at most so far away; all, for what is nowhere."""
    ordered = sorted(distances)
    return [bisect_right(ordered, x) for x in distances]
