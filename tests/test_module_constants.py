"""Numbers at the top of a module as tunables of the one function that reads them."""

from __future__ import annotations

import re
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
from poet_hook.errors import VersionWarning
from poet_hook.model import Plan, Tunable
from poet_hook.runtime.bind import bind, loosen
from poet_hook.transform.compile import Champion, compile_module
from poet_hook.transform.plan import Planned, plan_module
from poet_hook.transform.values import with_values

Load = Callable[..., ModuleType]
Python = Callable[..., Any]

SOURCE = '''\
import math

_LIMIT = 45.0  # degrees


# poet: optimize_for=accuracy, after=1000
def is_hot(celsius: float) -> bool:
    """Whether it is hot."""
    return celsius > _LIMIT
'''


def planned(source: str) -> Planned:
    return plan_module(source, "m.py", "m")


def plan_of(source: str) -> Plan:
    return planned(source).targets[0].plan


def numbers_of(plan: Plan) -> list[Tunable]:
    return [tunable for tunable in plan.tunables if tunable.kind == "number"]


def teach(module: ModuleType, right: float = 30.0) -> None:
    for celsius in (12, 50, 31, 44, 18, 38, 25, 33, 47, 41, 29, 36, 9, 40, 32, 22, 39, 34, 43, 27):
        result = poet_hook.call(module.is_hot, float(celsius))
        poet_hook.feedback(result, {"expected": celsius > right})


F = "# poet: optimize_for=accuracy\ndef f(x):\n    return x > _K\n"


@pytest.mark.parametrize(
    "source",
    [
        f"_K = 3.0\n{F}",
        f"_K = -3\n{F}",
        f"_K: float = 3.0\n{F}",
        f"{F}_K = 3.0  # below\n",
        f"_K = 3.0\n{F}def g(x):\n    return x\n",
        "_K = 3.0\n# poet: optimize_for=accuracy\ndef f(x):\n    return [y for y in x if y > _K]\n",
        "_K = 3.0\n# poet: optimize_for=accuracy\ndef f(x):\n    return x + _K\n",
        "_K = 3.0\nclass C:\n    # poet: optimize_for=accuracy\n    def f(self, x):\n        return x > _K\n",
        f"K = 3.0  # poet: tune 1..9\n{F.replace('_K', 'K')}",
        f"k = 3.0  # poet: tune 1..9\n{F.replace('_K', 'k')}",
    ],
)
def test_what_one_function_alone_reads_is_tunable(source: str) -> None:
    plan = plan_of(source)
    (tunable,) = numbers_of(plan)
    assert (tunable.name, abs(float(tunable.value)), tunable.constant.lower().strip("_")) == ("k", 3.0, "k")
    line = source.splitlines()[plan.line_of(tunable) - 1]
    assert plan.source.endswith(f"\n\n\n{line}\n")
    assert line.startswith(tunable.constant)
    assert not planned(source).diagnostics


@pytest.mark.parametrize(
    "source",
    [
        F,  # not assigned at all
        f"K = 3.0\n{F.replace('_K', 'K')}",  # another module may read it
        f"__K = 3.0\n{F.replace('_K', '__K')}",
        f"_K = 3.0\n_K = 4.0\n{F}",
        f"_K = 3.0\nif True:\n    _K = 4.0\n{F}",
        f"_K = 3.0\n_K += 1\n{F}",
        f"_K = 3.0\ndel _K\n{F}",
        f"_K = 3.0\nfor _K in (): pass\n{F}",
        f"_K = 3.0\n{F}print(_K)\n",
        f"_K = 3.0\n{F}def g(x):\n    return x > _K\n",
        f"_K = 3.0\n{F}def g(x=_K):\n    return x\n",
        f"_K = 3.0\n{F}def g():\n    global _K\n",
        f"_K = 3.0\n{F}def g(_K):\n    return 1\n",
        f"_K = 3.0\n{F}def g(x):\n    return globals()['_K']\n",
        f"_K = 3.0\n__all__ = ['f', '_K']\n{F}",
        f"_K = 3.0\nfrom os import *\n{F}",
        f"_K = 3.0\nfrom os import path as _K\n{F}",
        f"_K = 3.0\nclass _K: pass\n{F}",
        f"_K = 3.0; _J = 1\n{F}",
        f"_K = _J = 3.0\n{F}",
        f"_K, _J = 3.0, 4.0\n{F}",
        f"_K = (\n    3.0\n)\n{F}",
        f"_K = 1.5 + 1.5\n{F}",
        f"_K = True\n{F}",
        f"_K = '3'\n{F}",
        f"_K: float\n{F}",
        f"if True:\n    _K = 3.0\n{F}",
        "_K = 3.0\n# poet: optimize_for=accuracy, ensure='result > _K'\ndef f(x):\n    return x + _K\n",
        "_K = 3.0\n# poet: optimize_for=accuracy\ndef f(x, k=_K):\n    return x > _K\n",
        "_K = 3.0\n# poet: optimize_for=accuracy\ndef f(x):\n    _K = 4\n    return x > _K\n",
        "_K = 3\n# poet: optimize_for=accuracy\ndef f(x):\n    return x[_K]\n",
        "_K = 3.0\n# poet: retries=2\ndef f(x):\n    return x > _K\n",
    ],
)
def test_what_may_be_read_or_changed_elsewhere_is_not(source: str) -> None:
    assert not [t for target in planned(source).targets for t in target.plan.tunables if t.constant]


def test_marks() -> None:
    source = f"_K = 3.0\n{F.replace('> _K', '> _K + 2.5  # poet: tune 1..9')}"
    assert [t.constant for t in numbers_of(plan_of(source))] == [""]  # where something is marked, only that counts
    source = f"_K = 3.0  # poet: tune 1..9 as gain\n{F.replace('> _K', '> _K + 2.5')}"
    assert [(t.name, t.upper) for t in numbers_of(plan_of(source))] == [("gain", 9.0)]
    for wrong, message in [
        (f"K = 3.0  # poet: tune 1..9\n{F}print(K)\n", "not read by one function"),
        (f"K = 3.0  # poet: tune 1..9\nK = 4\n{F}", "assigned or named elsewhere"),
        (f"_K = 3.0  # poet: tune 4..9\n{F}", "outside the range"),
    ]:
        (problem,) = planned(wrong).diagnostics
        assert message in problem.message
        assert problem.line == 1


# --------------------------------------------------------------------------- what runs


def test_a_version_reads_another_number_and_the_module_keeps_its_own(load: Load) -> None:
    module = load(SOURCE)
    before = module.is_hot
    teach(module)
    learned = poet_hook.learn("is_hot")
    assert learned.promoted
    assert learned.candidate is not None
    assert learned.candidate.values == {"limit": 30.7}
    assert learned.candidate.source.endswith("return celsius > _LIMIT\n\n\n_LIMIT = 30.7  # degrees\n")
    assert module.is_hot is before
    assert (module.is_hot(35.0), module._LIMIT) == (True, 45.0)
    module._LIMIT = 40.0  # somebody sets it: that is what counts
    assert module.is_hot(35.0) is False
    module._LIMIT = 45
    assert module.is_hot(35.0) is False
    module._LIMIT = 45.0
    assert module.is_hot(35.0) is True
    assert api.rollback("is_hot") == (2, 1)
    assert module.is_hot(35.0) is False


def test_two_processes_and_the_users_own_file(load: Load, python: Python, project: Path) -> None:
    source = SOURCE.replace("\n", "\r\n").replace("import math", "import math # ä")
    module = load(source)
    teach(module)
    ask = "import poet_hook; poet_hook.activate(); import m; print(m.is_hot(35.0))"
    assert python(ask).stdout.split() == ["False"]
    assert poet_hook.learn("is_hot").promoted
    assert python(ask).stdout.split() == ["True"]
    assert main(["apply", "is_hot"]) == 0
    assert (project / "m.py").read_bytes().decode() == source.replace("45.0", "30.7")
    assert python("import m; print(m.is_hot(35.0))").stdout.split() == ["True"]
    assert python(ask).stdout.split() == ["True"]


def test_executions_of_a_version_are_reproduced(load: Load) -> None:
    module = load(SOURCE)
    teach(module)
    assert poet_hook.learn("is_hot").promoted
    for _ in range(4):
        teach(module, right=20.0)
    learned = poet_hook.learn("is_hot")
    assert learned.verdict is not None
    assert learned.verdict.evidence.set_aside == 0
    assert learned.candidate is not None
    assert 18 <= float(learned.candidate.values["limit"]) <= 22


def test_a_version_does_not_survive_an_edit_of_its_constant_and_is_carried_over_others(load: Load) -> None:
    module = load(SOURCE)
    teach(module)
    assert poet_hook.learn("is_hot").promoted
    with pytest.warns(VersionWarning, match="your own values take the place"):
        assert load(SOURCE.replace("45.0", "44.0")).is_hot(35.0) is False
    with pytest.warns(VersionWarning, match="no longer fit"):  # another function reads it now
        assert load(f"{SOURCE}\n\ndef g():\n    return _LIMIT\n").is_hot(35.0) is False
    edited = SOURCE.replace("# degrees", "# degrees Celsius").replace("is hot", "is too hot")
    module = load(edited)
    assert module.is_hot(35.0) is True
    assert (api.champion("is_hot"), api.versions_of("is_hot")[-1].values) == (3, {"limit": 30.7})
    assert load(edited.replace("45.0", "30.7")).is_hot(35.0) is True  # the user's own text says the same
    assert api.champion("is_hot") == 1


def test_it_can_be_asked_for_and_is_explained(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    module = load(SOURCE)
    result = poet_hook.call(module.is_hot, 35.0)
    assert poet_hook.feedback(result, "missed, lower the limit to 32").signal.value is True
    api.wait_for_learning()
    assert api.versions_of("is_hot")[-1].values == {"limit": 32.0}
    assert main(["explain", "m:is_hot"]) == 0
    out = capsys.readouterr().out
    assert "the module's _LIMIT, found in a comparison or in arithmetic" in out
    assert re.search(r"0\.\.900 +3 ", out)  # the line of the file


# --------------------------------------------------------------------------- any module

_NUMBER = st.one_of(st.integers(-90, 90), st.floats(-90, 90).map(lambda x: round(x, 3))).filter(lambda x: abs(x) > 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(_NUMBER, min_size=1, max_size=3), st.booleans(), st.booleans(), st.data())
def test_a_version_does_what_its_text_says(
    numbers: list[float], below: bool, inside_class: bool, data: st.DataObject
) -> None:
    constants = "".join(f"_K{i} = {number!r}  # of ours\n" for i, number in enumerate(numbers))
    compared = ", ".join(f"x > _K{i}" for i in range(len(numbers)))
    indent = "    " if inside_class else ""
    text = f"{indent}# poet: optimize_for=accuracy\n{indent}def f(x):\n{indent}    return [{compared}]\n"
    text = f"class C:\n{text}" if inside_class else text
    source = text + constants if below else constants + text
    plan = plan_of(source)
    assert [tunable.constant for tunable in numbers_of(plan)] == [f"_K{i}" for i in range(len(numbers))]
    values = {tunable.name: float(data.draw(st.integers(-90, 90))) for tunable in numbers_of(plan)}
    own: dict[str, Any] = {}
    exec(with_values(plan.source, plan.tunables, values), own)
    made: dict[str, Any] = {"__name__": "m"}
    compiled = compile_module(source, "m.py", "m", lambda _: Champion(2, values))
    exec(bind(loosen(compiled.code)), made)
    function = made["C"].f if inside_class else made["f"]
    for x in (-91.0, 0.5, 45.5, 91.0):
        assert function(x) == own["f"](x)
    made["_K0"] = 7.25
    assert function(7.5)[0] is True
    assert function(7.0)[0] is False
