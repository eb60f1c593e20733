from __future__ import annotations

import ast
import random
from collections.abc import Callable, Mapping
from types import ModuleType

import pytest
from conftest import Load
from hypothesis import given
from hypothesis import strategies as st

import poet_hook
from poet_hook.model import Learned, Plan
from poet_hook.transform.plan import plan_module
from poet_hook.transform.values import set_values, with_values
from poet_hook.versions.chain import Chain
from poet_hook.versions.rebase import carry, same_code

HEAD = "    # poet: optimize_for=accuracy, after=100000\n"


def plan_of(source: str) -> Plan:
    (target,) = plan_module(source, "m.py", "m").targets
    return target.plan


def edits(body: str, head: str = "def f(x, y, z):") -> dict[str, list[str]]:
    """By the name of each change of structure, the changed lines of each of its choices but the first."""
    plan = plan_of(f"# poet: optimize_for=f1\n{head}\n    {body}\n")
    found = {}
    for tunable in plan.tunables:
        assert with_values(plan.source, plan.tunables, {tunable.name: tunable.value}) == plan.source
        if tunable.structural and tunable.choices:
            texts = [with_values(plan.source, plan.tunables, {tunable.name: choice}) for choice in tunable.choices[1:]]
            found[tunable.name] = ["\n".join(text.splitlines()[1:]).strip() for text in texts]
    return found


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return x > y", {"x_strictness": ["return x >= y"]}),
        ("return x>=y", {"x_strictness": ["return x>y"]}),
        ("return len(y) <= z", {"y_strictness": ["return len(y) < z"]}),
        ("return x > 0", {"x_strictness": ["return x >= 0"]}),
        ("return x > 2", {"x_side": ["return abs(x) > 2"]}),
        ("return-x>2", {"x_side": ["return abs(-x)>2"]}),
        ("return 2.5 < x", {"x_side": ["return 2.5 < abs(x)"]}),
        ("return abs(x) > 2", {"x_side": ["return x > 2", "return -x > 2"]}),
        ("return abs( x - y ) > 2", {"x_side": ["return x - y > 2", "return -(x - y) > 2"]}),
        ("return 2 < abs(x)", {"x_side": ["return 2 < x", "return 2 < -x"]}),
        ("return (x -\n  y) > 2", {"x_side": ["return (abs(x -\n  y)) > 2"]}),
        ("return abs(\n x) > 2", {}),
        ("return len(x) > 2", {}),
        ("return x > -2", {}),
        ("return x < 2", {}),
        ("return x == y and y == z", {"joined": ["return x == y or y == z"]}),
        (
            "return (x == y  # or so\n  or y == z or any(z) == y)",
            {"joined": ["return (x == y  # or so\n  and y == z and any(z) == y)"]},
        ),
        ("return x == y or y == z and z == x", {}),
        ("return x == y and not y", {}),
        ("return y == z and x is not None and max(x, 3) == y", {}),
        ("return x is None or x == 3", {}),
        ("return len(y) == 2 and y[0] == x", {}),
        ("return len(y) == 2 and spread(y) == x", {}),
        ("return x != 0 and y / x == z", {}),
        ("return x != 0 and y / z == 3", {"joined": ["return x != 0 or y / z == 3"]}),
        ("while x < y: x += 1\n    return x == 5", {}),
        ("return x - y", {}),
        ("return x > y if z == 3 else None", {}),
    ],
)
def test_what_else_may_stand_there(body: str, expected: dict[str, list[str]]) -> None:
    assert edits(body) == expected


def test_only_functions_that_decide_and_only_what_is_marked() -> None:
    assert edits("return x > y", "def f(x, y, z) -> int:") == {}
    assert edits("return z", "def f(x, y, z) -> bool:") == {}
    assert edits("if x > y: z = 1\n    return z", "def f(x, y, z) -> bool:") == {
        "x_strictness": ["if x >= y: z = 1\n    return z"]
    }
    assert edits("return x > y or x > 3  # poet: tune 1..5") == {}


# --------------------------------------------------------------------------- text and tree


def expressions(depth: int) -> st.SearchStrategy[str]:
    names = st.sampled_from(["x", "y", "abs(x)", "abs(x - y)", "(x)", "-y", "len(h)", "x * 2.5", "f'{x}'", "max(x, 3)"])
    numbers = st.sampled_from(["2.5", "3", "0", "-1.5", "1_000"])
    compared = st.builds(
        "{}{}{}{}{}".format,
        st.one_of(names, numbers),
        st.sampled_from([" ", ""]),
        st.sampled_from([">", ">=", "<", "<=", "=="]),
        st.sampled_from([" ", ""]),
        st.one_of(names, numbers),
    )
    if not depth:
        return compared
    inner = expressions(depth - 1)
    return st.one_of(
        compared,
        st.builds("({}\n  {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("{} {} {}".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("not ({})".format, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
    )


@given(expressions(2), expressions(2), st.sampled_from(["", "    ", "\t"]), st.data())
def test_text_and_tree_say_the_same(one: str, two: str, indent: str, data: st.DataObject) -> None:
    head = "class C:\n" if indent else ""
    rows = ["def f(x, y, h=()) -> bool:", f"    if {one}: return x > y", f"    return {two}"]
    source = f"{head}{indent}# poet: optimize_for=f1\n" + "".join(f"{indent}{row}\n" for row in rows)
    (target,) = plan_module(source, "m.py", "m").targets
    plan = target.plan
    assert with_values(plan.source, plan.tunables, {t.name: t.value for t in plan.tunables if t.choices}) == plan.source
    values: dict[str, float | str] = {
        t.name: data.draw(st.sampled_from(t.choices) if t.choices else st.just(4.0), t.name)
        for t in plan.tunables
        if t.kind != "guard"
    }
    text = with_values(plan.source, plan.tunables, values)
    (target,) = plan_module(source, "m.py", "m").targets
    set_values(target.node, plan, values)
    compile(ast.parse(source), "m.py", "exec")
    tree = ast.Module([target.node], [])
    assert ast.dump(tree) == ast.dump(ast.parse(text))
    for before, after in zip(plan.source.splitlines(), text.splitlines(), strict=True):
        assert before.count("(") - before.count(")") == after.count("(") - after.count(")")


def test_what_follows_keeps_its_place() -> None:
    source = "# poet: optimize_for=f1\ndef f(x, y):\n    return x > 2.5 and y.z > x\n"
    (target,) = plan_module(source, "m.py", "m").targets
    values: Mapping[str, float | str] = {"x_side": "both", "x_limit": 1000.25, "joined": "or"}
    places = {
        ast.unparse(n): (n.lineno, n.col_offset, n.end_col_offset)
        for n in ast.walk(target.node)
        if isinstance(n, ast.Attribute)
    }
    set_values(target.node, target.plan, values)
    again = {
        ast.unparse(n): (n.lineno, n.col_offset, n.end_col_offset)
        for n in ast.walk(target.node)
        if isinstance(n, ast.Attribute)
    }
    assert again == places
    assert ast.unparse(target.node).endswith("return abs(x) > 1000.25 or y.z > x")


# --------------------------------------------------------------------------- learning


def taught(load: Load, body: str, right: Callable[[float, float], bool], count: int = 60) -> tuple[ModuleType, Learned]:
    m = load(f"{HEAD}    def f(x: float, y: float) -> bool:\n        {body}\n")
    rng = random.Random(7)
    for _ in range(count):
        x, y = rng.choice([-4.0, -1.0, 1.0, 2.0, 4.0]), rng.choice([-4.0, 1.0, 2.0, 4.0])
        poet_hook.feedback(poet_hook.call(m.f, x, y), {"expected": right(x, y)})
    return m, poet_hook.learn(m.f)


@pytest.mark.parametrize(
    ("body", "right", "values", "text"),
    [
        ("return x > y", lambda x, y: x >= y, {"x_strictness": ">="}, "return x >= y"),
        ("return x > 3.0", lambda x, y: abs(x) > 3.0, {"x_side": "both"}, "return abs(x) > 3.0"),
        ("return abs(x) > 3.0", lambda x, y: x < -3.0, {"x_side": "below"}, "return -x > 3.0"),
        ("return x == 4.0 or y == 4.0", lambda x, y: x == y == 4.0, {"joined": "and"}, "return x == 4.0 and y == 4.0"),
    ],
)
def test_a_fault_of_the_structure_is_found_and_proven(
    load: Load, body: str, right: Callable[[float, float], bool], values: dict[str, str], text: str
) -> None:
    m, learned = taught(load, body, right, 100)
    assert learned.promoted, learned.reasons
    assert learned.verdict is not None
    assert learned.verdict.level == "proven"
    assert learned.candidate is not None
    assert learned.candidate.values == values
    assert text in learned.candidate.source
    assert all(m.f(x, y) == right(x, y) for x in (-4.0, 4.0, 1.0) for y in (4.0, 1.0))


def test_a_number_that_does_as_well_comes_first(load: Load) -> None:
    _, learned = taught(load, "return x > 3.0 and y > -9.0", lambda x, y: x > 1.5, 100)
    assert learned.promoted
    assert learned.candidate is not None
    assert list(learned.candidate.values) == ["x_limit"]


def test_a_structure_and_a_number_together(load: Load) -> None:
    _, learned = taught(load, "return x > 0.5", lambda x, y: abs(x) > 3.0, 160)
    assert learned.candidate is not None
    assert learned.candidate.values["x_side"] == "both"
    assert 2.0 < float(learned.candidate.values["x_limit"]) < 4.0


# --------------------------------------------------------------------------- versions


def test_a_structure_is_carried_over_where_it_still_stands(load: Load) -> None:
    before = plan_of("# poet: optimize_for=f1\ndef f(x, y):\n    return x > 2.5 and y > x\n")
    chain = Chain(poet_hook.api.settings(), "m:f")
    version = chain.add(before, 1, {"joined": "or", "x_limit": 3.5}, None, "")
    assert chain.read(version.number).values == {"joined": "or", "x_limit": 3.5}
    after = plan_of("# poet: optimize_for=f1\ndef f(x, y):\n    x = x * 2\n    return x > 2.5 and y > x\n")
    carried = carry(version, before.source, after)
    assert carried.source == "def f(x, y):\n    x = x * 2\n    return x > 3.5 or y > x\n"
    other = plan_of("# poet: optimize_for=f1\ndef f(x, y):\n    return x > 2.5 and y > x and x != 4\n")
    with pytest.raises(poet_hook.errors.VersionError, match="no longer fit"):
        carry(version, before.source, other)
    assert same_code(carried.source, after.source.replace("2.5 and", "3.5 or"))
