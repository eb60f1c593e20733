from __future__ import annotations

import decimal
import math
from dataclasses import dataclass
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
        expected 12|should be "ham"|great, another false alarm|hmm|maybe|this was not what I expected
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
        cpu was too high|should be 5, should be 6|threshold too low|should be less than 5
        expected between 3 and 4""",
}


def cases(table: dict[tuple[str, Any], str]) -> list[tuple[str, str, Any]]:
    return [
        (phrase.strip(), kind, value)
        for (kind, value), phrases in table.items()
        for phrase in phrases.replace("\n", "|").split("|")
    ]


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
        ([1, 2], "unread", None),
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
        ({"label": "ham"}, {"label": "spam", "score": 0.9}, "unread", None),
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
        ({"a": 1}, {"a": 1, "b": 3}, "unread", None),
        ({"is_anomaly": False}, {"is_anomaly": True, "score": 4.0}, "expected", False),
        ({"drift": True}, False, "expected", True),
        ({"drift": 3}, False, "unread", None),
        ({}, True, "unread", None),
        ({"stars": 3}, True, "unread", None),
    ],
)
def test_mappings(raw: Any, outcome: Any, kind: str, value: Any) -> None:
    check(read(raw, outcome=outcome), kind, value)


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
        ("not planned maintenance", "right", None),
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
    don't"""
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
    st.binary(max_size=5), texts, hostile, st.just(UNSET),
)  # fmt: skip
KEYS = ("expected", "correct", "label", "rating", "comment", "text", "feedback", "reward", "drift", 3, None)
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
