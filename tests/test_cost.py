from __future__ import annotations

import ast
import json
import platform
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poet_hook.cli import cost
from poet_hook.cli.main import main
from poet_hook.model import Plan
from poet_hook.transform.plan import plan_module

Explain = Callable[..., Any]


@pytest.fixture
def explain(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Explain:
    """Explain `f` of a source: its cost as JSON, or in words."""
    monkeypatch.setattr(cost, "SECONDS", 0.02)

    def run(source: str, name: str = "f", words: bool = False) -> Any:
        Path("shop.py").write_text(source, encoding="utf-8")
        assert main(["explain", f"shop.py:{name}", *([] if words else ["--json"])]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out.partition("\nCost of a call\n")[2] if words else json.loads(out)["cost"]

    return run


def function(pragma: str, signature: str = "(room: str, celsius: float) -> bool") -> str:
    return f"# poet: {pragma}\ndef f{signature}:\n    return celsius > 45.0\n"


TYPES = [("perceive", "types of the arguments"), ("enforce", "type of the result")]


@pytest.mark.parametrize(
    ("pragma", "expected"),
    [
        ("", TYPES),
        ("coerce=off, retries=0", []),
        ("coerce=off, retries=2", [("operate", "retries=")]),
        ('coerce=off, require="celsius < 100"', [("perceive", "require=")]),
        ("retries=1, timeout=5s, fallback=False", [
            TYPES[0], ("operate", "retries="), ("operate", "fallback="), ("operate", "timeout="), TYPES[1]]),
        ("cooldown=5, min_run=2, stream=room", [TYPES[0], ("operate", "min_run=, cooldown=, stream="), TYPES[1]]),
        ('ensure="result in (True, False)"', [*TYPES, ("enforce", "ensure=")]),
        ("domain=ml_monitoring", [*TYPES, ("perceive, enforce", "domain=ml_monitoring")]),
        ("optimize_for=accuracy, learn=propose, after=3, group=30m", [*TYPES, ("train", "optimize_for=")]),
        ('coerce=off, optimize_for=accuracy, key=room, stream=room, group="room[:2]", canary=5%', [
            ("train", "optimize_for="), ("train", "key="), ("train", "stream="), ("train", "group="), ("train", "canary=")]),
        ("coerce=off, optimize_for=accuracy, learn=shadow", [("train", "optimize_for="), ("train", "learn=shadow")]),
    ],
)  # fmt: skip
def test_each_part_of_the_pragma_is_measured_and_no_other(
    explain: Explain, pragma: str, expected: list[tuple[str, str]]
) -> None:
    found = explain(function(pragma))
    assert [(step["phase"], step["what"]) for step in found["steps"]] == expected
    assert found["measured"] is bool(expected)
    assert found["left_out"] == []
    if expected:
        assert found["python"] == f"{platform.python_implementation()} {platform.python_version()}"
        assert found["plain"] >= 0
        slow = {"retries=", "timeout=", "optimize_for="} & {what for _, what in expected}
        assert found["added"] > 0 if slow else found["added"] >= 0  # a few ns may be lost in what else is running
        assert all(step["ns"] >= 0 and step["noise"] >= 0 for step in found["steps"])
        assert sum(step["ns"] for step in found["steps"]) == pytest.approx(found["added"], abs=1)
        assert found["calls"] >= found["rounds"] * (len(expected) + 1)
    assert not Path(".poet").exists()


def test_the_words(explain: Explain) -> None:
    out = explain(function("optimize_for=accuracy, key=room"), words=True).splitlines()
    version = f"{platform.python_implementation()} {platform.python_version()}"
    assert out[0].startswith("about +")
    assert f" ns, measured now, around an empty body: {version}, the best of 7 rounds, " in out[0]
    assert out[1].split() == ["phase", "what", "is", "added", "ns"]
    assert [line.split()[0] for line in out[2:-1]] == ["perceive", "enforce", "train", "train"]
    assert out[-1] == "made up: room='text', celsius=1.5; the result True"
    assert explain(function("coerce=off, retries=0"), words=True) == (
        "nothing is added: none of its options does anything at a call\n"
    )


EFFECTS = """
open("imported", "w").close()

def marked(name):
    open(name, "w").close()
    return lambda function: function

# poet: optimize_for=accuracy, timeout=5s, fallback=instead, retries=1
@marked("decorated")
def f(x: float, y: int = marked("default"), *more, z: str = "", **others) -> bool:
    open("ran", "w").close()
    return x > 1.0

def instead(*_):
    open("fell_back", "w").close()

# poet: require="x > 0 and marked('required')", ensure="open('ensured', 'w') and True"
def g(x: float) -> bool:
    return x > 1.0
"""


def test_nothing_of_the_users_is_run(
    explain: Explain, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(own))
    found = explain(EFFECTS)
    assert found["measured"]
    assert found["arguments"] == {"x": "1.5", "y": "3", "more": "()", "z": "'text'", "others": "{}"}
    found = explain(EFFECTS, "g")
    assert found["left_out"] == [
        "require= is not measured: it reads marked, and nothing of the module is run for this",
        "ensure= is not measured: it reads open, and nothing of the module is run for this",
    ]
    assert [(step["phase"], step["what"]) for step in found["steps"]] == TYPES
    assert sorted(path.name for path in Path().iterdir()) == ["pyproject.toml", "shop.py"]
    assert not [*own.iterdir()]


@pytest.mark.parametrize(
    ("pragma", "signature", "said", "steps"),
    [
        ("optimize_for=accuracy", "(x, celsius: float) -> bool",
         "recording is not measured: nothing can be made up for x, of which no built-in type is known", TYPES),
        ("optimize_for=accuracy, record.x=none", "(x, celsius: float) -> bool", "", [*TYPES, ("train", "optimize_for=")]),
        ('require="x.ready"', "(x: Sensor, celsius: float) -> bool",
         "require= is not measured: nothing can be made up for x, of which no built-in type is known", TYPES),
        ('require="celsius._x"', "(celsius: float) -> bool", "require= is not measured: it reads a private attribute", TYPES),
        ('require="celsius > 1e9"', "(celsius: float) -> bool",
         "nothing is measured: no arguments and no result could be made up that its own checks let pass", []),
        ('optimize_for=accuracy, key="room[200]"', "(room: str, celsius: float) -> bool",
         "nothing is measured: no arguments and no result could be made up that its own checks let pass", []),
    ],
)  # fmt: skip
def test_what_can_not_be_made_up_is_said(
    explain: Explain, pragma: str, signature: str, said: str, steps: list[tuple[str, str]]
) -> None:
    found = explain(function(pragma, signature))
    assert found["left_out"] == ([said] if said else [])
    assert [(step["phase"], step["what"]) for step in found["steps"]] == steps
    if said:
        assert explain(function(pragma, signature), words=True).endswith(f"{said}\n")


def test_arguments_are_looked_for_that_the_checks_let_pass(explain: Explain) -> None:
    found = explain(
        function(
            'require="celsius < 0 and room == \'\'", ensure="not result and len(more) == 0"',
            "(room: str, celsius: float, *more) -> bool",
        )
    )
    assert found["arguments"] == {"room": "''", "celsius": "-1.0", "more": "()"}
    assert found["result"] == "False"


def test_every_type_has_made_up_arguments(explain: Explain) -> None:
    kinds = ("float", "int", "bool", "str", "bytes", "list", "dict", "tuple", "set", "list[float]", "list[int]", "tuple[int]")  # fmt: skip
    kinds += ("set[float]", "set[int]", "tuple[float]", "dict[str, float]")
    signature = ", ".join(f"a{number}: {kind}" for number, kind in enumerate(kinds))
    for returns in ("list[int]", "dict", "set", "bytes"):
        found = explain(
            f"# poet: coerce=strict, optimize_for=accuracy\ndef f(a, /, *, {signature}) -> {returns}: ...\n".replace(
                "a, /, *, ", ""
            )
        )
        assert found["left_out"] == []
        assert [step["phase"] for step in found["steps"]] == ["perceive", "enforce", "train"]


def test_a_method(explain: Explain) -> None:
    source = "class K:\n    # poet: optimize_for=accuracy\n    def f(self, x: float, /, *, made_up: int) -> bool:\n        return x > 1.0\n"
    found = explain(source, "K.f")
    assert found["arguments"] == {"self": "object()", "x": "1.5", "made_up": "3"}
    assert [step["phase"] for step in found["steps"]] == ["perceive", "enforce", "train"]


def test_an_expression_without_end_is_given_up(explain: Explain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "_LONGEST", 0.5)
    found = explain(function('require="sum(range(10**15)) > celsius"'))
    assert not found["measured"]
    assert found["left_out"] == ["nothing is measured: it took longer than 0.5 seconds"]


def test_a_process_that_ends_early(explain: Explain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "_CODE", "raise SystemExit(3)")
    assert explain(function(""))["left_out"] == ["nothing is measured: the process that measures ended with 3"]


def test_a_process_that_can_not_be_started(explain: Explain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert explain(function(""), words=True).startswith("nothing is measured: [Errno 2] ")


OPTIONS = st.lists(
    st.sampled_from(
        [
            "optimize_for=accuracy", "optimize_for=latency", "retries=2", "timeout=5s", "fallback=False", "fallback=f",
            'require="celsius < 100"', 'ensure="result is not None"', "key=room", "stream=room", "group=room", "group=5m",
            "min_run=2", "hold=1", "cooldown=20s", "domain=ml_monitoring", "domain=generic", "coerce=strict", "coerce=off",
            "canary=5%", "learn=shadow", "learn=propose", "record=hash", "record.room=none", "backoff=1s", "half_life=30",
        ]
    ),
    unique_by=lambda option: option.partition("=")[0],
    max_size=8,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    OPTIONS, st.sampled_from(["(room: str, celsius: float) -> bool", "(room, *, celsius: float)", "(room, celsius)"])
)
def test_the_last_that_is_measured_is_what_runs(options: list[str], signature: str) -> None:
    (target,) = plan_module(function(", ".join(options), signature), "shop.py", "shop").targets
    plan = target.plan
    node = ast.parse(plan.source).body[0]
    assert isinstance(node, ast.FunctionDef)
    steps, texts = cost._texts(node, plan, 1, "made_up")
    assert len(steps) == len(texts) - 1
    assert spec(texts[-1], plan) == spec(cost._text(node, "made_up", plan), plan)


def spec(text: str, plan: Plan) -> str:
    """What runs, but for a `coerce=` where no type is checked, and a `stream=` that nobody asks for."""
    idle = "" if plan.pragma.trains or plan.pragma.steady else '|,"has_streams":true'
    return re.sub(f',"coerce":"(off|strict)"{idle}', "", text)


@pytest.mark.parametrize(
    ("head", "body", "expected"),
    [
        ("async def", "return x > 1.0", ["types of the arguments", "retries=", "timeout=", "type of the result"]),
        ("def", "yield x > 1.0", ["types of the arguments"]),
        ("async def", "yield x > 1.0", ["types of the arguments"]),
    ],
)
def test_what_a_call_of_another_kind_costs(explain: Explain, head: str, body: str, expected: list[str]) -> None:
    options = "retries=1, timeout=5s" if "return" in body else ""
    result = " -> bool" if "return" in body else ""
    found = explain(f"# poet: {options}\n{head} f(x: float){result}:\n    {body}\n")
    assert ([step["what"] for step in found["steps"]], found["left_out"]) == (expected, [])


def test_what_stands_in_the_body_is_not_measured(explain: Explain) -> None:
    for more in ("", ", optimize_for=accuracy"):
        found = explain(function(f"margin=0.5{more}"))
        assert found["left_out"] == ["margin= is not measured: it moves a number in the body"]
        assert [(step["phase"], step["what"]) for step in found["steps"]][:2] == TYPES
