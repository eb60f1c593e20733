"""Executions that nobody spoke of -> the few whose label would decide most, and why.

Where the challenger (the best candidate so far, promoted or not) returns what the champion returns, no label can tell
them apart. So what is asked is where they differ, and now and then what lies nearest to a limit, so that misses beyond
it are found as well: feedback on raised alerts alone can never show them.

Answers are bets like any other feedback, and stay fair ones because of how questions are drawn. They depend on
arguments, on results and on earlier feedback only, never on the label to come; and among the executions on which the
two differ each is as likely as any other, so that an answer says, on average, whether the challenger is better where
they differ. To take the nearest first, or alerts and quiet results in turn, would not do: a challenger that is right on
five alerts that it would raise, and wrong on fifty that it would drop, would look good.

Answers are no random sample of all executions, and say nothing of what people speak of by themselves. Their source
(`study.ASKED`) tells them apart, and `silence.Opinions` and `evidence.Answers` say what that means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from poet_hook.errors import CodecError
from poet_hook.learning.gate import Judgement
from poet_hook.learning.own_loss import LossError, own_loss
from poet_hook.learning.rewriting import slice_of
from poet_hook.learning.search import Offer, Search
from poet_hook.learning.several import search_of
from poet_hook.learning.silence import ranked
from poet_hook.learning.streams import replayed
from poet_hook.learning.structure import judged
from poet_hook.learning.study import (
    ASKED,
    Known,
    Study,
    arguments_of,
    keep_reproduced,
    seen,
    study_of,
    unusable,
    value_of,
)
from poet_hook.learning.verdict import objectives_of, values_of_best
from poet_hook.model import Execution, Plan, Value
from poet_hook.pragma.options import LIVE_OBJECTIVES
from poet_hook.runtime.trial import unchanged
from poet_hook.settings import Settings
from poet_hook.store import codec
from poet_hook.store.database import Store
from poet_hook.versions.chain import Chain
from poet_hook.versions.current import plan_of

MOST_SHADOWED = 200  # executions on which a challenger in the shadow differed
NEAR_MISS = 4  # of so many questions, one is not about where challenger and champion differ


@dataclass(frozen=True, slots=True)
class Question:
    """One execution to be judged: what it `returned`, and what the challenger would have (None: there is none).

    `arguments` are by name; one that was not recorded in full is text in angle brackets. `answer` is a command line.
    """

    execution_id: str
    started: float
    arguments: Mapping[str, Any]
    returned: Any
    challenger: Any
    why: str
    answer: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be asked about a function, most telling first; where nothing is, `reason` says why.

    `challenger` are the values of the best candidate so far, by name (None: there is no candidate yet).
    """

    function: str
    champion: int
    challenger: Mapping[str, Value] | None
    questions: tuple[Question, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Silent:
    """An execution that nobody spoke of: its kind of result, and how near a limit it lies (0 is nearest)."""

    id: str
    alarm: bool | None
    differs: bool
    near: float


def drawn(silent: Sequence[Silent], heard: int, limit: int) -> list[Silent]:
    """Which executions to ask about, in this order, after `heard` executions got a label.

    Those on which the challenger differs are drawn at random, anew after each label, but the same for who asks
    twice. Of the others the nearest to a limit come first, quiet results and alerts in turn.
    """
    differing = sorted((item for item in silent if item.differs), key=lambda item: _draw(item.id, heard), reverse=True)
    others = sorted((item for item in silent if not item.differs), key=lambda item: item.near, reverse=True)
    kinds = [[item for item in others if item.alarm], [item for item in others if not item.alarm]]
    every = NEAR_MISS if differing else 1
    found: list[Silent] = []
    for turn in range(heard + 1, heard + 1 + len(silent)):
        if len(found) == limit:
            break
        first = kinds[turn // every % 2]
        other = first or kinds[0] or kinds[1]
        if differing and (turn % every or not other):
            found.append(differing.pop())
        elif other:
            found.append(other.pop())
    return found


def _draw(name: str, heard: int) -> bytes:
    return hashlib.sha256(f"{heard} {name}".encode()).digest()


def asked(function: str, store: Store, settings: Settings, limit: int) -> Asked:
    """What to ask about `function`, at most `limit` executions; nothing is changed or stored.

    Raises `UnknownFunctionError` and `ReplayError`.
    """
    plan, source = plan_of(function, store, settings)
    study = study_of(plan, source, Chain(settings, function), store)
    study.known += _shadowed(study, store)

    def nothing(reason: str) -> Asked:
        return Asked(function, study.champion.version, None, (), reason)

    if plan.pragma.learn == "off":
        return nothing("learn=off: no label would decide anything")
    if plan.pragma.optimize_for in LIVE_OBJECTIVES:
        return nothing(f"the {plan.pragma.optimize_for} is compared between live calls, any of them")
    if not plan.tunables:
        return nothing("there is nothing in it that learning may change, so no label would decide anything")
    if all(item.label is not None for item in study.known):
        return nothing(_why_none(study))
    part = slice_of(study, settings)
    if part.reason:
        return nothing(f"it can't be replayed: {part.reason}")
    try:
        own = own_loss(plan.pragma.optimize_for, settings)
    except LossError as error:
        return nothing(str(error))
    with replayed(study, part) as replay:
        champion = keep_reproduced(study, replay)
        search = search_of(study, replay, champion, objectives_of(study, champion, own), _silently)
        if not search.silent:
            return nothing("replay does not give what was recorded: the function depends on more than its arguments")
        judgement, offers = judged(search, _silently)
        return _Interview(search, judgement, offers).asked(limit)


def _shadowed(study: Study, store: Store) -> list[Known]:
    """Executions on which a challenger in the shadow differed: rare ones, which a sample of all would miss.

    If there are more than enough of them, each is as likely to be among those as any other.
    """
    plan, number = study.plan, study.chain.pointer().challenger
    remembers = plan.remembers or plan.with_options(study.champion.values).pragma.steady
    if plan.pragma.learn != "shadow" or number is None or remembers or plan.pragma.group is not None:
        return []
    there = {item.execution.id for item in study.known}
    ids = [found for found in store.differing(plan.function, unchanged(number)) if found not in there]
    drawn = sorted(ids, key=lambda found: _draw(found, 0))[:MOST_SHADOWED]
    executions = [execution for found in drawn if (execution := store.execution(found)) is not None]
    return [Known(item, None, 0.0, stands_for=0.0) for item in executions if unusable(item, plan) is None]


def _silently(_what: str, _share: float) -> None:
    """Asking takes less than learning, and shows no progress."""


def _why_none(study: Study) -> str:
    if not study.known:
        return "no execution of this text of the function can be replayed yet; use it, and ask again"
    return f"all {len(study.known)} executions have feedback; use the function, and ask again"


class _Interview:
    """One learning run, looked at for what it does not know."""

    def __init__(self, search: Search, judgement: Judgement, offers: Sequence[Offer]) -> None:
        self.search, self.study = search, search.study
        self.values = values_of_best(search, judgement, offers)
        self.after = search.champion if self.values is None else search.replay.run(self.values)

    def asked(self, limit: int) -> Asked:
        heard = len(self.search.labels)
        events = {self._shown(number).id: number for number in self.search.agreeing()}
        chosen = drawn(list(self._one_a_period(self._silent(list(events.values())), events)), heard, limit)
        questions = tuple(self._question(events[item.id], item) for item in chosen)
        reason = "" if questions else "everything without feedback is of other versions, which returned something else"
        return Asked(self.study.plan.function, self.study.champion.version, self.values, questions, reason)

    def _shown(self, number: int) -> Execution:
        """The execution by which an event is asked about."""
        return self.study.known[self.search.events[number].first].execution

    def _silent(self, numbers: Sequence[int]) -> Iterator[Silent]:
        kinds: dict[bool | None, list[int]] = {}
        for number in numbers:
            kinds.setdefault(self.search.alarm(number), []).append(number)
        for alarm, members in kinds.items():
            nearness = ranked([self.search.distances[number] for number in members])
            for number, near in zip(members, nearness, strict=True):
                yield Silent(self._shown(number).id, alarm, self.search.flips(number, self.after), near)

    def _one_a_period(self, silent: Iterable[Silent], events: Mapping[str, int]) -> Iterator[Silent]:
        """Of executions that would be one incident, the one to ask about: any where the challenger differs there."""
        apart: dict[Hashable, list[Silent]] = {}
        for item in silent:
            period = self.search.events[events[item.id]].period
            if period is None:
                yield item
            else:
                apart.setdefault((period, item.differs), []).append(item)
        for items in apart.values():
            yield max(items, key=lambda item: (0.0 if item.differs else -item.near, _draw(item.id, 0)))

    def _question(self, number: int, item: Silent) -> Question:
        execution = self._shown(number)
        kind, data = self.after[self.search.events[number].first]
        challenger = None if self.values is None else seen((kind, data)) if kind == "r" else f"<{data!s}>"
        return Question(
            execution_id=execution.id,
            started=execution.started,
            arguments=_by_name(self.study.plan, execution),
            returned=value_of(execution.result),
            challenger=challenger,
            why=_why(item, self.values is not None),
            answer=f"python -m poet_hook feedback {execution.id} correct --source {ASKED}",
        )


def _why(item: Silent, challenged: bool) -> str:
    if item.differs:
        what = {True: "would not raise this alert", False: "would raise an alert here", None: "returns something else"}
        return f"the challenger {what[item.alarm]}"
    what = {True: "an alert near a limit", False: "a near miss: no alert, but near a limit", None: "near a limit"}
    return f"{what[item.alarm]}; the challenger agrees" if challenged else f"{what[item.alarm]}; no challenger yet"


def _by_name(plan: Plan, execution: Execution) -> dict[str, Any]:
    try:
        values = codec.decode(arguments_of(execution), plain=True)
    except CodecError as error:
        return {"?": f"<{error}>"}
    shown = (f"<{v.mode}{' ' + v.text if v.text else ''}>" if isinstance(v, codec.Summary) else v for v in values)
    return dict(zip((parameter.name for parameter in plan.parameters), shown, strict=False))
