from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Load, environment

import poet_hook
from poet_hook import api
from poet_hook.errors import NotEnhancedError
from poet_hook.learning.ask import Silent, drawn
from poet_hook.learning.candidates import Axis, Case
from poet_hook.learning.constants import Steps
from poet_hook.learning.evidence import Difference, compare
from poet_hook.learning.gate import Judge, judge

HOT = """
# poet: optimize_for=accuracy, after=1000000{more}
def is_hot(celsius: float, room: str = "kitchen") -> bool:
    return celsius > {limit}  # poet: tune 0..100 as limit
"""


def taught(load: Load, limit: float = 50.0, complaints: int = 6, calls: int = 60) -> Any:
    """A limit that is too high, called over the whole range; a few misses below it were reported."""
    function = load(HOT.format(limit=limit, more="")).is_hot
    results = [poet_hook.call(function, float(i * 100 / calls)) for i in range(calls)]
    missed = [r for r in results if 30.0 < r_value(r) <= limit]
    for result in missed[:complaints]:
        poet_hook.feedback(result, "missed")
    return function


def r_value(result: poet_hook.POETResult) -> float:
    execution = api.store().execution(result.execution_id)
    assert execution is not None
    from poet_hook.store import codec

    assert execution.arguments is not None
    return float(codec.decode(execution.arguments)[0])


# --------------------------------------------------------------------------- what is asked


def test_where_the_challenger_differs_and_a_near_miss_of_either_kind(load: Load) -> None:
    function = taught(load)
    for question in poet_hook.ask(function, limit=2).questions:  # as long as all are silent, they outweigh complaints
        said = question.returned == (question.arguments["celsius"] > 30.0)
        poet_hook.feedback(question.execution_id, said, source="asked")
    found = poet_hook.ask(function, limit=8)
    assert found.challenger is not None
    limit = found.challenger["limit"]
    assert limit < 50.0
    differing = [q for q in found.questions if limit < q.arguments["celsius"] <= 50.0]
    assert 5 <= len(differing) <= 6
    assert all((q.returned, q.challenger) == (False, True) for q in differing)
    assert all("would raise an alert" in q.why for q in differing)
    rest = [q for q in found.questions if q not in differing]
    assert rest
    assert all(q.returned == q.challenger and "the challenger agrees" in q.why for q in rest)
    spoken = {item.execution_id for item in api.store().for_function(found.function)}
    assert not spoken & {q.execution_id for q in found.questions}
    assert found.questions[0].arguments["room"] == "kitchen"
    assert found.questions[0].answer.split()[3:] == [
        "feedback",
        found.questions[0].execution_id,
        "correct",
        "--source",
        "asked",
    ]


def test_without_a_candidate_the_nearest_to_the_limit_on_both_sides(load: Load) -> None:
    function = load(HOT.format(limit=50.0, more="")).is_hot
    for i in range(41):
        function(30.0 + i)
    found = poet_hook.ask(function, limit=4)
    assert found.challenger is None
    assert sorted(q.arguments["celsius"] for q in found.questions) == [49.0, 50.0, 51.0, 52.0]
    assert [q.returned for q in found.questions].count(True) == 2
    assert {q.challenger for q in found.questions} == {None}


def test_a_function_without_any_number_is_asked_about_too(load: Load) -> None:
    same = load("# poet: optimize_for=accuracy\ndef same(a: str, b: str) -> bool:\n    return a == b\n").same
    for other in "abc":
        poet_hook.call(same, "a", other)
    assert len(poet_hook.ask(same).questions) == 3


def test_asking_twice_asks_the_same_and_writes_nothing(load: Load, project: Path) -> None:
    function = taught(load)
    first = poet_hook.ask(function)

    def stored() -> tuple[Any, ...]:
        store = api.store()
        return (
            store.last_feedback(first.function),
            store.get_meta(f"learned:{first.function}"),
            sorted(path for path in (project / ".poet").rglob("*") if "journal" not in path.parts and path.is_file()),
        )

    before = stored()
    assert poet_hook.ask(function) == first
    assert stored() == before


@pytest.mark.parametrize(
    ("source", "calls", "reason"),
    [
        (HOT.format(limit=50.0, more=", learn=off"), 1, "learn=off"),
        (
            "# poet: optimize_for=accuracy\ndef is_hot(x: float, y: float) -> float:\n    return x + y\n",
            1,
            "nothing in it",
        ),
        ("import random\n" + HOT.format(limit="50.0 + random.random()", more=""), 1, "it can't be replayed"),
        (HOT.format(limit=50.0, more=""), 2, "all 2 executions have feedback"),
    ],
    ids=["off", "no number", "no replay", "all said"],
)
def test_nothing_to_ask_says_why(load: Load, source: str, calls: int, reason: str) -> None:
    function = load(source).is_hot
    for _ in range(calls):
        poet_hook.feedback(poet_hook.call(function, 60.0, 20.0), True)
    if reason == "it can't be replayed":
        function(70.0)
    found = poet_hook.ask(function)
    assert not found.questions
    assert reason in found.reason


def test_a_limit_of_none_is_refused(load: Load) -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        poet_hook.ask(taught(load), limit=0)


def test_answers_lead_to_a_better_version_although_nobody_approves_unasked(load: Load) -> None:
    function = taught(load, limit=60.0, complaints=3, calls=200)
    assert not poet_hook.learn(function).promoted
    for _ in range(8):
        for question in poet_hook.ask(function).questions:
            deserved = question.arguments["celsius"] > 30.0
            poet_hook.feedback(question.execution_id, question.returned == deserved, source="asked")
        if poet_hook.learn(function).promoted:
            break
    assert function(45.0) is True
    assert function(10.0) is False


def test_the_command_prints_what_to_do_and_one_json_document(load: Load, project: Path) -> None:
    function = taught(load)
    asked = poet_hook.ask(function)

    def command(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "poet_hook", *words], capture_output=True, text=True, timeout=60, env=environment()
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    text = command("ask", "is_hot")
    assert all(question.answer in text and question.why in text for question in asked.questions)
    document = json.loads(command("ask", "--json", "--limit", "2"))
    (found,) = document["functions"]
    assert [q["execution_id"] for q in found["questions"]] == [q.execution_id for q in asked.questions[:2]]
    line = asked.questions[0].answer.split()[3:]
    assert "understood: the result was right" in command(*line)
    assert asked.questions[0].execution_id not in command("ask", "is_hot")


# --------------------------------------------------------------------------- how it is drawn


def pool(rng: random.Random, raised: int, dropped: int) -> list[Silent]:
    kinds = [False] * raised + [True] * dropped
    return [Silent(f"{i} {rng.random()}", alarm, True, rng.random()) for i, alarm in enumerate(kinds)]


def test_each_execution_on_which_they_differ_is_as_likely_as_any_other() -> None:
    rng = random.Random(7)
    first = [drawn(pool(rng, 10, 90), heard=1, limit=1)[0] for _ in range(600)]
    assert 0.06 < sum(not item.alarm for item in first) / 600 < 0.14
    assert 0.45 < sum(item.near for item in first) / 600 < 0.55


def test_one_question_in_four_is_about_something_else_and_none_comes_twice() -> None:
    rng = random.Random(3)
    items = [Silent(str(i), i % 2 == 0, i % 5 == 0, rng.random()) for i in range(100)]
    found = drawn(items, heard=0, limit=16)
    assert sum(not item.differs for item in found) == 4
    assert len({item.id for item in found}) == 16
    others = [item for item in found if not item.differs]
    assert {item.alarm for item in others} == {True, False}
    assert len(drawn(items, heard=0, limit=1000)) == 100


# --------------------------------------------------------------------------- the statistics

OPTIMUM, SHARE, DISTANCE, LOW = 1.409, 0.32, 2.1, -0.181
"""Scores are N(0, 1), of 32 in 100 N(2.1, 1); LOW is 26 points of accuracy off."""
Rule = Callable[[float, bool], bool]


def case(name: str, score: float, said: bool, incumbent: float, **more: Any) -> Case:
    alert = score > incumbent
    loss = Steps((score,), (float(not said), float(said)), (float(said),))
    return Case(name, float(alert != said), (loss,), approved=alert == said, alarm=alert, **more)


def scores(rng: random.Random, count: int) -> dict[str, tuple[float, bool]]:
    found = {}
    for i in range(count):
        deserves = rng.random() < SHARE
        found[str(i)] = rng.gauss(DISTANCE if deserves else 0.0, 1.0), deserves
    return found


def promoted_by_asking(incumbent: float, rng: random.Random, wrong: float = 0.0, answers: int = 40) -> int | None:
    """After how many answers something is promoted, judged after each of them."""
    process = Judge([Axis(incumbent, -3.0, 7.0)])
    left = scores(rng, 200)
    for score, _ in left.values():
        process.hush(case("", score, score > incumbent, incumbent))
    for heard in range(answers):
        value = process.judgement().value
        other = incumbent if value is None else value
        quiet = [
            Silent(i, s > incumbent, (s > incumbent) != (s > other), abs(s - incumbent)) for i, (s, _) in left.items()
        ]
        (asked,) = drawn(quiet, heard, 1)
        score, deserves = left.pop(asked.id)
        process.add(case(asked.id, score, deserves != (rng.random() < wrong), incumbent, asked=True))
        if process.judgement().level:
            return heard + 1
    return None


@pytest.mark.parametrize("wrong", [0.0, 0.1])
def test_an_optimal_incumbent_is_seldom_replaced_by_asking(wrong: float) -> None:
    replaced = [promoted_by_asking(OPTIMUM, random.Random(seed), wrong) for seed in range(20)]
    assert sum(found is not None for found in replaced) <= 1


def test_asking_takes_at_most_two_thirds_of_the_feedback() -> None:
    waits = sorted(promoted_by_asking(LOW, random.Random(seed)) or 1000 for seed in range(15))
    assert waits[7] <= 24  # commenting at random: 36 to 48


def complaining(seed: int, incumbent: float, complaints: int) -> tuple[list[Case], dict[str, tuple[float, bool]]]:
    """Somebody complains of mistakes and never approves; what is left is silent."""
    left = scores(random.Random(seed), 200)
    mistakes = [i for i, (score, deserves) in left.items() if (score > incumbent) != deserves][:complaints]
    return [case(i, *left.pop(i), incumbent) for i in mistakes], left


def answered(seed: int, incumbent: float, complaints: int, answers: int) -> Iterator[tuple[Any, int]]:
    said, left = complaining(seed, incumbent, complaints)
    for heard in range(answers):
        silent = [case("", score, score > incumbent, incumbent) for score, _ in left.values()]
        found = judge(said, silent, [Axis(incumbent, -3.0, 7.0)])
        yield found, heard
        other = incumbent if found.value is None else found.value
        quiet = [
            Silent(i, s > incumbent, (s > incumbent) != (s > other), abs(s - incumbent)) for i, (s, _) in left.items()
        ]
        (asked,) = drawn(quiet, len(said), 1)
        said.append(case(asked.id, *left.pop(asked.id), incumbent, asked=True))


def test_answers_do_not_lend_complaints_about_a_good_function_any_weight() -> None:
    replaced = sum(any(found.level for found, _ in answered(seed, OPTIMUM, 20, 25)) for seed in range(8))
    assert replaced == 0


def test_answers_prove_what_complaints_alone_could_not() -> None:
    proven = 0
    for seed in range(6):
        steps = answered(seed, LOW, 8, 45)
        assert next(steps)[0].level is None
        proven += any(found.level for found, _ in steps)
    assert proven >= 3


def test_answers_are_no_opinions_and_alone_they_make_silence_mute() -> None:
    process = Judge([Axis(0.0, -3.0, 7.0)])
    for i in range(30):
        process.hush(case("", 0.1 + i / 10, True, 0.0))
    for i in range(6):
        process.add(case(str(i), 0.1 + i / 10, True, 0.0, asked=True))
    assert process.judgement().silent_weight == 0.0
    for i in range(6, 9):
        process.add(case(str(i), 0.1 + i / 10, False, 0.0))
    opinions = process.opinions[True]
    assert (opinions.approvals, opinions.complaints, opinions.answers) == (0, 3, 6)
    assert process.judgement().silent_weight == 30.0


def test_between_two_versions_answers_count_beside_silence() -> None:
    rest: Sequence[Difference] = [Difference(-1.0, 1.0, None, True, (0.1 * i,)) for i in range(40)]
    complaints = [Difference(1.0, 1.0, False, True, (0.1 * i,)) for i in range(10)]
    answers = [Difference(1.0, 1.0, False, True, (0.1 * i,), asked=True) for i in range(12)]
    assert compare(complaints, rest).e_value < 1.0
    assert compare([*complaints, *answers], rest).e_value > 20.0
    approvals = [Difference(-1.0, 1.0, True, True, (0.1 * i,), asked=True) for i in range(12)]
    assert compare([*complaints, *approvals], rest).e_value < 1.0


# --------------------------------------------------------------------------- f.poet


def test_a_function_that_learns_has_it_all(load: Load) -> None:
    function = taught(load, limit=60.0, complaints=0, calls=100)
    assert len(list(function.poet.executions)) == 100
    for execution in list(function.poet.executions)[::2]:
        celsius = 100.0 - 1.0 - list(function.poet.executions).index(execution)
        receipt = function.poet.feedback(execution.id, (celsius > 60.0) == (celsius > 30.0), source="ada")
        assert receipt.function == "m:is_hot"
    assert api.feedback_of(execution.id)[0].source == "ada"
    assert function.poet.train().promoted
    assert [version.number for version in function.poet.versions] == [1, 2]
    assert function(45.0) is True
    assert function.poet.ask(limit=1).champion == 2
    assert function.poet.rollback() == (2, 1)
    assert function(45.0) is False
    assert repr(function.poet) == "<poet of m:is_hot>"


KINDS = """
import functools
from dataclasses import dataclass

def traced(f):
    @functools.wraps(f)
    def inner(*a):
        return f(*a)
    return inner

def careless(f):
    return lambda *a: f(*a)

# poet: retries=1
def checked(x: float) -> float:
    return x

# poet: optimize_for=accuracy
@traced
def wrapped(x: float) -> bool:
    return x > 1.0

# poet: optimize_for=accuracy
@careless
def hidden(x: float) -> bool:
    return x > 1.0

def plain(x: float) -> float:
    return x

class C:
    # poet: optimize_for=accuracy
    @staticmethod
    def static(x: float) -> bool:
        return x > 1.0

    # poet: optimize_for=accuracy
    def method(self, x: float) -> bool:
        return x > 1.0

    # poet: optimize_for=accuracy
    @property
    def hot(self) -> bool:
        return 2.0 > 1.0

# poet: optimize_for=accuracy
def own(x: float) -> bool:
    return x > 1.0

own.poet = "Keats"
"""


def test_every_kind_of_function_has_it_as_far_as_it_is_its_own(load: Load) -> None:
    m = load(KINDS)
    names = {
        "m:wrapped": m.wrapped,
        "m:C.static": m.C.static,
        "m:C.method": m.C().method,
        "m:C.hot": m.C.hot.fget,
    }
    for name, function in names.items():
        assert function.poet.function == name
    assert m.own.poet == "Keats"
    assert not any(hasattr(function, "poet") for function in (m.plain, m.hidden, m.traced))
    assert not hasattr(load(KINDS, active=False).wrapped, "poet")


def test_without_optimize_for_it_says_what_is_missing(load: Load) -> None:
    poet = load(KINDS).checked.poet
    uses: list[Callable[[], Any]] = [
        poet.train,
        poet.ask,
        poet.rollback,
        lambda: poet.feedback("x", True),
        lambda: poet.versions,
        lambda: poet.executions,
    ]
    for use in uses:
        with pytest.raises(NotEnhancedError, match=r"it does not learn: its pragma, in .*m\.py, has no optimize_for="):
            use()


def test_the_function_itself_is_what_it_was(load: Load) -> None:
    m = load(KINDS)
    assert pickle.loads(pickle.dumps(m.wrapped)) is m.wrapped
    assert vars(m.checked).keys() == {"poet"}
    copied = pickle.loads(pickle.dumps(m.checked.poet))
    assert (copied.place, copied.trains) == (m.__file__, False)
    assert m.checked(2.0) == 2.0


def test_the_script_that_defines_it_can_use_it(project: Path) -> None:
    script = (
        HOT.format(limit=50.0, more="")
        + "\nfor i in range(3):\n    is_hot(50.0 + i)\nprint(is_hot.poet.train().reasons)"
    )
    (project / "app.py").write_text(script + "\nprint(len(list(is_hot.poet.executions)))\n")
    done = subprocess.run(
        [sys.executable, "-m", "poet_hook", "run", "app.py"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["('no execution of this source has feedback that could be read yet',)", "3"]
