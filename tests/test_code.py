"""A version that is other code: how it is kept, what it may be, and what runs where it is in use."""

from __future__ import annotations

import inspect
import linecache
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import Load, Python

import poet_hook
from poet_hook import api
from poet_hook.cli.main import main
from poet_hook.errors import VersionError, VersionWarning
from poet_hook.hook.graft import graft
from poet_hook.model import CODE, Plan
from poet_hook.runtime.bind import bind, loosen
from poet_hook.runtime.trial import Told, told
from poet_hook.store import codec
from poet_hook.transform.compile import Champion, compile_module
from poet_hook.transform.plan import plan_module
from poet_hook.versions.chain import Chain
from poet_hook.versions.challenge import challenge
from poet_hook.versions.promote import promote, rollback
from poet_hook.versions.watch import refresh

SOURCE = '''\
"""A monitor."""
import functools
import statistics

LIMIT = 3.0

def passed_on(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args)
    return inner

# poet: optimize_for=accuracy{options}
@passed_on
def far(value: float, history: list[float]) -> bool:
    """Whether a value is far from the usual."""
    return abs(value - sum(history) / len(history)) > LIMIT
'''
CODE_TEXT = '''\
def far(value: float, history: list[float]) -> bool:
    """Whether a value is far from the middle one."""
    middle = statistics.median(history)

    distance = abs(value - middle)
    return distance > LIMIT / (value - 13.0)
'''


def plan_now(project: Path, name: str = "m") -> Plan:
    path = project / f"{name}.py"
    return plan_module(path.read_text(), str(path), name).targets[0].plan


def add(project: Path, text: str = CODE_TEXT, name: str = "m") -> Chain:
    """A chain whose v2 is that code."""
    chain = Chain(api.settings(), f"{name}:far")
    assert chain.add(plan_now(project, name), 1, {CODE: text}, None, "").number == 2
    return chain


@pytest.fixture
def m(load: Load) -> ModuleType:
    module = load(SOURCE.format(options=""))
    assert module.far(14.0, [1.0, 1.0, 100.0]) is True
    return module


OVERLOADED = """\
from typing import overload

@overload
def hot(x: int) -> bool: ...
@overload
def hot(x: str) -> bool: ...
# poet: optimize_for=accuracy{options}
def hot(x) -> bool:
    return float(x) > 2.5
"""


@pytest.mark.parametrize("options", ["", ", learn=shadow"])
def test_code_of_a_function_that_is_defined_more_than_once(load: Load, project: Path, options: str) -> None:
    hot = load(OVERLOADED.format(options=options)).hot
    assert poet_hook.call(hot, "3").value is True
    chain, plan = Chain(api.settings(), "m:hot"), plan_now(project)
    chain.add(plan, 1, {CODE: "def hot(x) -> bool:\n    return float(x) > 5.5\n"}, None, "")
    if options:
        challenge(chain, 2, (project / "m.py").read_text(), plan, api.settings())
        refresh(api.settings())
        execution = api.store().execution(poet_hook.call(hot, "3").execution_id)
        assert execution is not None
        assert told(execution.shadow or b"") == Told(2, result=codec.encode(False))
        return
    promote(chain, 2, plan)
    refresh(api.settings())
    assert hot("3") is False


@pytest.mark.parametrize(("before", "placed"), [("", True), ("def hot(x): return 7\nfirst = hot\n", False)])
def test_code_beside_another_hook_takes_the_place_of_its_own_function(before: str, placed: bool) -> None:
    """Where it can't be told which of several of one name it is, they stay, and it is said."""
    source = before + "# poet: optimize_for=accuracy\ndef hot(x):\n    return x > 2.5\n\ndef g(x):\n    return x\n"
    code = "def hot(x):\n    y = (lambda z: z)(x)\n    return y > 3.5\n"
    ours = compile_module(source, "m.py", "m", lambda _: Champion(2, {CODE: code}, "v2.py")).code
    plain, theirs = (
        compile(text, "m.py", "exec", dont_inherit=True)
        for text in (source, source.replace("return x\n", "return x + 1\n"))
    )
    whole, left = graft(theirs, plain, bind(loosen(ours)))
    names: dict[str, Any] = {}
    exec(whole, names)
    assert (names["hot"](3.0), names["g"](1)) == (not placed, 2)
    assert names.get("first", lambda _: 7)(3.0) == 7
    assert left == ([] if placed else ["hot"])


LONG = (
    "def hot(x: float) -> bool:\n" + "".join(f"    y{i} = x * {i}.0\n" for i in range(60)) + "    return y9 > LIMIT\n"
)


def test_code_of_a_function_that_learns_a_constant_of_its_module(
    load: Load, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is written into the file, where the constant stays; and it can be given to others, however long it is."""
    source = "LIMIT = 3.0  # poet: tune\n\n# poet: optimize_for=accuracy\n"
    source += "def hot(x: float) -> bool:\n    return x > LIMIT\n"
    hot = load(source).hot
    poet_hook.feedback(poet_hook.call(hot, 1.0), "right")
    chain = Chain(api.settings(), "m:hot")
    chain.add(plan_now(project), 1, {CODE: LONG}, None, "")
    assert main(["promote", "m:hot", "2"]) == 0
    assert hot(0.5)
    capsys.readouterr()
    assert main(["export", "m:hot"]) == 0
    (project / "versions.jsonl").write_text(capsys.readouterr().out)
    assert main(["apply", "m:hot"]) == 0
    assert (project / "m.py").read_text() == source[: source.index("def")] + LONG
    (project / "m.py").write_text(source)
    assert main(["import", "versions.jsonl"]) == 0
    assert "v2" in capsys.readouterr().out


def test_it_runs_where_it_is_promoted_and_no_more_where_it_is_rolled_back(m: ModuleType, project: Path) -> None:
    chain = add(project)
    promote(chain, 2, plan_now(project))
    assert refresh(api.settings()) == [("m:far", 2)]
    assert m.far(14.0, [1.0, 1.0, 100.0]) is True
    assert m.far(16.0, [16.0, 16.5, 100.0]) is False
    rollback(chain)
    assert refresh(api.settings()) == [("m:far", 1)]
    assert m.far(16.0, [16.0, 16.5, 100.0]) is True


@pytest.mark.parametrize("options", ["", ", retries=1, backoff=1ms, timeout=1h", ", cooldown=2"])
@pytest.mark.parametrize("swapped", [True, False])
def test_a_traceback_leads_to_its_own_file(load: Load, project: Path, swapped: bool, options: str) -> None:
    m = load(SOURCE.format(options=options))
    m.far(14.0, [1.0, 1.0, 100.0])
    before = inspect.unwrap(m.far).__code__.co_firstlineno
    chain = add(project)
    promote(chain, 2, plan_now(project))
    if swapped:
        refresh(api.settings())
    else:
        m = load(None)
    linecache.checkcache()
    with pytest.raises(ZeroDivisionError) as caught:
        m.far(13.0, [1.0, 1.0, 100.0])
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    text = project / ".poet" / "functions" / "m.far" / "v2" / "operate.py"
    assert (last.filename, last.line) == (str(text), "return distance > LIMIT / (value - 13.0)")
    assert last.lineno == text.read_text().splitlines().index("    return distance > LIMIT / (value - 13.0)") + 1
    assert inspect.getsource(inspect.unwrap(m.far)).startswith("def far(value")
    rollback(chain)
    refresh(api.settings())
    assert inspect.unwrap(m.far).__code__.co_firstlineno == before
    with pytest.raises(ZeroDivisionError) as caught:
        m.far(13.0, [])
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.filename, last.lineno) == (str(project / "m.py"), SOURCE.count("\n"))


def test_another_process_runs_it_and_records_what_it_did(m: ModuleType, project: Path, python: Python) -> None:
    promote(add(project), 2, plan_now(project))
    code = """
        import poet_hook
        poet_hook.activate()
        import m
        print(m.far(16.0, [16.0, 16.5, 100.0]))
    """
    for _ in range(2):  # from its source, and from the cache
        assert python(code).stdout == "False\n"
    assert [e.version for e in api.executions("m:far")].count(2) == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def far(value: float, history: list[float]) -> bool:\n    return open('/etc/passwd')\n", "open"),
        ("def far(value: float, history: list[float]) -> bool:\n    import os\n    return True\n", "import"),
        ("def far(value: float) -> bool:\n    return True\n", "Keep name, arguments"),
    ],
)
def test_what_may_not_run_never_does(m: ModuleType, load: Load, project: Path, text: str, why: str) -> None:
    """Also where it is signed: the policy is asked at each load."""
    chain = add(project, text)
    with pytest.raises(VersionError, match=f"v2 may not run.*{why}"):
        promote(chain, 2, plan_now(project))
    chain.point(2, [1])
    with pytest.warns(VersionWarning, match="the original runs: v2 may not run"):
        m = load(None)
    assert m.far(16.0, [16.0, 16.5, 100.0]) is True


def test_it_is_not_carried_over_to_another_text(m: ModuleType, load: Load, project: Path) -> None:
    promote(add(project), 2, plan_now(project))
    with pytest.warns(VersionWarning, match="it is other code, which is not carried over"):
        m = load(SOURCE.format(options="").replace("> LIMIT", ">= LIMIT"))
    assert m.far(16.0, [16.0, 16.5, 100.0]) is True


def test_margin_knows_no_limit_in_it(load: Load, project: Path) -> None:
    load(SOURCE.format(options=", margin=1").replace("> LIMIT", "> 3.0"))
    with pytest.raises(VersionError, match="in which margin= knows no limit"):
        promote(add(project), 2, plan_now(project))


def test_it_answers_as_a_canary(load: Load, project: Path) -> None:
    m = load(SOURCE.format(options=", canary=50%"))
    m.far(14.0, [1.0, 1.0, 100.0])
    chain = add(project)
    chain.challenge(2)
    refresh(api.settings())
    answers = {m.far(16.0, [16.0, 16.5, 100.0]) for _ in range(200)}
    assert answers == {True, False}


def test_apply_writes_it_into_the_users_file(
    m: ModuleType, load: Load, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    promote(add(project), 2, plan_now(project))
    assert main(["apply", "m:far"]) == 0
    text = (project / "m.py").read_text()
    assert text == SOURCE.format(options="")[: SOURCE.format(options="").index("def far")] + CODE_TEXT
    assert Chain(api.settings(), "m:far").champion_number() == 1
    assert load(None).far(16.0, [16.0, 16.5, 100.0]) is False


def test_what_people_see_of_it(m: ModuleType, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    promote(add(project), 2, plan_now(project))
    assert main(["show", "m:far"]) == 0
    assert "statistics.median(history)" in capsys.readouterr().out
    assert main(["explain", "m:far"]) == 0
    out = capsys.readouterr().out
    assert "other code" in out
    assert main(["versions", "m:far"]) == 0
    assert "other code" in capsys.readouterr().out
    assert main(["diff", "m:far", "1", "2"]) == 0
    assert "+    middle = statistics.median(history)" in capsys.readouterr().out
