from __future__ import annotations

import ast
import io
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from conftest import Load
from hypothesis import given
from hypothesis import strategies as st

import poet_hook
from poet_hook.errors import VersionError
from poet_hook.model import Learned, Plan, Tunable
from poet_hook.transform.guards import Condition, Guard, read_guard
from poet_hook.transform.plan import plan_module
from poet_hook.transform.values import set_values, with_values
from poet_hook.versions.apply import edit_of
from poet_hook.versions.chain import Chain
from poet_hook.versions.exchange import line_of, read
from poet_hook.versions.rebase import carry, fits

LOUD = """
    # poet: optimize_for=accuracy, after=100000
    def is_loud(value: float, source: str) -> bool:
        return value > 2.0
"""


def plan_of(source: str) -> Plan:
    (target,) = plan_module(source, "m.py", "m").targets
    return target.plan


def guard_in(plan: Plan) -> Tunable | None:
    return next((tunable for tunable in plan.tunables if tunable.kind == "guard"), None)


def teach(function: Callable[..., bool], right: Callable[[float, str], bool], count: int, seed: int = 1) -> None:
    rng = random.Random(seed)
    for _ in range(count):
        value, source = rng.uniform(0, 10), rng.choice(["cpu", "disk", "net", "fan"])
        poet_hook.feedback(poet_hook.call(function, value, source), {"expected": right(value, source)})


def changed(learned: Learned) -> dict[str, float | str]:
    assert learned.candidate is not None, learned.reasons
    return dict(learned.candidate.values)


# --------------------------------------------------------------------------- learning


def test_a_guard_is_found_proven_and_told_in_words(load: Load) -> None:
    m = load(LOUD)
    teach(m.is_loud, lambda value, source: value > 2.0 and source != "cpu", 80)
    learned = poet_hook.learn(m.is_loud)
    assert learned.promoted, learned.reasons
    assert changed(learned) == {"guard": "and source != 'cpu'"}
    assert learned.verdict is not None
    assert learned.verdict.level == "proven"
    assert learned.reasons[0].startswith("it no longer raises where source == 'cpu': 16 of 16 false alarms")
    assert not m.is_loud(5.0, "cpu")
    assert m.is_loud(5.0, "disk")
    assert "return value > 2.0 and source != 'cpu'\n" in poet_hook.api.versions_of("m:is_loud")[-1].source


def test_what_is_missed_is_added(load: Load) -> None:
    m = load(LOUD.replace("2.0", "9.0"))
    teach(m.is_loud, lambda value, source: value > 9.0 or (source == "disk" and value > 4.0), 260)
    learned = poet_hook.learn(m.is_loud)
    text = str(changed(learned)["guard"])
    assert learned.promoted, learned.reasons
    assert text.startswith("or ")
    assert "source == 'disk'" in text
    assert "raises too where" in learned.reasons[0]
    assert m.is_loud(8.0, "disk")
    assert not m.is_loud(8.0, "cpu")


def test_a_variable_of_the_body_is_looked_at(load: Load) -> None:
    m = load("""
        # poet: optimize_for=accuracy, after=100000
        def is_loud(value: float, source: str) -> bool:
            if value < 0.5:
                return False
            rest = value % 1.0
            if value > 9.5:
                return True
            return value > 2.0
    """)
    teach(m.is_loud, lambda value, source: (2.0 < value <= 9.5 and value % 1.0 > 0.4) or value > 9.5, 100)
    learned = poet_hook.learn(m.is_loud)
    values = changed(learned)
    assert str(values["guard"]).startswith("and rest > 0.")
    assert m.is_loud(4.9, "") is True
    assert m.is_loud(4.1, "") is False
    assert m.is_loud(0.1, "") is False


def test_a_number_comes_before_a_guard(load: Load) -> None:
    m = load(LOUD)
    teach(m.is_loud, lambda value, source: value > 6.0, 80)
    assert list(changed(poet_hook.learn(m.is_loud))) == ["value_limit"]


def test_a_guard_and_a_number_together(load: Load) -> None:
    m = load(LOUD)
    teach(m.is_loud, lambda value, source: value > 6.0 and source != "cpu", 200)
    for _ in range(2):
        learned = poet_hook.learn(m.is_loud)
        teach(m.is_loud, lambda value, source: value > 6.0 and source != "cpu", 200, seed=2)
    assert [m.is_loud(*row) for row in ((9.0, "cpu"), (9.0, "net"), (4.0, "net"))] == [False, True, False], learned


def test_where_nothing_tells_more_no_guard_goes_live(load: Load) -> None:
    m = load(LOUD)
    rng = random.Random(5)
    for _ in range(80):
        result = poet_hook.call(m.is_loud, rng.uniform(0, 10), rng.choice(["cpu", "disk"]))
        poet_hook.feedback(result, {"expected": result.value != (rng.random() < 0.2)})
    assert not poet_hook.learn(m.is_loud).promoted


# --------------------------------------------------------------------------- the grammar

NAMES = st.sampled_from(["source", "value", "rest", "flag"])
TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=8)
CONDITIONS = st.one_of(
    st.builds(Condition, NAMES, st.sampled_from(["==", "!="]), TEXTS),
    st.builds(Condition, NAMES, st.sampled_from([">", "<="]), st.floats(allow_nan=False, allow_infinity=False)),
    st.builds(Condition, NAMES, st.sampled_from(["is", "not"])),
)
GUARDS = st.builds(Guard, st.sampled_from(["and", "or"]), st.lists(CONDITIONS, min_size=1, max_size=2).map(tuple))


@given(GUARDS)
def test_a_guard_comes_back_from_its_text(guard: Guard) -> None:
    assert read_guard(str(guard)) == guard


@pytest.mark.parametrize(
    "text",
    [
        "",
        "and",
        "source != 'cpu'",
        "and source != 'cpu' ",
        'and source != "cpu"',
        "and  source != 'cpu'",
        "and source != cpu",
        "and source.x != 'cpu'",
        "and f()",
        "and source != __import__('os')",
        "and value > 3",
        "and value > 1e999",
        "and value > '3'",
        "and value >= 3.0",
        "and 3.0 > value",
        "and 1.0 < value <= 3.0",
        "and (a or b or c)",
        "and (a and b)",
        "or (a or b)",
        "and a or b",
        "and (a)",
        "or a if b else c",
        "and source != 'cpu'\n",
        "and source != 'cpu' # x",
        "and (lambda: 0)",
        "and (source := 'cpu')",
        "and " + "(" * 5000,
        "and source != '" + "x" * 81 + "'",
        "and source != 'a' 'b'",
        "and not not a",
    ],
)
def test_what_is_no_guard(text: str) -> None:
    with pytest.raises(ValueError, match="guard"):
        read_guard(text)


# --------------------------------------------------------------------------- in a function

BODIES = [
    "return value > 2.5",
    "return value > 2.5 and flag",
    "return value > 2.5 or flag",
    "return (value > 2.5\n        or flag)  # so",
    "return value > 2.5 if flag else rest > 3",
    "return not flag",
    "return True",
    "return False",
    "return(abs(value)>2.5)",
    "return (y := value) > 2.5",
    "if flag:\n        return True\n    rest = value * 2\n    return rest > 3",
    "for rest in (1, 2):\n        if rest > value: return flag\n    return rest == 2",
    "try:\n        rest = value * 2\n        return rest > 3\n    finally:\n        rest = 3.0",
]
HEAD = "def f(value: float, source: str, flag: bool, rest: float = 0.5) -> bool:\n    "


@given(st.sampled_from(BODIES), GUARDS, st.sampled_from(["", "    "]), st.data())
def test_text_and_tree_say_the_same_and_the_guard_does_what_it_says(
    body: str, guard: Guard, indent: str, data: st.DataObject
) -> None:
    source = "# poet: optimize_for=f1\n" + HEAD + body + "\n"
    if indent:
        source = "class C:\n" + "".join(f"{indent}{row}\n" for row in source.splitlines())
    (target,) = plan_module(source, "m.py", "m").targets
    plan = target.plan
    tunable = guard_in(plan)
    assert tunable is not None
    assert with_values(plan.source, plan.tunables, {"guard": ""}) == plan.source
    values: dict[str, float | str] = {
        t.name: data.draw(st.sampled_from(t.choices), t.name) for t in plan.tunables if t.choices
    }
    numeric = {c.name for c in guard.conditions if c.operator in (">", "<=")} <= set(tunable.numbers)
    if not numeric:
        with pytest.raises(LookupError):
            with_values(plan.source, plan.tunables, {"guard": str(guard)})
        return
    text = with_values(plan.source, plan.tunables, values | {"guard": str(guard)})
    set_values(target.node, plan, values | {"guard": str(guard)})
    assert ast.dump(ast.Module([target.node], [])) == ast.dump(ast.parse(text))
    if "try" in body or any(c.name == "rest" for c in guard.conditions):
        return
    arguments = {"value": 3.0, "source": "cpu", "flag": data.draw(st.booleans()), "rest": 0.25}
    plain, guarded = (run(with_values(plan.source, plan.tunables, values)), run(text))
    rule = [condition.holds(arguments) for condition in guard.conditions]
    before = plain(**arguments)
    after = before and any(rule) if guard.joiner == "and" else before or all(rule)
    assert bool(guarded(**arguments)) == bool(after)


def run(text: str) -> Callable[..., object]:
    module = ModuleType("m")
    exec(compile(text, "m.py", "exec"), module.__dict__)
    made: Callable[..., object] = module.__dict__["f"]
    return made


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("return x > 2", [("x", "y")]),
        ("a = x\n    return a > 2", [("a", "x", "y")]),
        ("if x:\n        a = 1\n    return x > 2", [("x", "y")]),
        ("if x:\n        a = 1\n        return a == y\n    return x > 2", [("a", "y"), ("x", "y")]),
        ("for a in y:\n        return a == x\n    return x > 2", [("x", "y"), ("x", "y")]),
        ("del y\n    return x > 2", [("x",)]),
        ("global y\n    y = 1\n    return x > 2", [("x", "y")]),
        ("def g():\n        return x\n    return x > 2", [("x", "y")]),
        ("return x", []),
        ("if x is None:\n        return y > 1\n    return x > 2", [("y",), ("x", "y")]),
        ("if x is not None and x > 2:\n        return True\n    return y > 1", [("y",), ("y",)]),
        ("if y > 2 and x in (3, None):\n        return x > 1\n    return False", [("x", "y"), ("y",)]),
        ("try:\n        z = x / y\n    except Exception:\n        return False\n    return z > 2", []),
        (
            "try:\n        z = x / y\n    except ZeroDivisionError:\n        return False\n    return z > 2",
            [("x", "y"), ("x", "y")],
        ),
        ("if missing(x):\n        return False\n    return x > 2", [("y",), ("x", "y")]),
        ("if abs(x) > 9:\n        return False\n    return x > 2", [("x", "y"), ("x", "y")]),
        ("return x > 2  # poet: tune 1..3", []),
    ],
)
def test_what_a_guard_may_look_at(body: str, names: list[tuple[str, ...]]) -> None:
    parameters = "x" if "global" in body else "x, y"
    plan = plan_of(f"# poet: optimize_for=f1\ndef f({parameters}):\n    {body}\n")
    tunable = guard_in(plan)
    found = [place.names for place in tunable.exits] if tunable else []
    assert found == ([("x",)] if "global" in body else names)


def test_a_guard_compares_no_name_that_the_body_expects_to_be_none(load: Load) -> None:
    m = load("""
        # poet: optimize_for=accuracy, after=100000
        def is_loud(value: float, source: str) -> bool:
            if value is None:
                return False
            return value > 5.0 and source == "cpu"
    """)
    teach(m.is_loud, lambda value, source: (value > 5.0 and source == "cpu") or value > 8.0, 120)
    learned = poet_hook.learn(m.is_loud)
    assert learned.promoted, learned.reasons
    assert str(changed(learned)["guard"]).startswith("or value > 8.")
    assert m.is_loud(9.0, "fan")
    assert m.is_loud(None, "fan") is False


def test_a_stored_guard_is_checked_and_carried_over(load: Load) -> None:
    before = plan_of(LOUD.replace("\n    ", "\n"))
    chain = Chain(poet_hook.api.settings(), "m:is_loud")
    version = chain.add(before, 1, {"guard": "and source != 'cpu'", "value_limit": 3.5}, None, "")
    fits(chain.read(version.number), before)
    bad = poet_hook.model.Version(
        "m:is_loud", 3, before.source, before.source_hash, 0.0, 1, {"guard": "and print(value)"}
    )
    with pytest.raises(VersionError, match="no guard that may stand there"):
        fits(bad, before)
    edited = LOUD.replace("\n    ", "\n").replace("    return", "    value = value * 1\n    return")
    carried = carry(version, before.source, plan_of(edited))
    assert "return value > 3.5 and source != 'cpu'\n" in carried.source
    renamed = plan_of(edited.replace("source", "where"))
    other = carry(version, before.source, renamed)
    assert other.values == {"value_limit": 3.5}
    assert other.source.endswith("return value > 3.5\n")


def test_a_guard_is_written_into_the_file_and_goes_to_others(load: Load, project: Path) -> None:
    source = LOUD.replace("\n    ", "\n").lstrip("\n")
    path = project / "m.py"
    path.write_text(f"x = (1,2)  # kept\n{source}", encoding="utf-8")
    plan = find_plan(path)
    chain = Chain(poet_hook.api.settings(), "m:is_loud")
    version = chain.add(plan, 1, {"guard": "and (source != 'cpu' or value > 3.5)"}, None, "")
    line = line_of(version, plan.source)
    edit = edit_of(version, plan, poet_hook.api.settings())
    assert edit.after.decode() == edit.before.decode().replace(
        "value > 2.0", "value > 2.0 and (source != 'cpu' or value > 3.5)"
    )
    shutil.rmtree(chain.folder)
    (fate,) = read(io.BytesIO(line.encode()), {"m:is_loud": plan}.get, poet_hook.api.settings())
    assert fate.kind == "stored"
    assert fate.version is not None
    assert fate.version.values == version.values
    hostile = line.replace("source != 'cpu'", "print(value)")
    (fate,) = read(io.BytesIO(hostile.encode()), {"m:is_loud": plan}.get, poet_hook.api.settings())
    assert (fate.kind, "no guard" in fate.reason) == ("refused", True)


def test_what_is_applied_looks_as_black_would_write_it(load: Load, project: Path) -> None:
    path = project / "m.py"
    path.write_text(LOUD.replace("\n    ", "\n").lstrip("\n"), encoding="utf-8")
    plan = find_plan(path)
    version = Chain(poet_hook.api.settings(), "m:is_loud").add(plan, 1, {"guard": "and source != 'cpu'"}, None, "")
    edit = edit_of(version, plan, poet_hook.api.settings())
    assert edit.after.decode().endswith('    return value > 2.0 and source != "cpu"\n')


def find_plan(path: Path) -> Plan:
    (target,) = plan_module(path.read_text(encoding="utf-8"), str(path), "m").targets
    return target.plan
