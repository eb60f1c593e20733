"""Instructions in feedback: what is read as one, which number is meant, and the version that waits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import poet_hook
from poet_hook import api
from poet_hook.cli.main import main
from poet_hook.domains import vocabulary
from poet_hook.model import POETResult, Signal, Version
from poet_hook.signals.request import FORMS, request_in
from poet_hook.signals.rules import read

Load = Callable[..., ModuleType]

MODULE = """
    # poet: optimize_for=accuracy, after=1000
    def hot(celsius: float) -> bool:
        return celsius > 45.0

    # poet: optimize_for=accuracy, after=1000
    def busy(load: float, errors: int) -> bool:
        return (
            load > 4.0  # poet: tune 1..8
            or errors > 20  # poet: tune 5..50
        )

    # poet: optimize_for=error, after=1000
    def price(area: float) -> float:
        rate = 3.0  # poet: tune 1..9
        return rate * area

    # poet: optimize_for=accuracy, after=1000
    def rare(share: float) -> bool:
        return share > 0.2

    # poet: optimize_for=accuracy, after=1000
    def same(x: float, y: float) -> bool:
        return x > y
"""


@pytest.fixture
def module(load: Load) -> ModuleType:
    return load(MODULE)


def say(result: POETResult, said: Any, source: str = "user") -> Signal:
    return poet_hook.feedback(result, said, source=source).signal


def taught(module: ModuleType) -> POETResult:
    """Ten temperatures, of which those above 30 are hot; the last result."""
    for celsius in (12, 50, 31, 44, 18, 38, 25, 33, 47, 41):
        result = poet_hook.call(module.hot, float(celsius))
        poet_hook.feedback(result, result.value == (celsius > 30))
    return result


def latest(function: str) -> Version:
    api.wait_for_learning()
    return api.versions_of(function)[-1]


@pytest.mark.parametrize(
    "text",
    """use 3.5|Use 3.5.|please use 3.5 instead|just use 3.5|let's use 3.5|we should use 3.5|try 3.5|use about 3.5
    set the limit to 3.5|set it to 3.5|set this to 3.5 please|change the threshold to 3.5|put the cutoff at 3.5
    change the threshold from 45 to 3.5|lower the threshold to 3.5|reduce the alert threshold to 3.5, thanks
    can you lower the limit to 3.5?|could we set the threshold to 3.5|drop the limit down to 3.5 for now
    set celsius_limit to 3.5|set celsius limit to 3.5|celsius_limit = 3.5|celsius_limit: 3.5|celsius limit should be 3.5
    the threshold should be 3.5|threshold = 3.5|limit: 3.5|make it 3.5|make the threshold 3.5|use a limit of 3.5
    use 3.5 as the threshold|use 3.5 for celsius_limit|I would like you to set the limit to 3.5 if you can
    I'd like to set the limit to 3.5|set the limit to 3.5 because the sensor is new""".replace("\n", "|").split("|"),
)
def test_an_instruction_names_the_number(module: ModuleType, text: str) -> None:
    signal = say(poet_hook.call(module.hot, 50.0), text.strip())
    if " if " in text:  # a condition is none that could be asked for
        assert signal.kind == "unread"
        assert "condition" in signal.reason
    else:
        assert (signal.kind, signal.value) == ("requested", {"celsius_limit": 3.5}), signal


@pytest.mark.parametrize(
    "text",
    """don't use 3.5|never set the limit to 3.5|we set the limit to 3.5 yesterday|they raised the threshold to 50
    he says: use 3.5|if it is summer, use 3.5|use 3.5?|should we set the limit to 50?|use 3.5 servers|use 3 or 4
    set the limit to 3.5 or 4|use 3.5 until monday|raise the threshold|raise the threshold by 5|the threshold is 3.5
    set the limit to 5 ms|set the limit to 40 %|raise the limit to 40|lower the limit to 50|set the window to 5
    set the limit to 40 and the limit to 41|move the meeting to 4|use 1e999|used 3.5|use 3 to 5|use
    the threshold was 3.5 once""".replace("\n", "|").split("|"),
)
def test_what_is_no_instruction_or_can_not_be_done_is_unread(module: ModuleType, text: str) -> None:
    signal = say(poet_hook.call(module.hot, 50.0), text.strip())
    assert signal.kind == "unread", (text, signal)
    assert latest("hot").number == 1


def test_what_is_said_of_the_result_beside_it_counts_as_ever(module: ModuleType) -> None:
    result = poet_hook.call(module.hot, 50.0)
    signal = say(result, "false alarm, raise the threshold to 51")
    assert (signal.kind, signal.value) == ("expected", False)
    assert signal.reason == "besides, it asks for celsius_limit = 51"
    rows = [(item.signal.kind, item.signal.value) for item in api.feedback_of(result.execution_id)]
    assert rows == [("expected", False), ("requested", {"celsius_limit": 51.0})]
    assert say(result, {"expected": True, "set": 49, "comment": "sure"}).value is True
    assert api.feedback_of(result.execution_id)[-1].signal.comment == "sure"
    signal = say(result, ["good catch", "set the limit to 52"])
    assert (signal.kind, "celsius_limit = 52" in signal.reason) == ("right", True)
    signal = say(result, "scoobydoo, set the limit to 52")
    assert signal.kind == "requested"
    signal = say(result, "false alarm, raise the limit to 40")  # which would be to lower it
    assert (signal.kind, signal.value) == ("expected", False)
    assert "would not rise to 40" in signal.reason


def test_which_number_is_meant_is_never_guessed(module: ModuleType) -> None:
    result = poet_hook.call(module.busy, 5.0, 1)
    for text in ("use 5", "set it to 5", "set the limit to 5", "the threshold should be 5"):
        signal = say(result, text)
        assert signal.kind == "unread"
        assert "load_limit, errors_limit" in signal.reason
        assert "which number is meant" in signal.reason
    assert say(result, {"set": 5}).reason.startswith("which number is meant: load_limit, errors_limit?")
    assert say(result, "set the load limit to 5").value == {"load_limit": 5.0}
    assert say(result, "use 7 for the error threshold").reason == (
        "the function has no number called 'the error threshold'; it has: load_limit, errors_limit"
    )
    assert say(result, "use 7 for the errors threshold").value == {"errors_limit": 7.0}
    assert say(result, "set load_limit to 5 and errors_limit to 30").value == {"load_limit": 5.0, "errors_limit": 30.0}
    assert say(result, "raise load_limit to 5, lower errors_limit to 10").value["errors_limit"] == 10.0
    both = {"load_limit": 6, "errors_limit": 7}
    assert say(result, {"set": both}).value == both
    assert "no number called 'x'" in say(result, {"set": {"x": 1}}).reason
    assert say(poet_hook.call(module.same, 2.0, 1.0), "use 3").reason.startswith("there is no number in the function")


def test_a_number_outside_its_range_is_refused_with_the_reason(module: ModuleType) -> None:
    result = poet_hook.call(module.busy, 5.0, 1)
    assert say(result, "set load_limit to 9").reason == "load_limit can't be 9: it must be a number from 1 to 8"
    expected = "errors_limit can't be 7.5: it must be a whole number from 5 to 50"
    assert say(result, {"set": {"errors_limit": 7.5}}).reason == expected
    assert say(result, {"set": {"errors_limit": "7.5"}}).reason == expected
    for wrong in ({}, {"load_limit": "much"}, {"load_limit": None}, {1: 5}, "much", None, True, [5]):
        assert say(result, {"set": wrong}).kind == "unread", wrong
    assert say(poet_hook.call(module.rare, 0.5), "set the limit to 12 %").value == {"share_limit": 0.12}
    assert "of what is this a percentage" in say(result, "set load_limit to 12 %").reason


def test_of_a_function_that_returns_numbers_only_a_named_number_is_meant(module: ModuleType) -> None:
    result = poet_hook.call(module.price, 10.0)
    for text in ("use 35", "make it 35", "set it to 35"):
        assert "or the right result?" in say(result, text).reason
    assert say(result, "the threshold should be 4").kind != "expected"
    assert say(result, "set the rate to 4").value == {"rate": 4.0}
    assert say(result, "rate = 4").value == {"rate": 4.0}
    assert say(result, "the rate should be 4").value == {"rate": 4.0}
    for text in ("the price should be 35", "should be 35"):
        assert (say(result, text).kind, say(result, text).value) == ("expected", 35)


def test_an_option_is_meant_by_its_own_name_only(load: Load) -> None:
    module = load(
        """
        # poet: domain=ml_monitoring, optimize_for=alert_quality, stream=room, min_run=1, after=1000
        def hot(room: str, celsius: float) -> bool:
            return celsius > 45.0
        """
    )
    for celsius in (50.0, 51.0, 52.0, 20.0):
        result = poet_hook.call(module.hot, "a", celsius)
    assert say(result, "use 40").value == {"celsius_limit": 40.0}
    assert "whole number" in say(result, "set the cooldown to 2.5").reason
    assert say(result, "set min_run to 2 and the cooldown to 3").value == {"min_run": 2.0, "cooldown": 3.0}
    version = latest("hot")
    assert version.values == {"min_run": 2.0, "cooldown": 3.0}
    assert version.verdict is not None
    assert version.verdict.reasons[1].startswith("2 of 3 past results")
    api.promote("hot", version.number)
    assert [module.hot("b", 50.0) for _ in range(6)] == [False, True, False, False, False, True]


def test_a_choice_is_asked_for_by_its_name(load: Load) -> None:
    module = load(
        """
        def ks(x: float) -> float:
            return x

        def psi(x: float) -> float:
            return -x

        # poet: optimize_for=accuracy, after=1000
        def f(x: float) -> bool:
            test = ks  # poet: tune ks|psi
            return test(x) > 2.0
        """
    )
    result = poet_hook.call(module.f, 3.0)
    assert say(result, {"set": {"test": "psi"}}).value == {"test": "psi"}
    version = latest("f")
    assert (version.level, version.values) == ("requested", {"test": "psi"})
    assert say(result, {"set": "psi"}).value == {"test": "psi"}
    assert say(result, {"set": {"test": "t"}}).reason == "test can't be 't': it must be one of ks, psi"
    assert say(result, {"set": "t"}).reason == "which choice is meant by 't'? There is none"
    assert "There is test (ks, psi)" in say(result, {"set": {"other": "psi"}}).reason
    assert latest("f").number == 2
    result = poet_hook.call(module.f, 3.0)
    assert say(result, {"expected": False, "set": {"test": "psi"}}).reason == "besides, it asks for test = psi"
    api.promote("f", 2)
    assert (module.f(3.0), module.f(-3.0)) == (False, True)


def test_a_field_of_the_result_comes_first(load: Load) -> None:
    module = load(
        """
        # poet: optimize_for=accuracy, after=1000
        def f(x: float) -> dict:
            return {"set": "a" if x > 3.5 else "b", "x": x}
        """
    )
    signal = say(poet_hook.call(module.f, 5.0), {"set": "b"})
    assert (signal.kind, signal.value["set"].value) == ("fields", "b")


@pytest.mark.parametrize("said", ["set it to 32? no", "lower the limit to 32? Yes!"])
def test_who_answers_the_own_question_says_nothing_of_the_result(module: ModuleType, said: str) -> None:
    signal = say(poet_hook.call(module.hot, 50.0), said)
    assert (signal.kind, signal.reason) == ("unread", "it asks, it does not say")


# --------------------------------------------------------------------------- the version


def test_it_becomes_a_version_that_waits_and_changes_nothing_by_itself(module: ModuleType) -> None:
    result = taught(module)
    assert say(result, "use 32").kind == "requested"
    version = latest("hot")  # learned in the background at once, whatever after= says
    assert (version.number, version.level, version.values) == (2, "requested", {"celsius_limit": 32.0})
    assert version.source == "def hot(celsius: float) -> bool:\n    return celsius > 32.0\n"
    assert version.verdict is not None
    assert (version.verdict.decision, version.verdict.evidence.e_value) == ("propose", 1.0)
    assert version.verdict.reasons == (
        "user asked for celsius_limit = 32",
        "4 of 10 past results would have been different: 4 that you complained about, 0 that you approved",
    )
    assert (version.verdict.evidence.before, version.verdict.evidence.after) == (0.5, 0.9)
    assert (api.champion("hot"), module.hot(40.0)) == (1, False)
    assert api.status()[0].requested == 2
    api.promote("hot", 2)
    assert module.hot(40.0) is True
    assert (api.status()[0].level, api.status()[0].requested) == ("requested", None)
    assert api.rollback("hot") == (2, 1)


def test_what_was_approved_is_counted(module: ModuleType) -> None:
    result = taught(module)
    say(result, "raise the limit to 60")
    version = latest("hot")
    assert version.verdict is not None
    assert version.verdict.reasons[1].endswith("0 that you complained about, 2 that you approved")
    assert len(version.verdict.regressions) == len(version.verdict.flips) == 2


def test_the_same_request_twice_is_one_version(module: ModuleType) -> None:
    result = taught(module)
    say(result, "use 32")
    assert latest("hot").number == 2
    say(result, {"set": 32.0}, source="ann")
    assert latest("hot").number == 2
    say(result, "use 33", source="ann")
    say(result, "use 33.5", source="ann")
    assert latest("hot").number in (3, 4)  # the first of the two may have been learned before the second came
    assert latest("hot").values == {"celsius_limit": 33.5}
    api.promote("hot", 2)
    say(result, "use 32")
    learned = poet_hook.learn("hot")
    assert learned.requested == ()
    assert latest("hot").number < 5


def test_learn_tells_what_became_of_it(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "learn_later", lambda function: None)
    result = poet_hook.call(module.hot, 50.0)
    say(result, "use 32", source="ann")
    say(result, "use 33", source="bob")
    say(result, "use 34", source="bob")
    learned = poet_hook.learn("hot")
    assert learned.requested == (2, 3)
    assert [reason.partition(";")[0] for reason in learned.reasons[:2]] == [
        "v2 waits: ann asked for celsius_limit = 32",
        "v3 waits: bob asked for celsius_limit = 34",
    ]
    assert "no execution of this source has feedback" in learned.reasons[2]
    say(result, "use 32")
    assert poet_hook.learn("hot").reasons[0].startswith("user asked for celsius_limit = 32: that is v2 (requested)")
    say(result, "use 45")
    assert poet_hook.learn("hot").reasons[0] == "user asked for celsius_limit = 45: so it is in use already"
    assert len(poet_hook.learn("hot").reasons) == 1  # each is told once


def test_a_request_is_no_label_and_revises_none(module: ModuleType) -> None:
    result = poet_hook.call(module.hot, 50.0)
    say(result, "false alarm")
    say(result, "use 52")
    say(result, "use 53")
    say(result, "good catch")
    stands = api.store().for_function("m:hot")
    assert [(item.signal.kind, item.signal.value) for item in stands] == [
        ("requested", {"celsius_limit": 53.0}),
        ("right", None),
    ]
    api.wait_for_learning()


def test_an_instruction_that_is_refused_revises_nothing(module: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    result = poet_hook.call(module.hot, 50.0)
    say(result, "false alarm")
    assert say(result, "raise the threshold to 40").kind == "unread"
    assert [item.signal.kind for item in api.store().for_function("m:hot")] == ["expected", "unread"]
    assert "the evidence is too weak" in poet_hook.learn("hot").reasons[-1] or poet_hook.learn("hot").verdict
    assert main(["log", "hot"]) == 0
    assert "'raise the threshold to 40' = unread (user: celsius_limit would not rise" in capsys.readouterr().out
    assert say(result, "hm").kind == "unread"  # what can't be read may well take back what was said before
    assert [item.signal.kind for item in api.store().for_function("m:hot")] == ["unread", "unread"]


def test_with_learning_off_it_is_kept_for_later(load: Load) -> None:
    source = "# poet: optimize_for=accuracy, learn=off\ndef f(x: float) -> bool:\n    return x > 2.5\n"
    result = poet_hook.call(load(source).f, 3.0)
    assert say(result, "use 3.5").kind == "requested"
    assert poet_hook.learn("f").requested == ()
    load(source.replace("off", "auto"))
    assert poet_hook.learn("f").requested == (2,)


def test_a_function_that_can_not_be_replayed_is_asked_for_all_the_same(load: Load) -> None:
    module = load(
        """
        import random

        # poet: optimize_for=accuracy, after=1000
        def f(x: float) -> bool:
            return x + random.random() > 2.5
        """
    )
    result = poet_hook.call(module.f, 9.0)
    say(result, "good catch, but use 3.5")
    version = latest("f")
    assert (version.level, version.values) == ("requested", {"value_limit": 3.5})
    assert version.verdict is not None
    assert "what that would change is not known: it can't be replayed" in version.verdict.reasons[1]


def test_after_an_edit_the_request_is_judged_by_the_function_as_it_is(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "learn_later", lambda function: None)
    source = "# poet: optimize_for=accuracy\ndef f(x: float) -> bool:\n    return x > 2.5  # poet: tune 1..8\n"
    say(poet_hook.call(load(source).f, 3.0), "use 3.5")
    load(source.replace("1..8", "1..3"))
    learned = poet_hook.learn("f")
    assert learned.requested == ()
    assert learned.reasons[0] == "user asked for x_limit = 3.5, which the function as it is now does not allow"


def test_the_words_in_a_terminal(module: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    result = taught(module)
    assert main(["feedback", result.execution_id, "use", "32"]) == 0
    out = capsys.readouterr().out
    assert "understood: asked for: celsius_limit = 32 (confidence 90.0 %)" in out
    assert "v2 waits: user asked for celsius_limit = 32; 4 of 10 past results" in out
    assert "put it in use with: python -m poet_hook promote m:hot 2" in out
    assert main(["status"]) == 0
    assert "m:hot: v2 was asked for, and waits; put it in use with" in capsys.readouterr().out
    assert main(["log", "hot", "--limit", "1"]) == 0
    assert "'use 32' = requested celsius_limit = 32 (user)" in capsys.readouterr().out
    assert main(["versions", "hot"]) == 0
    assert "requested" in capsys.readouterr().out
    assert main(["feedback", result.execution_id, "use 34", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["requested"] == {"m:hot": [3]}


def test_from_a_file_twice(module: ModuleType, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = taught(module)
    rows = [{"execution_id": result.execution_id, "said": "missed, set the limit to 32"}]
    (project / "f.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["feedback", "--from", "f.jsonl"]) == 0
    assert "v2 waits" in capsys.readouterr().out
    before = len(api.feedback_of(result.execution_id))
    assert main(["feedback", "--from", "f.jsonl"]) == 0
    assert "there already" in capsys.readouterr().out
    assert len(api.feedback_of(result.execution_id)) == before == 3


# --------------------------------------------------------------------------- hostile text


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="setuse lim_o'3.5,;%?\n-=andto", max_size=300))
def test_any_text_is_looked_at_in_time(text: str) -> None:
    request = request_in(text, True)
    assert request is None or request.problem or request.wishes


def test_long_texts_take_no_time() -> None:
    for text in (
        "set the limit " * 500,
        "please " * 3000 + "use 3",
        "use " + "1," * 5000,
        "set a " + "b " * 5000 + "to 3",
    ):
        request_in(text, True)
    assert all(form.flags for form in FORMS)


def test_a_setting_is_no_result() -> None:
    for text in ("the threshold should be 4", "sensitivity should be 2", "the cutoff should be 3-5"):
        assert read(text, outcome=2.5).kind == "unread"
    assert "limit" in vocabulary.SETTINGS
