"""The problems of benchmarks/combinations.py are what it says of them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from benchmarks.combinations import _BUSY, PROBLEMS, _inputs, _module
from poet_hook.transform.plan import plan_module


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_problem_has_its_numbers_and_runs(name: str) -> None:
    text, rng = PROBLEMS[name], random.Random(1)
    numbers = [rng.uniform(0.6, 2.4) for _ in range(text.count("NUMBER"))]
    source = _module(text, numbers)
    planned = plan_module(source, "m.py", "m")
    (target,) = planned.targets
    assert not planned.diagnostics
    assert [tunable.value for tunable in target.plan.tunables] == [float(f"{number:.4g}") for number in numbers]
    assert all(tunable.upper and float(tunable.value) < tunable.upper for tunable in target.plan.tunables)
    space: dict[str, Any] = {}
    exec(source.replace(_BUSY, ""), space)
    assert {type(space["f"](*_inputs(text, rng))) for _ in range(50)} == {bool}
