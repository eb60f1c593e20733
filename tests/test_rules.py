from __future__ import annotations

import decimal
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any, get_args

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poet_hook.domains.base import load
from poet_hook.model import UNSET, Signal, SignalKind
from poet_hook.signals.rules import read

R, W, U = ("right", None), ("wrong", None), ("unread", None)
T, F = ("expected", True), ("expected", False)
HIGH, LOW = ("direction", -1), ("direction", 1)

ON_AN_ALARM: dict[tuple[str, Any], str] = {
    R: """correct|good catch|right|yes|yep|well done|spot on|true positive|legit|legitimate|real|works
        perfect|ok|okay|lgtm|LGTM!|Correct.|good alert|great catch|this is right|that's correct|it works
        this was a real alert|nice work|not a false alarm|this is not a false positive|wasn't a false alarm
        not wrong|not bad|not incorrect|not noise|never a false alarm|no false alarms here
        didn't miss anything|nothing was missed|no, it was real|👍|✅|👍🏽|👌 good catch
        you correctly flagged this|as expected|+1|4/5|5/5|4 out of 5|5 stars|⭐⭐⭐⭐|★★★★☆
        yes, a true positive|correct because the disk was full|it isn't wrong|works as it should|good call""",
    W: """wrong|incorrect|this cannot be right|no|No.|bad|nope|nah|not good|not right|isn't correct|isnt correct
        doesn't look right|this is not right|can't be right|cant be right|not ok|bad alert|no good|useless
        this is wrong|100% wrong|👎|❌|-1|1/5|2 out of 5|1 star|★★☆☆☆|no, this is wrong|not very good
        that was a mistake|never right|no, that's not right|This is wrong because the disk was fine""",
    F: """false alarm|False alarm!|FALSE ALARM|a false alarm|false-alarm|false_alarm|false alarms
        false positive|noise|noisy|just noise|should not have alerted|shouldn't have alerted
        shouldnt have fired|should never have fired|should not have paged|this should not have been flagged
        nothing happened|not an anomaly|this isn't an anomaly|no anomaly|no issue|no issues|ignore this
        too noisy|too sensitive|crying wolf|it's crying wolf again|there was no incident|not a real incident
        no need to alert|no alert was needed|should not have gone off|stop alerting on this
        don't alert on this|spurious|not legit|not real|not a true positive|not a good catch|👎 false alarm
        yes, false alarm|no, false alarm|false alarm, the disk was being replaced|another false alarm
        confirmed false positive|should be False|it should have been False|expected False
        wrong, it should be false|false|false alarm because we ran a backup|this was normal
        wasn't supposed to fire|no alert should have fired""",
    T: "was an anomaly|this is a real incident|should be True|true",
    U: """.|...|?|hello|please look into it|not sure|don't know|I don't know|unclear|no idea|hard to tell
        idk|noiseless|brightly|incorrectness|false alarm?|is this a false alarm?|was this right?
        why did this fire?|right?|not too high|too high|too low|threshold too low|the threshold is too high
        sensitivity too high|good catch but too late|right alarm, but a false alarm yesterday|👍 false alarm
        right and wrong|yes and no|too late|correct but wrong|no, this is correct|missed|you missed this
        should have alerted|false negative|undetected|das war kein false positive|kein Fehlalarm
        no es un false positive|nein|c'est correct|falso positivo|这不是 false alarm|誤報
        if it was a deploy then it is a false alarm|would be a false alarm on a sunday
        neither right nor wrong|almost right|John says it is a false alarm|fewer false alarms now
        we fixed the false alarm|false alarm rate is high|something is wrong with the server
        right in the middle of maintenance|bad disk on db3|the real server|right now|false alarm it was not
        no more false alarms please|did not check the dashboard so false alarm|not just noise
        not fully right|not all bad|not sure this is right|nothing wrong|all good|no problem|⭐|🙂|⚠️|7|0
        expected 12|should be "ham"|hmm|maybe|this was not what I expected
        it was expected|not|no doubt
        good catch, but the timing was bad|if it was hot it should be False""",
}
ON_SILENCE: dict[tuple[str, Any], str] = {
    T: """missed|you missed this|you missed it|missed this one|it missed the anomaly|should have alerted
        should've alerted|should have caught this|should have fired|should have been flagged
        there should have been an alert|false negative|undetected|went undetected|this went unnoticed
        why no alert|why no alert?|why was there no alert?|why didn't it alert?|was an anomaly|not detected
        this was not detected|why was this not detected?|how did you miss this?|too insensitive
        not sensitive enough|you didn't alert|it failed to alert|no, you missed it|slipped through
        not a true negative|was a real incident|not normal|should be True|it should have been True
        expected true|should have gone off|overlooked""",
    R: """correct|right|true negative|rightly silent|right not to alert|not missed|didn't miss anything
        you didn't miss this|nobody missed this|no one missed this|👍""",
    W: "wrong|this is wrong|not right|👎",
    F: "nothing happened|not an anomaly|no issue|it was normal|should be False",
    U: """false alarm|false positive|good catch|true positive|too noisy|legit|no false alarms here
        not a false alarm|ignore this|should not have alerted|did you miss this?
        we missed this in the standup|missed nothing|true|false|I have not noticed anything unusual
        we have not detected anything|it did not detect anything unusual|should alert again tomorrow
        I should not have missed lunch|users were not alerted""",
}
ON_A_NUMBER: dict[tuple[str, Any], str] = {
    HIGH: """too high|way too high|this is too high|estimate too high|overestimated|should be lower
        a bit too high|too large""",
    LOW: """too low|much too low|underestimated|should be higher|should have been higher
        the forecast was too low""",
    R: "correct|👍|4/5|not wrong",
    W: "wrong|👎|1/5|not right|false alarm|missed",
    (
        "expected",
        3.5,
    ): """should be 3.5|it should have been 3.5|expected 3.5|expected: 3.5|supposed to be 3.5
        true value is 3.5""",
    (
        "expected",
        12,
    ): """expected 12|should be 12.|the correct answer is 12|expected=12|should be 12, not 15
        expected 12 but got 15|wrong, should be 12|should be 12 because of tax|actual was 12
        the right value: 12|should've been 12""",
    ("expected", -65000): "should be -65,000|should be -6.5e4",
    U: """4|0.5|80%|3|+1|1|should be 3.5 seconds|should be 3 or 4|should not be 3.5|not expected 12
        should be 5?|should be "ham"|should be True|correct, should be 5|too high or too low|not too high
        cpu was too high|should be 5, should be 6|threshold too low|5-1|between 4 and 3|should be 3 and 4|3 and 4
        not under 10|should not be under 10|not between 3 and 4|at least 3 times|if it is hot, at least 3
        at least|it was over 10|maybe under 10|should be under 10 or 12|at least 3?|should be 3, or 4-5
        correct, should be at least 5|too high, should be at least 9|wrong, should be 1-9|too high, should be 12
        should be 5 ms|at least 5 ms|should be $5|expected 12 items|should be 5 km/h|3-5 seconds|should be 25%
        20-30%|at least 50%|should be 2024-05-01|2024-05-01|should be 1e999|should be 4-5, should be 5-6
        correct, should be under 1|between them|3-|-5|under the weather|over and out|should be over there""",
}
RANGES = {
    """between 3 and 5|3-5|3 - 5|3–5|3 to 5|from 3 to 5|Between 3 AND 5.|between 3 to 5|should be between 3 and 5
    expected 3-5|it should have been 3 to 5|the right value is between 3 and 5|should be 3-5, not 12
    expected between 3 and 5 because of tax|should be 3-5, should be between 3 and 5""": {
        "at_least": 3,
        "at_most": 5,
    },
    "at least 3|no less than 3|not less than 3|minimum 3|>= 3|≥3|should be at least 3|too low, should be at least 3": {
        "at_least": 3
    },
    "at most 1.5|no more than 1.5|not more than 1.5|up to 1.5|<= 1.5|≤ 1.5|should be at most 1.5|wrong, at most 1.5": {
        "at_most": 1.5
    },
    "over 10|above 10|more than 10|greater than 10|> 10|should be higher than 10|expected: > 10": {"above": 10},
    "under 10|below 10|less than 10|< 10|should be lower than 10|should be under 10|correct, should be under 10": {
        "below": 10
    },
    "-5--3|-5 to -3|should be between -5 and -3": {"at_least": -5, "at_most": -3},
    "between 1,000 and 2,000": {"at_least": 1000, "at_most": 2000},
}


def cases(table: dict[tuple[str, Any], str]) -> list[tuple[str, str, Any]]:
    return [
        (phrase.strip(), kind, value)
        for (kind, value), phrases in table.items()
        for phrase in phrases.replace("\n", "|").split("|")
    ]


@pytest.mark.parametrize(
    "said",
    """great, another false alarm|oh wonderful, paged again for nothing|well done, a false alarm
    nice, noise again|thanks, a false positive""".replace("\n", "|").split("|"),
)
def test_praise_beside_a_complaint_is_sarcasm(said: str) -> None:
    signal = read(said.strip(), outcome=True)
    assert (signal.kind, signal.value) == F
    assert read(said.strip(), outcome=False).kind == "unread"
    signal = read("great, you missed it", outcome=False)
    assert (signal.kind, signal.value, signal.confidence) == ("expected", True, 0.6)


@pytest.mark.parametrize("said", ["great, the queue again", "nice, customers rang", "well done, scoobydoo"])
def test_praise_beside_words_that_no_rule_reads_may_be_sarcasm(said: str) -> None:
    assert "perhaps in jest" in read(said, outcome=True).reason


@pytest.mark.parametrize(
    "said",
    [
        "okay, so why did this fire?",
        "correct. why was it so late?",
        "nothing wrong with the alert",
        "10% chance it is a false alarm",
        "we had three false alarms before this one",
        "not correct to say it's a false alarm",
        "it's normal to alert here",
        "I was wrong",
        "my mistake",
        "sorry for calling this a false alarm",
        "I marked this as a false alarm by accident",
    ],
)
def test_what_only_sounds_like_a_word_about_an_alert_is_unread(said: str) -> None:
    check(read(said, outcome=True), "unread", None)


@pytest.mark.parametrize(
    ("said", "kind", "value"),
    [
        ("expected to be a false alarm, turned out real", "right", None),
        ("turned out to be real", "right", None),
        ("my mistake, the alert was correct", "right", None),
        ("turned out to be a false alarm", *F),
        ("false alarm, why?", *F),
    ],
)
def test_what_comes_last_is_said_of_an_alert(said: str, kind: str, value: Any) -> None:
    check(read(said, outcome=True), kind, value)


@pytest.mark.parametrize("said", ["1.0", "0.0", "1", "0"])
def test_a_table_may_mean_a_yes_by_one_and_a_no_by_zero(said: str) -> None:
    """Of an alert both come to the same; of silence 1.0 would say that it was right, or that it was wrong."""
    check(read(said, outcome=False), "unread", None)
    check(read("0.8", outcome=False), "reward", 0.8)
    if "." in said:
        check(read(said, outcome=True), "reward", float(said))
    check(
        read({"reward": said}, outcome=False),
        "reward" if "." in said else "unread",
        float(said) if "." in said else None,
    )


def test_who_missed_it_matters() -> None:
    check(read("I missed the alert", outcome=False), "unread", None)
    check(read("you missed it", outcome=False), "expected", True)


@pytest.mark.parametrize(
    ("said", "limits"),
    [
        ("at least 4, at most 6", {"at_least": 4, "at_most": 6}),
        ("at most 6 and at least 4", {"at_most": 6, "at_least": 4}),
        (">= 4, <= 6", {"at_least": 4, "at_most": 6}),
        ("should be more than 1 but less than 2.5", {"above": 1, "below": 2.5}),
        ("at least 4 or at most 2", None),
        ("at least 4, at least 6", None),
        ("at least 6, at most 4", None),
        ("at least 4, at most 6 ms", None),
        ("should be over 5. over 90 is a bug", None),
        ("I expected 5 but 3 is fine", None),
    ],
)
def test_both_ends_of_a_range_are_read_or_none(said: str, limits: dict[str, float] | None) -> None:
    """10 is at least 4: half of it would approve of what it complains of."""
    signal = read(said, outcome=10.0)
    check(signal, "unread" if limits is None else "range", limits)


def test_the_tables_are_large_enough() -> None:
    assert len({phrase for table in (ON_AN_ALARM, ON_SILENCE, ON_A_NUMBER) for phrase, _, _ in cases(table)}) >= 150


@pytest.mark.parametrize(("phrase", "kind", "value"), cases(ON_AN_ALARM))
def test_what_is_said_of_an_alarm(phrase: str, kind: str, value: Any) -> None:
    check(read(phrase, outcome=True), kind, value)
    if kind != "unread":
        check(read(phrase, outcome={"is_anomaly": True, "score": 3.2}), kind, value)


@pytest.mark.parametrize(("phrase", "kind", "value"), cases(ON_SILENCE))
def test_what_is_said_of_silence(phrase: str, kind: str, value: Any) -> None:
    check(read(phrase, outcome=False), kind, value)
    check(read(phrase, outcome=numpy.bool_(False)), kind, value)


@pytest.mark.parametrize(("phrase", "kind", "value"), cases(ON_A_NUMBER))
def test_what_is_said_of_a_number(phrase: str, kind: str, value: Any) -> None:
    check(read(phrase, outcome=2.5), kind, value)
    check(read(phrase, outcome=decimal.Decimal(2)), kind, value)


@pytest.mark.parametrize(
    ("phrase", "limits"),
    [
        (phrase.strip(), limits)
        for phrases, limits in RANGES.items()
        for phrase in phrases.replace("\n", "|").split("|")
    ],
)
def test_ranges(phrase: str, limits: dict[str, float]) -> None:
    outcome = 2.5
    if phrase.startswith("wrong, at most"):  # the rest of a text is read only where a word says what comes
        assert read(phrase, outcome=outcome).kind == "wrong"
        return
    check(read(phrase, outcome=outcome), "range", limits)
    check(read(phrase, outcome=2), "range", limits)
    assert read(phrase, outcome=True).kind != "range"
    assert read(phrase, outcome="spam").kind != "range"


@pytest.mark.parametrize(
    ("said", "kind", "value", "sure"),
    [
        ("0.5 too low", "expected", 3.0, 0.9),
        ("too high by 0.5", "expected", 2.0, 0.9),
        ("it was about 1 too high", "expected", 1.5, 0.5),
        ("12 % too high", "direction", -1, 0.9),
        ("12% too low.", "direction", 1, 0.9),
        ("3 ms too high", "direction", -1, 0.9),
        ("too low by 3 ms", "direction", 1, 0.9),
        ("about 5k", "expected", 5000, 0.5),
        ("should be 5k", "expected", 5000, 0.9),
        ("should be 1.5k", "expected", 1500.0, 0.9),
        ("5k-7k", "range", {"at_least": 5000, "at_most": 7000}, 0.9),
        ("should be 1,200.5", "expected", 1200.5, 0.9),
        ("around 4", "expected", 4, 0.5),
        ("should be 1.200,5", "unread", None, 0.0),
        ("should be 5km", "unread", None, 0.0),
        ("should be 5 k", "unread", None, 0.0),
        ("about 5 kg", "unread", None, 0.0),
        ("about 12 %", "unread", None, 0.0),
        ("around 4 or 5", "unread", None, 0.0),
        ("not 3 too high", "unread", None, 0.0),
        ("if 3 too high", "unread", None, 0.0),
        ("3 too high?", "unread", None, 0.0),
    ],
)
def test_how_far_off_and_how_much(said: str, kind: str, value: Any, sure: float) -> None:
    signal = read(said, outcome=2.5)
    assert (signal.kind, signal.value, signal.confidence) == (kind, value, sure)
    assert type(signal.value) is type(value)
    assert read(said, outcome=True).kind in ("unread", "direction") or kind == "range"


def test_a_rough_range_is_less_sure() -> None:
    signal = read("should be about 3 to 5", outcome=2.5)
    assert (signal.kind, signal.value, signal.confidence) == ("range", {"at_least": 3, "at_most": 5}, 0.5)
    assert read("around 3-5", outcome=2.5).confidence == 0.5


@pytest.mark.parametrize(
    ("phrase", "value"),
    [
        ("should be 25%", 0.25),
        ("expected 12.5 %", 0.125),
        ("should be 100%", 1.0),
        ("should be 7%", 0.07),
        ("should be between 20% and 30%", {"at_least": 0.2, "at_most": 0.3}),
        ("20-30%", {"at_least": 0.2, "at_most": 0.3}),
        ("at least 50%", {"at_least": 0.5}),
        ("should be 0.25", 0.25),
    ],
)
def test_percentages_of_a_share(phrase: str, value: Any) -> None:
    signal = read(phrase, outcome=0.4)
    check(signal, "range" if isinstance(value, dict) else "expected", value)
    if "%" in phrase:
        assert "percentage" in read(phrase, outcome=40.0).reason
        assert read(phrase).kind == "unread"


@pytest.mark.parametrize(
    ("phrase", "names"),
    [
        ("should be 5 ms", "'ms'"),
        ("3-5 seconds", "'seconds'"),
        ("should be €5", "'€'"),
        ("between 5 and 3", "lower end"),
        ("should be 2024-05-01", "the result is none"),
        ("should be 4-5, should be 6-7", "several values"),
        ("too high, should be 12", "other side"),
        ("wrong, should be 2.5", "own value"),
        ("should be 1e999", "too large"),
    ],
)
def test_why_a_stated_value_is_not_taken(phrase: str, names: str) -> None:
    signal = read(phrase, outcome=2.5)
    check(signal, "unread", None)
    assert names in signal.reason


DAY, NOON = date(2024, 5, 1), datetime(2024, 5, 1, 12)
NOON_UTC = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("phrase", "outcome", "value"),
    [
        ("should be 2024-05-01", date(2024, 4, 1), DAY),
        ("expected: 2024-05-01, not 2024-04-01", date(2024, 4, 1), DAY),
        ("2024-05-01", date(2024, 4, 1), DAY),
        ("wrong, should be 2024-05-01", date(2024, 4, 1), DAY),
        ("should be 2024-05-01", datetime(2024, 4, 1, 3), DAY),
        ("should be 2024-05-01 12:00", datetime(2024, 4, 1, 3), NOON),
        ("should be 2024-05-01t12:00:00z", datetime(2024, 4, 1, 3, tzinfo=UTC), NOON_UTC),
        ("should be 2024-05-01", "2024-04-01", DAY),
        ("should be 2024-05-01", "2024-04-01T10:00:00", DAY),
        ("2024-05-01", "2024-04-01", DAY),
        ("should be 2024-05-01", UNSET, DAY),
        ("2024-05-01", UNSET, None),
        ("should be 2024-13-01", date(2024, 4, 1), None),
        ("should be 2024-05-01", 2.5, None),
        ("should be 2024-05-01", True, None),
        ("should be 2024-05-01", "spam", None),
        ("not 2024-05-01", date(2024, 4, 1), None),
        ("should be 2024-05-01T12:00Z", datetime(2024, 4, 1, 3), None),
        ("should be 2024-05-01, should be 2024-05-02", date(2024, 4, 1), None),
        ("expected 12", date(2024, 4, 1), None),
        ("too late", date(2024, 4, 1), None),
        ("should be May 1", date(2024, 4, 1), None),
    ],
)
def test_dates(phrase: str, outcome: Any, value: Any) -> None:
    check(read(phrase, outcome=outcome), "unread" if value is None else "expected", value)


numbers = st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6).map(lambda number: round(number, 3))


@settings(max_examples=150, deadline=None)
@given(
    a=numbers, b=numbers, form=st.sampled_from(["between {} and {}", "{} to {}", "should be {} - {}", "from {} to {}"])
)
def test_a_range_is_read_as_it_was_written(a: float, b: float, form: str) -> None:
    low, high = sorted((a, b))
    text = form.format(*(f"{number:f}" if isinstance(number, float) else number for number in (low, high)))
    signal = read(text, outcome=0.5)
    assert signal.kind == "range", text
    assert signal.value == pytest.approx({"at_least": low, "at_most": high}, abs=1e-6)


def check(signal: Signal, kind: str, value: Any) -> None:
    assert (signal.kind, signal.value) == (kind, value), signal
    assert type(signal.value) is type(value) or isinstance(value, (int, float)), signal
    assert signal.reader == "rules"
    if kind == "unread":
        assert signal.reason
        assert signal.confidence == 0.0
    else:
        assert 0.75 <= signal.confidence <= 1.0


@pytest.mark.parametrize(
    ("phrase", "most"),
    [
        ("maybe a false alarm", 0.5),
        ("could be a false alarm", 0.5),
        ("not sure, but probably a false alarm", 0.4),
        ("false alarm, but I'm not certain", 0.4),
        ("I think this is a false alarm", 0.7),
        ("probably noise", 0.7),
        ("seems like a false positive", 0.7),
        ("I don't think this should have alerted", 0.7),
    ],
)
def test_a_hedge_lowers_the_confidence(phrase: str, most: float) -> None:
    signal = read(phrase, outcome=True)
    assert (signal.kind, signal.value) == ("expected", False)
    assert 0.0 < signal.confidence <= most
    assert signal.reason


def test_a_word_to_the_contrary_in_an_unknown_clause_lowers_the_confidence() -> None:
    assert read("false alarm, correct disk was replaced", outcome=True).confidence == 0.7
    assert read("false alarm, old disk was replaced", outcome=True).confidence == 0.9


def test_two_denials_cancel_with_less_confidence() -> None:
    signal = read("it is never not right", outcome=True)
    assert signal.kind == "right"
    assert signal.confidence <= 0.6


@pytest.mark.parametrize(
    ("phrase", "outcome", "names"), [("false alarm", False, "raised none"), ("missed", True, "raised one")]
)
def test_a_contradiction_to_the_result_is_named(phrase: str, outcome: bool, names: str) -> None:
    signal = read(phrase, outcome=outcome)
    assert signal.kind == "unread"
    assert "contradiction" in signal.reason
    assert names in signal.reason


@pytest.mark.parametrize("phrase", ["false alarm", "missed", "should have alerted", "should not have alerted"])
@pytest.mark.parametrize("outcome", [UNSET, 0.7, "spam notification", {"score": 1.0}, None])
def test_without_a_yes_or_no_an_alarm_is_only_wrong(phrase: str, outcome: Any) -> None:
    assert read(phrase, outcome=outcome).kind == "wrong"


def test_what_the_world_was_says_nothing_of_an_unknown_result() -> None:
    assert read("was an anomaly").kind == "unread"
    assert read("nothing happened").kind == "unread"


@pytest.mark.parametrize(
    ("raw", "kind", "value"),
    [
        (True, "right", None),
        (False, "wrong", None),
        (numpy.bool_(True), "right", None),
        (numpy.bool_(False), "wrong", None),
        (5, "right", None),
        (4, "right", None),
        (3, "reward", 0.5),
        (2, "wrong", None),
        (1, "unread", None),
        (numpy.int64(5), "right", None),
        (0, "unread", None),
        (6, "unread", None),
        (-1, "unread", None),
        (10**400, "unread", None),
        (0.0, "reward", 0.0),
        (0.7, "reward", 0.7),
        (1.0, "reward", 1.0),
        (numpy.float32(0.5), "reward", 0.5),
        (Fraction(1, 4), "reward", 0.25),
        (4.0, "unread", None),
        (math.nan, "unread", None),
        (math.inf, "unread", None),
        (decimal.Decimal("sNaN"), "unread", None),
        ("80%", "reward", 0.8),
        ("0 %", "reward", 0.0),
        ("130%", "unread", None),
        ("0.25", "reward", 0.25),
        ("5", "right", None),
        ("3 stars", "reward", 0.5),
        ("8/10", "reward", 0.8),
        ("6/5", "unread", None),
        (None, "unread", None),
        ("", "unread", None),
        (" \n ", "unread", None),
        (UNSET, "unread", None),
        ([], "unread", None),
        ([[5]], "unread", None),
        ([3, "no idea"], "reward", 0.5),
        (["hm", "x"], "unread", None),
        ((5, 2), "unread", None),
        (["wrong", "false alarm"], "expected", False),
        ([5] * 101, "unread", None),
        (b"false alarm", "unread", None),
        (object(), "unread", None),
        (ValueError, "unread", None),
    ],
)
def test_plain_values(raw: Any, kind: str, value: Any) -> None:
    check(read(raw, outcome=True), kind, value)


@pytest.mark.parametrize("raw", [5, 3, 0.8, "4", "80%", numpy.float64(0.3)])
@pytest.mark.parametrize("outcome", [2.5, 7, numpy.float32(1.0), decimal.Decimal(3)])
def test_a_number_on_a_number_is_ambiguous_and_the_ways_to_say_it_are_shown(raw: Any, outcome: Any) -> None:
    signal = read(raw, outcome=outcome)
    assert signal.kind == "unread"
    assert '{"expected": 3.0}' in signal.reason
    assert '{"rating": 3}' in signal.reason


@pytest.mark.parametrize(
    ("raw", "outcome", "kind", "value"),
    [
        ({"expected": 3.0}, 2.0, "expected", 3.0),
        ({"expected": None}, 2.0, "expected", None),
        ({"expected": [1, 2]}, [1], "expected", [1, 2]),
        ({"expected": False, "comment": "disk swap"}, True, "expected", False),
        ({"label": "ham"}, "spam", "expected", "ham"),
        ({"truth": True}, False, "expected", True),
        ({"correct": 7}, 2.5, "expected", 7),
        ({"correct": False}, True, "expected", False),
        ({"correct": True}, False, "unread", None),
        ({"correct": True}, 2.5, "right", None),
        ({"correct": False}, "spam", "wrong", None),
        ({"label": None}, "spam", "unread", None),
        ({"expected": math.nan}, 1.0, "unread", None),
        ({"expected": 1, "label": 2}, 3, "unread", None),
        ({"expected": "3.5"}, 2.0, "expected", 3.5),
        ({"expected": "at least 3"}, 2.0, "range", {"at_least": 3}),
        ({"expected": "3 or 4"}, 2.0, "unread", None),
        ({"expected": "5 ms"}, 2.0, "unread", None),
        ({"better_than": "incident-7"}, True, "unread", None),
        ({"rating": 5}, 2.5, "right", None),
        ({"rating": 1}, 2.5, "wrong", None),
        ({"rating": 3}, True, "reward", 0.5),
        ({"rating": 0.9}, True, "reward", 0.9),
        ({"rating": 4.5}, True, "right", None),
        ({"rating": 1.0}, True, "unread", None),
        ({"rating": 9}, True, "unread", None),
        ({"rating": "4/5"}, True, "right", None),
        ({"rating": None, "comment": "false alarm"}, True, "expected", False),
        ({"rating": 3, "comment": "false alarm"}, True, "expected", False),
        ({"rating": 1, "comment": "false alarm"}, True, "expected", False),
        ({"rating": 1, "comment": "too high"}, 2.5, "direction", -1),
        ({"rating": 2, "comment": "the disk was replaced"}, True, "wrong", None),
        ({"rating": 5, "comment": "false alarm"}, True, "unread", None),
        ({"rating": 1, "comment": "good catch"}, True, "unread", None),
        ({"rating": 1, "comment": "false alarm"}, False, "unread", None),
        ({"reward": 0.3}, 2.5, "reward", 0.3),
        ({"reward": 1}, 2.5, "reward", 1.0),
        ({"reward": 3}, 2.5, "unread", None),
        ({"reward": math.nan}, 2.5, "unread", None),
        ({"comment": "good catch"}, True, "right", None),
        ({"text": "false alarm"}, True, "expected", False),
        ({"feedback": "missed"}, False, "expected", True),
        ({"feedback": False}, True, "wrong", None),
        ({"feedback": {"feedback": True}}, True, "unread", None),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, "expected", {"a": 1, "b": 2}),
        ({"c": 1}, {"a": 1, "b": 3}, "unread", None),
        ({"a": None, "b": 2}, {"a": 1, "b": 3}, "expected", {"a": None, "b": 2}),
        ({"a": "new words", "b": 2}, {"a": "old words", "b": 3}, "expected", {"a": "new words", "b": 2}),
        (
            {"a": "ham", "b": "2024-05-01"},
            {"a": "spam", "b": "2024-04-01"},
            "expected",
            {"a": "ham", "b": "2024-05-01"},
        ),
        ({"in": {"a": 1}}, {"in": {"a": 2}}, "expected", {"in": {"a": 1}}),
        ({"is_anomaly": False}, {"is_anomaly": True, "score": 4.0}, "expected", False),
        ({"drift": True}, False, "expected", True),
        ({"drift": 3}, False, "unread", None),
        ({}, True, "unread", None),
        ({"stars": 3}, True, "unread", None),
    ],
)
def test_mappings(raw: Any, outcome: Any, kind: str, value: Any) -> None:
    check(read(raw, outcome=outcome), kind, value)


SPAM = {"label": "spam", "score": 0.9, "is_anomaly": True, "inner": {"size": 7}}


@dataclass
class Graded:
    score: float
    expected: str
    comment: str = ""


@pytest.mark.parametrize(
    ("raw", "outcome", "parts"),
    [
        ({"score": "too high"}, SPAM, {"score": HIGH}),
        ({"score": 0.5}, SPAM, {"score": ("expected", 0.5)}),
        ({"score": "wrong", "label": {"expected": "ham"}}, SPAM, {"score": W, "label": ("expected", "ham")}),
        ({"score": "at least 0.95"}, SPAM, {"score": ("range", {"at_least": 0.95})}),
        ({"score": "should be 50%"}, SPAM, {"score": ("expected", 0.5)}),
        ({"score": False, "label": True}, SPAM, {"score": W, "label": R}),
        ({"score": ["too low", {"expected": 0.95}]}, SPAM, {"score": ("expected", 0.95)}),
        ({"is_anomaly": False, "score": "too high"}, SPAM, {"is_anomaly": F, "score": HIGH}),
        ({"is_anomaly": "false alarm", "score": "too high"}, SPAM, {"is_anomaly": F, "score": HIGH}),
        ({"inner": {"size": 8}}, SPAM, {"inner": ("expected", {"size": 8})}),
        # a field of the result wins over a word of ours of the same name
        ({"label": "ham"}, SPAM, {"label": ("expected", "ham")}),
        ({"label": "wrong"}, SPAM, {"label": W}),
        ({"expected": "ham"}, Graded(2.5, "spam"), {"expected": ("expected", "ham")}),
        ({"comment": "wrong"}, Graded(2.5, "spam", "so so"), {"comment": W}),
        ({"score": "too low"}, Graded(2.5, "spam"), {"score": LOW}),
        ({"rating": "wrong"}, {"rating": 3, "title": "x"}, {"rating": W}),
        ({"a": "too high"}, {"a": 2.5}, {"a": HIGH}),
        ({None: "too high"}, {None: 2.5}, {None: HIGH}),
        ({"a": "wrong", "b": 3}, {"a": "spam", "b": 3}, {"a": W, "b": ("expected", 3)}),
    ],
)
def test_feedback_on_fields(raw: Any, outcome: Any, parts: dict[str, tuple[str, Any]]) -> None:
    signal = read(raw, outcome=outcome)
    assert signal.kind == "fields", signal
    assert {name: (part.kind, part.value) for name, part in signal.value.items()} == parts
    assert signal.confidence == min(part.confidence for part in signal.value.values()) > 0


def test_the_yes_or_no_alone_is_a_word_about_the_whole() -> None:
    for said in (False, "false alarm", {"expected": False}):
        check(read({"is_anomaly": said}, outcome=SPAM), *F)
    check(read({"is_anomaly": "wrong", "comment": "disk swap"}, outcome=SPAM), *W)


def test_what_is_said_beside_fields() -> None:
    signal = read({"score": "too high", "comment": "disk swap", "rating": 2, "sverity": "wrong"}, outcome=SPAM)
    assert (signal.kind, list(signal.value), signal.comment) == ("fields", ["score"], "disk swap")
    assert signal.reason == "'rating' is no field of the result; 'sverity' is no field of the result"


@pytest.mark.parametrize(
    ("raw", "outcome", "names"),
    [
        ({"sverity": "wrong"}, SPAM, "sverity is none of the result's: label, score"),
        ({"score": "hm"}, SPAM, "score: no rule reads this"),
        ({"score": 3, "label": None, "inner": "x"}, SPAM, "inner: "),
        ({"label": "ok"}, {"label": "wrong", "score": 1}, "label: a judgement or the right label?"),
        ({"score": float("nan")}, SPAM, "score: the right value is missing"),
        ({"score": "5 ms"}, SPAM, "score: "),
        ({f"f{i}": "x" for i in range(99)} | {"score": "hm"}, SPAM, "..."),
    ],
)
def test_fields_that_are_not_read_are_named(raw: Any, outcome: Any, names: str) -> None:
    signal = read(raw, outcome=outcome)
    if "score" in raw and raw["score"] == 3:
        assert (signal.kind, names in signal.reason) == ("fields", True)
        return
    check(signal, "unread", None)
    assert names in signal.reason


@pytest.mark.parametrize(
    ("items", "outcome", "kind", "value", "sure"),
    [
        (["false alarm", {"expected": 3}], 2.5, "expected", 3, 1.0),
        (["too high", {"expected": 1}], 2.5, "expected", 1, 1.0),
        (["too low", {"expected": 1}], 2.5, "expected", 1, 0.1),
        (["too low", "at least 3"], 2.5, "range", {"at_least": 3}, 0.9),
        ([False, "correct"], 2.5, "wrong", None, 0.1),
        ([False, False, True], 2.5, "unread", None, 0.0),
        ([{"expected": 3}, {"expected": 4}], 2.5, "unread", None, 0.0),
        (["false alarm", "hm"], True, "expected", False, 0.9),
        (["correct", "false alarm"], True, "unread", None, 0.0),
        (["false alarm", {"score": "too high"}], SPAM, "expected", False, 0.9),
    ],
)
def test_a_list_in_sum(items: list[Any], outcome: Any, kind: str, value: Any, sure: float) -> None:
    signal = read(items, outcome=outcome)
    assert (signal.kind, signal.value, signal.confidence) == (kind, value, pytest.approx(sure))
    assert bool(signal.reason) == (sure < 0.9 or "hm" in items or items[1:] == [{"score": "too high"}])


def test_fields_of_a_list_are_put_together() -> None:
    signal = read(
        [{"score": "too high"}, {"score": {"expected": 0.5}, "label": "wrong"}, {"label": "correct"}], outcome=SPAM
    )
    assert {name: (part.kind, part.value) for name, part in signal.value.items()} == {"score": ("expected", 0.5)}
    assert signal.reason == "label: what was said contradicts itself"


def test_a_list_about_a_list_is_doubtful() -> None:
    assert "or the right list?" in read([1, 2], outcome=[1, 3]).reason


def test_a_mapping_keeps_its_comment() -> None:
    assert read({"expected": 3, "comment": " tax "}, outcome=2).comment == "tax"
    assert read({"rating": 2, "comment": "the disk"}, outcome=2).comment == "the disk"
    assert read(" False alarm! ", outcome=True).comment == "False alarm!"


def test_a_doubtful_contradiction_of_rating_and_words_lowers_the_confidence() -> None:
    signal = read({"rating": 5, "comment": "maybe a false alarm"}, outcome=True)
    assert signal.kind == "right"
    assert signal.confidence < 0.5
    assert "contradict" in signal.reason


@pytest.mark.parametrize(
    ("raw", "outcome", "kind", "value"),
    [
        ("ham", "spam", "expected", "ham"),
        ("not_spam", "spam", "expected", "not_spam"),
        ("anomaly", "normal", "expected", "anomaly"),
        ("normal", "anomaly", "expected", "normal"),
        ('the correct answer is "ham"', "spam", "expected", "ham"),
        ("expected 'Not Spam'", "spam", "expected", "Not Spam"),
        ("correct", "spam", "right", None),
        ("wrong", "spam", "wrong", None),
        ("hmm", "spam", "unread", None),
        ("maybe", "spam", "unread", None),
        ("falsch", "spam", "unread", None),
        ("ham please", "spam", "unread", None),
        ("bad", "good", "unread", None),
        ("no", "yes", "unread", None),
        ("3", "7", "unread", None),
        ("true", "false", "unread", None),
        ("ham", "a summary of the mail", "unread", None),
        ("should be 3", "spam", "unread", None),
    ],
)
def test_corrected_labels(raw: str, outcome: str, kind: str, value: Any) -> None:
    check(read(raw, outcome=outcome), kind, value)


def test_an_exception_is_wrong_and_its_text_the_comment() -> None:
    signal = read(ValueError("no data"), outcome=True)
    assert (signal.kind, signal.comment) == ("wrong", "ValueError: no data")


@pytest.mark.parametrize(
    ("phrase", "kind", "value"),
    [
        ("expected, we deployed", "expected", False),
        ("Expected: we released a new model", "expected", False),
        ("planned maintenance", "expected", False),
        ("not planned maintenance", "expected", True),
        ("a known issue, ignore", "expected", False),
        ("seasonal", "expected", False),
        ("the seasonal index of sales", "unread", None),
        ("this was due to a deploy", "expected", False),
        ("real incident", "expected", True),
        ("planned maintenance?", "unread", None),
        ("maybe a load test", "expected", False),
    ],
)
def test_phrases_of_the_domain(phrase: str, kind: str, value: Any) -> None:
    signal = read(phrase, outcome=True, domain=load("ml_monitoring"))
    assert (signal.kind, signal.value) == (kind, value), signal


def test_a_domain_adds_to_what_is_read_without_it() -> None:
    assert read("planned maintenance", outcome=True).kind == "unread"
    assert read("planned maintenance", outcome=True, domain=load("generic")).kind == "unread"
    # a phrase that both know keeps its sense for silence
    assert read("true positive", outcome=False, domain=load("ml_monitoring")).kind == "unread"


@pytest.mark.parametrize("table", [ON_AN_ALARM], ids=["alarm"])
def test_a_domain_does_not_change_what_is_read_without_it(table: dict[tuple[str, Any], str]) -> None:
    monitoring = load("ml_monitoring")
    for phrase, kind, value in cases(table):
        if kind != "unread":
            signal = read(phrase, outcome=True, domain=monitoring)
            assert (signal.kind, signal.value) == (kind, value), phrase


@pytest.mark.parametrize(
    "text",
    [
        "false alarm " * 200_000,
        "not " * 50_000,
        "1" * 100_000 + "a",
        "1." * 9_000 + "a",
        " -" * 9_000,
        "should be '" * 2_000,
        "should not have been " * 900,
        "expected value is " * 900,
        "a" + "\u0301" * 20_000,
        "👍" * 20_000,
        "'" * 20_000,
        "between 1 and " * 900,
        "at least " * 1_500,
        "1-" * 9_000,
        "should be 1 to " * 900,
        "should be 2024-05-01" * 900,
        "< " * 9_000,
    ],
)
def test_long_texts_are_cut(text: str) -> None:
    signal = read(text, outcome=True)
    assert len(signal.comment) <= 10_000
    assert signal == read(text + " " * 90_000, outcome=True)


def test_an_explanation_as_long_as_a_page_is_unread() -> None:
    assert read("false alarm " + "lorem ipsum dolor " * 30, outcome=True).kind == "unread"
    assert read("false alarm, " + "lorem ipsum dolor " * 5, outcome=True).value is False


class Hostile:
    """Raises from whatever is asked of it."""

    def boom(self, *_: Any) -> Any:
        raise RuntimeError("boom")

    __eq__ = __bool__ = __str__ = __repr__ = __len__ = __iter__ = __float__ = __getattr__ = boom  # type: ignore[assignment]
    __hash__ = object.__hash__


class HostileText(str):
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("boom")

    __hash__ = str.__hash__

    def lower(self) -> str:
        raise RuntimeError("boom")

    def __getitem__(self, key: Any) -> str:
        raise RuntimeError("boom")


class HostileMapping(dict):  # type: ignore[type-arg]
    def get(self, *_: Any) -> Any:
        raise RuntimeError("boom")


class HostileClass:
    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("boom")


class HostileError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("boom")


@dataclass
class Alert:
    alert: bool = True
    note: Any = None


VOCABULARY = """not no nothing false alarm positive missed you this should have been alerted right wrong good bad
    too high low expected 12 true why ? , ; but because maybe sure if 4 / 5 % ' " stars is it never 👍 ❌ ⭐
    don't between and at least under no more than 3-5 to ms 2024-05-01 -"""
words = st.sampled_from(sorted(set(VOCABULARY.split())))
texts = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=st.characters(categories=["Cs", "Co", "Cn", "Mn", "Zs", "L", "N", "P"]), max_size=40),
    st.lists(words, max_size=14).map(" ".join),
    st.text(max_size=8).map(lambda part: part * 3_000),
)
HOSTILE = {
    "object": Hostile,
    "text": lambda: HostileText("false alarm"),
    "mapping": lambda: HostileMapping(a=1),
    "error": lambda: HostileError("x"),
    "alert": Alert,
}
# by name, since hypothesis itself looks at what it is given to sample from
hostile = st.sampled_from(sorted(HOSTILE)).map(lambda name: HOSTILE[name]())
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(), st.fractions(), st.complex_numbers(),
    st.binary(max_size=5), texts, hostile, st.just(UNSET), st.dates(), st.datetimes(), st.dates().map(str),
)  # fmt: skip
KEYS = (
    "expected",
    "correct",
    "label",
    "rating",
    "comment",
    "text",
    "feedback",
    "reward",
    "drift",
    "better_than",
    3,
    None,
)
keys = st.sampled_from(KEYS)
anything = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=6,
)


@settings(max_examples=1500, deadline=None)
@given(raw=anything, outcome=anything, domain=st.sampled_from([None, load("generic"), load("ml_monitoring")]))
def test_anything_gives_a_valid_signal(raw: Any, outcome: Any, domain: Any) -> None:
    valid(read(raw, outcome=outcome, domain=domain), outcome)


@settings(max_examples=1000, deadline=None)
@given(text=texts, outcome=st.sampled_from([True, False, 2.5, "spam", UNSET, None]))
def test_any_text_gives_a_valid_signal(text: str, outcome: Any) -> None:
    signal = read(text, outcome=outcome)
    valid(signal, outcome)
    signal.comment.encode()
    if isinstance(outcome, bool) and signal.kind == "expected":
        assert type(signal.value) is bool
    if isinstance(outcome, float) and signal.kind == "expected":
        assert type(signal.value) in (int, float)


def valid(signal: Signal, outcome: Any) -> None:
    assert type(signal) is Signal
    assert signal.kind in get_args(SignalKind)
    assert 0.0 <= signal.confidence <= 1.0
    assert type(signal.reason) is str
    assert type(signal.comment) is str
    if signal.kind == "unread":
        assert signal.reason
        assert signal.value is None
    if signal.kind == "reward":
        assert 0.0 <= signal.value <= 1.0
    if signal.kind == "direction":
        assert signal.value in (-1, 1)
        assert type(outcome) is not bool
    if signal.kind in ("right", "wrong"):
        assert signal.value is None
    if signal.kind == "range":
        assert signal.value
        assert signal.value.keys() <= {"at_least", "at_most", "above", "below"}
        assert all(math.isfinite(limit) for limit in signal.value.values())
    if signal.kind == "fields":
        assert signal.value
        for name, part in signal.value.items():
            valid(part, outcome[name] if isinstance(outcome, dict) else getattr(outcome, name))
            assert part.kind != "unread"


@pytest.mark.parametrize("other", [True, "false alarm", {"rating": 1}, 5, None])
def test_objects_whose_own_code_raises_are_unread(other: Any) -> None:
    for raw in (Hostile(), HostileClass(), HostileMapping(a=1), HostileError("x"), {"feedback": Hostile()}):
        check(read(raw, outcome=True), "unread", None)
        valid(read(other, outcome=raw), raw)


def test_a_mapping_that_holds_itself_is_unread() -> None:
    loop: dict[str, Any] = {}
    loop["feedback"] = loop
    check(read(loop, outcome=True), "unread", None)


@settings(max_examples=300, deadline=None)
@given(
    pad=st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=4),
    word=st.sampled_from(["noise", "missed", "legit"]),
)
def test_words_match_whole_words_only(pad: str, word: str) -> None:
    assert read(word + pad + "q", outcome=UNSET).kind == "unread"
    assert read("q" + pad + word, outcome=UNSET).kind == "unread"


@pytest.mark.parametrize(
    "text",
    [
        "anything but a false alarm",
        "far from a false alarm",
        "the opposite of a false alarm",
        "dismissed as a false alarm but the disk died",
        "we treated it as a false alarm and lost the database",
        "closed as false positive, wrongly",
        "reported as a false alarm; it wasn't",
        "looked like a false alarm until customers called",
        "outside the maintenance window",
        "beyond normal variation",
    ],
)
def test_what_may_be_turned_into_its_opposite_is_unread(text: str) -> None:
    for domain in (None, load("ml_monitoring")):
        assert read(text, outcome=True, domain=domain).kind == "unread"


@pytest.mark.parametrize("text", ["correct price: 120", "right: 120", "ok: 120", "yes, 120", "accurate price: $120"])
def test_praise_with_another_number_is_no_praise(text: str) -> None:
    assert read(text, outcome=100.0).kind != "right"
    assert read("correct, 100", outcome=100.0).kind == "right"


@pytest.mark.parametrize(
    ("value", "known"),
    [("yes", True), ("False", False), ("0", False), (1, True), ("fraud", None), (None, None), (2, None), ("", None)],
)
def test_the_truth_about_a_yes_or_no_is_a_yes_or_a_no(value: object, known: bool | None) -> None:
    signal = read({"expected": value}, outcome=True)
    assert (signal.kind, signal.value) == (("unread", None) if known is None else ("expected", known))
