"""Beside others who also change what is imported, in either order of installation: real processes, one test per pair.

Whoever compiles a module itself has it for itself: it is left alone then, and one warning says so.
"""

from __future__ import annotations

import importlib.machinery
import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from conftest import Python, environment

OURS = "import poet_hook\npoet_hook.activate()\n"
CHECKED = "# poet: require='x'\ndef f(x: int) -> int:\n    return x\n"
SAID = """
def said(call):
    try:
        return repr(call())
    except Exception as error:
        return type(error).__name__
"""


def written(project: Path, **files: str) -> None:
    """Write modules; `__` in a name is a folder."""
    for name, text in files.items():
        path = project.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
    (project / "__init__.py").unlink(missing_ok=True)


# --------------------------------------------------------------------------- beartype and typeguard

THEIRS = {
    "beartype": "from beartype.claw import beartype_package\nbeartype_package('typed')\n",
    "typeguard": "from typeguard import install_import_hook\ninstall_import_hook(['typed'])\n",
}
REFUSES = {"beartype": "BeartypeCallHintParamViolation", "typeguard": "TypeCheckError"}


ORDERS = ["theirs", "ours"]


def hooks(theirs: str, first: str) -> str:
    return "".join([theirs, OURS] if first == "theirs" else [OURS, theirs])


@pytest.mark.parametrize("first", ORDERS)
def test_beartype_claw_checks_and_we_enhance_the_same_module(project: Path, python: Python, first: str) -> None:
    inner = "# poet: require='x'\ndef g(x: int) -> int:\n    y: int = x\n    return y\n"
    method = "class C:\n    # poet: require='x'\n    def h(self, x: int) -> int:\n        return x\n"
    written(project, typed__m=CHECKED + inner + method, mine=CHECKED, other__m=CHECKED)
    asks = SAID + (
        "import typed.m as m, mine, other.m\n"
        "print(said(lambda: m.f('5')), said(lambda: m.f(0)), m.f(5), said(lambda: m.C().h('5')), said(lambda: m.C().h(0)))\n"
        "print(said(lambda: m.g('5')), said(lambda: m.g(0)))\n"
        "print(said(lambda: mine.f(0)), said(lambda: other.m.f(0)), said(lambda: mine.f('5')), mine.f.poet, hasattr(m.f, 'poet'))\n"
    )
    done = python(hooks(THEIRS["beartype"], first) + asks)
    refuses = REFUSES["beartype"]
    assert done.stdout.splitlines() == [
        f"{refuses} PerceiveError 5 {refuses} PerceiveError",
        f"{refuses} 0",  # beartype changes its body
        "PerceiveError PerceiveError 5 <poet of > False",
    ]
    assert done.stderr.count("PoetWarning") == 1
    assert f"Loader: g in {project}/typed/m.py" in done.stderr


@pytest.mark.parametrize("first", ORDERS)
def test_typeguard_checks_its_packages_and_we_enhance_the_rest(project: Path, python: Python, first: str) -> None:
    written(project, typed__m=CHECKED, mine=CHECKED, other__m=CHECKED)
    asks = SAID + (
        "import typed.m, mine, other.m\n"
        "print(said(lambda: typed.m.f('text')), said(lambda: typed.m.f(0)))\n"
        "print(said(lambda: mine.f(0)), said(lambda: other.m.f(0)), said(lambda: mine.f('5')))\n"
    )
    done = python(hooks(THEIRS["typeguard"], first) + asks)
    assert done.stdout == "TypeCheckError 0\nPerceiveError PerceiveError 5\n"
    told = first == "theirs"  # else it stands in front of our finder, and does not ask it
    assert done.stderr.count("PoetWarning") == told
    assert (f"TypeguardLoader: {project}/typed/m.py" in done.stderr) is told


@pytest.mark.parametrize("theirs", THEIRS)
def test_neither_poisons_the_bytecode_of_the_other(project: Path, python: Python, theirs: str) -> None:
    written(project, typed__m="import mine\n" + CHECKED, mine="import plain\n" + CHECKED, plain="def f(x): return x\n")
    asks = (
        SAID
        + "import typed.m as m, mine\nprint(said(lambda: m.f('text')), said(lambda: m.f(0)), said(lambda: mine.f(0)))\n"
    )
    refuses = REFUSES[theirs]
    runs = {
        "both": (THEIRS[theirs] + OURS, f"{refuses} {'PerceiveError' if theirs == 'beartype' else 0} PerceiveError\n"),
        "theirs": (THEIRS[theirs], f"{refuses} 0 0\n"),
        "ours": (OURS, "PerceiveError PerceiveError PerceiveError\n"),
        "none": ("", "'text' 0 0\n"),
    }
    for name in ("both", "none", "ours", "theirs", "both"):
        code, expected = runs[name]
        assert python(code + asks).stdout == expected, name


def test_a_decorator_that_checks_types_stands_around_ours(project: Path, python: Python) -> None:
    (project / "m.py").write_text(
        "from beartype import beartype\nfrom typeguard import typechecked\n"
        "# poet: retries=2 backoff=1ms\n@beartype\ndef f(x: int, seen: list) -> int:\n"
        "    seen.append(x)\n    return x / len(seen) if len(seen) < 3 else x\n"
        "# poet: require='x'\n@typechecked\ndef g(x: int) -> int:\n    return x\n"
    )
    done = python(
        OURS + SAID + "import m\nprint(m.f(8, []), said(lambda: m.f('8', [])))\nprint(m.g(1), said(lambda: m.g('1')))"
    )
    assert done.stdout == "8 BeartypeCallHintParamViolation\n1 TypeCheckError\n"


# --------------------------------------------------------------------------- pytest

HELPER = """\
# poet: require="x"
def helped(x):
    return x

def check(x):
    assert helped(x) == 5
"""
PLAIN = """\
# poet: require="x"
def enhanced(x):
    return x
"""
TESTS = """\
import pytest, poet_hook
from helper import check, helped
from plain import enhanced

# poet: require="x"
def own(x):
    return x

def test_left_alone():
    assert own(0) == helped(0) == 0
    with pytest.raises(AssertionError, match="assert 3 == 5"):
        check(3)
    with pytest.raises(AssertionError, match="assert 4 == 5"):
        assert own(4) == 5

def test_enhanced():
    with pytest.raises(poet_hook.PerceiveError):
        enhanced(0)

def test_doctest_of_none():
    pass
"""
CONFTESTS = {
    "pytest first": "import pytest\npytest.register_assert_rewrite('helper')\n" + OURS,
    "ours first": OURS + "import pytest\npytest.register_assert_rewrite('helper')\n",
}


@pytest.mark.parametrize("order", [*CONFTESTS, "ours before pytest"])
def test_assertions_are_rewritten_and_the_rest_is_enhanced(project: Path, order: str) -> None:
    (project / "helper.py").write_text(HELPER)
    (project / "plain.py").write_text(PLAIN)
    (project / "test_it.py").write_text(TESTS)
    (project / "conftest.py").write_text(
        CONFTESTS.get(order, "import pytest\npytest.register_assert_rewrite('helper')\n")
    )
    command = ["-m", "pytest"] if order in CONFTESTS else ["-m", "poet_hook", "run", "-m", "pytest"]
    for _ in range(2):  # and out of pytest's own cache
        done = subprocess.run(
            [sys.executable, *command, "-q", "-p", "no:typeguard"],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(COVERAGE_PROCESS_CONFIG=""),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "3 passed" in done.stdout
        told = order in CONFTESTS  # else its finder stands in front of ours
        for name in ("helper", "test_it"):
            said = f"compiled by _pytest.assertion.rewrite.AssertionRewritingHook: {project}/{name}.py" in done.stdout
            assert said is told
        assert "plain.py" not in done.stdout


# --------------------------------------------------------------------------- coverage

APP = "import m\nfor x in (1.0, 2.0):\n    m.f(x)\n"
MEASURED = "# poet: {}\ndef f(x: float) -> float:\n    if x > 1:\n        x = 1.0\n    if x > 5:\n        return x\n    return 0.0\n"


@pytest.mark.parametrize("order", ["coverage first", "ours first", "coverage of run"])
def test_coverage_reports_the_same(project: Path, order: str) -> None:
    starts = {
        "coverage first": [["run", "--branch"], "", ""],
        "ours first": [[], OURS, "import coverage\nc = coverage.Coverage(branch=True)\nc.start()\n"],
        "coverage of run": [["run", "--branch", "-m", "poet_hook", "run"], "", ""],
    }
    options, first, second = starts[order]
    reports = []
    for active in (False, True):
        (project / "m.py").write_text(MEASURED.format("retries=1 ensure='True' optimize_for=error"))
        (project / "app.py").write_text(
            (first if active else "") + second + APP + ("c.stop(); c.save()\n" if second else "")
        )
        if order == "coverage first":
            (project / "app.py").write_text((OURS if active else "") + APP)
        command = ["-m", "coverage", *options] if options else []
        if not active and "poet_hook" in command:
            command = command[: command.index("poet_hook") - 1]
        subprocess.run([sys.executable, *command, "app.py"], check=True, env=environment(COVERAGE_PROCESS_CONFIG=""))
        told = [sys.executable, "-m", "coverage", "json", "--include=*/m.py", "-q", "-o", "told.json"]
        subprocess.run(told, check=True, env=environment(COVERAGE_PROCESS_CONFIG=""))
        reports.append(json.loads((project / "told.json").read_text())["files"])
        (project / ".coverage").unlink()
    assert reports[0] == reports[1]
    assert reports[0]["m.py"]["missing_branches"] == [[5, 6]]


# --------------------------------------------------------------------------- those that compile functions


def test_functions_that_are_compiled_from_their_source_stay_what_they_are(project: Path, python: Python) -> None:
    """A decorator that is known to compile is left alone; of any other, what it makes of the source is what runs."""
    (project / "numba.py").write_text(
        "import types\n"
        "def njit(function):\n"
        "    plain = compile(open(function.__code__.co_filename).read(), function.__code__.co_filename, 'exec')\n"
        "    [code] = [c for c in plain.co_consts if isinstance(c, types.CodeType) and c.co_name == function.__name__]\n"
        "    assert function.__code__ == code, 'no code of the user'\n"
        "    return function\n"
    )
    (project / "other.py").write_text(
        "import inspect\n"
        "def compiled(function):\n"
        "    source = inspect.getsource(function)\n"
        "    space = dict(function.__globals__, compiled=lambda f: f)\n"
        "    exec(compile(source, function.__code__.co_filename, 'exec'), space)\n"
        "    return space[function.__name__]\n"
    )
    (project / "m.py").write_text(
        "from numba import njit\nfrom other import compiled\n"
        "# poet: require='x'\n@njit\ndef f(x):\n    return x\n"
        "# poet: require='x'\n@compiled\ndef g(x):\n    return x\n"
        "# poet: require='x'\ndef h(x):\n    return x\n"
        "# poet: require='x'\ndef i(x):\n    return x\nfast = njit(i)\n"
    )
    done = python(OURS + SAID + "import m\nprint(m.f(0), m.g(0), said(lambda: m.h(0)), m.fast(0))")
    assert (done.stdout, done.stderr) == ("0 0 PerceiveError 0\n", "")


def test_built_in_functions_have_nothing_to_enhance(project: Path, python: Python) -> None:
    (project / "m.py").write_text(
        "import functools, math, operator\nlargest = max\nroot = math.sqrt\nadd = functools.partial(operator.add, 1)\n"
        + CHECKED
    )
    done = python(
        OURS
        + SAID
        + "import m\nprint(m.largest(1, 2), m.root(4.0), m.add(2), m.largest is max, said(lambda: m.f(0)))\n"
        "print(said(lambda: poet_hook.learn(m.root)))\n"
    )
    assert done.stdout == "2 2.0 3 True PerceiveError\nNotEnhancedError\n"


def extension() -> tuple[str, Path]:
    """A module of the standard library, or else of msgspec, that is a shared library."""
    import msgspec._core

    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    folder = Path(sysconfig.get_path("platstdlib")) / "lib-dynload"
    for name in ("_lsprof", "_bisect", "_heapq", "_json"):
        if (folder / f"{name}{suffix}").exists():
            return name, folder / f"{name}{suffix}"
    return "_core", Path(msgspec._core.__file__)


def test_a_shared_library_beside_the_source_wins(project: Path, python: Python) -> None:
    name, path = extension()
    (project / f"{name}.py").write_text(CHECKED)
    shutil.copy(path, project / path.name)
    code = f"import sys\nsys.modules.pop({name!r}, None)\nimport {name} as m\nprint(m.__file__, hasattr(m, 'f'))\n"
    done = python(OURS + code)
    assert done.stdout == f"{project / path.name} False\n"
    told = f"not enhanced, since the shared library {path.name} is imported in its place: {project / name}.py"
    assert done.stderr.count("PoetWarning") == 1
    assert told in done.stderr
    (project / f"{name}.py").write_text("x = 1\n")
    assert python(OURS + code).stderr == ""


LOADERS = """
import importlib.util, sys
from importlib.machinery import PathFinder, SourceFileLoader
class Own(SourceFileLoader):
    pass
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name != "m":
            return None
        return importlib.util.spec_from_file_location(name, "m.py", loader=Own(name, "m.py"))
"""


@pytest.mark.parametrize("first", ORDERS)
def test_a_loader_of_its_own_keeps_its_module(project: Path, python: Python, first: str) -> None:
    written(project, m=CHECKED, other="import m\n" + CHECKED)
    asks = (
        SAID + "import m, other\nprint(type(m.__loader__).__name__, said(lambda: m.f(0)), said(lambda: other.f(0)))\n"
    )
    done = python(hooks(LOADERS + "sys.meta_path.insert(0, Finder())\n", first) + asks)
    assert done.stdout == "Own 0 PerceiveError\n"
    assert done.stderr.count("PoetWarning") == (first == "theirs")


AROUND = """
import importlib.util, sys
from importlib.machinery import PathFinder
class Around:  # tells of modules once they are imported, as wrapt, ddtrace and New Relic do it
    def __init__(self, loader):
        self.loader = loader
    def create_module(self, spec):
        return self.loader.create_module(spec)
    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        print("told of", module.__name__)
class Watching:
    asked = set()
    def find_spec(self, name, path=None, target=None):
        if name not in ("m", "other") or name in self.asked:
            return None
        self.asked.add(name)
        try:
            spec = FIND(name, path)
            spec.loader = WRAP(spec.loader)
            return spec
        finally:
            self.asked.discard(name)
"""
FINDS = {"asks all": "lambda name, path: importlib.util.find_spec(name)", "asks Python": "PathFinder.find_spec"}


@pytest.mark.parametrize("first", ORDERS)
@pytest.mark.parametrize("find", FINDS)
@pytest.mark.parametrize("wrap", ["Around", "importlib.util.LazyLoader"])
def test_loaders_around_another_go_on_around_ours(
    project: Path, python: Python, first: str, find: str, wrap: str
) -> None:
    written(project, m=CHECKED, other="import m\nassert m.f(1) == 1\n" + CHECKED)
    theirs = AROUND + f"FIND = {FINDS[find]}\nWRAP = {wrap}\nsys.meta_path.insert(0, Watching())\n"
    asks = SAID + "import other, m\nprint(said(lambda: m.f(0)), said(lambda: other.f(0)))\n"
    done = python(hooks(theirs, first) + asks)
    told = "told of m\ntold of other\n" if wrap == "Around" else ""
    unseen = first == "ours" and find == "asks Python"  # it stands in front, and asks nobody
    assert done.stdout == told + ("0 0\n" if unseen else "PerceiveError PerceiveError\n")
    assert done.stderr == ""


ODD = """
import sys
from importlib.machinery import ModuleSpec
class Loader:
    def create_module(self, spec): return None
    def exec_module(self, module): module.f = lambda x: x
class Raising(Loader):
    def __getattr__(self, name):
        if name == "loader":
            raise RuntimeError(name)
        raise AttributeError(name)
class Slotted(Loader):
    __slots__ = ()
    @property
    def loader(self):
        from importlib.machinery import SourceFileLoader
        return SourceFileLoader("m", "m.py")
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name != "m":
            return None
        spec = ModuleSpec(name, LOADER(), origin=ORIGIN)
        spec.has_location = True
        return spec
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("origin", ["'m.py'", "None"])
@pytest.mark.parametrize("loader", ["Loader", "Raising", "Slotted"])
def test_odd_loaders_break_no_import(project: Path, python: Python, loader: str, origin: str) -> None:
    (project / "m.py").write_text(CHECKED)
    code = f"{ODD}\n{OURS}LOADER, ORIGIN = {loader}, {origin}\nimport m\nprint(m.f(0))"
    done = python(code)
    assert done.stdout == "0\n"
    assert done.stderr.count("PoetWarning") == (origin == "'m.py'" and loader == "Loader")


def test_what_only_mentions_pragmas_is_not_told_of(project: Path, python: Python) -> None:
    (project / "m.py").write_text("text = '# poet: retries=1'\n")
    done = python(
        LOADERS + "sys.meta_path.insert(0, Finder())\n" + OURS + "import m\nprint(type(m.__loader__).__name__)"
    )
    assert (done.stdout, done.stderr) == ("Own\n", "")


def test_the_warning_does_not_break_an_import_where_warnings_are_errors(project: Path, python: Python) -> None:
    (project / "m.py").write_text(CHECKED)
    code = LOADERS + "sys.meta_path.insert(0, Finder())\n" + OURS + "import m\nprint(m.f(0))"
    done = python(code, PYTHONWARNINGS="error")
    assert done.stdout == "0\n"
    assert f"not enhanced, since it is compiled by __main__.Own: {project}/m.py" in done.stderr
