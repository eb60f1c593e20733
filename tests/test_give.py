from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import poet_hook
from poet_hook import api
from poet_hook.cli.main import main
from poet_hook.learning.opinions import label
from poet_hook.learning.study import value_of
from poet_hook.model import Feedback, POETResult, Signal
from poet_hook.signals.give import give
from poet_hook.store import codec

Load = Callable[..., ModuleType]

MODULE = """
    from dataclasses import dataclass

    # poet: optimize_for=error, after=1000, key="name"
    def price(name: str, area: float) -> float:
        return 3.0 * area

    # poet: domain=ml_monitoring, optimize_for=accuracy, after=1000
    def score(value: float) -> dict:
        return {"is_anomaly": value > 3.0, "score": value, "severity": 1}

    @dataclass
    class Mail:
        label: str
        score: float

    # poet: optimize_for=accuracy, after=1000
    def mail(text: str, limit: float = 3.0) -> Mail:
        return Mail("spam" if len(text) > limit else "ham", float(len(text)))

    # poet: optimize_for=accuracy, after=1000
    def both(value: float) -> list:
        return [value, value]

    # poet: optimize_for=accuracy, after=1000, record.value=shape
    def shaped(value: float) -> bool:
        return value > 3.0
"""


@pytest.fixture
def module(load: Load) -> ModuleType:
    return load(MODULE)


def say(about: Any, said: Any, source: str = "user") -> Signal:
    return give(api.store(), api.settings(), about, said, source)[1]


def rows(result: POETResult) -> list[tuple[Any, str, Any, float]]:
    found = api.feedback_of(result.execution_id)
    return [(codec.decode(f.raw), f.signal.kind, f.signal.value, f.signal.confidence) for f in found]


def standing(result: POETResult) -> list[Feedback]:
    return [f for f in api.store().for_function(result.function) if f.execution_id == result.execution_id]


def learned(result: POETResult) -> Any:
    """The label that learning makes of all that was said."""
    execution = api.store().execution(result.execution_id)
    assert execution is not None
    return label(execution.id, standing(result), value_of(execution.result))


# --------------------------------------------------------------------------- lists


def test_each_item_of_a_list_is_stored_as_feedback_of_its_own(module: ModuleType) -> None:
    result = poet_hook.call(module.price, "a", 10.0)
    signal = say(result, ["false alarm", "hm", {"expected": 25.0}])
    assert (signal.kind, signal.value) == ("expected", 25.0)
    assert signal.reason.startswith("1 of 3 not understood: ")
    assert [row[:3] for row in rows(result)] == [
        ("false alarm", "wrong", None),
        ("hm", "unread", None),
        ({"expected": 25.0}, "expected", 25.0),
    ]
    found = learned(result)
    assert (found.kind, found.value, found.weight) == ("value", 25.0, 1.0)
    (status,) = [status for status in poet_hook.status() if status.function == result.function]
    assert (status.feedback, status.unread) == (3, 1)


def test_a_list_is_one_word_which_a_later_one_revises(module: ModuleType) -> None:
    result = poet_hook.call(module.price, "a", 10.0)
    say(result, ["too high", {"expected": 25.0}])
    say(result, "correct", "bob")
    say(result, "too low")
    assert [(f.source, f.signal.kind) for f in standing(result)] == [("bob", "right"), ("user", "direction")]
    say(result, ["too low", "should be 35"])
    assert [(f.source, f.signal.kind) for f in standing(result)] == [
        ("bob", "right"),
        ("user", "direction"),
        ("user", "expected"),
    ]


def test_items_that_contradict_each_other_count_for_nothing(module: ModuleType) -> None:
    result = poet_hook.call(module.price, "a", 10.0)
    assert say(result, ["correct", "wrong"]).kind == "unread"
    assert [row[1] for row in rows(result)] == ["right", "wrong"]
    assert learned(result) is None


@pytest.mark.parametrize("said", [[], ["x"] * 101, [["correct"]]])
def test_what_is_no_list_of_feedback_is_one_unread_row(module: ModuleType, said: list[Any]) -> None:
    result = poet_hook.call(module.price, "a", 10.0)
    assert say(result, said).kind == "unread"
    assert [row[:2] for row in rows(result)] == [(said, "unread")]


def test_a_list_about_a_list_is_not_taken_apart(module: ModuleType) -> None:
    result = poet_hook.call(module.both, 10.0)
    assert "or the right list?" in say(result, [1.0, 2.0]).reason
    assert say(result, {"expected": [1.0, 2.0]}).value == [1.0, 2.0]
    assert [row[0] for row in rows(result)] == [[1.0, 2.0], {"expected": [1.0, 2.0]}]


# --------------------------------------------------------------------------- fields


def test_feedback_on_fields_is_kept_as_it_was_understood(module: ModuleType) -> None:
    result = poet_hook.call(module.score, 5.0)
    signal = say(result, {"score": "probably too high", "severity": {"expected": 3}, "colour": "red"})
    assert {name: (part.kind, part.value, part.confidence) for name, part in signal.value.items()} == {
        "score": ("direction", -1, 0.6),
        "severity": ("expected", 3, 1.0),
    }
    assert signal.reason == "'colour' is no field of the result"
    (stored,) = api.feedback_of(result.execution_id)
    assert stored.signal == signal


def test_fields_of_a_dataclass(module: ModuleType) -> None:
    result = poet_hook.call(module.mail, "hello")
    signal = say(result, {"label": "ham", "score": "too high"})
    assert [(name, part.kind) for name, part in signal.value.items()] == [("label", "expected"), ("score", "direction")]
    assert api.feedback_of(result.execution_id)[0].signal == signal


def test_the_latest_word_of_a_source_counts_field_by_field(module: ModuleType) -> None:
    result = poet_hook.call(module.mail, "hello")

    def parts() -> list[tuple[str, str, Any, Any]]:
        return [
            (f.source, str(name), part.kind, part.value)
            for f in standing(result)
            for name, part in (f.signal.value.items() if f.signal.kind == "fields" else [("", f.signal)])
        ]

    say(result, {"label": "wrong", "score": "too high"})
    say(result, {"label": "wrong", "score": "too high"}, "bob")
    say(result, {"score": {"expected": 4.0}})
    assert parts() == [
        ("user", "label", "wrong", None),
        ("bob", "label", "wrong", None),
        ("bob", "score", "direction", -1),
        ("user", "score", "expected", 4.0),
    ]
    found = learned(result)
    assert [(path, part.kind, part.weight) for path, part in found.value] == [
        (("label",), "not", 1.0),
        (("score",), "value", 1.0),
    ]
    say(result, "correct")
    assert [part for part in parts() if part[0] == "user"] == [("user", "", "right", None)]
    say(result, {"label": "ham"})
    assert [part[1:3] for part in parts() if part[0] == "user"] == [("", "right"), ("label", "expected")]
    say(result, "hm")
    assert [part[1:3] for part in parts() if part[0] == "user"] == [("", "unread")]


def test_fields_in_a_list_are_revised_like_others(module: ModuleType) -> None:
    result = poet_hook.call(module.mail, "hello")
    say(result, [{"label": "wrong"}, {"label": {"expected": "ham"}, "score": "too high"}, "wrong"])
    assert len(standing(result)) == 3
    say(result, {"label": "correct"})
    assert [f.signal.kind for f in standing(result)] == ["fields", "wrong", "fields"]
    found = learned(result)
    assert [(path, part.kind) for path, part in found.value] == [(("score",), "direction"), (("label",), "value")]


# --------------------------------------------------------------------------- preferences


def test_a_preference_on_other_arguments_is_half_sure(module: ModuleType) -> None:
    a, b = poet_hook.call(module.price, "a", 10.0), poet_hook.call(module.price, "b", 20.0)
    signal = say(a, {"better_than": b, "comment": "by far"})
    assert (signal.kind, signal.confidence, signal.comment) == ("right", 0.5, "by far")
    assert rows(a) == [({"comment": "by far", "better_than": b.execution_id}, "right", None, 0.5)]
    assert rows(b) == [({"comment": "by far", "worse_than": a.execution_id}, "wrong", None, 0.5)]
    assert api.feedback_of(b.execution_id)[0].signal.reason == f"worse than {a.execution_id}"
    assert [learned(result).weight for result in (a, b)] == [0.5, 0.5]


def test_a_preference_on_equal_arguments_is_sure(module: ModuleType) -> None:
    a = poet_hook.call(module.price, "a", 10.0)
    b = poet_hook.call(module.price, "a", 10.0)
    assert "the same result" in say(a, {"better_than": b}).reason
    with api.store().write() as connection:  # as another version would have returned
        connection.execute("UPDATE executions SET result = ? WHERE id = ?", (codec.encode(7.0), b.execution_id))
    assert (say(a, {"better_than": b.execution_id}).kind, learned(a).approved, learned(a).weight) == (
        "right",
        True,
        1.0,
    )
    assert (learned(b).kind, learned(b).approved, learned(b).weight) == ("not", False, 1.0)
    assert say(a, {"worse_than": b.execution_id}).kind == "wrong"
    assert (learned(a).kind, learned(b).kind) == ("not", "value")


def test_arguments_that_were_not_recorded_are_not_known_to_be_equal(module: ModuleType) -> None:
    a, b = poet_hook.call(module.shaped, 10.0), poet_hook.call(module.shaped, 1.0)
    assert say(a, {"better_than": b}).confidence == 0.5


def test_a_preference_by_key_and_inside_a_list(module: ModuleType) -> None:
    a = poet_hook.call(module.price, "a", 10.0)
    b = poet_hook.call(module.price, "b", 20.0)
    signal = say("a", ["should be 31", {"worse_than": "b"}])
    assert (signal.kind, signal.value) == ("expected", 31)
    assert [row[1] for row in rows(a)] == ["expected", "wrong"]
    assert [row[1] for row in rows(b)] == ["right"]


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"better_than": "a"}, "than itself"),
        ({"better_than": "b", "rating": 5}, "only a comment can be given, and not rating"),
        ({"better_than": "OTHER"}, "one of m:score"),
    ],
)
def test_a_preference_that_can_not_be_is_unread(module: ModuleType, said: dict[str, Any], names: str) -> None:
    a, b = poet_hook.call(module.price, "a", 10.0), poet_hook.call(module.price, "b", 20.0)
    if said["better_than"] == "OTHER":
        said = {"better_than": poet_hook.call(module.score, 5.0)}
    signal = say(a, said)
    assert signal.kind == "unread"
    assert names in signal.reason
    assert [row[1] for row in rows(a)] == ["unread"]
    assert rows(b) == []


def test_a_preference_over_nothing_stores_nothing(module: ModuleType) -> None:
    a = poet_hook.call(module.price, "a", 10.0)
    with pytest.raises(poet_hook.UnknownExecutionError):
        say(a, ["wrong", {"better_than": "nobody"}])
    for _ in range(2):
        poet_hook.call(module.price, "twice", 20.0)
    with pytest.raises(poet_hook.AmbiguousResultError):
        say(a, {"better_than": "twice"})
    assert rows(a) == []


def test_a_field_of_that_name_is_no_preference(load: Load) -> None:
    module = load("""
        # poet: optimize_for=accuracy, after=1000
        def f(x: float) -> dict:
            return {"better_than": "x", "score": x}
    """)
    assert say(poet_hook.call(module.f, 1.0), {"better_than": "wrong"}).kind == "fields"


# --------------------------------------------------------------------------- what is shown


def test_log_shows_contradictions_and_reasons(module: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    result = poet_hook.call(module.score, 5.0)
    say(result, {"score": "too high"}, "ann")
    say(result, {"score": "too low"}, "bob")
    say(result, {"rating": 5, "comment": "maybe a false alarm"}, "eve")
    assert main(["log", "score"]) == 0
    out = capsys.readouterr().out
    assert "{'score': 'too high'} = score direction -1 (ann); " in out
    assert "= right (eve: the rating and the words contradict each other)" in out
    assert "; ann and bob contradict each other about score: it counts for nothing" in out
    say(result, {"score": "too high"}, "bob")
    assert main(["log", "score", "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)["executions"]
    assert item["contradictions"] == []
    assert item["feedback"][0]["signal"]["value"]["score"]["kind"] == "direction"


def test_a_signal_of_a_later_poet_hook_is_unread(module: ModuleType) -> None:
    result = poet_hook.call(module.score, 5.0)
    say(result, {"score": "too high"})
    for stored, kind in (({"score": {"kind": "right", "value": None, "hue": 3}}, "fields"), ({"score": 7}, "unread")):
        with api.store().write() as connection:
            connection.execute("UPDATE feedback SET value = ?", (codec.encode(stored),))
        (found,) = api.feedback_of(result.execution_id)
        assert found.signal.kind == kind


# --------------------------------------------------------------------------- what is learned


@pytest.mark.parametrize("way", ["field", "range", "mixed"])
def test_a_constant_is_learned_from_fields_and_ranges(load: Load, way: str) -> None:
    module = load("""
        # poet: optimize_for=accuracy, after=1000
        def level(value: float) -> dict:
            return {"level": 2 if value > 10.0 else 1, "unit": "C"}
    """)
    for step in range(40):
        value = step * 0.75 + 0.1
        result = poet_hook.call(module.level, value)
        truth = 2 if value > 20.0 else 1
        said: Any = {"level": {"expected": truth}}
        if way == "range":
            said = {"level": f"between {truth - 0.5} and {truth + 0.5}"}
        elif way == "mixed":
            now = result.value["level"]
            said = {"level": "correct" if now == truth else "too high", "unit": "correct"}
        assert say(result, said).kind == "fields"
    found = poet_hook.learn("level")
    assert found.candidate is not None
    assert 19.0 < next(iter(found.candidate.values.values())) < 21.0
    assert found.promoted or way == "mixed"  # there each execution counts half: the other field never changes
