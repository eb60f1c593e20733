"""Default arguments as tunables: which ones count, what a version does with them, and what replay does."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import numbers_of
from hypothesis import given, settings
from hypothesis import strategies as st

import poet_hook
from poet_hook import api
from poet_hook.cli.main import main
from poet_hook.errors import VersionWarning
from poet_hook.model import Plan
from poet_hook.transform.compile import Champion, body_code, compile_module
from poet_hook.transform.plan import plan_module
from poet_hook.transform.values import with_values

Load = Callable[..., ModuleType]
Python = Callable[..., Any]

SOURCE = '''
# poet: optimize_for=accuracy, after=1000
def is_hot(celsius: float, limit: float = 45.0) -> bool:
    """Whether it is hot."""
    return celsius > limit
'''


def plan_of(source: str) -> Plan:
    return plan_module(f"# poet: optimize_for=accuracy\n{source}", "m.py", "m").targets[0].plan


def names(source: str) -> list[tuple[str, float | str]]:
    return [(tunable.name, tunable.value) for tunable in numbers_of(plan_of(source))]


def teach(module: ModuleType, right: float = 30.0, **more: float) -> None:
    for celsius in (12, 50, 31, 44, 18, 38, 25, 33, 47, 41, 29, 36, 9, 40, 32, 22, 39, 34, 43, 27):
        result = poet_hook.call(module.is_hot, float(celsius), **more)
        poet_hook.feedback(result, {"expected": celsius > right})


@pytest.mark.parametrize(
    ("head", "body", "found"),
    [
        ("x, limit=3.0", "return x > limit", [("limit", 3.0)]),
        ("x, limit=3", "return x > limit", [("limit", 3.0)]),
        ("x, limit=-3.5", "return x > limit", [("limit", -3.5)]),
        ("x, *, limit: float = 3.0", "return x > limit", [("limit", 3.0)]),
        ("x=2.0, /, limit=3.0", "return x > limit", [("x", 2.0), ("limit", 3.0)]),
        ("x, k=3.0", "return x > x.mean + k * x.sd", [("k", 3.0)]),
        ("x, k=3.0", "y = k * x\n    return y", [("k", 3.0)]),
        ("x, k=3.0", "x += k\n    return x", [("k", 3.0)]),
        ("x, k=3", "return k * x", []),  # a whole number in arithmetic may count things
        ("x, k=0.0", "return k * x", []),
        ("x, k=1.0", "return x > k", [("k", 1.0)]),
        ("x, k=1", "return x > k", []),
        ("x, k=True", "return x > k", []),
        ("x, k=None", "return x > k", []),
        ("x, depth=3", "return x > 2.5 if depth == 0 else f(x, depth - 1)", [("x_limit", 2.5)]),
        ("x, k=3.5", "return x != k", []),
        ("x, k='a'", "return x > k", []),
        ("x, k=1 + 2.0", "return x > k", []),
        ("x, k=3.0", "return x[k] > 2", [("value_limit", 2.0)]),
        ("x, k=3.0", "return x ** k", []),
        ("x, k=3.0", "return round(x, k)", []),
        ("x, k=3.0", "return max(x, k=k)", []),
        ("x, k=3", "return [y for y in range(k)] == x", []),
        ("x, k=3.0", "return (lambda y: y > k)(x)", []),
        ("x, k=3.0", "return x", []),
        ("x, limit=4.0", "return x > 2.0 or x > limit", [("x_limit", 2.0), ("limit", 4.0)]),
        ("x, x_limit=4.0", "return x > 2.0 or x > x_limit", [("x_limit", 2.0), ("x_limit_2", 4.0)]),
    ],
)
def test_which_defaults_count(head: str, body: str, found: list[tuple[str, float]]) -> None:
    assert names(f"def f({head}):\n    {body}\n") == found


def test_a_default_may_be_marked() -> None:
    plan = plan_of("def f(\n    x,\n    k=3,  # poet: tune 1..9 as gain\n    z=4.0,\n):\n    return k * x > z\n")
    (tunable,) = plan.tunables
    assert (tunable.name, tunable.parameter, tunable.lower, tunable.upper) == ("gain", "k", 1.0, 9.0)
    assert tunable.declared
    assert tunable.integer
    (tunable,) = plan_of("def f(x, limit=3.0):  # poet: tune 1..9\n    return x > limit\n").tunables
    assert (tunable.parameter, tunable.upper) == ("limit", 9.0)
    planned = plan_module(
        "# poet: optimize_for=accuracy\ndef f(x, a=3.0, b=2.0):  # poet: tune 1..9\n    return x > a + b\n", "m.py", "m"
    )
    assert [item.code for item in planned.diagnostics] == ["PH404"]
    (tunable,) = plan_of("def f(x, k=3.0): return x > 2.0  # poet: tune 1..9\n").tunables
    assert (tunable.parameter, tunable.value) == ("", 2.0)


# --------------------------------------------------------------------------- what runs


def test_a_version_keeps_the_signature_and_replaces_what_was_left_at_the_default(load: Load) -> None:
    module = load(SOURCE)
    before = module.is_hot
    teach(module)
    learned = poet_hook.learn("is_hot")
    assert (learned.version, learned.promoted) == (2, True)
    assert learned.candidate is not None
    assert learned.candidate.source.startswith("def is_hot(celsius: float, limit: float = 30.7) -> bool:")
    assert module.is_hot is before
    assert (module.is_hot(35.0), module.is_hot(35.0, 45.0), module.is_hot(35.0, limit=45.0)) == (True, True, True)
    assert (module.is_hot(35.0, 40.0), module.is_hot(35.0, 45)) == (False, False)  # an int is no float
    assert str(inspect.signature(module.is_hot)) == "(celsius: float, limit: float = 45.0) -> bool"
    assert (module.is_hot.__defaults__, module.is_hot.__doc__) == ((45.0,), "Whether it is hot.")
    assert pickle.loads(pickle.dumps(module.is_hot)) is before
    assert api.rollback("is_hot") == (2, 1)
    assert module.is_hot(35.0) is False


def test_executions_are_recorded_as_they_were_called_and_learned_from_again(load: Load) -> None:
    module = load(SOURCE)
    teach(module)
    assert poet_hook.learn("is_hot").promoted
    for _ in range(3):
        teach(module, right=20.0)
    teach(module, right=20.0, limit=20.0)  # who names another limit is not spoken of
    result = poet_hook.call(module.is_hot, 35.0)
    (execution,) = api.executions("is_hot", limit=1)
    assert (execution.id, execution.version) == (result.execution_id, 2)
    learned = poet_hook.learn("is_hot")
    assert learned.verdict is not None
    assert learned.verdict.evidence.set_aside == 0  # what v2 did is reproduced with its own default
    assert learned.candidate is not None
    assert 18 <= float(learned.candidate.values["limit"]) <= 22
    assert learned.verdict.evidence.labelled == 100


def test_a_function_that_calls_itself_is_replayed_with_its_default(load: Load) -> None:
    module = load(
        """
        # poet: optimize_for=accuracy, after=1000
        def is_hot(celsius: float, limit: float = 45.0, unit: str = "C") -> bool:
            if unit == "C" and celsius < 0:
                return is_hot(-celsius)
            return celsius > limit
        """
    )
    for celsius in (12, 50, 31, 44, 18, 38, 25, 33, 47, 41, 29, 36, 9, 40, 32, 22, 39, 34, 43, 27):
        result = poet_hook.call(module.is_hot, float(-celsius))
        poet_hook.feedback(result, {"expected": celsius > 30})
    learned = poet_hook.learn("is_hot")
    assert learned.verdict is not None
    assert learned.verdict.evidence.set_aside == 0
    assert learned.candidate is not None
    assert 29 <= float(learned.candidate.values["limit"]) <= 31
    assert (module.is_hot(-35.0), module.is_hot(-35.0, 40.0)) == (True, True)


def test_two_processes_and_the_users_own_file(load: Load, python: Python, project: Path) -> None:
    module = load(SOURCE)
    teach(module)
    ask = "import poet_hook; poet_hook.activate(); import m; print(m.is_hot(35.0), m.is_hot(35.0, 40.0))"
    assert python(ask).stdout.split() == ["False", "False"]
    assert poet_hook.learn("is_hot").promoted
    assert python(ask).stdout.split() == ["True", "False"]
    assert main(["apply", "is_hot"]) == 0
    assert (project / "m.py").read_text() == SOURCE.replace("45.0", "30.7")
    assert python("import m; print(m.is_hot(35.0), m.is_hot.__defaults__)").stdout.split() == ["True", "(30.7,)"]


def test_after_an_edit_the_default_is_carried_over_or_the_users_own_stays(load: Load) -> None:
    module = load(SOURCE)
    teach(module)
    assert poet_hook.learn("is_hot").promoted
    with pytest.warns(VersionWarning, match="your own values take the place"):
        assert load(SOURCE.replace("45.0", "44.0")).is_hot(35.0) is False
    module = load(SOURCE.replace("Whether it is hot", "Whether it is too hot"))
    assert module.is_hot(35.0) is True
    assert (api.champion("is_hot"), api.versions_of("is_hot")[-1].values) == (3, {"limit": 30.7})


def test_it_is_explained(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    load(SOURCE)
    assert main(["explain", "m:is_hot"]) == 0
    assert "default of limit, found in a comparison or in arithmetic" in capsys.readouterr().out


def test_the_rest_of_a_call_sees_what_was_passed(load: Load) -> None:
    module = load(
        """
        import poet_hook

        tried = []

        def other(x, limit=3.0):
            return ("fell back", limit)

        # poet: optimize_for=accuracy, retries=1, fallback=other, key="f'{x} {limit}'"
        def f(x, limit=3.0):
            tried.append(limit)
            if x > limit:
                raise ValueError
            return "result", limit
        """
    )
    api.store()
    module.f(2.0)
    plan = plan_module((Path("m.py")).read_text(), "m.py", "m").targets[0].plan
    chain = api.Chain(api.settings(), "m:f")
    chain.add(plan, 1, {"limit": 4.5}, None, "")
    api.promote("f", 2)
    assert module.f(4.0) == ("result", 4.5)
    assert module.f(9.0) == ("fell back", 3.0)
    assert module.tried == [3.0, 4.5, 4.5, 4.5]  # each attempt begins with what was passed
    assert [item.key for item in api.executions("f")][:2] == ["9.0 3.0", "4.0 3.0"]


class Strange:
    """What must not be asked anything: only its own type is looked at."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise AssertionError

    def __eq__(self, other: object) -> bool:
        raise AssertionError

    def __lt__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_no_code_of_what_is_passed_is_run(load: Load) -> None:
    module = load(SOURCE.replace(": float", "").replace(" -> bool", ""))
    teach(module)
    assert poet_hook.learn("is_hot").promoted
    assert module.is_hot(35.0, Strange()) is True
    import numpy

    assert (module.is_hot(35.0, numpy.array([45.0, 31.0])) == [False, True]).all()


# --------------------------------------------------------------------------- any signature

_NUMBERS = st.one_of(
    st.integers(2, 50),
    st.floats(1.5, 50.0).map(lambda x: round(x, 3)),
    st.floats(-50.0, -1.5).map(lambda x: round(x, 3)),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(_NUMBERS, min_size=1, max_size=4),
    st.sampled_from(["", "*, "]),
    st.booleans(),
    st.data(),
)
def test_a_version_does_what_its_text_says(
    values: list[float], star: str, docstring: bool, data: st.DataObject
) -> None:
    head = ", ".join(f"p{i}={value!r}" for i, value in enumerate(values))
    compared = ", ".join(f"x > p{i}" for i in range(len(values)))
    doc = '    "the docstring"\n' if docstring else ""
    source = f"# poet: optimize_for=accuracy\ndef f(x, {star}{head}):\n{doc}    return [{compared}], locals()\n"
    plan = plan_module(source, "m.py", "m").targets[0].plan
    new = {
        tunable.name: float(data.draw(st.integers(-90, 90))) if tunable.integer else data.draw(st.floats(-90, 90))
        for tunable in plan.tunables
    }
    text = with_values(plan.source, plan.tunables, new)
    own: dict[str, Any] = {}
    exec(text, own)
    function: dict[str, Any] = {}
    exec(source, function)
    function["f"].__code__ = body_code(source, "m", plan, Champion(2, new))
    assert function["f"].__doc__ == ("the docstring" if docstring else None)
    assert function["f"](3.0) == own["f"](3.0)
    passed = {f"p{i}": data.draw(_NUMBERS) for i in range(len(values)) if data.draw(st.booleans())}
    passed = {name: value for name, value in passed.items() if value != values[int(name[1:])]}
    assert function["f"](3.0, **passed) == own["f"](3.0, **passed)
    compiled = compile_module(source, "m.py", "m", lambda _: Champion(2, new))
    assert compiled.code.co_names == compile_module(source, "m.py", "m").code.co_names
