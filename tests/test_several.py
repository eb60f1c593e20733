"""Several objectives: what is better by all of them may go live, anything else is shown to be chosen from."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import poet_hook
from poet_hook import api
from poet_hook.cli.main import main
from poet_hook.learning.aims import aims_of
from poet_hook.learning.candidates import Axis, Case
from poet_hook.learning.constants import Steps
from poet_hook.learning.front import MOST
from poet_hook.learning.gate import Judge
from poet_hook.learning.objective import Label
from poet_hook.learning.several import _least_gain
from poet_hook.model import Choice, Learned
from poet_hook.pragma.options import READERS, RefusedError
from poet_hook.versions.chain import Chain

Load = Callable[..., ModuleType]

ALARM = """
    # poet: optimize_for={names}, after=100000{more}
    def alarm(load: float) -> bool:
        return load > {limit}  # poet: tune 0..10
"""


def watch(load: Load, names: str, limit: float, more: str = "", module: str = "m") -> Any:
    return load(ALARM.format(names=names, limit=limit, more=more), module).alarm


def teach(function: Any, count: int, seed: int = 1) -> None:
    """Loads around 3, and around 6 for the half that deserves an alert: neither limit is right for all."""
    rng = random.Random(seed)
    for _ in range(count):
        deserves = rng.random() < 0.5
        result = poet_hook.call(function, rng.gauss(6.0 if deserves else 3.0, 1.5))
        poet_hook.feedback(result, result.value == deserves)


def measures(choice: Choice) -> dict[str, float]:
    return {each.objective: each.value for each in choice.measures}


# --------------------------------------------------------------------------- what can be had


def test_a_trade_off_is_shown_and_not_decided(load: Load) -> None:
    alarm = watch(load, "precision+recall", 4.5)
    teach(alarm, 90)
    learned = poet_hook.learn(alarm)
    assert not learned.promoted
    assert api.champion(alarm) == 1
    champion, *others = learned.choices
    assert champion.champion
    assert champion.version == 1
    assert 2 <= len(others) <= MOST
    assert not any(choice.champion for choice in others)
    recalls = [measures(choice)["recall"] for choice in others]
    precisions = [measures(choice)["precision"] for choice in others]
    assert max(recalls) > measures(champion)["recall"]
    assert max(precisions) > measures(champion)["precision"]
    assert max(recalls) - min(recalls) > 0.2  # they are spread


def test_choices_are_stored_with_their_evidence_and_wait_for_promote(load: Load) -> None:
    alarm = watch(load, "precision+recall", 4.5)
    teach(alarm, 90)
    choice = poet_hook.learn(alarm).choices[1]
    assert choice.version is not None
    version = Chain(api.settings(), "m:alarm").read(choice.version)
    assert version.values == choice.values
    assert version.level is None
    assert version.verdict is not None
    assert version.verdict.decision == "propose"
    assert [each.objective in " ".join(version.verdict.reasons) for each in choice.measures] == [True, True]
    again = poet_hook.learn(alarm).choices
    assert [each.version for each in again[1:]] == [each.version for each in poet_hook.learn(alarm).choices[1:]]
    assert choice.version in [each.version for each in again]
    poet_hook.promote(alarm, choice.version)
    assert api.champion(alarm) == choice.version


def test_evidence_comes_from_what_did_not_help_to_choose(load: Load) -> None:
    alarm = watch(load, "precision+recall", 4.5)
    teach(alarm, 90)
    for choice in poet_hook.learn(alarm).choices:
        for each in choice.measures:
            assert each.judging == 90 - 60  # of 8, 12, 18, 27, 40, 60 the last that is two thirds at most
            assert each.wins + each.losses <= each.judging


def test_too_few_labels_show_nothing(load: Load) -> None:
    alarm = watch(load, "precision+recall", 4.5)
    teach(alarm, 11)
    assert poet_hook.learn(alarm).choices == ()


def test_what_is_better_by_all_goes_live(load: Load) -> None:
    alarm = watch(load, "accuracy+recall", 9.0)
    teach(alarm, 60)
    learned = poet_hook.learn(alarm)
    assert learned.promoted
    assert learned.verdict is not None
    assert learned.verdict.level == "proven"
    assert learned.choices == ()


def test_a_version_that_is_worse_by_one_objective_is_rolled_back(load: Load) -> None:
    alarm = watch(load, "accuracy+recall", 9.0)
    teach(alarm, 60)
    assert poet_hook.learn(alarm).promoted
    for _ in range(40):  # nothing deserves an alert any more
        result = poet_hook.call(alarm, 8.0)
        poet_hook.feedback(result, "false alarm")
    learned = poet_hook.learn(alarm)
    assert "did worse than v1 by accuracy" in learned.reasons[0]
    assert api.champion(alarm) == 1


def cases(names: str, rng: random.Random, count: int, limit: float, wrong: float) -> Iterator[Case]:
    """Scores and labels as the gate takes them from `Together`; scores are N(0, 1), or N(2, 1) where an alert is due."""
    seen = []
    for number in range(count):
        deserves = rng.random() < 0.5
        score = rng.gauss(2.0 if deserves else 0.0, 1.0)
        said = deserves != (rng.random() < wrong)
        seen.append((number, Label(str(number), "decision", said, 1.0, said == (score > limit), number), score))
    parts = [
        aims_of(name, (1.0, 1.0), [(n, known, score > limit) for n, known, score in seen]) for name in names.split("+")
    ]
    for number, known, score in seen:
        now = [aims.at(number).loss(known, score > limit) for aims in parts]
        above, below = (
            _least_gain(now, [aims.at(number).loss(known, outcome) for aims in parts]) for outcome in (True, False)
        )
        loss = Steps((score,), (above, below), (below,))
        yield Case(str(number), max(now), (loss,), approved=known.approved, alarm=score > limit)


def promotions(names: str, limit: float, wrong: float, streams: int) -> int:
    """Judged after every fifth of 60 feedbacks."""
    found = 0
    for seed in range(streams):
        judge = Judge([Axis(limit, -3.0, 6.0)])
        for count, case in enumerate(cases(names, random.Random(seed), 60, limit, wrong), 1):
            judge.add(case)
            if count % 5 == 0 and judge.judgement().decision == "promote":
                found += 1
                break
    return found


@pytest.mark.parametrize("names", ["precision+recall", "accuracy+f1", "precision+recall+accuracy"])
def test_noise_and_a_mere_trade_off_seldom_promote_anything(names: str) -> None:
    assert promotions(names, 1.0, wrong=0.5, streams=40) <= 2  # pure noise
    assert promotions(names, 1.0, wrong=0.0, streams=20) <= 1  # the limit is best by accuracy, every other trades


@pytest.mark.parametrize("names", ["accuracy+f1", "accuracy+recall"])
def test_what_is_far_too_high_for_all_of_them_is_replaced(names: str) -> None:
    assert promotions(names, 5.0, wrong=0.0, streams=10) >= 8


def test_whole_numbers_and_errors_are_judged_together_too(load: Load) -> None:
    minutes = load(
        """
        # poet: optimize_for=error+absolute_error, after=100000
        def minutes(length: float) -> float:
            return length * 3  # poet: tune 1..9 as rate
        """
    ).minutes
    for length in range(1, 31):
        result = poet_hook.call(minutes, float(length))
        poet_hook.feedback(result, {"expected": 4.0 * length})
    assert poet_hook.learn(minutes).promoted
    assert minutes(10.0) == 40.0


# --------------------------------------------------------------------------- in a terminal


def test_the_table_and_the_document(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    alarm = watch(load, "precision+recall", 4.5)
    teach(alarm, 90)
    assert main(["learn", "alarm"]) == 0
    told = capsys.readouterr().out
    assert "what can be had instead; none is put in use by itself:" in told
    lines = told.splitlines()
    header = next(line for line in lines if line.split()[:3] == ["version", "precision", "recall"])
    assert "e, precision" in header
    assert any(line.split()[:3] == ["v1", "(in", "use)"] and line.endswith("as written") for line in lines)
    assert "accept one with: python -m poet_hook promote m:alarm VERSION" in told
    assert main(["learn", "alarm", "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)["functions"]
    assert document["choices"][0]["champion"] is True
    assert {each["objective"] for each in document["choices"][1]["measures"]} == {"precision", "recall"}


# --------------------------------------------------------------------------- words and sums


@pytest.mark.parametrize(
    "names", ["precision+", "+recall", "recall+recall", "error+f1+recall+accuracy", "recall+speed", "recall+latency"]
)
def test_what_can_not_be_joined_is_refused(names: str) -> None:
    with pytest.raises(RefusedError) as refused:
        READERS["optimize_for"]("optimize_for", names)
    assert refused.value.code == "PH203"


def test_objectives_in_words(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    watch(load, '"precision + recall"', 4.5)
    assert main(["explain", "m:alarm"]) == 0
    told = capsys.readouterr().out
    assert "objective: precision, higher is better" in told
    assert ", and recall, higher is better" in told


losses = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=3)


@given(losses)
def test_what_gains_together_gains_by_each(pairs: list[tuple[float, float]]) -> None:
    now, then = zip(*pairs, strict=True)
    gain = max(now) - _least_gain(now, then)
    assert all(before - after >= gain - 1e-12 for before, after in pairs)
    assert -1.0 - 1e-12 <= gain <= 1.0 + 1e-12
    assert _least_gain(now, now) == max(now)
    if not any(now):
        assert _least_gain(now, then) >= 0.0


def test_a_learned_result_without_choices_has_none() -> None:
    assert Learned("m:f", 1, None, None, False, ()).choices == ()
