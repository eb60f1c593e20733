"""What learning proposes, how it is judged, and what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from poet_hook.model import Value

Level = Literal["requested", "provisional", "proven"]
Isolation = Literal["none", "limits", "closed"]
Decision = Literal["promote", "propose", "challenge", "wait", "keep"]
Metric = Literal[
    "accuracy",
    "precision",
    "recall",
    "f1",
    "cost",
    "relative_error",
    "absolute_error",
    "loss",
    "latency",
    "reliability",
    "reward",
    "spent",
]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict counted: wins, losses and e-value on feedback that did not help to find the candidate.

    `wins` and `losses` are discordant executions (weighted), `e_value` the evidence against "the candidate is
    no better". `before` and `after` describe, and judge nothing: the `metric` of champion and candidate over the
    labelled executions, those that helped to find the candidate included. `gain` is what the candidates of their time
    lost less than the champion, per execution that did not help to find them, in the unit of the metric (for
    precision, recall and F1, of their costs); it lies above `gain_low`, and below `gain_high`, each but for a chance
    of alpha. None where there was no such execution, or the version is older than these. Where `group=` makes incidents
    of executions, all of this counts incidents, and `comments` the executions with feedback in them.
    """

    labelled: int
    wins: float
    losses: float
    e_value: float
    before: float
    after: float
    silent: int = 0
    silent_weight: float = 0.0
    set_aside: int = 0
    metric: Metric = "accuracy"
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    comments: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed change: `values` by tunable name, `interval` all numbers that do as well."""

    function: str
    parent: int
    values: Mapping[str, Value]
    source: str
    interval: tuple[float, float] | None = None
    kind: Literal["tune"] = "tune"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of a candidate; `reasons` are sentences, `regressions` ids of approved executions that flip.

    `flips` are the ids of all that do; where a sample was replayed, of `replayed` executions (None: of all).
    `isolation` says how well other code was locked away while it was replayed; None of the user's own.
    """

    decision: Decision
    level: Level | None
    alpha: float
    evidence: Evidence
    reasons: tuple[str, ...]
    regressions: tuple[str, ...] = ()
    flips: tuple[str, ...] = ()
    needed: int | None = None
    replayed: int | None = None
    isolation: Isolation | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A stored body of a function: v1 is the user's original, and has no verdict."""

    function: str
    number: int
    source: str
    source_hash: str
    created: float
    parent: int | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    level: Level | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """How good a choice is by one objective: the `metric`, on all that was said.

    `wins`, `losses` and `e_value` compare it with the champion by that objective alone, on `judging` labelled events
    (executions or incidents) that did not help to choose it, and on silence.
    """

    objective: str
    metric: Metric
    value: float
    wins: float
    losses: float
    e_value: float
    judging: int


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several versions, none of which is better than another by all objectives; `version` None is not stored."""

    version: int | None
    values: Mapping[str, Value]
    champion: bool
    measures: tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class Learned:
    """What one learning run did: the verdict, and the version that it made, if any.

    `requested` are the versions that it made because somebody asked for them; they wait to be promoted. `choices` are
    what can be had of several objectives, for a person to choose from.
    """

    function: str
    champion: int
    verdict: Verdict | None
    version: int | None
    promoted: bool
    reasons: tuple[str, ...]
    candidate: Candidate | None = None
    requested: tuple[int, ...] = ()
    choices: tuple[Choice, ...] = ()
