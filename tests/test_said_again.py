"""Feedback that is said again, or revised: what is evidence twice, and what is evidence at last."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import poet_hook

Load = Callable[..., ModuleType]

HOT = """
    # poet: optimize_for=accuracy, after=100000{more}
    def is_hot(celsius: float) -> bool:
        return celsius > 55.0  # poet: tune 0..100
"""
VALUES = [*range(42, 55), 70, 20]


def teach(function: Any, values: list[int], limit: float = 30.0) -> dict[str, bool]:
    said = {}
    for value in values:
        result = poet_hook.call(function, float(value))
        said[result.execution_id] = result.value == (value > limit)
    return said


def say(said: dict[str, bool], source: str = "user") -> None:
    for execution, right in said.items():
        poet_hook.feedback(execution, right, source=source)


@pytest.mark.parametrize("source", ["user", "audit"])
def test_what_chose_a_version_is_no_evidence_when_it_is_said_again(load: Load, source: str) -> None:
    """Neither by who said it, nor by somebody else: it helped to choose the version that was taken back."""
    is_hot = load(HOT.format(more=""), "m").is_hot
    said = teach(is_hot, VALUES)
    say(said)
    assert poet_hook.learn(is_hot).promoted
    poet_hook.rollback(is_hot)
    say(said, source)
    learned = poet_hook.learn(is_hot)
    assert not learned.promoted, learned.reasons
    assert learned.verdict is not None
    assert learned.verdict.evidence.wins == 0
    assert learned.verdict.evidence.e_value == 1.0


def test_saying_it_again_makes_no_refinement(load: Load) -> None:
    """The wealth that promoted a version has bet on these labels already."""
    is_hot = load(HOT.format(more=""), "m").is_hot
    said = teach(is_hot, VALUES)
    say(said)
    assert poet_hook.learn(is_hot).promoted
    say(teach(is_hot, [33, 35]))
    say(said, "audit")
    again = poet_hook.learn(is_hot)
    assert again.version == 3
    evidence = float(again.reasons[0].partition("evidence ")[2].partition(",")[0])
    assert evidence < 10_000  # 950 by the first fifteen labels, and a little by two more


def test_a_revision_is_evidence_from_then_on(load: Load) -> None:
    """Complaints that were a mistake take back the version that they found."""
    is_hot = load(HOT.format(more=""), "m").is_hot
    said = teach(is_hot, VALUES)
    say(said)
    assert poet_hook.learn(is_hot).promoted
    for execution in list(said)[:13]:
        poet_hook.feedback(execution, True)
    learned = poet_hook.learn(is_hot)
    assert learned.champion == 1
    assert "rolled back to v1" in learned.reasons[0]


def test_of_an_incident_the_first_word_decides_when_it_was_spoken_of(load: Load) -> None:
    is_hot = load(HOT.format(more=", group=1"), "m").is_hot
    said = {}
    for value in VALUES:
        said |= teach(is_hot, [value])
        teach(is_hot, [0, 0, 0])
    say(said)
    assert poet_hook.learn(is_hot).promoted
    for execution in list(said)[:13]:
        poet_hook.feedback(execution, True)
    learned = poet_hook.learn(is_hot)
    assert learned.champion == 2
    assert learned.verdict is not None
    assert (learned.verdict.evidence.wins, learned.verdict.evidence.losses) == (0, 0)
