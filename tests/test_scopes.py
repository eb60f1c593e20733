"""Which pragma holds for a function: its own, those of its classes and its module, and what is assumed of it."""

from __future__ import annotations

import io
import itertools
import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
from conftest import Load, Python
from hypothesis import given
from hypothesis import strategies as st

from poet_hook.cli.main import main
from poet_hook.errors import EnforceError, PerceiveError, PragmaError, SettingsError
from poet_hook.model import Plan, Pragma
from poet_hook.pragma.scan import find
from poet_hook.settings import Assumption, load
from poet_hook.transform.plan import Planned, plan_module


def planned(source: str, *assume: tuple[str, str]) -> Planned:
    entries = [
        Assumption(*(target.split(":") if ":" in target else (target, "")), text, "POET_ASSUME")
        for target, text in assume
    ]
    return plan_module(textwrap.dedent(source), "/project/m.py", "m", "m", tuple(entries))


def pragmas(source: str, *assume: tuple[str, str]) -> dict[str, Pragma]:
    return {target.plan.qualname: target.plan.pragma for target in planned(source, *assume).targets}


# --------------------------------------------------------------------------- where pragmas may stand


@pytest.mark.parametrize(
    "head",
    [
        "# poet: module retries=2\n",
        "#!/usr/bin/python\n# -*- coding: utf-8 -*-\n\n# why\n# poet: module retries=2\n\n",
        "'''doc'''\n# poet: module retries=2\n",
        "'one' \\\n  'two'\n\n# poet: module  retries=2\nfrom __future__ import annotations\n",
        "# poet: module, retries=2\nimport os\n",
        "# poet: module retries=1 timeout=1s\n# poet: module retries=2, timeout=9s\n",
    ],
)
def test_a_module_says_what_holds_for_its_functions(head: str) -> None:
    found = pragmas(
        f"{head}def f(): return 1\nclass C:\n    def g(self):\n        def h(): return 1\n        return h\n"
    )
    assert {name: pragma.retries for name, pragma in found.items()} == {"f": 2, "C.g": 2, "C.g.<locals>.h": 2}


def test_a_class_says_what_holds_for_its_methods() -> None:
    found = pragmas(
        """
        # poet: retries=2
        @dataclass
        class C:
            def f(self): return 1
            async def g(self): return 1
            class D:
                def h(self): return 1
        def other(): return 1
        """
    )
    assert {name: pragma.retries for name, pragma in found.items()} == {"C.f": 2, "C.g": 2, "C.D.h": 2}


def test_the_nearest_counts_option_by_option() -> None:
    source = """
        '''doc'''
        # poet: module retries=1, timeout=1s, coerce=strict, record.key=none
        # poet: retries=2, record.key=hash, record.other=none
        class C:
            # poet: retries=3
            class D:
                # poet: timeout=4s, optimize_for=f1
                def f(self, key, other, more): return 1
        """
    pragma = pragmas(source, ("m", "backoff=3s, retries=9"), ("m:C.D", "fallback=None, timeout=8s"))["C.D.f"]
    assert (pragma.retries, pragma.timeout, pragma.coerce, pragma.backoff) == (3, 4.0, "strict", 3.0)
    assert pragma.record_arguments == {"key": "hash", "other": "none"}
    said = {name: (origin.scope, origin.line) for name, origin in pragma.origins.items()}
    assert said == {
        "timeout": ("function", 8),
        "optimize_for": ("function", 8),
        "retries": ("class", 6),
        "record.key": ("class", 4),
        "record.other": ("class", 4),
        "coerce": ("module", 3),
        "fallback": ("assume", 0),
        "backoff": ("assume", 0),
    }


LAYERS = ("m", "m:C", "m:C.f", "module", "class", "function")


@given(
    st.lists(st.sampled_from(["", "off", "retries=1", "retries=2", "timeout=3s", "retries=4, timeout=5s"]), min_size=6)
)
def test_precedence_is_that_of_the_nearest_layer_up_to_off(said: list[str]) -> None:
    """Against a plain reading of the rule: from the furthest to the nearest, each overwrites, and `off` forgets."""
    at = dict(zip(LAYERS, said, strict=False))
    lines = [f"# poet: module {at['module']}"] if at["module"] else []
    lines += [f"# poet: {at['class']}"] if at["class"] else []
    lines += ["class C:"]
    lines += [f"    # poet: {at['function']}"] if at["function"] else []
    source = "\n".join([*lines, "    def f(self): return 1", ""])
    wanted: dict[str, Any] = {}
    for layer in LAYERS:
        if at[layer] == "off":
            wanted = {}
        for option in filter(None, at[layer].split(", ")):
            name, _, value = option.partition("=")
            wanted |= {name: float(value.rstrip("s"))} if value else {}
    found = pragmas(source, *((layer, at[layer]) for layer in LAYERS[:3] if at[layer])).get("C.f")
    assert ({} if found is None else {name: getattr(found, name) for name in found.origins}) == wanted


def test_off_ends_what_is_further_away() -> None:
    source = """
        # poet: module retries=1
        # poet: off
        class C:
            def f(self): return 1
            # poet: timeout=1s
            def g(self): return 1
        # poet: off
        def h(): return 1
        def i(): return 1
        """
    found = pragmas(source)
    assert set(found) == {"C.g", "i"}
    assert (found["C.g"].retries, found["C.g"].timeout) == (0, 1.0)
    assert not planned("# poet: module off\ndef f(): return 1\n").targets


def test_what_a_class_trains_needs_no_optimize_for_above_the_method() -> None:
    source = "# poet: optimize_for=f1\nclass C:\n    # poet: record=hash, cost=1:2\n    def f(self): return 1\n"
    assert [item.code for item in find(source).diagnostics] == ["PH302", "PH302"]
    found = planned(source)
    assert [item.code for item in found.diagnostics] == ["PH408"]
    assert found.targets[0].plan.pragma.record == "hash"


@pytest.mark.parametrize(
    ("source", "idle"),
    [
        ("# poet: module learn=propose, retries=1\ndef f(x): return x\n", ["learn"]),
        ("# poet: after=3, record.x=none\nclass C:\n    def f(self, x): return x\n", ["after", "record.x"]),
        ("# poet: module record=hash\n# poet: optimize_for=f1\ndef f(x): return x\ndef g(x): return x\n", []),
        ("# poet: module optimize_for=f1\n# poet: alpha=0.1\nclass C:\n    def f(self, x): return x\n", []),
        ("# poet: module alpha=0.1\n# poet: alpha=0.2, optimize_for=f1\ndef f(x): return x\n", ["alpha"]),
        ("# poet: module optimize_for=acuracy, alpha=0.1\ndef f(x): return x\n", []),
        ("# poet: stream=x\nclass C:\n    # poet: cooldown=5\n    def f(self, x) -> bool: return x\n", []),
        ("# poet: cooldown=5\nclass C:\n    # poet: stream=x\n    def f(self, x) -> bool: return x\n", []),
        ("# poet: stream=x\nclass C:\n    def f(self, x) -> bool: return x\n", ["stream"]),
    ],
)
def test_what_only_learning_needs_is_idle_where_nothing_that_it_reaches_learns(source: str, idle: list[str]) -> None:
    found = [item for item in planned(source).diagnostics if item.code == "PH302"]
    assert [item.source_line[item.column : item.end_column] for item in found] == idle


def test_an_option_for_many_holds_where_it_can() -> None:
    """One that names an argument is left out where there is none, and wrong where that is so everywhere."""
    source = """
        # poet: module optimize_for=f1, require="x > 0", record.password=none, retries=1
        def f(x): return x
        def g(y): return y
        def h():
            yield 1
        """
    found = planned(source)
    requires = {target.plan.qualname: target.plan.pragma.require for target in found.targets}
    assert requires == {"f": "x > 0", "g": None, "h": None}
    assert [target.plan.pragma.retries for target in found.targets] == [1, 1, 0]
    (item,) = found.diagnostics
    assert (item.code, item.source_line[item.column : item.end_column]) == ("PH401", "password")
    assert item.line == 2


def test_what_can_not_be_enhanced_is_no_mistake_of_the_module() -> None:
    source = "# poet: module retries=1\n@njit\ndef f(): return 1\ndef g(): ...\n# poet:\n@njit\ndef h(): return 1\n"
    found = planned(source)
    assert [(left.function, left.asked) for left in found.left_alone] == [("m:f", False), ("m:g", False), ("m:h", True)]


@pytest.mark.parametrize(
    "body",
    [
        "    x = 1\n",
        "    # poet: off\n    def f(self): return 1\n",
        "    # poet: off\n    class D:\n        def f(self): return 1\n",
    ],
)
def test_a_class_of_which_nothing_is_left_is_no_mistake(body: str) -> None:
    assert planned(f"# poet: retries=1\nclass C:\n{body}").diagnostics == []


def test_a_tune_belongs_to_the_innermost_function_that_is_enhanced() -> None:
    source = """
        # poet: module retries=1
        def outer():
            # poet: optimize_for=accuracy
            def inner(x: float) -> bool:
                return x > 3.0  # poet: tune 1..5
            return inner
        """
    for text in (source, source.replace("retries=1", "optimize_for=accuracy")):
        found = planned(text)
        assert found.diagnostics == []
        assert [tunable.upper for target in found.targets for tunable in target.plan.tunables if tunable.declared] == [
            5
        ]


def test_a_generator_takes_no_name_from_one_that_learns() -> None:
    source = """
        # poet: module optimize_for=accuracy
        if 1:
            def f(): yield 1
        else:
            def f(x: float) -> bool: return x > 1.0
        """
    found = planned(source)
    assert [target.plan.pragma.trains for target in found.targets] == [False, True]


def test_what_a_class_says_is_not_meant_for_methods_that_give_nothing(load: Load) -> None:
    m = load(
        """
        # poet: fallback=0, ensure="result", retries=1, backoff=1ms
        class C:
            def __init__(self, x): self.x = 1 / x
            def get(self): return 1 / 0
        """
    )
    with pytest.raises(ZeroDivisionError):
        m.C(0)
    assert m.C(1).get() == 0


def test_the_end_of_an_iteration_is_no_failure(load: Load) -> None:
    m = load(
        """
        # poet: fallback=0, retries=2, backoff=5s
        class It:
            def __init__(self, n): self.n = n
            def __iter__(self): return self
            def __next__(self):
                if self.n <= 0: raise StopIteration
                self.n -= 1
                return self.n
            def __getattr__(self, name): raise AttributeError(name)
        """
    )
    assert list(itertools.islice(m.It(2), 6)) == [1, 0]
    assert not hasattr(m.It(1), "nothing")


# --------------------------------------------------------------------------- what runs


def test_a_module_and_a_class_do_what_they_say(load: Load) -> None:
    m = load(
        """
        # poet: module coerce=strict
        def f(x: int) -> int: return x

        # poet: ensure="result > 0"
        class C:
            @property
            def p(self): return 0
            @staticmethod
            def s(x: int): return x
            @classmethod
            def k(cls, x: int): return x
            # poet: off
            def o(self, x: int): return x
        """
    )
    with pytest.raises(PerceiveError):
        m.f("1")
    with pytest.raises(EnforceError):
        m.C().p  # noqa: B018
    with pytest.raises(PerceiveError):
        m.C.s("1")
    with pytest.raises(EnforceError):
        m.C.k(0)
    assert m.C().o("x") == "x"
    assert not hasattr(m.f, "poet")  # nobody asked for it there


def test_explain_says_where_each_option_comes_from(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "pyproject.toml").write_text('[tool.poet_hook.assume]\nm = "backoff=2s"\n')
    (project / "m.py").write_text(
        "# poet: module retries=1\n\n\n# poet: timeout=2s\nclass C:\n"
        "    # poet: record.x=none, optimize_for=f1\n    def f(self, x: int): return x\n    def g(self): return 1\n"
    )
    assert main(["explain", "m:C.f"]) == 0
    out = capsys.readouterr().out
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines() if line.split()}
    assert rows["retries"] == "1 module, line 1"
    assert rows["timeout"] == "2 s class, line 4"
    assert rows["record.x"] == "none line 6"
    assert rows["backoff"] == f"2 s {project / 'pyproject.toml'}: assume"
    assert rows["coerce"] == "lax default"
    assert main(["explain", "m:C.g"]) == 0
    assert "Pragma (none above it)" in capsys.readouterr().out
    assert main(["explain", "m:C.f", "--json"]) == 0
    origins = json.loads(capsys.readouterr().out)["pragma"]["origins"]
    assert (origins["timeout"]["scope"], origins["timeout"]["line"]) == ("class", 4)


OFF = """
# poet: off
def f(x: int): return x

# poet: off
class C:
    def g(self): return 1
    # poet: retries=1
    def h(self): return 1
    class D:
        # poet: off
        @staticmethod
        def k(): return 1

def plain(): return 1
"""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("f", "`# poet: off` stands above it"),
        ("g", "`# poet: off` stands above its class"),
        ("k", "`# poet: off` stands above it"),
    ],
)
def test_explain_says_what_is_off(project: Path, capsys: pytest.CaptureFixture[str], name: str, reason: str) -> None:
    (project / "m.py").write_text(OFF)
    assert main(["explain", name]) == 0
    assert f"left alone, it runs as it is written: {reason}\n" in capsys.readouterr().out
    assert main(["check", "m.py"]) == 0  # nobody asked for more


def test_explain_says_that_a_module_or_a_setting_is_off(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "m.py").write_text("# poet: module off\ndef f(): return 1\n# poet:\ndef g(x: int): return x\n")
    (project / "n.py").write_text("# poet: module retries=1\ndef f(): return 1\n")
    (project / "o.py").write_text("class C:\n    def k(): return 1\n    def l(): return 1\n")
    monkeypatch.setenv("POET_ASSUME", "o: retries=2; o:C.k: off")
    assert main(["explain", "m:f"]) == main(["explain", "o:C.k"]) == main(["explain", "o:C.l"]) == 0
    out = capsys.readouterr().out
    assert "left alone, it runs as it is written: `# poet: module off`\n" in out
    assert out.count("left alone, it runs as it is written: the settings assume `off` of it\n") == 1
    assert main(["explain", "g"]) == 0
    assert main(["explain", "f"]) == 0  # the one that is enhanced is meant
    assert "n:f\n" in capsys.readouterr().out


def test_apply_writes_above_a_function_what_its_class_says(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = project / "m.py"
    path.write_text("# poet: optimize_for=accuracy\nclass C:\n    @staticmethod\n    def f(x): return x > 2.5\n")
    assert main(["apply", "f", "--check"]) == 0
    assert capsys.readouterr().err == ""


# --------------------------------------------------------------------------- what is assumed


def test_a_package_that_one_can_not_edit(project: Path, python: Python) -> None:
    folder = project / "lib" / "site-packages" / "vendor"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "prices.py").write_text("def total(x: int) -> int:\n    return x\ndef other(x: int): return x\n")
    code = """
        import sys; sys.path.insert(0, "lib/site-packages")
        import poet_hook; poet_hook.activate()
        from vendor import prices
        from poet_hook import PerceiveError
        print(type(prices.__loader__).__name__)
        for f in (prices.total, prices.other):
            try: print(f("x"))
            except PerceiveError: print("refused")
    """
    plain = "SourceFileLoader\nx\nx\n"
    assert python(code).stdout == plain
    assert python(code, POET_ASSUME="vendor: coerce=strict").stdout == "PoetLoader\nrefused\nrefused\n"
    assert python(code, POET_ASSUME="vendor.prices:total: coerce=strict").stdout == "PoetLoader\nrefused\nx\n"
    assumed = "vendor: coerce=strict; vendor.prices:total: off"
    assert python(code, POET_ASSUME=assumed).stdout == "PoetLoader\nx\nrefused\n"
    assert python(code, POET_ASSUME="vend: coerce=strict").stdout == plain
    # a file of the project says nothing of what is installed
    (project / "pyproject.toml").write_text('[tool.poet_hook.assume]\nvendor = "coerce=strict"\n')
    assert python(code).stdout == plain


def test_a_file_of_the_project_says_nothing_of_other_code(project: Path, tmp_path: Path, python: Python) -> None:
    """Not even where the environment names the same."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "vendlib.py").write_text("def f(x: int): return x\n")
    (project / "pyproject.toml").write_text("[tool.poet_hook.assume]\nvendlib = \"ensure='print(1)'\"\n")
    code = """
        import sys; sys.path.insert(0, "../elsewhere")
        import poet_hook; poet_hook.activate()
        import vendlib
        print(vendlib.f("7"))
    """
    assert python(code, POET_ASSUME="vendlib: coerce=off").stdout == "7\n"
    assert python(code).stdout == "7\n"
    assert python(code, POET_ASSUME="vendlib: coerce=lax; vendlib:f: ensure='result == 7'").stdout == "7\n"


def test_the_standard_library_stays_as_it_is(project: Path, python: Python) -> None:
    """poet_hook itself stands on it."""
    code = """
        import poet_hook; poet_hook.activate()
        import colorsys, json.tool
        print(type(colorsys.__loader__).__name__)
    """
    assert python(code, POET_ASSUME="colorsys: retries=1; json: retries=1").stdout == "SourceFileLoader\n"


def test_of_two_entries_for_the_same_the_later_counts() -> None:
    assert pragmas("def f(): return 1\n", ("m", "retries=1"), ("m", "retries=2"))["f"].retries == 2


def test_a_module_of_the_project_without_a_pragma(project: Path, python: Python) -> None:
    """What is assumed changes with the setting, also where the code was kept from an earlier import."""
    (project / "legacy.py").write_text("def f(x: int): return x\n")
    code = """
        import poet_hook; poet_hook.activate()
        import legacy
        print(legacy.f("7"), legacy.f.__name__)
    """
    table = project / "pyproject.toml"
    assert python(code).stdout == "7 f\n"
    for text, wanted in (("ensure='result == 7'", 0), ("ensure='result == 8'", 1), ("ensure='result == 7'", 0)):
        table.write_text(f'[tool.poet_hook.assume]\nlegacy = "{text}"\n')
        assert python(code, check=False).returncode == wanted
    table.write_text('[tool.poet_hook]\nassume.legacy = "off"\n')
    assert python(code).stdout == "7 f\n"


def test_what_is_assumed_learns_too(project: Path, python: Python) -> None:
    (project / "legacy.py").write_text("def f(x: float) -> bool:\n    return x > 2.0\n")
    (project / "pyproject.toml").write_text('[tool.poet_hook.assume]\nlegacy = "optimize_for=accuracy, learn=proven"\n')
    code = """
        import poet_hook; poet_hook.activate()
        import legacy
        for n in range(60):
            x = 1.5 + n * 37 % 60 / 20
            poet_hook.feedback(poet_hook.call(legacy.f, x), {"expected": x > 3.0})
        poet_hook.learn(legacy.f)
        print(legacy.f(2.5), legacy.f(3.5))
    """
    assert python(code).stdout == "False True\n"
    assert python("import poet_hook; poet_hook.activate(); import legacy; print(legacy.f(2.5))").stdout == "False\n"


def test_a_script_may_be_named_as_it_is_kept(project: Path, python: Python) -> None:
    (project / "tool.py").write_text("def f(x: int): return x\nprint(f('7') + 1)\n")
    code = "import sys; from poet_hook.cli.main import main; sys.exit(main(['run', 'tool.py']))"
    assert python(code, check=False).returncode == 1
    assert python(code, POET_ASSUME="tool: coerce=lax").stdout == "8\n"


def test_a_mistake_in_what_is_assumed_is_one_warning(python: Python, project: Path) -> None:
    (project / "m.py").write_text("x = 1\n")
    code = "import poet_hook; poet_hook.activate(); import m; print(m.x)"
    done = python(code, POET_ASSUME="m: retires=2")
    assert done.stdout == "1\n"
    assert done.stderr.count("PragmaWarning") == 1
    assert "environment variable POET_ASSUME (m):1:1: PH201 unknown option 'retires'" in done.stderr
    assert "did you mean 'retries'?" in done.stderr
    done = python(code, POET_ASSUME="m: retires=2", POET_STRICT="1", check=False)
    assert "PragmaError" in done.stderr.splitlines()[-1]
    assert "POET_ASSUME (m): PH201" in done.stderr.splitlines()[-1]


def test_check_reads_what_is_assumed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "pyproject.toml").write_text('[tool.poet_hook.assume]\nm = "retires=2"\n')
    assert main(["check", "."]) == 1
    assert f"{project / 'pyproject.toml'}: assume (m):1:1: PH201" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", []),
        (" ; ", []),
        ("toolz: record=none", [("toolz", "record=none")]),
        (
            "a.b: retries=2; a.b:C.f: ensure='x; y: z', off;\n c: off",
            [("a.b", "retries=2"), ("a.b:C.f", "ensure='x; y: z', off"), ("c", "off")],
        ),
        ("m:f.<locals>.g: retries=1", [("m:f.<locals>.g", "retries=1")]),
        ("m: ensure='it\\'s; so'; n: off", [("m", "ensure='it\\'s; so'"), ("n", "off")]),
    ],
)
def test_entries_of_the_environment(project: Path, text: str, entries: list[tuple[str, str]]) -> None:
    found = load(environ={"POET_ASSUME": text, "HOME": "/"}).assume
    assert [(entry.target, entry.text) for entry in found] == entries
    assert all(entry.anywhere for entry in found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("toolz", "'toolz' must be a name, ': ' and options"),
        ("toolz:record=none", "must be a name, ': ' and options"),
        ("a b: retries=1", "'a b' names nothing"),
        ("m:: retries=1", "'m:' names nothing"),
        ("class: retries=1", "'class' names nothing"),
        ("m:<lambda>: retries=1", "'m:<lambda>' names nothing"),
        (".m: retries=1", "'.m' names nothing"),
        ("m: ensure='x", "is not closed"),
    ],
)
def test_entries_that_name_nothing(project: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=r"environment variable POET_ASSUME: .*") as caught:
        load(environ={"POET_ASSUME": text, "HOME": "/"})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('assume = "x"', "must be a table of names and options"),
        ("assume.m = 3", "what is assumed of m must be text with options, not 3"),
        ('assume."a b" = "off"', "'a b' names nothing"),
        ('assume.m = "off\\nretries=1"', "must be text with options"),
    ],
)
def test_entries_of_a_file(project: Path, toml: str, said: str) -> None:
    (project / "pyproject.toml").write_text(f"[tool.poet_hook]\n{toml}\n")
    with pytest.raises(SettingsError, match=said):
        load(environ={"HOME": "/"})


def test_both_places_count(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.poet_hook.assume]\nshop.prices = "retries=1"\n"m:f" = "off"\n')
    (project / ".env").write_text('POET_ASSUME="m: retries=3"\n')
    settings = load(environ={"POET_ASSUME": "n: off", "HOME": "/"})
    assert [(entry.target, entry.anywhere) for entry in settings.assume] == [
        ("n", True),
        ("shop.prices", False),
        ("m:f", False),
    ]
    assert ("assume", "n: off; shop.prices: retries=1; m:f: off", settings.sources["assume"]) in settings.rows()
    assert settings.sources["assume"] == f"environment variable POET_ASSUME, {project / 'pyproject.toml'}: assume"


def test_too_early_names_what_is_assumed(project: Path, python: Python) -> None:
    (project / "legacy.py").write_text("def f(x: int): return x\n")
    done = python("import legacy, poet_hook; poet_hook.activate()", POET_ASSUME="legacy: retries=1")
    assert "imported before poet_hook was activated, and therefore not enhanced: legacy" in done.stderr
    assert python("import legacy, poet_hook; poet_hook.activate()", POET_ASSUME="legacy: off").stderr == ""


def test_poet_hook_itself_is_never_enhanced(python: Python) -> None:
    code = """
        import poet_hook; poet_hook.activate()
        from poet_hook.signals import scales
        print(type(scales.__loader__).__name__)
    """
    assert python(code, POET_ASSUME="poet_hook: retries=1").stdout == "SourceFileLoader\n"


def test_strict_says_what_is_wrong_in_a_module(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POET_STRICT", "1")
    with pytest.raises(PragmaError, match="PH201"):
        load("# poet: module retires=1\ndef f(): return 1\n")


def test_plans_of_one_text_are_the_same_however_they_are_said() -> None:
    """An option does the same from wherever it comes."""
    ways = [
        planned("# poet: retries=1, coerce=strict\ndef f(x: int): return x\n"),
        planned("# poet: module retries=1, coerce=strict\n\ndef f(x: int): return x\n"),
        planned("def f(x: int): return x\n", ("m", "retries=1, coerce=strict")),
        planned("def f(x: int): return x\n", ("m:f", "retries=1, coerce=strict")),
    ]
    plans: list[Plan] = [found.targets[0].plan for found in ways]
    for one, other in itertools.pairwise(plans):
        assert (one.source_hash, one.parameters, one.pragma.retries, one.pragma.coerce) == (
            other.source_hash,
            other.parameters,
            other.pragma.retries,
            other.pragma.coerce,
        )


# --------------------------------------------------------------------------- what names nothing


def told(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """What `check` says of names, each without the place that it was said in."""
    main(["check", ".", "--output-format=concise", "--select=PH501", *words])
    return [line.partition(" PH501 ")[2] for line in capsys.readouterr().out.splitlines() if " PH501 " in line]


OWN = {
    "legacy.py": "def f(x): return x\nclass C:\n    def g(self):\n        def h(): return 1\n        return h\n",
    "src/shop/prices.py": "def total(x): return x\n",
    "src/shop/__init__.py": "",
    "tools/__init__.py": "",
    "bin/report": "",
}


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("legacy", []),
        ("legacy:f", []),
        ("legacy:C", []),
        ("legacy:C.g.<locals>.h", []),
        ("shop", []),
        ("shop.prices", []),
        ("src.shop.prices:total", []),  # as it is kept
        ("shop.prices:total", []),
        ("tools", []),
        ("bin.report", []),
        ("legcy", ["no module of the project is called legcy (did you mean 'legacy'?)"]),
        ("shop.price", ["no module of the project is called shop.price (did you mean 'shop.prices'?)"]),
        ("legacy:F2", ["there is no function F2 in legacy (did you mean 'f'?)"]),
        ("legacy:C.i", ["there is no function C.i in legacy (did you mean 'C.g'?)"]),
        ("shop:total", ["there is no function total in shop"]),
        ("json", ["json is part of Python, which stays as it is"]),
        (
            "vendor",
            [
                "no module of the project is called vendor (only the environment variable POET_ASSUME speaks of what "
                "lies outside the project)"
            ],
        ),
    ],
)
def test_a_name_that_a_file_of_the_project_assumes_something_of(
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    said: list[str],
) -> None:
    for name, text in OWN.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    (project / "pyproject.toml").write_text(f'[tool.poet_hook.assume]\n"{target}" = "retries=1"\n')
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "vendor.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    assert told(capsys) == said
    assert told(capsys, "--ignore=PH501") == []


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("vendor", []),
        ("vendor.client", []),
        ("vendor.client:Client.fetch", []),
        ("vendor.client:Client", []),
        ("vendor.deep.er", []),
        ("spread.part", []),
        ("dynamic.anything", []),
        ("legacy:f", []),
        ("tool", []),
        ("__main__", ["no module is called __main__ (a script is named by its file, without .py)"]),
        ("vendr", ["no module is called vendr (did you mean 'vendor'?)"]),
        ("vendor.clent", ["no module is called vendor.clent: there is no clent in it (did you mean 'client'?)"]),
        ("vendor.client.more", ["no module is called vendor.client.more: there is no more in it"]),
        ("vendor.deep.en", ["no module is called vendor.deep.en: there is no en in it"]),
        ("vendor.client:fetch", ["there is no function fetch in vendor.client"]),
        ("vendor.fast", ["vendor.fast has no Python source: it is fast.abi3.so"]),
        ("sys", ["sys is part of Python, which stays as it is"]),
        ("poet_hook.api", ["poet_hook itself stays as it is"]),
    ],
)
def test_a_name_that_the_environment_assumes_something_of(
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    said: list[str],
) -> None:
    """Nothing of what is installed is imported to know."""
    site = tmp_path / "site-packages"
    stops = "raise SystemExit('imported')\n"
    for name, text in {
        "vendor/__init__.py": stops,
        "vendor/client.py": f"class Client:\n    def fetch(self): return 1\n{stops}",
        "vendor/deep/er/x.py": stops,
        "vendor/fast.abi3.so": "",
        "spread/part.py": stops,
        "dynamic/__init__.py": f"__path__ = []\n{stops}",
    }.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    (project / "legacy.py").write_text(OWN["legacy.py"])
    (project / "tool.py").write_text("")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("POET_ASSUME", f"{target}: retries=1")
    assert told(capsys) == said


def test_an_editor_is_not_kept_waiting_for_the_whole_project(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POET_ASSUME", "nowhere: retires=1")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x = 1\n")))
    assert main(["check", "-", "--json"]) == 1
    assert [item["code"] for item in json.loads(capsys.readouterr().out)["problems"]] == ["PH201"]
