from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest
from conftest import Load
from hypothesis import given
from hypothesis import strategies as st

import poet_hook
from poet_hook.errors import VersionError
from poet_hook.learning.candidates import Axis, Case
from poet_hook.learning.constants import of_choices
from poet_hook.learning.gate import judge
from poet_hook.model import Learned, Plan
from poet_hook.transform.plan import plan_module
from poet_hook.transform.values import set_values, with_values
from poet_hook.versions.chain import Chain
from poet_hook.versions.rebase import fits, same_code

BY_NAME = """
    def mean(values):
        return sum(values) / len(values)

    def middle(values):
        return sorted(values)[len(values) // 2]

    def largest(values):
        return max(values)

    # poet: optimize_for=accuracy, after=100000
    def fires(values: list[float]) -> bool:
        {line}
        return summed(values) > 5.0
"""
BY_TEXT = """
    # poet: optimize_for=accuracy, after=100000, learn={learn}
    def fires(values: list[float]) -> bool:
        how = "mean"  # poet: tune mean|middle|largest
        limit = {limit}  # poet: tune 0..10
        if how == "mean":
            return sum(values) / len(values) > limit
        return (max(values) if how == "largest" else sorted(values)[len(values) // 2]) > limit
"""


def plan_of(source: str) -> Plan:
    planned = plan_module(source, "m.py", "m")
    assert not planned.diagnostics
    (target,) = planned.targets
    return target.plan


def teach(function: object, count: int, limit: float = 5.0) -> None:
    rng = random.Random(count)
    for _ in range(count):
        values = [rng.expovariate(0.3) for _ in range(5)]
        right = sorted(values)[2] > limit
        poet_hook.feedback(poet_hook.call(function, values), {"expected": right})  # type: ignore[arg-type]


def changed(learned: Learned) -> dict[str, float | str]:
    assert learned.candidate is not None
    return dict(learned.candidate.values)


def test_a_choice_is_learned_proven_and_put_in_use(load: Load, project: Path) -> None:
    m = load(BY_TEXT.format(learn="auto", limit=5.0))
    teach(m.fires, 150)
    learned = poet_hook.learn(m.fires)
    assert learned.promoted
    assert learned.verdict is not None
    assert learned.verdict.level == "proven"
    assert changed(learned) == {"how": "middle"}
    assert m.fires([6.0, 6.0, 6.0, 0.0, 0.0]) is True
    assert 'how = "middle"  # poet: tune mean|middle|largest' in poet_hook.api.versions_of("m:fires")[-1].source
    load(None)  # a new process reads the version from its files
    assert poet_hook.call(m.fires, [6.0, 6.0, 6.0, 0.0, 0.0]).version == learned.version


@pytest.mark.parametrize(("number", "level"), [(True, "provisional"), (False, None)])
def test_a_change_of_a_choice_is_never_provisional(number: bool, level: str | None) -> None:
    steps = of_choices([1.0, 0.0, 1.0])
    cases = [Case(str(i), 1.0, (steps,)) for i in range(6)]
    found = judge(cases, [], [Axis(0.0, 0.0, 2.0, integer=True, number=number)])
    assert 10 < found.e_value < 20
    assert found.value == 1.0
    assert found.level == level


def test_a_choice_and_a_number_are_learned_together(load: Load) -> None:
    m = load(BY_TEXT.format(learn="propose", limit=1.0))
    teach(m.fires, 80)
    found = changed(poet_hook.learn(m.fires))
    assert found["how"] == "middle"
    assert isinstance(found["limit"], float)
    assert 4.5 < found["limit"] < 5.5


def test_of_equals_the_choice_that_was_written_stays(load: Load) -> None:
    m = load(BY_TEXT.format(learn="auto", limit=5.0))
    for size in range(1, 12):
        poet_hook.feedback(poet_hook.call(m.fires, [float(size)] * 3), {"expected": size > 7})
    assert list(changed(poet_hook.learn(m.fires))) == ["limit"]


def test_functions_of_the_module_are_choices(load: Load) -> None:
    m = load(BY_NAME.format(line="summed = mean  # poet: tune mean|middle|largest as test"))
    teach(m.fires, 150)
    learned = poet_hook.learn(m.fires)
    assert learned.promoted
    assert changed(learned) == {"test": "middle"}
    assert m.fires([6.0, 6.0, 6.0, 0.0, 0.0]) is True


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("summed = mean  # poet: tune mean|print", "PH405"),
        ("summed = mean  # poet: tune mean|values", "PH405"),
        ("summed = mean  # poet: tune mean|2", "PH405"),
        ("summed = mean  # poet: tune middle|largest", "PH405"),
        ("summed = mean if values == mean else middle  # poet: tune mean|middle", "PH404"),
        ("summed = 2  # poet: tune 2|True", "PH405"),
        ("summed = []  # poet: tune mean|middle", "PH404"),
    ],
)
def test_choices_that_can_not_be_meant(line: str, code: str) -> None:
    planned = plan_module(BY_NAME.replace("\n    ", "\n").format(line=line), "m.py", "m")
    assert [item.code for item in planned.diagnostics] == [code]
    assert planned.targets[0].plan.tunables == ()


def test_what_does_not_fit_tune_says_what_to_do() -> None:
    source = "# poet: optimize_for=f1\ndef f(x: float) -> bool:\n    return x > 1.0  # poet: tune {}\n"
    for tune, hint in (("ks|psi", "one of the choices must be"), ("5..9", "widen the range")):
        (found,) = plan_module(source.format(tune), "m.py", "m").diagnostics
        assert (found.code, found.hint.partition(hint)[1]) == ("PH405", hint)


LINES = {
    "a = 'ks'  # poet: tune ks|psi": ("a", ("ks", "psi"), "a = 'psi'"),
    'a = "ks"  # poet: tune psi|ks|"x|y" as test': ("test", ("ks", "psi", "x|y"), 'a = "psi"'),
    'a = f(x, how="ks")  # poet: tune ks|psi': ("how", ("ks", "psi"), 'a = f(x, how="psi")'),
    "a = True  # poet: tune True|False": ("a", ("True", "False"), "a = False"),
    "a = 5  # poet: tune 1|2|5": ("a", ("5", "1", "2"), "a = 1"),
    "a = -2.50  # poet: tune -2.5|0|2.5": ("a", ("-2.5", "0", "2.5"), "a = 0"),
    "a = x[5]  # poet: tune 5|-1": ("a", ("5", "-1"), "a = x[-1]"),
    "if x == 'é' : pass  # poet: tune é|e": ("x", ("é", "e"), "if x == 'e' : pass"),
    "return'é'  # poet: tune é|e": ("choice", ("é", "e"), "return'e'"),
}


@pytest.mark.parametrize("line", LINES)
def test_what_may_be_chosen(line: str) -> None:
    name, choices, text = LINES[line]
    plan = plan_of(f"class C:\n    # poet: optimize_for=f1\n    def f(x):\n        {line}\n")
    (tunable,) = plan.tunables
    assert (tunable.name, tunable.choices, tunable.value) == (name, choices, choices[0])
    assert with_values(plan.source, plan.tunables, {name: choices[0]}) == plan.source
    assert text in with_values(plan.source, plan.tunables, {name: choices[1]})


def test_only_what_is_listed_fits(project: Path) -> None:
    plan = plan_of("# poet: optimize_for=f1\ndef f(x):\n    how = 'a'  # poet: tune a|b\n    return how == x\n")
    chain = Chain(poet_hook.api.settings(), plan.function)
    version = chain.add(plan, 1, {"how": "b"}, None, "")
    fits(chain.read(version.number), plan)
    for value, why in (("c", "none of its choices"), (1.0, "none of its choices")):
        other = poet_hook.model.Version("m:f", 3, plan.source, plan.source_hash, 0.0, 1, {"how": value})
        with pytest.raises(VersionError, match=why):
            fits(other, plan)


NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="\"'\\,#|"), min_size=1, max_size=6)


@given(
    st.lists(NAMES, min_size=2, max_size=5, unique=True),
    st.sampled_from(["'", '"']),
    st.floats(0.5, 9.5),
    st.sampled_from(["", "    "]),
    st.data(),
)
def test_text_and_tree_get_the_same_values(
    names: list[str], mark: str, number: float, indent: str, data: st.DataObject
) -> None:
    head = "class C:\n" if indent else ""
    choices = "|".join(repr(name) for name in names)
    source = (
        f"{head}{indent}# poet: optimize_for=f1\n{indent}def f(x, y):\n"
        f"{indent}    how = {mark}{names[0]}{mark}  # poet: tune {choices}\n"
        f"{indent}    return x == {mark}é{mark} and y > 2.5  # poet: tune 0.5..9.5\n"
    )
    planned = plan_module(source, "m.py", "m")
    (target,) = planned.targets
    plan = target.plan
    assert [t.name for t in plan.tunables] == ["y_limit", "how"]
    assert with_values(plan.source, plan.tunables, {"y_limit": 2.5, "how": names[0]}) == plan.source
    values = {"y_limit": number, "how": data.draw(st.sampled_from(names))}
    text = with_values(plan.source, plan.tunables, values)
    set_values(target.node, plan, values)
    compile(planned.tree, "m.py", "exec")
    assert same_code(ast.unparse(target.node), text)
    assert f"= {values['how']!r} " in text.replace('"', "'")
