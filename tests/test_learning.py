from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import environment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import poet_hook
from poet_hook import api
from poet_hook.versions.chain import Chain

Load = Callable[..., ModuleType]

HOT = """
    # poet: optimize_for={objective}, after=100000{more}
    def is_hot(celsius: float) -> bool:
        return celsius > {threshold}  # poet: tune 0..100
"""


def hot(load: Load, threshold: float = 55.0, objective: str = "accuracy", more: str = "", module: str = "m") -> Any:
    return load(HOT.format(threshold=threshold, objective=objective, more=more), module).is_hot


def teach(function: Any, values: list[float], truth: Callable[[float], bool]) -> None:
    for value in values:
        result = poet_hook.call(function, float(value))
        poet_hook.feedback(result, result.value == truth(value))


def spread(count: int, seed: int = 1) -> list[float]:
    return [round(random.Random(seed * 1000 + i).uniform(0, 60), 3) for i in range(count)]


# --------------------------------------------------------------------------- the loop


def test_where_a_sample_was_replayed_its_flips_are_not_told_as_all(load: Load) -> None:
    is_hot = hot(load)
    teach(is_hot, spread(60), lambda c: c > 30)
    learned = poet_hook.learn(is_hot)
    assert learned.verdict is not None
    assert learned.verdict.replayed is None
    is_hot = hot(load, module="many")
    for number in range(1500):
        is_hot(number % 60 + 0.5)
    teach(is_hot, spread(60), lambda c: c > 30)
    learned = poet_hook.learn(is_hot)
    assert learned.promoted
    assert learned.verdict is not None
    assert learned.verdict.replayed is not None
    assert len(learned.verdict.flips) < learned.verdict.replayed <= 1060  # 500 of each kind, and what was said


def test_feedback_makes_the_running_function_better(load: Load) -> None:
    is_hot = hot(load)
    assert not is_hot(35.0)
    teach(is_hot, spread(60), lambda c: c > 30)
    learned = poet_hook.learn(is_hot)
    assert learned.promoted
    assert learned.version == 2
    assert learned.verdict is not None
    assert learned.verdict.level == "proven"
    assert learned.verdict.evidence.before < 0.8 < learned.verdict.evidence.after
    assert is_hot(35.0)
    assert poet_hook.call(is_hot, 35.0).version == 2


def test_a_version_is_files_that_a_person_reads(load: Load, project: Path) -> None:
    is_hot = hot(load)
    teach(is_hot, spread(60), lambda c: c > 30)
    poet_hook.learn(is_hot)
    folder = project / ".poet" / "functions" / "m.is_hot" / "v2"
    value = json.loads((folder / "version.json").read_text())["values"]["celsius_limit"]
    assert (folder / "operate.py").read_text() == (
        f"def is_hot(celsius: float) -> bool:\n    return celsius > {value}  # poet: tune 0..100\n"
    )
    assert f"celsius > {value}" in (folder / "enhanced.py").read_text()
    assert "POET.begin" in (folder / "enhanced.py").read_text()


def test_the_next_import_loads_the_champion(load: Load, project: Path) -> None:
    teach(hot(load), spread(60), lambda c: c > 30)
    poet_hook.learn("is_hot")
    code = "import poet_hook; poet_hook.activate()\nimport m; print(m.is_hot(35.0))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env=environment()
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_learning_starts_by_itself_after_enough_feedback(load: Load) -> None:
    is_hot = load("""
        # poet: optimize_for=accuracy, after=20
        def is_hot(celsius: float) -> bool:
            return celsius > 55.0
    """).is_hot
    teach(is_hot, spread(19), lambda c: c > 30)
    assert poet_hook.wait_for_learning(30)
    assert api.champion(is_hot) == 1
    teach(is_hot, spread(30, seed=2), lambda c: c > 30)
    assert poet_hook.wait_for_learning(30)
    assert api.champion(is_hot) >= 2
    assert is_hot(35.0)


def test_the_objective_weighs_misses_against_false_alarms(load: Load) -> None:
    def noisy(value: float) -> bool:
        return random.Random(value).random() < (value - 10) / 40  # between 10 and 50 nobody can be sure

    learned = {}
    for module, cost in (("dear_miss", "1:9"), ("dear_alarm", "9:1")):
        function = hot(load, 30.0, "alert_quality", f", cost={cost}", module)
        teach(function, spread(150), noisy)
        run = poet_hook.learn(function)
        assert run.candidate is not None
        learned[module] = run.candidate.values["celsius_limit"]
    assert learned["dear_miss"] < 30 < learned["dear_alarm"]


# --------------------------------------------------------------------------- exactness


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
@given(
    points=st.lists(st.tuples(st.integers(1, 59), st.booleans()), min_size=1, max_size=25, unique_by=lambda p: p[0]),
    incumbent=st.sampled_from([5.5, 30.5, 55.5]),
)
def test_the_learned_constant_is_the_exact_optimum(
    load: Load, project: Path, points: list[tuple[int, bool]], incumbent: float
) -> None:
    is_hot = hot(load, incumbent)
    for execution in list(poet_hook.executions("is_hot")) if poet_hook.status() else []:
        poet_hook.feedback(execution.id, "")
    for value, truth in points:
        poet_hook.feedback(poet_hook.call(is_hot, float(value)), {"expected": truth})
    learned = poet_hook.learn(is_hot)

    def mistakes(threshold: float) -> int:
        return sum((value > threshold) != truth for value, truth in points)

    best = min(mistakes(i / 2) for i in range(121))
    if learned.candidate is None:
        assert mistakes(incumbent) == best
        return
    value = learned.candidate.values["celsius_limit"]
    assert mistakes(value) == best < mistakes(incumbent)
    nearest = min((i / 2 for i in range(121) if mistakes(i / 2) == best), key=lambda t: abs(t - incumbent))
    lower, upper = learned.candidate.interval or (value, value)
    assert lower <= nearest <= upper  # of several optima the one next to the incumbent


def test_an_optimal_incumbent_stays(load: Load) -> None:
    is_hot = hot(load, 30.0)
    teach(is_hot, spread(60), lambda c: c > 30)
    learned = poet_hook.learn(is_hot)
    assert not learned.promoted
    assert learned.candidate is None
    assert "no other value" in learned.reasons[0]


# --------------------------------------------------------------------------- honesty


@pytest.mark.parametrize("kind", ["false alarms", "misses"])
def test_twenty_complaints_and_nothing_else_change_no_good_function(load: Load, kind: str) -> None:
    is_hot = hot(load, 30.0)
    chance = random.Random(3)
    complaints = 0
    while complaints < 20:
        truth = chance.random() < 0.5
        value = chance.gauss(36 if truth else 24, 6)
        result = poet_hook.call(is_hot, value)
        if result.value and not truth and kind == "false alarms":
            poet_hook.feedback(result, "false alarm")
            complaints += 1
        elif truth and not result.value and kind == "misses":
            poet_hook.feedback(result, "you missed this")
            complaints += 1
    learned = poet_hook.learn(is_hot)
    assert not learned.promoted
    assert any("silence" in reason for reason in learned.reasons)


def test_few_feedbacks_say_how_many_more_are_needed(load: Load) -> None:
    is_hot = hot(load)
    teach(is_hot, [35, 36, 20], lambda c: c > 30)
    learned = poet_hook.learn(is_hot)
    assert not learned.promoted
    assert learned.verdict is not None
    assert learned.verdict.decision == "wait"
    assert any("more labelled executions" in reason for reason in learned.reasons)


def test_unread_feedback_counts_for_nothing_and_is_said(load: Load) -> None:
    is_hot = hot(load)
    for value in spread(10):
        assert poet_hook.feedback(poet_hook.call(is_hot, value), "qwertz uiop").signal.kind == "unread"
    learned = poet_hook.learn(is_hot)
    assert learned.verdict is None
    assert any("10 feedbacks could not be read and count for nothing" in reason for reason in learned.reasons)


def test_one_unread_feedback_is_told_in_the_singular(load: Load) -> None:
    is_hot = hot(load)
    poet_hook.feedback(poet_hook.call(is_hot, 3.0), "qwertz uiop")
    assert "1 feedback could not be read and counts for nothing" in poet_hook.learn(is_hot).reasons


def test_contradictory_sources_cancel_out(load: Load) -> None:
    is_hot = hot(load)
    for value in spread(20):
        result = poet_hook.call(is_hot, value)
        poet_hook.feedback(result, True, source="ann")
        poet_hook.feedback(result, False, source="bob")
    assert poet_hook.learn(is_hot).verdict is None


def test_the_latest_word_of_a_source_counts(load: Load) -> None:
    is_hot = hot(load)
    for value in spread(60):
        result = poet_hook.call(is_hot, value)
        poet_hook.feedback(result, result.value != (value > 30))
        poet_hook.feedback(result, result.value == (value > 30))
    assert poet_hook.learn(is_hot).promoted


# --------------------------------------------------------------------------- what learn= allows


def test_propose_waits_for_promote(load: Load) -> None:
    is_hot = hot(load, more=", learn=propose")
    teach(is_hot, spread(60), lambda c: c > 30)
    learned = poet_hook.learn(is_hot)
    assert (learned.promoted, learned.version) == (False, 2)
    assert not is_hot(35.0)
    assert poet_hook.learn(is_hot).version == 2  # the same proposal, not one more
    assert poet_hook.promote(is_hot, 2) == 1
    assert is_hot(35.0)
    assert poet_hook.rollback(is_hot) == (2, 1)
    assert not is_hot(35.0)


def test_proven_does_not_take_a_provisional_version(load: Load) -> None:
    levels = {}
    for learn in ("auto", "proven"):
        is_hot = hot(load, more=f", learn={learn}")
        for value in (31, 32, 33, 34, 35, 36, 37):
            poet_hook.feedback(poet_hook.call(is_hot, float(value)), False)
            learned = poet_hook.learn(is_hot)
            if learned.verdict is not None and learned.verdict.evidence.e_value >= 10:
                break
        levels[learn] = learned.promoted, learned.verdict and learned.verdict.evidence.e_value
        if learned.promoted:
            poet_hook.rollback(is_hot)
    promoted, evidence = levels["auto"]
    assert promoted
    assert evidence is not None
    assert 10 <= evidence < 20
    assert levels["proven"][0] is False


def test_off_judges_nothing(load: Load) -> None:
    is_hot = hot(load, more=", learn=off")
    teach(is_hot, spread(60), lambda c: c > 30)
    learned = poet_hook.learn(is_hot)
    assert learned.verdict is None
    assert learned.reasons[0].startswith("learn=off")


def test_a_champion_that_does_worse_is_rolled_back(load: Load) -> None:
    is_hot = hot(load)
    teach(is_hot, spread(60), lambda c: c > 30)
    assert poet_hook.learn(is_hot).promoted
    for value in spread(60, seed=7):  # the world has changed back
        poet_hook.feedback(poet_hook.call(is_hot, value), {"expected": value > 55})
    learned = poet_hook.learn(is_hot)
    assert "rolled back to v1" in learned.reasons[0]
    assert not is_hot(35.0)
    assert api.champion(is_hot) == 1
    assert not poet_hook.learn(is_hot).promoted  # what found v2 does not judge again


def test_silence_does_not_hold_up_a_champion_that_a_sample_shows_to_be_worse(load: Load) -> None:
    is_hot = hot(load)
    teach(is_hot, spread(60), lambda c: c > 30)
    assert poet_hook.learn(is_hot).promoted
    for value in spread(100, seed=4):
        poet_hook.call(is_hot, value)
    for value in spread(60, seed=7):
        poet_hook.feedback(poet_hook.call(is_hot, value), {"expected": value > 55})
    learned = poet_hook.learn(is_hot)
    assert "rolled back to v1" in learned.reasons[0]
    assert not any("silence" in reason for reason in learned.reasons)


@pytest.mark.parametrize(("silent", "back"), [(2, True), (100, False)])
def test_complaints_alone_roll_back_only_where_few_were_silent(load: Load, silent: int, back: bool) -> None:
    is_hot = hot(load)
    teach(is_hot, spread(60), lambda c: c > 30)
    assert poet_hook.learn(is_hot).promoted
    for i in range(silent):
        assert poet_hook.call(is_hot, 32 + 20 * i / silent).value
    for i in range(14):
        poet_hook.feedback(poet_hook.call(is_hot, 32 + i / 4), "false alarm")
    learned = poet_hook.learn(is_hot)
    assert ("rolled back" in learned.reasons[0], api.champion(is_hot)) == (back, 1 if back else 2)
    if back:
        assert "silence on 2 alerts counted as agreement, total weight 2" in learned.reasons


LIMITS = """
    # poet: optimize_for=accuracy, after=1000000
    def alarm(x: float, y: float, z: float) -> bool:
        return x > 1.99 or y > 1.99 or z > 1.99
"""


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_complaints_of_three_limits_do_not_ruin_one_of_them(load: Load, seed: int) -> None:
    alarm = load(LIMITS).alarm
    chance, heard = random.Random(seed), 0
    while heard < 60:
        scores = [chance.gauss(0.0, 1.0) for _ in range(3)]
        deserves = chance.random() < 0.3
        scores[chance.randrange(3)] += 2.5 * deserves
        result = poet_hook.call(alarm, *scores)
        if result.value != deserves or chance.random() < 0.03:
            poet_hook.feedback(result, result.value == deserves)
            heard += 1
            if heard % 10 == 0:
                learned = poet_hook.learn(alarm)
                assert not learned.promoted, learned.candidate
    assert any("silence" in reason for reason in learned.reasons)


# --------------------------------------------------------------------------- what replay can't run


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import random\n# poet: optimize_for=accuracy\ndef f(x: float) -> bool:\n    return x > 3.0 + random.random()", "random"),
        ("SEEN = []\n# poet: optimize_for=accuracy\ndef f(x: float) -> bool:\n    SEEN.append(x)\n    return x > 3.0", "SEEN"),
        ("N = 0\n# poet: optimize_for=accuracy\ndef f(x: float) -> bool:\n    global N\n    N += 1\n    return x > 3.0", "N"),
        ("def load():\n    return 1.0\nLIMIT = load()\n# poet: optimize_for=accuracy\ndef f(x: float) -> bool:\n    return x > LIMIT * 3.0", "load() makes when the module is imported"),
        ("# poet: optimize_for=accuracy\ndef f(x: float) -> bool:\n    with open('/dev/null') as file:\n        return x > 3.0", "open"),
        ("class C:\n    pass\nc = C()\n# poet: optimize_for=accuracy\ndef f(x: float) -> bool:\n    c.x = x\n    return x > 3.0", "C()"),
    ],
)  # fmt: skip
def test_a_function_with_effects_is_refused_with_the_reason(load: Load, source: str, reason: str) -> None:
    function = load(source.replace("accuracy", "accuracy, after=1000")).f
    poet_hook.feedback(poet_hook.call(function, 5.0), False)
    learned = poet_hook.learn(function)
    assert learned.verdict is None
    assert "can't be replayed" in learned.reasons[0]
    assert reason in learned.reasons[0]


def test_results_that_replay_does_not_give_are_set_aside(load: Load) -> None:
    module = load("""
        LIMIT = 1.0

        # poet: optimize_for=accuracy, after=1000
        def f(x: float) -> bool:
            return x > LIMIT * 3.0
    """)
    module.LIMIT = 2.0
    for value in (4.0, 5.0, 7.0):
        poet_hook.feedback(poet_hook.call(module.f, value), False)
    learned = poet_hook.learn(module.f)
    assert any(
        "2 executions with feedback were set aside" in r and "more than its arguments" in r for r in learned.reasons
    )


def test_silent_results_that_replay_does_not_give_are_told(load: Load) -> None:
    module = load("""
        LIMIT = 1.0

        # poet: optimize_for=accuracy, after=1000
        def f(x: float) -> bool:
            return x > LIMIT * 30.0
    """)
    teach(module.f, spread(30), lambda c: c > 60)
    module.LIMIT = 2.0
    for value in (40.0, 50.0, 70.0):
        poet_hook.call(module.f, value)
    learned = poet_hook.learn(module.f)
    told = "2 executions without feedback were set aside: their replay does not give the recorded result"
    assert told in learned.reasons


def test_executions_of_an_earlier_text_are_set_aside(load: Load) -> None:
    teach(hot(load, 55.0), spread(30), lambda c: c > 30)
    teach(hot(load, 50.0), [1.0, 2.0], lambda c: c > 30)
    learned = poet_hook.learn("is_hot")
    assert any("30 executions" in reason and "earlier text" in reason for reason in learned.reasons)


def test_helpers_of_the_module_are_loaded_and_its_top_level_is_not_run(load: Load, project: Path) -> None:
    function = load("""
        from pathlib import Path
        from statistics import mean
        Path("ran").write_text("x" + (Path("ran").read_text() if Path("ran").exists() else ""))
        SCALE = 2.0

        def centre(values: list[float]) -> float:
            return mean(values) * SCALE

        # poet: optimize_for=accuracy, after=1000
        def far(x: float, history: list[float]) -> bool:
            return x - centre(history) > 55.0  # poet: tune 0..100
    """).far
    for value in spread(60):
        result = poet_hook.call(function, value + 2.0, [0.0, 2.0])
        poet_hook.feedback(result, result.value == (value > 30))
    learned = poet_hook.learn(function)
    assert learned.promoted
    assert (project / "ran").read_text() == "x"


def test_a_method_that_does_not_use_self_can_learn(load: Load) -> None:
    module = load("""
        class Monitor:
            # poet: optimize_for=accuracy, after=1000
            def is_hot(self, celsius: float) -> bool:
                return celsius > 55.0
    """)
    monitor = module.Monitor()
    for value in spread(60):
        result = poet_hook.call(monitor.is_hot, value)
        poet_hook.feedback(result, result.value == (value > 30))
    assert poet_hook.learn(monitor.is_hot).promoted
    assert monitor.is_hot(35.0)


def test_a_method_that_uses_self_says_why_it_can_not(load: Load) -> None:
    module = load("""
        class Monitor:
            offset = 1.0
            # poet: optimize_for=accuracy, after=1000
            def is_hot(self, celsius: float) -> bool:
                return celsius > 45.0 + self.offset
    """)
    poet_hook.feedback(poet_hook.call(module.Monitor().is_hot, 50.0), False)
    assert any("argument 'self'" in reason for reason in poet_hook.learn("is_hot").reasons)


def test_a_body_that_never_ends_with_another_value_is_no_candidate(load: Load) -> None:
    function = load("""
        # poet: optimize_for=accuracy, after=1000
        def f(x: float) -> bool:
            step = 1.0  # poet: tune 0..2
            while x > 0 and x < 1e9:
                x = x - step
            return x == 0.0
    """).f
    poet_hook.feedback(poet_hook.call(function, 2.5), False)
    started = time.monotonic()
    poet_hook.learn(function)
    assert time.monotonic() - started < 60


# --------------------------------------------------------------------------- kinds of results


def test_numbers_are_learned_from_expected_values(load: Load) -> None:
    price = load("""
        # poet: optimize_for=error, after=1000
        def price(hours: float) -> float:
            return 10.0 * hours if hours < 3.0 else 8.0 * hours  # poet: tune 0..20
    """).price
    for hours in spread(60):
        result = poet_hook.call(price, hours / 4)
        poet_hook.feedback(result, {"expected": 10.0 * hours / 4 if hours / 4 < 9.0 else 8.0 * hours / 4})
    learned = poet_hook.learn(price)
    assert learned.promoted
    assert price(6.0) == 60.0


def test_a_dict_with_a_decision_learns_from_words(load: Load) -> None:
    function = load("""
        # poet: domain=ml_monitoring, optimize_for=f1, after=1000
        def drift(distance: float) -> dict:
            return {"drift_detected": distance > 0.1, "distance": 1.0}
    """).drift
    for value in spread(60):
        result = poet_hook.call(function, value / 60)
        truth = value > 30
        words = "missed it" if truth else "false alarm"
        poet_hook.feedback(result, "correct" if result.value["drift_detected"] == truth else words)
    assert poet_hook.learn(function).promoted
    assert not function(0.4)["drift_detected"]
    assert function(0.6)["drift_detected"]


def test_of_several_numbers_the_one_that_matters_is_changed(load: Load) -> None:
    function = load("""
        # poet: optimize_for=accuracy, after=1000
        def odd(x: float, y: float) -> bool:
            return x > 55.0 or y > 1000.0
    """).odd
    for value in spread(60):
        result = poet_hook.call(function, value, 0.0)
        poet_hook.feedback(result, result.value == (value > 30))
    learned = poet_hook.learn(function)
    assert learned.promoted
    assert learned.candidate is not None
    assert set(learned.candidate.values) == {"x_limit"}


def test_an_integer_stays_an_integer(load: Load, project: Path) -> None:
    function = load("""
        # poet: optimize_for=accuracy, after=1000
        def many(errors: int) -> bool:
            return errors >= 55
    """).many
    for value in range(60):
        result = poet_hook.call(function, value)
        poet_hook.feedback(result, result.value == (value >= 30))
    learned = poet_hook.learn(function)
    assert learned.promoted
    version = Chain(api.settings(), "m:many").read(2)
    assert version.values == {"errors_limit": 30.0}
    assert "errors >= 30\n" in version.source


def test_a_dataclass_result_is_learned_from_in_a_process_that_never_imported_it(load: Load) -> None:
    module = load("""
        from dataclasses import dataclass

        @dataclass
        class Finding:
            is_anomaly: bool
            score: float

        # poet: domain=ml_monitoring, optimize_for=accuracy, after=1000
        def find(score: float) -> Finding:
            return Finding(score > 55.0, 1.0)
    """)
    for value in spread(60):
        result = poet_hook.call(module.find, value)
        poet_hook.feedback(result, result.value.is_anomaly == (value > 30))
    code = "import poet_hook; print(poet_hook.learn('find').promoted)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout == "True\n"


READING = """
    from dataclasses import dataclass

    @dataclass
    class Reading:
        celsius: float
        offset: float = 0.0
        {method}

    {function}
"""
BY_ARGUMENT = """
    # poet: optimize_for=accuracy, after=1000
    def is_hot(reading: Reading) -> bool:
        return reading.celsius > 55.0
"""
BY_SELF = """
        # poet: optimize_for=accuracy, after=1000
        def is_hot(self) -> bool:
            return self.celsius + self.offset > 55.0
"""


@pytest.mark.parametrize(("method", "function"), [("", BY_ARGUMENT), (BY_SELF, "")])
def test_a_dataclass_of_the_module_can_be_an_argument(load: Load, method: str, function: str) -> None:
    module = load(READING.format(method=method, function=function))
    is_hot = module.is_hot if function else module.Reading.is_hot
    for value in spread(60):
        result = poet_hook.call(is_hot, module.Reading(value))
        poet_hook.feedback(result, result.value == (value > 30))
    learned = poet_hook.learn(is_hot)
    assert learned.promoted, learned.reasons
    assert is_hot(module.Reading(35.0))


def test_code_that_can_tell_a_traced_number_from_a_plain_one_is_not_believed(load: Load) -> None:
    function = load("""
        def exact(x):
            return x if type(x) is float else x + 1.0

        # poet: optimize_for=accuracy, after=1000
        def high(v: float) -> bool:
            return v > exact(2.0)
    """).high
    for i in range(60):
        poet_hook.feedback(poet_hook.call(function, i / 15), True)
    learned = poet_hook.learn(function)
    assert not learned.promoted
    assert poet_hook.call(function, 2.5).value


def test_whole_numbers_of_any_size_learn(load: Load) -> None:
    function = load("""
        # poet: optimize_for=accuracy, after=1000
        def slow(ms: int) -> bool:
            return ms > 30000
    """).slow
    for i in range(80):
        result = poet_hook.call(function, 500 * i)
        poet_hook.feedback(result, result.value == (500 * i > 12000))
    learned = poet_hook.learn(function)
    assert learned.promoted
    assert learned.candidate is not None
    assert 12000 <= learned.candidate.values["ms_limit"] < 12500


def test_zero_and_one_are_labels_of_a_yes_or_no(load: Load) -> None:
    is_hot = hot(load)
    for value in spread(60):
        poet_hook.feedback(poet_hook.call(is_hot, value), {"expected": int(value > 30)})
    assert poet_hook.learn(is_hot).promoted


def test_only_the_names_that_are_used_are_imported_for_replay(load: Load) -> None:
    function = load("""
        import math, socket

        # poet: optimize_for=accuracy, after=1000
        def f(x: float) -> bool:
            return math.fabs(x) > 55.0
    """).f
    for value in spread(60):
        result = poet_hook.call(function, value)
        poet_hook.feedback(result, result.value == (value > 30))
    assert poet_hook.learn(function).promoted


def test_a_module_inside_an_allowed_one_is_no_way_out(load: Load) -> None:
    function = load("""
        import logging

        # poet: optimize_for=accuracy, after=1000
        def f(x: float) -> bool:
            logging.os.getcwd()
            return x > 55.0
    """).f
    poet_hook.feedback(poet_hook.call(function, 5.0), True)
    assert "logging.os" in poet_hook.learn(function).reasons[0]


def test_a_large_result_is_not_kept_alive(load: Load) -> None:
    import weakref

    module = load("""
        class Large:
            def __init__(self):
                self.data = bytearray(1_000_000)

        # poet: optimize_for=accuracy, after=1000
        def make(x: float):
            return Large()
    """)
    result = module.make(1.0)
    assert poet_hook.feedback(result, True).signal.kind == "right"
    gone = weakref.ref(result)
    del result
    assert gone() is None


def test_a_decorator_above_the_pragma_may_change_the_value(load: Load) -> None:
    module = load("""
        import functools

        def negated(function):
            @functools.wraps(function)
            def inner(*args):
                return not function(*args)
            return inner

        # poet: optimize_for=accuracy, after=1000
        @negated
        def f(x: float) -> bool:
            return x > 55.0
    """)
    result = poet_hook.call(module.f, 60.0)
    assert result.value is False
    assert next(poet_hook.executions(module.f)).id == result.execution_id


# --------------------------------------------------------------------------- alpha


@pytest.mark.parametrize(("alpha", "level"), [(0.2, "proven"), (0.05, "provisional"), (0.01, None)])
def test_alpha_says_how_much_evidence_a_version_takes(load: Load, alpha: float, level: str | None) -> None:
    is_hot = hot(load, 40.0, more=f", alpha={alpha}")
    teach(is_hot, [50, *(35 + i / 10 for i in range(6))], lambda c: c > 33)
    learned = poet_hook.learn(is_hot)
    assert learned.verdict is not None
    assert learned.verdict.alpha == alpha
    assert learned.verdict.level == level
    needed = {
        "proven": f"reaches {1 / alpha:g}",
        "provisional": f"reaches {0.5 / alpha:g}",
        None: f"below {1 / alpha:g}",
    }
    assert needed[level] in " ".join(learned.reasons)


def test_alpha_says_when_a_version_is_rolled_back(load: Load) -> None:
    rolled = {}
    for module, alpha in (("daring", 0.4), ("careful", 0.01)):
        is_hot = hot(load, 30.0, more=f", alpha={alpha}", module=module)
        teach(is_hot, spread(90), lambda c: c > 45)
        assert poet_hook.learn(is_hot).promoted
        teach(is_hot, [31 + i for i in range(5)], lambda c: c > 30)
        rolled[module] = "rolled back" in " ".join(poet_hook.learn(is_hot).reasons)
    assert rolled == {"daring": True, "careful": False}
