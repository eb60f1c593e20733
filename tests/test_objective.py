from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poet_hook.learning.objective import PLAIN, Label, objective, score
from poet_hook.learning.opinions import contradictions, label
from poet_hook.model import UNSET, Feedback, Signal
from poet_hook.signals.rules import read

ERROR = objective("error", (1.0, 1.0))
ALERTS = objective("alert_quality", (1.0, 4.0))


def said(*pairs: tuple[str, Any], about: Any) -> list[Feedback]:
    """What each source said, as it is read."""
    signals = [(source, words if isinstance(words, Signal) else read(words, outcome=about)) for source, words in pairs]
    assert all(signal.kind != "unread" for _, signal in signals), signals
    return [Feedback(i + 1, "e", float(i), source, b"", signal) for i, (source, signal) in enumerate(signals)]


def known(words: Any, about: Any) -> Label:
    found = label("e", said(("ann", words), about=about), about)
    assert found is not None
    return found


# --------------------------------------------------------------------------- ranges


@pytest.mark.parametrize(
    ("words", "outcome", "plain", "error"),
    [
        ("between 3 and 5", 3, 0.0, 0.0),
        ("between 3 and 5", 5.0, 0.0, 0.0),
        ("between 3 and 5", 4, 0.0, 0.0),
        ("between 3 and 5", 6.0, 1.0, 0.2),
        ("between 3 and 5", 2.7, 1.0, 0.1),
        ("between 3 and 5", 500.0, 1.0, 1.0),
        ("between 3 and 5", float("nan"), 1.0, 1.0),
        ("between 3 and 5", float("inf"), 1.0, 1.0),
        ("between 3 and 5", "4", 1.0, 1.0),
        ("between 3 and 5", UNSET, 1.0, 1.0),
        ("under 10", 10, 1.0, 0.0),
        ("under 10", 9.99, 0.0, 0.0),
        ("no more than 10", 10, 0.0, 0.0),
        ("over 10", 10, 1.0, 0.0),
        ("at least 10", 10, 0.0, 0.0),
        ("at least 10", 5, 1.0, 0.5),
        ("at least 0", -0.25, 1.0, 0.25),
    ],
)
def test_the_loss_of_a_range(words: str, outcome: Any, plain: float, error: float) -> None:
    truth = known(words, 2.5)
    assert PLAIN.loss(truth, outcome) == plain
    assert ERROR.loss(truth, outcome) == pytest.approx(error)


def test_a_range_approves_of_what_is_in_it() -> None:
    assert known("between 2 and 3", 2.5).approved
    assert not known("between 3 and 5", 2.5).approved
    assert label("e", [Feedback(1, "e", 0.0, "ann", b"", Signal("range", {"at_least": 3}))], "spam") is None


# --------------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    ("words", "recorded", "outcome", "loss"),
    [
        ("should be 2024-05-01", date(2024, 4, 1), date(2024, 5, 1), 0.0),
        ("should be 2024-05-01", date(2024, 4, 1), date(2024, 5, 2), 1.0),
        ("should be 2024-05-01", date(2024, 4, 1), None, 1.0),
        ("should be 2024-05-01", datetime(2024, 4, 1, 9), datetime(2024, 5, 1, 9), 0.0),
        ("should be 2024-05-01 10:00", datetime(2024, 4, 1, 9), datetime(2024, 5, 1, 9), 1.0),
        ("should be 2024-05-01 10:00", datetime(2024, 4, 1, 9), datetime(2024, 5, 1, 10), 0.0),
        ("should be 2024-05-01T10:00Z", datetime(2024, 4, 1, tzinfo=UTC), datetime(2024, 5, 1, 10, tzinfo=UTC), 0.0),
        ("should be 2024-05-01", "2024-04-01", "2024-05-01", 0.0),
        ("should be 2024-05-01", "2024-04-01", "2024-05-02", 1.0),
        ("should be 2024-05-01", "2024-04-01T00:00:00", "2024-05-01T07:00:00", 0.0),
        ({"expected": "2024-05-01"}, date(2024, 4, 1), date(2024, 5, 1), 0.0),
        ({"expected": "soon"}, date(2024, 4, 1), date(2024, 5, 1), 1.0),
    ],
)
def test_the_loss_of_a_date(words: Any, recorded: Any, outcome: Any, loss: float) -> None:
    assert PLAIN.loss(known(words, recorded), outcome) == loss


# --------------------------------------------------------------------------- fields

SPAM = {"label": "spam", "score": 0.9, "inner": {"size": 7}}
ALERT = {"is_anomaly": True, "score": 3.0}


@pytest.mark.parametrize(
    ("words", "outcome", "loss"),
    [
        ({"score": "too high"}, {"label": "other", "score": 0.8}, 0.0),
        ({"score": "too high"}, {"label": "spam", "score": 0.9}, 0.5),
        ({"score": "too high"}, {"label": "spam", "score": 1.0}, 1.0),
        ({"score": "too high"}, {"label": "spam"}, 1.0),
        ({"score": "too high"}, "spam", 1.0),
        ({"score": "too high"}, UNSET, 1.0),
        ({"label": {"expected": "ham"}}, {"label": "ham", "score": 0.1}, 0.0),
        ({"label": {"expected": "ham"}, "score": 0.5}, {"label": "ham", "score": 0.9}, 0.5),
        ({"label": {"expected": "ham"}, "score": 0.5}, {"label": "ham", "score": 0.5}, 0.0),
        ({"label": "correct"}, {"label": "spam", "score": 0.1}, 0.0),
        ({"label": "correct"}, {"label": "ham", "score": 0.1}, 1.0),
        ({"inner": {"size": "too high"}}, {"inner": {"size": 6}}, 0.0),
        ({"inner": {"size": "too high"}}, {"inner": {"size": 8}}, 1.0),
        ({"inner": {"size": "too high"}}, {"inner": 6}, 1.0),
    ],
)
def test_the_loss_of_fields_looks_at_these_fields(words: Any, outcome: Any, loss: float) -> None:
    truth = known(words, SPAM)
    assert truth.kind == "fields"
    assert PLAIN.loss(truth, outcome) == loss


def test_a_field_without_a_name_is_not_the_whole() -> None:
    assert known({None: "too high"}, {None: 2.5}).kind == "fields"


def test_the_error_of_a_field_is_relative_to_what_was_expected_there() -> None:
    truth = known({"score": {"expected": 0.5}}, SPAM)
    assert ERROR.loss(truth, {"score": 0.6}) == pytest.approx(0.2)


def test_a_surer_field_counts_for_more() -> None:
    truth = known({"label": {"expected": "ham"}, "score": "probably too high"}, SPAM)
    assert truth.weight == 1.0
    assert PLAIN.loss(truth, {"label": "spam", "score": 0.1}) == pytest.approx(1 / 1.6)
    assert PLAIN.loss(truth, {"label": "ham", "score": 1.0}) == pytest.approx(0.6 / 1.6)


def test_all_fields_must_be_right_to_approve() -> None:
    assert known({"label": "correct", "score": "correct"}, SPAM).approved
    assert not known({"label": "correct", "score": "too high"}, SPAM).approved


def test_a_yes_or_no_among_fields_costs_what_an_alert_costs() -> None:
    truth = known({"is_anomaly": "wrong", "score": "too high"}, ALERT)
    assert ALERTS.loss(truth, {"is_anomaly": False, "score": 2.0}) == 0.0
    assert ALERTS.loss(truth, {"is_anomaly": True, "score": 2.0}) == pytest.approx(0.125)  # a false alarm costs 1/4
    pairs = [(truth, {"is_anomaly": True, "score": 3.0}), (truth, {"is_anomaly": False, "score": 2.0})]
    counted = score(pairs)
    assert (counted.right, counted.wrong, counted.false_alarms, counted.misses) == (1, 1, 1, 0)
    assert score([(known({"score": "too high"}, ALERT), ALERT)]).false_alarms == 0


# --------------------------------------------------------------------------- several opinions


@pytest.mark.parametrize(
    ("words", "about", "kind", "weight"),
    [
        (("too high", {"expected": 1}), 2.5, "value", 1.0),
        (("wrong", {"expected": 1}), 2.5, "value", 1.0),
        (("too high", "should be under 2"), 2.5, "range", 1.0),
        (("wrong", "should be under 2"), 2.5, "range", 1.0),
        (("wrong", "too high"), 2.5, "direction", 1.0),
        (("should be under 2", {"expected": 1}), 2.5, "value", 1.0),
        (("between 3 and 5", "at least 4"), 2.5, "range", 1.0),
        (("too low", {"expected": 1}), 2.5, "value", 0.1),
        (("too low", "should be under 2"), 2.5, None, 0.0),
        (("between 3 and 5", "at least 6"), 2.5, None, 0.0),
        (("between 3 and 5", {"expected": 2}), 2.5, "value", 0.1),
        (("correct", "between 2 and 3"), 2.5, "value", 1.0),
        (("correct", "between 3 and 4"), 2.5, None, 0.0),
        (("correct", {"expected": 3}), 2.5, "value", 0.1),
        (("should be 2024-05-01", {"expected": "2024-05-01"}), date(2024, 4, 1), "value", 1.0),
        (("false alarm", "good catch"), True, None, 0.0),
    ],
)
def test_what_can_both_be_true_adds_up_and_what_can_not_is_subtracted(
    words: tuple[Any, Any], about: Any, kind: str | None, weight: float
) -> None:
    for first, second in (words, words[::-1]):
        opinions = said(("ann", first), ("bob", second), about=about)
        found = label("e", opinions, about)
        assert (found and found.kind, round(found.weight, 6) if found else 0.0) == (kind, weight)
        assert bool(contradictions(opinions, about)) == (weight < 1.0)


def test_to_say_it_twice_makes_it_no_truer() -> None:
    opinions = said(("ann", "wrong"), ("ann", False), ("ann", "bad"), ("bob", True), about=2.5)
    assert label("e", opinions, 2.5) is None


def test_contradictions_are_shown_with_what_is_left() -> None:
    opinions = said(("ann", False), ("bob", "good catch"), about=True)
    assert contradictions(opinions, True) == ["ann and bob contradict each other: weight 0.1 is left"]
    opinions = said(("ann", {"score": "too high"}), ("bob", {"score": "too low"}), about=SPAM)
    assert contradictions(opinions, SPAM) == ["ann and bob contradict each other about score: it counts for nothing"]
    opinions = said(("ann", "correct"), ("ann", "wrong"), about=2.5)
    assert contradictions(opinions, 2.5) == ["ann says both: it counts for nothing"]
    assert contradictions(said(("ann", "wrong"), ("bob", False), about=2.5), 2.5) == []


def test_one_says_it_of_a_field_and_another_of_the_whole() -> None:
    opinions = said(("ann", {"score": "too high"}), ("bob", "correct"), about=SPAM)
    assert label("e", opinions, SPAM) is None  # all of it right means that this field is, too
    assert contradictions(opinions, SPAM) == ["ann and bob contradict each other about score: it counts for nothing"]
    opinions = said(("ann", {"is_anomaly": "correct", "score": "too high"}), ("bob", "false alarm"), about=ALERT)
    found = label("e", opinions, ALERT)
    assert found is not None
    assert [path for path, _ in found.value] == [("score",)]


def test_who_speaks_of_fields_says_there_what_is_right() -> None:
    opinions = said(("ann", "correct"), ("ann", {"score": "too high"}), about=SPAM)
    found = label("e", opinions, SPAM)
    assert found is not None
    assert [(path, part.kind) for path, part in found.value] == [(("score",), "direction")]
    opinions = said(("ann", "correct"), ("ann", {"score": "too high"}), about=ALERT)
    found = label("e", opinions, ALERT)
    assert found is not None
    assert [(path, part.kind) for path, part in found.value] == [((), "decision"), (("score",), "direction")]


words = st.sampled_from(
    ["correct", "wrong", "too high", "too low", {"expected": 1}, {"expected": 3.5}, "between 3 and 5", "under 2", 0.8]
)
on_fields = st.dictionaries(st.sampled_from(["score", "size"]), words.filter(lambda w: w != 0.8), min_size=1)


@given(opinions=st.lists(st.tuples(st.sampled_from("abc"), words | on_fields), min_size=1, max_size=6))
def test_any_opinions_give_losses_between_0_and_1(opinions: list[tuple[str, Any]]) -> None:
    about = {"score": 2.5, "size": 2}
    read_ones = [(source, read(what, outcome=about)) for source, what in opinions]
    feedback = [Feedback(i + 1, "e", 0.0, s, b"", signal) for i, (s, signal) in enumerate(read_ones)]
    found = label("e", feedback, about)
    contradictions(feedback, about)
    if found is not None:
        assert 0.0 < found.weight <= 1.0
        for outcome in (about, {"score": 4, "size": 2}, {"score": "x"}, {}, 3, UNSET):
            for aim in (PLAIN, ERROR, ALERTS):
                assert 0.0 <= aim.loss(found, outcome) <= 1.0
        assert score([(found, about)]).right in (0, 1)


@pytest.mark.parametrize(
    ("words", "better", "worse"),
    [("too high", "3.25", "4"), ("at most 3", "3", "3.25"), ({"expected": 3.0}, "3.125", "3.25")],
)
def test_a_decimal_is_a_number(words: Any, better: str, worse: str) -> None:
    recorded = Decimal("3.5")
    truth = known(words, recorded)
    assert ERROR.loss(truth, Decimal(better)) < ERROR.loss(truth, recorded) < 1.0
    assert ERROR.loss(truth, Decimal(better)) < ERROR.loss(truth, Decimal(worse))
    assert ERROR.loss(truth, Decimal(better)) == ERROR.loss(truth, float(better))
    assert ERROR.loss(truth, Decimal("NaN")) == 1.0
