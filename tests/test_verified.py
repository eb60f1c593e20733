"""What a model says that feedback means -> a signal that its words bear out, or "unread"."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from poet_hook.domains.base import decision, load
from poet_hook.llm.extract import NotExtracted, extract_object
from poet_hook.signals.agreement import sign
from poet_hook.signals.verified import LEAST, SURE, Said, found_in, numbers_in, schema_for, verified

LABELS = 'def kind(mail: str) -> str:\n    return "Spam" if len(mail) > 10 else "ham"\n'


def said(judgement: str, quote: str, expected: Any = None, **more: Any) -> Said:
    return msgspec.convert({"judgement": judgement, "sure": True, "quote": quote, "expected": expected, **more}, Said)


@pytest.mark.parametrize(
    ("outcome", "field", "expected"),
    [
        (True, {"type": "null"}, {"type": "null"}),
        (3.5, {"type": "null"}, {"type": ["number", "null"]}),
        ("ham", {"type": "null"}, {"type": ["string", "null"]}),
        ([1], {"type": "null"}, {"type": "null"}),
    ],
)
def test_what_may_be_said_of_a_result(outcome: Any, field: Any, expected: Any) -> None:
    schema = schema_for(outcome)
    assert set(schema["properties"]) == set(schema["required"]) == set(Said.__struct_fields__)
    assert (schema["properties"]["field"], schema["properties"]["expected"]) == (field, expected)


def test_a_field_of_the_result_may_be_named() -> None:
    named, none = schema_for({"queue": "sales", "score": 0.9})["properties"]["field"]["anyOf"]
    assert (named["enum"], none) == (["queue", "score"], {"type": "null"})


@pytest.mark.parametrize(
    "text", ["it was fine if nobody deployed", "only fine when the backup runs", "fine, unlike the last one"]
)
def test_what_holds_of_some_results_is_no_judgement_of_this_one(text: str) -> None:
    assert verified(said("wrong", "fine"), text, True).signal.kind == "unread"


def test_a_question_is_no_judgement() -> None:
    assert verified(said("wrong", "no alert"), "no alert?", False).signal.kind == "unread"
    assert verified(said("wrong", "the pump was fine"), "Who knows? the pump was fine", True).signal.value is False


@pytest.mark.parametrize(
    ("told", "text", "outcome", "kind", "value"),
    [
        # a false alarm or a miss follows from what was returned
        (said("wrong", "the pump was fine"), "Ann looked: the pump was fine", True, "expected", False),
        (said("wrong", "it was on fire"), "it was on fire, my friend", False, "expected", True),
        (said("right", "IT WAS  on Fire"), "it was on\nfire, my friend", True, "right", None),
        (said("wrong", "was fine"), "the pump was fine", {"is_anomaly": True, "score": 4.0}, "expected", False),
        # what contradicts itself is nothing
        (said("wrong", "was fine", True), "the pump was fine", True, "unread", None),
        (said("right", "35 is it", 30), "35 is it, not 30", 35, "unread", None),
        (said("right", "false alarm"), "another false alarm of the usual sort", True, "unread", None),
        (said("wrong", "you missed this"), "you missed this, my friend", True, "unread", None),
        # numbers stand in the text, and have no unit
        (said("wrong", "it is 35", 35), "look again, it is 35 here", 30.0, "expected", 35),
        (said("wrong", "it is", 35), "look again, it is 35.0 here", 30.0, "expected", 35.0),
        (said("wrong", "it is", 36), "look again, it is 35 here", 30.0, "wrong", None),
        (said("wrong", "it is", 35), "look again, it is 35 furlongs", 30.0, "wrong", None),
        (said("wrong", "it is", 35), "look again, it is $35", 30.0, "wrong", None),
        (said("wrong", "it is", "35"), "look again, it is 35", 30.0, "wrong", None),
        (said("wrong", "it is", True), "look again, it is 1", 30.0, "wrong", None),
        (said("wrong", "it is", 0.25), "look again, it is 25 % of them", 0.5, "expected", 0.25),
        (said("wrong", "it is", 25), "look again, it is 25% of them", 0.5, "expected", 0.25),
        (said("wrong", "it is", 25), "look again, it is 25% of them", 30.0, "wrong", None),
        (said("wrong", "it is", 35), "look again, it is 0.35", 30.0, "wrong", None),
        # and so do labels, which are written as in the function
        (said("wrong", "clearly SPAM", "spam"), "I mean, clearly SPAM.", "ham", "expected", "Spam"),
        (said("wrong", "advertising", "spam"), "I mean, advertising.", "ham", "wrong", None),
        (said("wrong", "advertising", 3), "I mean, advertising, 3 times.", "ham", "wrong", None),
        (said("wrong", "spammer", "spam"), "I mean, a spammer.", "ham", "wrong", None),
        # words that nobody said
        (said("wrong", "the pump is fine"), "the pump was fine", True, "unread", None),
        (said("wrong", ""), "the pump was fine", True, "unread", None),
        (said("wrong", "..."), "the pump was fine ...", True, "unread", None),
        (said("unclear", "the pump was fine"), "the pump was fine", True, "unread", None),
        (said("wrong", "the pump was fine", sure=False), "the pump was fine", True, "unread", None),
        (said("wrong", "was fine"), "maybe the pump was fine", True, "unread", None),
        # of results that are neither
        (said("wrong", "two are gone"), "two are gone", [1], "wrong", None),
        (said("right", "all there"), "all there, my friend", [1], "right", None),
    ],
)  # fmt: skip
def test_what_becomes_of_it(told: Said, text: str, outcome: Any, kind: str, value: Any) -> None:
    made = verified(told, text, outcome, None, LABELS)
    assert (made.signal.kind, made.signal.value) == (kind, value), made
    assert made.signal.kind == "unread" or LEAST <= made.signal.confidence <= SURE
    assert made.signal.kind != "unread" or (made.signal.reason and made.signal.confidence == 0)


def test_a_field_is_one_of_the_result() -> None:
    outcome = {"queue": "sales", "score": 0.9, "is_anomaly": True}
    made = verified(said("wrong", "billing", "billing", field="queue"), "to billing with it", outcome).signal
    assert (made.kind, made.value["queue"].kind, made.value["queue"].value) == ("fields", "expected", "billing")
    assert made.confidence == SURE
    whole = verified(said("wrong", "so quiet", field="is_anomaly"), "it was so quiet", outcome).signal
    assert (whole.kind, whole.value) == ("expected", False)
    other = verified(said("wrong", "so quiet", field="retries"), "it was so quiet", outcome).signal
    assert other.kind == "unread"
    assert verified(said("wrong", "so quiet", field="value"), "it was so quiet", True).signal.value is False


def test_who_is_not_sure_counts_less() -> None:
    told = said("wrong", "the pump was fine")
    assert verified(told, "the pump was fine", True).signal.confidence == SURE
    hedged = verified(told, "I asked Ann. Probably the pump was fine, she says.", True).signal
    assert LEAST <= hedged.confidence < SURE
    assert verified(told, "Maybe Ann knows. But the pump was fine.", True).signal.confidence == SURE


def test_a_suggestion_is_kept_in_the_words_of_who_made_it() -> None:
    text = "hm. Use the median instead of the mean, please"
    made = verified(said("unclear", "", suggestion="use the median instead of the mean"), text, True)
    assert (made.signal.kind, made.suggestion) == ("unread", "Use the median instead of the mean")
    assert verified(said("unclear", "", suggestion="import os"), text, True).suggestion == ""


def test_the_words_of_a_domain_speak_against_a_model() -> None:
    told = said("right", "seasonal pattern")
    text = "a seasonal pattern on a bank holiday, as it were"
    assert verified(told, text, True, load("ml_monitoring")).signal.kind == "unread"
    assert verified(told, text, True).signal.kind == "right"


def test_words_are_found_whatever_their_capitals_and_spaces() -> None:
    assert found_in("it's  FINE", "so it\u2019s\nfine now") == "it\u2019s\nfine"
    assert found_in("👌", "so 👌") == "👌"
    assert found_in("fin", "it is fine") == ""
    assert found_in(" \n", "it is fine") == ""
    assert found_in('"it is fine..."', "it is fine") == "it is fine"


def test_numbers_of_a_text() -> None:
    text = "1,200 of them, 5ms each, about 3.5, -2; $7, 40 %, 3 apples, 1e3"
    assert [n for n, _ in numbers_in(text, 30.0)] == [1200, 3.5, -2, 1000]


# --------------------------------------------------------------------------- whatever the model says

outcomes = st.one_of(
    st.booleans(),
    st.integers(-1000, 1000),
    st.floats(allow_nan=True),
    st.text(max_size=8),
    st.none(),
    st.fixed_dictionaries({"is_anomaly": st.booleans(), "score": st.floats(0, 1), "queue": st.sampled_from("ab")}),
    st.lists(st.integers(), max_size=2),
)
texts = st.one_of(
    st.text(max_size=60),
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["false alarm", "it was", "maybe", "set retries=1000", "good catch", "a", "no"]),
        st.sampled_from(["35", "0.5", "25%", "fine", "billing", "5 ms", "1e309", "-0", "٣"]),
        st.sampled_from(["", "here", ". Ignore all of this", "\ud800", "\x00"]),
    ),
)
json_values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))


@st.composite
def replies(draw: st.DrawFn) -> tuple[str, Any, Any]:
    text, outcome = draw(texts), draw(outcomes)
    start = draw(st.integers(0, max(0, len(text) - 1)))
    quote = st.one_of(st.just(text), st.just(text[start:]), st.text(max_size=10))
    fields = {
        "judgement": st.sampled_from(["right", "wrong", "unclear", "promote", "Right"]),
        "sure": st.one_of(st.just(True), json_values),
        "quote": st.one_of(quote, json_values),
        "field": st.one_of(st.none(), st.sampled_from(["score", "queue", "is_anomaly", "retries"]), json_values),
        "expected": st.one_of(json_values, st.sampled_from([35, 0.5, 0.25, 25, True, "billing"])),
        "suggestion": st.one_of(st.none(), quote),
        "alpha": json_values,
    }
    optional = {"field", "expected", "suggestion", "alpha"}
    chosen = draw(st.fixed_dictionaries({k: v for k, v in fields.items() if k not in optional}))
    for name in draw(st.sets(st.sampled_from(sorted(optional - {"alpha"})))) | draw(
        st.sampled_from([set(), set(), set(), {"alpha"}])
    ):
        chosen[name] = draw(fields[name])
    return text, outcome, chosen


@given(replies())
@example(("it is 35", 30.0, {"judgement": "wrong", "sure": True, "quote": "it is", "expected": 35}))
@example(("it is 1e309", 1.0, {"judgement": "wrong", "sure": True, "quote": "it is", "expected": 1e308}))
def test_whatever_a_model_says_the_signal_is_one_that_the_result_allows(case: tuple[str, Any, Any]) -> None:
    text, outcome, reply = case
    try:
        body = msgspec.json.encode(reply).decode()
    except (UnicodeEncodeError, msgspec.MsgspecError):
        return
    told = extract_object(body, Said)
    if isinstance(told, NotExtracted):
        assert "alpha" in reply or told.reason in ("wrong-shape", "characters", "no-json", "several", "empty")
        return
    made = verified(told, text, outcome, None, LABELS)
    signal = made.signal
    assert made.suggestion in text
    assert signal.kind in ("right", "wrong", "expected", "fields", "unread")
    if signal.kind == "unread":
        assert (signal.confidence, bool(signal.reason)) == (0.0, True)
        return
    assert LEAST <= signal.confidence <= SURE
    assert made.quote in text
    assert made.quote.strip()
    assert told.judgement != "unclear"
    if signal.kind == "fields":
        ((name, part),) = signal.value.items()
        assert name in outcome
        value = outcome[name]
    else:
        part, value = signal, outcome
    agreed = told.judgement == "right"
    if part.kind == "expected":
        assert not agreed
        decided = decision(value)
        if decided is not None:
            assert part.value is not decided
        else:
            assert type(value) is type(part.value) or {type(value), type(part.value)} <= {int, float}
            assert part.value != value
            assert not isinstance(part.value, float) or math.isfinite(part.value)
    else:
        assert part.kind == ("right" if agreed else "wrong")
        assert sign(part, value) == (1 if agreed else -1)
