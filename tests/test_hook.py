from __future__ import annotations

import contextlib
import copy
import gc
import importlib
import importlib.machinery
import importlib.resources
import importlib.util
import inspect
import json
import os
import pickle
import pkgutil
import py_compile
import runpy
import signal
import sys
import threading
import traceback
import types
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

import pytest
from conftest import Load, Python
from hypothesis import given, settings
from hypothesis import strategies as st

import poet_hook
from poet_hook import activation, api
from poet_hook.errors import PoetWarning, PragmaError, PragmaWarning
from poet_hook.hook import finder, loader
from poet_hook.runtime import slot as slot_module
from poet_hook.runtime.bind import bind, loosen
from poet_hook.runtime.slot import Slot
from poet_hook.transform.compile import ORIGINAL, compile_module

OPTIONS = [
    "coerce=off",
    "",
    "retries=1",
    "timeout=1h",
    "require='True' ensure='True'",
    "fallback=missing_never_called",
    "domain=ml_monitoring",
    "domain=ml_monitoring optimize_for=accuracy retries=2 timeout=1h fallback=missing_never_called ensure='True'",
]

ALL_KINDS = '''\
"""Module docstring."""
from __future__ import annotations

import contextlib
import functools

TOTAL = 0

def missing_never_called(*args, **kwargs): ...

def double(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        return [function(*args, **kwargs)] * 2
    return call

# poet: {p}
def kinds(a, /, b: float = 2.0, *c: int, d: list[float] = (1,), **e: str) -> "tuple":
    """Docstring."""
    return a, b, c, d, sorted(e.items())

# poet: {p}
def recursive(n: int) -> int:
    return 1 if n < 2 else n * recursive(n - 1)

# poet: {p}
def deep(n: int) -> int:
    return 0 if n == 0 else 1 + deep(n - 1)

# poet: {p}
def locals_of(x, *y, **z):
    first = locals().copy()
    w = 1
    return sorted(first), sorted(locals()), sorted(vars()), sorted(dir()), "%(x)s" % locals()

# poet: {p}
def rebinds(x: float):
    global TOTAL
    TOTAL += 1
    if (y := x + 1) > 2:
        del x
        x = y
    def inner():
        nonlocal x
        x += 1
        return x
    return inner(), [inner() for _ in range(2)], (lambda: x)(), x, TOTAL > 0

# poet: {p}
def leaves(how):
    with contextlib.suppress(KeyError):
        for i in range(5):
            try:
                if how == "return":
                    return i
                if how == "continue" and i < 3:
                    continue
                if how == "raise":
                    raise KeyError(i)
                if how == "finally":
                    return "try"
                if how == "while":
                    while True:
                        try:
                            break
                        finally:
                            i = "broken"
                if how == "nothing":
                    break
            except IndexError:
                return "never"
            else:
                return "else", i
            finally:
                if how == "finally":
                    return "finally"
    match how:
        case "raise":
            return "suppressed"
        case str() as text if text != "nothing":
            return text

# poet: {p}
def star(*x):
    return *x, 1

# poet: {p}
def generates(x):
    return sum(i * x for i in range(3)), list(map(lambda v: v + x, [1, 2])), {{k: x for k in "ab"}}

# poet: {p}
def no_body():
    """Only this."""

# poet: {p}
@double
@double
def decorated(x): return x

@double
# poet: {p}
@double
def between(x): return x

@functools.cache
# poet: {p}
def cached(x):
    return object()

# poet: {p}
@contextlib.contextmanager
def managed(x):
    yield x

class Base:
    def greet(self, x):
        return "base", x

class C(Base):
    __secret = "mangled"

    def __init__(self):
        self.__own = 1

    # poet: {p}
    def greet(self, x):
        return super().greet(x), self.__own, self.__secret, __class__.__name__

    # poet: {p}
    def old_style(self, __y=3):
        return super(C, self).greet(__y), __y

    # poet: {p}
    @staticmethod
    def static(x: int) -> int:
        return x

    # poet: {p}
    @classmethod
    def make(cls, x=1):
        return cls.__name__, x

    # poet: {p}
    @property
    def size(self) -> int:
        return self.__own

    @size.setter
    # poet: {p}
    def size(self, value):
        self.__own = value

    # poet: {p}
    @functools.cached_property
    def lazy(self):
        return [self.__own]

    # poet: {p}
    def __eq__(self, other):
        return isinstance(other, C)

    __hash__ = None

class Sub(C):
    # poet: {p}
    def greet(self, x):
        return "sub", super().greet(x)

# poet: {p}
def frames(depth):
    import sys
    frame = sys._getframe()
    names = []
    while frame is not None and len(names) < depth:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names

# poet: {p}
def warns():
    import warnings
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("here", stacklevel=1)
    return caught[0].lineno, caught[0].filename
'''

CALLS = [
    "m.kinds(1)",
    "m.kinds(1, 3.0, 4, 5, d=[1.5], f='x')",
    "m.kinds()",
    "m.kinds(a=1)",
    "m.kinds(1, 2.0, z=1, b=3)",
    "m.recursive(20)",
    "m.deep(700)",
    "m.locals_of(1, 2, k=3)",
    "m.rebinds(1.0)",
    "m.rebinds(2.0)",
    *(f"m.leaves({how!r})" for how in ["return", "continue", "raise", "finally", "while", "nothing", "other"]),
    "m.leaves(3)",
    "m.star(1, 2)",
    "m.generates(3)",
    "m.no_body()",
    "m.decorated(1)",
    "m.between(1)",
    "m.cached(1) is m.cached(1)",
    "m.cached.cache_info()",
    "m.cached([])",
    "[x for x in [m.managed(3).__enter__()]]",
    "m.C().greet(1)",
    "m.Sub().greet(1)",
    "m.C.greet(m.Sub(), 2)",
    "m.C().old_style()",
    "m.C.static(3), m.C().static(4)",
    "m.C.make(), m.Sub.make(x=2)",
    "m.C().size",
    "setattr(m.C(), 'size', 5)",
    "m.C().lazy",
    "m.C() == m.C(), m.C() != 3",
    "hash(m.C())",
    "m.frames(3)",
    "m.warns()",
    "m.recursive('abc') if False else 0",
    "sorted(vars(m))",
    "m.__doc__, m.__name__, m.__file__, m.__cached__, m.__spec__.origin, m.__package__",
    "[str(inspect.signature(f)) for f in functions(m)]",
    "[(f.__name__, f.__qualname__, f.__module__, f.__doc__, f.__defaults__, f.__kwdefaults__) for f in functions(m)]",
    "[(f.__annotations__, f.__dict__.keys() - {'poet'}, f.__closure__ and len(f.__closure__)) for f in functions(m)]",
    "[inspect.getsource(f) for f in functions(m)]",
    "[f.__code__.co_firstlineno for f in functions(m)]",
    "[f.__code__.co_flags for f in functions(m)]",
    "[type(v) for v in vars(m.C).values()]",
    "sorted(vars(m.C))",
]


def functions(module: types.ModuleType) -> list[types.FunctionType]:
    found = [v for v in vars(module).values() if isinstance(v, types.FunctionType)]
    return found + [v for v in vars(module.C).values() if isinstance(v, types.FunctionType)]


def outcome(expression: str, m: types.ModuleType) -> Any:
    try:
        value = eval(expression, {"m": m, "inspect": inspect, "functions": functions})
    except Exception as error:
        return type(error), str(error)
    return repr(value)


@pytest.mark.filterwarnings("ignore::poet_hook.errors.PragmaWarning")
@pytest.mark.parametrize("options", OPTIONS)
def test_an_enhanced_module_is_the_same_module(load: Load, options: str) -> None:
    source = ALL_KINDS.format(p=options)
    answers = []
    for active in (False, True):
        m = load(source, active=active)
        answers.append([(call, outcome(call, m)) for call in CALLS])
    assert answers[0] == answers[1]
    assert isinstance(m.__spec__ and m.__spec__.loader, loader.PoetLoader)


def test_the_recursion_limit_is_as_far_away(load: Load) -> None:
    depths = []
    for active in (False, True):  # and what ends there is not tried again at each depth, which would never end
        m = load("depth = 0\n# poet: retries=1\ndef f():\n    global depth\n    depth += 1\n    f()\n", active=active)
        with pytest.raises(RecursionError):
            m.f()
        depths.append(m.depth)
    assert abs(depths[0] - depths[1]) < 20


# --------------------------------------------------------------------------- what is left alone


LEFT_ALONE = """
from typing import overload

# poet: retries=1
@overload
def o(x: int) -> int: ...
# poet: retries=1
@overload
def o(x: str) -> str: ...
# poet: retries=1
def o(x): return x

# poet: off
def f(): return 1
"""


def enhanced_in(module: types.ModuleType) -> list[str]:
    """The names of a module's own functions that hold a slot."""
    functions = [value for value in vars(module).values() if isinstance(value, types.FunctionType)]
    return [f.__qualname__ for f in functions if any(isinstance(part, Slot) for part in f.__code__.co_consts)]


def test_what_can_not_be_enhanced_is_left_alone(load: Load) -> None:
    m = load(LEFT_ALONE)
    assert enhanced_in(m) == ["o"]
    assert m.f() == 1
    assert m.o("x") == "x"


def test_a_module_without_anything_to_enhance_is_loaded_plainly(load: Load) -> None:
    m = load("'''poet: not a comment'''\ndef f(): return 1\n# poet: off\ndef g(): ...\n")
    assert m.f() == 1
    assert enhanced_in(m) == []


# --------------------------------------------------------------------------- the finder


class Recording:
    """A finder that knows one module, and notes what it is asked."""

    def __init__(self, name: str, spec: ModuleSpec | None) -> None:
        self.name, self.spec = name, spec
        self.asked: list[tuple[str, object, object]] = []

    def find_spec(self, name: str, path: Sequence[str] | None, target: types.ModuleType | None) -> ModuleSpec | None:
        self.asked.append((name, path, target))
        return self.spec if name == self.name else None


class Old:
    """A finder of the days before `find_spec`."""


def test_the_finders_behind_are_asked_in_turn(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "m.py").write_text("# poet: require='x'\ndef f(x): return x\n")
    spec = importlib.util.spec_from_file_location("elsewhere", project / "m.py")
    first, second = Recording("nothing", None), Recording("elsewhere", spec)
    monkeypatch.setattr(sys, "meta_path", [first, Old(), second, *sys.meta_path])
    with api.activated():
        assert type(sys.meta_path[0]) is finder.Finder
        m = importlib.import_module("elsewhere")
    sys.modules.pop("elsewhere")
    assert first.asked == second.asked == [("elsewhere", None, None)]
    with pytest.raises(poet_hook.PerceiveError):
        m.f(0)


def test_a_finder_in_front_keeps_its_word(project: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "m.py").write_text("# poet: require='x'\ndef f(x): return x\n")
    spec = importlib.util.spec_from_file_location("elsewhere", project / "m.py")
    with api.activated():
        sys.meta_path.insert(0, Recording("elsewhere", spec))  # type: ignore[arg-type]
        m = importlib.import_module("elsewhere")
        del sys.meta_path[0]
    sys.modules.pop("elsewhere")
    assert m.f(0) == 0


class OwnLoader(SourceFileLoader):
    pass


def test_loaders_of_others_are_left_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project / "m.py"
    path.write_text("# poet: require='x'\ndef f(x): return x\n")
    spec = importlib.util.spec_from_file_location("elsewhere", path, loader=OwnLoader("elsewhere", str(path)))
    monkeypatch.setattr(sys, "meta_path", [Recording("elsewhere", spec), *sys.meta_path])
    with api.activated(), pytest.warns(PoetWarning, match=rf"compiled by test_hook\.OwnLoader: {path}") as caught:
        m = importlib.import_module("elsewhere")
    sys.modules.pop("elsewhere")
    assert [warning.filename for warning in caught] == [str(path)]
    assert type(m.__loader__) is OwnLoader
    assert m.f(0) == 0


@pytest.mark.parametrize("folder", ["lib/site-packages", "lib/dist-packages"])
def test_installed_packages_are_untouched(project: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    place = project / folder
    place.mkdir(parents=True)
    (place / "installed.py").write_text("# poet: require='x'\ndef f(x): return x\n")
    monkeypatch.syspath_prepend(str(place))
    with api.activated():
        m = importlib.import_module("installed")
    assert type(m.__loader__) is SourceFileLoader
    assert m.f(0) == 0


def test_what_lies_elsewhere_is_untouched(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("near", "projectile"):  # the second begins like the project's own folder
        place = tmp_path / name
        place.mkdir()
        (place / f"{name}_m.py").write_text("# poet: require='x'\ndef f(x): return x\n")
        monkeypatch.syspath_prepend(str(place))
    with api.activated():
        assert importlib.import_module("near_m").f(0) == 0
        assert importlib.import_module("projectile_m").f(0) == 0
    sys.modules.pop("near_m")
    with api.activated(roots=[tmp_path / "near"]), pytest.raises(poet_hook.PerceiveError):
        importlib.import_module("near_m").f(0)
    for name in ("near_m", "projectile_m"):
        sys.modules.pop(name)


def test_the_standard_library_is_untouched(project: Path) -> None:
    with api.activated():
        everywhere = finder.Finder([Path("/")], finder.active().enhancer)
    assert not everywhere.covers(json.__file__)
    assert not everywhere.covers(poet_hook.__file__)
    assert everywhere.covers(str(project / "m.py"))


def test_modules_without_pragma_keep_their_loader(load: Load) -> None:
    m = load("def f(): return 1\n")
    assert type(m.__loader__) is SourceFileLoader
    assert type(m.__spec__ and m.__spec__.loader) is SourceFileLoader


def test_zips_extensions_and_sourceless_modules_are_untouched(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "# poet: require='x'\ndef f(x): return x\n"
    with zipfile.ZipFile(project / "bundle.zip", "w") as bundle:
        bundle.writestr("zipped.py", source)
    monkeypatch.syspath_prepend(str(project / "bundle.zip"))
    (project / "bare.py").write_text(source)
    py_compile.compile(str(project / "bare.py"), str(project / "bare.pyc"), doraise=True)
    (project / "bare.py").unlink()
    (project / "space").mkdir()
    (project / "space" / "inside.py").write_text(source)
    with api.activated():
        assert importlib.import_module("zipped").f(0) == 0
        assert importlib.import_module("bare").f(0) == 0
        with pytest.raises(poet_hook.PerceiveError):
            importlib.import_module("space.inside").f(0)
    sys.modules.pop("zipped")
    sys.modules.pop("space")


def test_a_module_that_is_not_there(project: Path) -> None:
    with api.activated(), pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("no_such_module")
    assert not [f for f in traceback.extract_tb(caught.value.__traceback__) if "poet_hook" in f.filename]


def test_caches_are_invalidated_behind_it(project: Path) -> None:
    with api.activated():
        importlib.invalidate_caches()
        assert importlib.util.find_spec("json") is not None


# --------------------------------------------------------------------------- turning it on and off


def test_modules_imported_too_early_are_named(load: Load) -> None:
    m = load("# poet: require='x'\ndef f(x): return x\n", active=False)
    load("a = '# poet: '\n", "innocent", active=False)
    with pytest.warns(PoetWarning, match=r"not enhanced: m\. .*python -m poet_hook run") as caught:
        api.activate()
    assert caught[0].filename == __file__
    assert m.f(0) == 0
    api.deactivate()
    with pytest.warns(PoetWarning), api.activated():
        importlib.reload(m)
    with pytest.raises(poet_hook.PerceiveError):
        m.f(0)
    api.activate()  # nothing left to warn about


def test_deactivate(load: Load, project: Path) -> None:
    api.activate()
    m = load("# poet: require='x'\ndef f(x): return x\n")
    api.deactivate()
    assert finder.active() is None
    api.deactivate()
    with pytest.raises(poet_hook.PerceiveError):
        m.f(0)
    assert load(None, active=False).f(0) == 0


def test_activation_is_once_and_nests(project: Path) -> None:
    before = list(sys.meta_path)
    api.activate()
    api.activate()
    outer = finder.active()
    assert sys.meta_path == [outer, *before]
    with api.activated(roots=["/nowhere"]):
        inner = finder.active()
        assert sys.meta_path == [inner, *before]
        with pytest.raises(KeyError), api.activated():
            raise KeyError
        assert sys.meta_path == [inner, *before]
    assert sys.meta_path == [outer, *before]
    api.deactivate()
    assert sys.meta_path == before
    with api.activated():
        api.deactivate()
    assert sys.meta_path == before


def test_auto(project: Path) -> None:
    sys.modules.pop("poet_hook.auto", None)
    importlib.import_module("poet_hook.auto")
    assert finder.active() is not None


@pytest.mark.parametrize("collects", [True, False])
def test_the_garbage_collector_is_as_it_was(load: Load, collects: bool) -> None:
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        load("# poet: retries=1\ndef f(): ...\n")
        assert gc.isenabled() is collects
    finally:
        (gc.enable if before else gc.disable)()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_may_be_forked_while_a_thread_makes_the_store(project: Path) -> None:
    at_work, done = threading.Event(), threading.Event()

    def make() -> None:
        with activation._storing:
            at_work.set()
            done.wait(60)

    thread = threading.Thread(target=make)
    thread.start()
    at_work.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # it would wait for ever
        activation.store()
        os._exit(7)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_threads_import_at_once(load: Load, project: Path) -> None:
    source = "import time, o{n}\n# poet: require='x'\ndef f(x):\n    return x\ntime.sleep(0.01)\nRUNS = [1]\n"
    for n in range(4):
        (project / f"m{n}.py").write_text(source.format(n=n))
        (project / f"o{n}.py").write_text("# poet: ensure='True'\ndef g(): return 1\n")
    seen: list[Any] = []

    def run(n: int) -> None:
        try:
            seen.append(importlib.import_module(f"m{n % 4}"))
        except BaseException as error:
            seen.append(error)

    with api.activated():
        threads = [threading.Thread(target=run, args=(n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {type(m) for m in seen} == {types.ModuleType}
    assert len({id(m) for m in seen}) == 4
    assert (
        sorted(name for m in {*seen, *map(sys.modules.get, "o0 o1 o2 o3".split())} for name in enhanced_in(m))
        == ["f"] * 4 + ["g"] * 4
    )


# --------------------------------------------------------------------------- the loader's protocol


PACKAGED = "# poet: require='x'\ndef f(x):\n    return x\n\nif __name__ == '__main__':\n    VALUE = __spec__.name\n"


@pytest.fixture
def package(project: Path) -> Path:
    folder = project / "pack"
    folder.mkdir()
    (folder / "__init__.py").write_text("# poet: require='x'\ndef f(x):\n    return x\n")
    (folder / "part.py").write_text(PACKAGED)
    (folder / "data.txt").write_text("data")
    return folder


def test_packages_and_their_data(package: Path) -> None:
    with api.activated():
        pack = importlib.import_module("pack")
        part = importlib.import_module("pack.part")
    assert pack.__path__ == [str(package)]
    assert pkgutil.get_data("pack", "data.txt") == b"data"
    assert importlib.resources.files("pack").joinpath("data.txt").read_text() == "data"
    assert [m.name for m in pkgutil.iter_modules(pack.__path__)] == ["part"]
    own = part.__spec__.loader if part.__spec__ else None
    assert isinstance(own, loader.PoetLoader)
    assert own.get_source("pack.part") == PACKAGED
    assert own.is_package("pack.part") is False
    assert own.get_data(str(package / "part.py")) == PACKAGED.encode()
    assert inspect.getsource(part) == PACKAGED
    assert own == own.__class__(own.name, own.path, own.enhancer)
    assert hash(own) == hash(own.__class__(own.name, own.path, own.enhancer))
    assert own != SourceFileLoader(own.name, own.path)
    code = own.get_code("pack.part")
    assert code is not None
    assert code.co_filename == str(package / "part.py")
    with pytest.raises(ImportError):
        own.get_code("another")


def test_run_module(package: Path) -> None:
    with api.activated():
        ran = runpy.run_module("pack.part", run_name="__main__")
    assert ran["VALUE"] == "pack.part"
    with pytest.raises(poet_hook.PerceiveError, match=r"^pack\.part:f"):
        ran["f"](0)


def test_reload(load: Load, project: Path) -> None:
    m = load("# poet: require='x > 1'\ndef f(x): return x\n")
    old = m.f
    (project / "m.py").write_text("# poet: require='x > 22'\ndef f(x): return x\n")
    with api.activated():
        assert importlib.reload(m) is m
    assert old(3) == 3
    with pytest.raises(poet_hook.PerceiveError):
        m.f(3)


def test_an_import_that_fails_can_be_repeated(load: Load, project: Path) -> None:
    source = "# poet: require='x'\ndef f(x): return x\nimport os\nif os.environ.get('BROKEN'): raise OSError\n"
    os.environ["BROKEN"] = "1"
    try:
        with pytest.raises(OSError):
            load(source)
    finally:
        del os.environ["BROKEN"]
    assert load(None).f(1) == 1


@pytest.mark.parametrize(
    "source",
    [
        "# poet: retries=1\ndef f(:\n    return 1\n",
        "# poet: retries=1\ndef f(x):\n    break\n",
        "# poet: retries=1\ndef f(x):\n    if x:\n        continue\n",
        "# poet: retries=1\ndef f(x):\n    for i in x: pass\n    else: break\n",
        "# poet: retries=1\ndef f(x):\n    await x\n",
        "# poet: retries=1\ndef f(x):\n    print(y)\n    global y\n",
        "# poet: retries=1\ndef f(x, x):\n    pass\n",
        "# poet: retries=1\ndef f(x):\n    nonlocal z\n",
        "# poet: retries=1\ndef f(x):\n  'unterminated\n",
        "# poet: retries=1\ndef f(x):\n\tif x:\n        return\n",
        "def g():\n    return 1\n# poet: retries=1\ndef f(x): return x\nreturn 2\n",
        "# poet: retries=1\nfrom __future__ import nothing\ndef f(x): return x\n",
        "x = 1\nfrom __future__ import annotations\n# poet: retries=1\ndef f(x): return x\n",
    ],
)
def test_syntax_errors_are_pythons_own(load: Load, source: str) -> None:
    said = []
    for active in (False, True):
        with pytest.raises(SyntaxError) as caught:
            load(source, active=active)
        error = caught.value
        said.append((type(error), error.args, str(error)))
    assert said[0] == said[1]


def test_bytes_that_are_no_text(project: Path, load: Load) -> None:
    (project / "m.py").write_bytes(b"# poet: retries=1\ndef f(x): return '\xff'\n")
    said = []
    for active in (False, True):
        with pytest.raises(SyntaxError) as caught:
            load(None, active=active)
        said.append((type(caught.value), caught.value.args))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf# poet: require='x'\ndef f(x): return 'a', x\n",
        b"# -*- coding: latin-1 -*-\n# poet: require='x'\ndef f(x): return '\xe4', x\n",
        b"#!/bin/sh\r\n# poet: require='x'\r\ndef f(x):\r\n    return '''\r\n''', x\r\n",
        b"# poet: require='x'\rdef f(x): return 'a', x\r",
        b"# poet: require='x'\ndef f(x): return 'a', x",
    ],
)
def test_encodings_and_line_ends(project: Path, load: Load, data: bytes) -> None:
    (project / "m.py").write_bytes(data)
    expected = load(None, active=False).f(1)
    m = load(None)
    assert m.f(1) == expected
    with pytest.raises(poet_hook.PerceiveError):
        m.f(0)


@pytest.mark.parametrize("error", [ValueError("odd"), RecursionError("deep"), MemoryError(), SystemError("bug")])
@pytest.mark.parametrize("place", ["poet_hook.transform.compile.enhance", "poet_hook.runtime.bind.bind"])
def test_a_failure_of_ours_leaves_the_plain_module(
    load: Load, monkeypatch: pytest.MonkeyPatch, error: Exception, place: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(place, fail)
    with pytest.warns(PoetWarning, match=f"not enhanced, the original runs: {type(error).__name__}") as caught:
        m = load("print('once')\n# poet: require='x'\ndef f(x): return x\n")
    assert len(caught) == 1
    assert caught[0].filename == m.__file__
    assert m.f(0) == 0


def test_too_deep_for_us_is_not_too_deep_for_python(load: Load) -> None:
    source = "# poet: require='x'\ndef f(x): return " + "+".join(["x"] * 900) + "\n"
    expected = load(source, active=False).f(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PoetWarning)  # where it is too deep for us
        assert load(source).f(1) == expected == 900


def test_blocks_too_deep_to_be_wrapped_leave_the_plain_module(load: Load) -> None:
    body = "".join(f"{'  ' * n}for i in [1]:\n" for n in range(1, 20)) + f"{'  ' * 20}return x\n"
    with pytest.warns(PoetWarning, match="not enhanced, the original runs: SyntaxError: too many statically nested"):
        m = load(f"# poet: retries=1\ndef f(x):\n{body}")
    assert m.f(3) == 3


def test_mistakes_in_pragmas_are_one_warning_each(load: Load, project: Path) -> None:
    source = "# poet: retires=1, require='x'\ndef f(x): return x\n\n# poet: retries=many\ndef g(x): return x\n"
    with pytest.warns(PragmaWarning) as caught:
        m = load(source)
    texts = [str(w.message) for w in caught]
    assert len(texts) == 2
    assert texts[0].startswith(f"{project / 'm.py'}:1:9: PH201")
    assert "did you mean 'retries'?" in texts[0]
    assert [(w.filename, w.lineno) for w in caught] == [(m.__file__, 1), (m.__file__, 4)]
    with pytest.raises(poet_hook.PerceiveError):
        m.f(0)
    assert m.g(0) == 0


def test_strict_makes_them_errors(load: Load, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "m.py").write_text("x = 1\n# poet: retires=1\ndef f(x): return x\n")
    for variable in ("0", "1"):
        monkeypatch.setenv("POET_STRICT", variable)
        api.settings.cache_clear()
        with api.activated(strict=True if variable == "0" else None), pytest.raises(PragmaError) as caught:
            importlib.import_module("m")
        error = caught.value
        assert isinstance(error, SyntaxError)
        assert (error.filename, error.lineno, error.offset) == (str(project / "m.py"), 2, 9)
        assert error.text == "# poet: retires=1"
        assert "PH201" in str(error)
        assert "m" not in sys.modules


# --------------------------------------------------------------------------- code objects


def test_slots_are_shared_and_no_text_of_ours_is_left(load: Load) -> None:
    m = load("# poet: retries=1 ensure='result'\ndef f(x):\n    def g(): return locals()\n    return g()\n")
    constants = [*m.f.__code__.co_consts]
    inner = [c for c in constants if isinstance(c, types.CodeType) and c.co_name == "g"]
    found = {id(c) for c in [*constants, *inner[0].co_consts] if isinstance(c, Slot)}
    assert len(found) == 1
    assert not [c for c in constants if isinstance(c, str) and "poet_hook\0" in c]


def test_a_literal_of_the_users_that_looks_like_ours(load: Load) -> None:
    m = load("# poet: require='x'\ndef f(x): return 'poet_hook\\0no json'\n")
    assert m.f(1) == "poet_hook\0no json"


def test_code_without_placeholders_stays_the_same_object() -> None:
    code = compile("def f(): return 1", "m.py", "exec")
    assert bind(loosen(code)) is code


def test_functions_classes_and_results_pickle(load: Load) -> None:
    m = load("""
        # poet: retries=1 optimize_for=accuracy
        def f(x): return {"x": x}

        class C:
            # poet: retries=1
            def m(self): return 1
            def __eq__(self, other): return type(other) is C
            __hash__ = None

        # poet: retries=1
        def make(): return C()
    """)
    for value in (m.f, m.C, m.C().m, m.f(1), m.make(), m.C.m):
        again = pickle.loads(pickle.dumps(value))
        assert again == value or again() == value()
        assert copy.deepcopy(value) is not None
    assert pickle.loads(pickle.dumps(m.f)) is m.f


def test_code_that_travels_by_value_takes_its_slot_along(load: Load) -> None:
    m = load("# poet: require='x'\ndef f(x): return x\n")
    (slot,) = [part for part in m.f.__code__.co_consts if isinstance(part, Slot)]
    again = pickle.loads(pickle.dumps(slot))
    assert again is not slot
    assert (again.text, again.source, again.function) == (slot.text, slot.source, slot.function)
    code = m.f.__code__.replace(co_consts=tuple(again if c is slot else c for c in m.f.__code__.co_consts))
    with pytest.raises(poet_hook.PerceiveError):
        types.FunctionType(code, {})(0)


def test_the_optimisation_level_is_pythons() -> None:
    source = "# poet: retries=1\ndef f(x):\n    'Doc.'\n    assert x\n    return __debug__\n"
    for level, expected in ((0, AssertionError), (1, False), (2, False)):
        namespace: dict[str, Any] = {}
        exec(bind(loosen(compile_module(source, "m.py", "m", lambda _: ORIGINAL, level).code)), namespace)
        if level:
            assert namespace["f"](0) is expected
        else:
            with pytest.raises(AssertionError):
                namespace["f"](0)
        assert namespace["f"].__doc__ == (None if level == 2 else "Doc.")


# --------------------------------------------------------------------------- other processes


def test_without_activation_nothing_of_ours_is_imported(project: Path, python: Python) -> None:
    (project / "m.py").write_text("# poet: require='x'\ndef f(x): return x\n")
    done = python("import sys, m; print(m.f(0), [n for n in sys.modules if n.startswith('poet_hook')])")
    assert done.stdout == "0 []\n"


def test_what_activation_imports_is_light(project: Path, python: Python) -> None:
    (project / "m.py").write_text("# poet: domain=ml_monitoring optimize_for=f1\ndef f(x): return x > 1\n")
    done = python(
        """
        import sys, poet_hook
        print([n for n in sys.modules if n.startswith("poet_hook.")])
        poet_hook.activate()
        import m
        m.f(2)
        heavy = "openai black astor fastapi httpx click rich dotenv numpy hypothesis poet_hook.learning poet_hook.cli"
        print([n for n in heavy.split() if n in sys.modules])
        """
    )
    assert done.stdout == "[]\n[]\n"


ORDER = """
import sys
sys.dont_write_bytecode = False
if sys.argv[1] == "enhanced":
    import poet_hook
    poet_hook.activate()
import m, other
try:
    print(m.f(0))
except ValueError as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("first", ["plain", "enhanced"])
@pytest.mark.parametrize("flag", ["", "1"])
def test_plain_bytecode_is_not_poisoned(project: Path, python: Python, first: str, flag: str) -> None:
    (project / "m.py").write_text("import other\n# poet: require='x'\ndef f(x): return x\n")
    (project / "other.py").write_text("'poet: no pragma'\n")
    order = [first, "plain" if first == "enhanced" else "enhanced"] * 2
    optimize = {"PYTHONOPTIMIZE": flag} if flag else {}
    said = [python(ORDER, mode, **optimize).stdout.strip() for mode in order]
    assert said == [{"plain": "0", "enhanced": "PerceiveError"}[mode] for mode in order]
    written = list((project / "__pycache__").iterdir())
    assert {path.name.split(".")[0] for path in written} == {"m", "other"}
    assert not [
        path for path in written if b"poet_hook\0" in path.read_bytes() or b"PerceiveError" in path.read_bytes()
    ]


COVERED = """
import sys, coverage
measured = coverage.Coverage(data_file=None, include=["*/m.py"], config_file=False, branch=False)
measured.start()
if sys.argv[1] == "enhanced":
    import poet_hook
    poet_hook.activate()
import m
print(m.f(1), m.f(2), m.C().g(3), m.h())
measured.stop()
_, statements, _, missing, _ = measured.analysis2(m.__file__)
print(statements, missing)
"""
MEASURED = """\
import functools

# poet: {p}
def f(x: float) -> float:
    '''Doc.'''
    for i in range(3):
        if x == 9:
            return 1
    try:
        return x
    finally:
        x = 2
    return 5

class C:
    # poet: {p}
    @functools.cache
    def g(
        self,
        x,
    ):
        if x:
            return 1
        print("no")

# poet: {p}
def h(): return [i for i in range(3)]

# poet: {p}
def never():
    return 1
"""


@pytest.mark.parametrize("options", ["retries=1 optimize_for=accuracy", "domain=ml_monitoring"])
def test_coverage_is_the_same(project: Path, python: Python, options: str) -> None:
    (project / "m.py").write_text(MEASURED.format(p=options))
    plain, enhanced = (python(COVERED, mode).stdout for mode in ("plain", "enhanced"))
    assert plain == enhanced
    assert plain.endswith(" [8, 24, 31]\n")


SCRIPT = '''\
"""Doc."""
import sys
# poet: require="x"
def f(x):
    return 1 / x
print(sys.argv, sys.path[0], __name__, __file__, __doc__, __package__, sorted(globals()), __spec__ is None)
print(sys.modules["__main__"].f is f)
if len(sys.argv) > 1:
    f(int(sys.argv[1]))
'''
START = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))"


def test_a_script_runs_as_under_python(project: Path, python: Python) -> None:
    (project / "app").mkdir()
    (project / "app" / "run.py").write_text(SCRIPT)
    plain = python(START, "app/run.py", "2")
    enhanced = python(START, "-m", "poet_hook", "run", "app/run.py", "2")
    assert enhanced.stdout == plain.stdout
    failed = python(START, "-m", "poet_hook", "run", "app/run.py", "0", check=False)
    assert failed.returncode == 1
    assert "PerceiveError: app.run:f: require='x' does not hold for x=0" in failed.stderr


def test_a_scripts_traceback_is_its_own(project: Path, python: Python) -> None:
    (project / "run.py").write_text("# poet: retries=0 optimize_for=f1\ndef f(x):\n    return 1 / x\nf(0)\n")
    plain = python(START, "run.py", check=False)
    assert "ZeroDivisionError" in plain.stderr
    assert python(START, "-m", "poet_hook", "run", "run.py", check=False).stderr == plain.stderr


WARNS = """
import warnings
kept = object()
# poet:
def f(x: int): warnings.warn("it leaks", stacklevel=2, source=kept)
f(1)
print(warnings.formatwarning.__module__)
"""


@pytest.mark.parametrize("traced", [(), ("-X", "tracemalloc=1")])
def test_a_scripts_warnings_are_its_own(project: Path, python: Python, traced: tuple[str, ...]) -> None:
    (project / "run.py").write_text(WARNS)
    plain = python(START, *traced, "run.py")
    assert ("Object allocated at" if traced else "Enable tracemalloc") in plain.stderr
    enhanced = python(START, *traced, "-m", "poet_hook", "run", "run.py")
    assert (enhanced.stdout, enhanced.stderr) == (plain.stdout, plain.stderr)


def test_no_public_name_is_a_submodule() -> None:
    submodules = {module.name for module in pkgutil.iter_modules(poet_hook.__path__)}
    assert set(poet_hook.__all__) & submodules == set()
    assert set(poet_hook.__all__) <= set(dir(poet_hook))
    assert all(getattr(poet_hook, name) is not None for name in poet_hook.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = poet_hook.nothing


# --------------------------------------------------------------------------- any small function

NAMES = st.sampled_from(["a", "b", "c"])
ATOMS = st.one_of(NAMES, st.integers(-3, 3).map(str), st.sampled_from(["1.5", "-0.5", "None", "[1, 2]", "'t'"]))
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/%"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, st.sampled_from(["<", "==", ">="]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        inner.map(lambda e: f"[{e} for i in range(2)]"),  # no cell of f: locals() there crashes Python 3.13.0
        inner.map(lambda e: f"(lambda b: {e})(1)"),
        st.just("sorted(locals())"),
    ),
    max_leaves=4,
)


def indented(block: list[str]) -> list[str]:
    return [f"    {line}" for line in block]


def block_of(statements: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    return st.lists(statements, min_size=1, max_size=3).map(lambda parts: [line for part in parts for line in part])


SIMPLE = st.one_of(
    st.tuples(NAMES, EXPRESSIONS).map(lambda t: [f"{t[0]} = {t[1]}"]),
    EXPRESSIONS.map(lambda e: [f"return {e}"]),
    EXPRESSIONS.map(lambda e: [f"log.append({e})"]),
    st.just(["return"]),
    st.just(["raise KeyError(a)"]),
    NAMES.map(lambda n: [f"del {n}"]),
)


def compound(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    block = block_of(inner)
    loop = block.flatmap(lambda b: st.sampled_from([[], ["break"], ["continue"]]).map(lambda end: [*b, *end]))
    return st.one_of(
        st.tuples(EXPRESSIONS, block, block).map(lambda t: [f"if {t[0]}:", *indented(t[1]), "else:", *indented(t[2])]),
        loop.map(lambda b: ["for c in range(2):", *indented(b)]),
        block.map(lambda b: ["with suppress(TypeError):", *indented(b)]),
        block.map(lambda b: ["while len(log) < 3:", "    log.append(0)", *indented(b)]),
        st.tuples(block, block, block).map(
            lambda t: [
                "try:",
                *indented(t[0]),
                "except (TypeError, KeyError) as error:",
                *indented(t[1]),
                "finally:",
                *indented(t[2]),
            ]
        ),
    )


FUNCTIONS = block_of(st.recursive(SIMPLE, compound, max_leaves=6))
PRAGMAS = [
    "coerce=off",
    "ensure='True'",
    "retries=2",
    "domain=generic require='True' timeout=1h",
    "optimize_for=accuracy retries=1 ensure='True'",
]


@settings(max_examples=200, deadline=None)
@given(FUNCTIONS, st.tuples(*[st.sampled_from([0, 1, -2.5, None, "t"])] * 3))
def test_any_small_function_does_the_same(body: list[str], arguments: tuple[Any, ...]) -> None:
    lines = ["def f(a, b=2, *, c=3):", *indented(body)]
    plain = run("\n".join(["#", *lines]), arguments, compile)
    attempts = {"retries=2": 3, "optimize_for=accuracy retries=1 ensure='True'": 2}
    for pragma in PRAGMAS:
        ours = run("\n".join([f"# poet: {pragma}", *lines]), arguments, enhanced)
        repeated = attempts.get(pragma, 1) if plain[1] else 1
        assert ours[:2] == plain[:2] or "log" in "".join(body), pragma
        if repeated == 1:
            assert ours == plain, pragma


def enhanced(source: str, path: str, mode: str) -> types.CodeType:
    return bind(loosen(compile_module(source, path, "m").code))


@pytest.fixture(scope="module", autouse=True)
def impatient() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(slot_module, "pause", lambda attempt, first: None)
        yield


def run(
    source: str, arguments: tuple[Any, ...], build: Callable[..., types.CodeType]
) -> tuple[str, list[Any], list[Any]]:
    """What f returns, the exceptions with their lines, and what it logged."""
    log: list[Any] = []
    namespace: dict[str, Any] = {"log": log, "suppress": contextlib.suppress}
    exec(build(source, "m.py", "exec"), namespace)
    a, b, c = arguments
    errors: list[Any] = []
    value = ""
    try:
        value = repr(namespace["f"](a, b, c=c))
    except Exception as error:
        seen: BaseException | None = error
        while seen is not None:
            rows = [(r.filename, r.lineno, r.name) for r in traceback.extract_tb(seen.__traceback__)]
            errors.append((type(seen), str(seen), [row for row in rows if row[0] == "m.py"]))
            seen = seen.__context__
    return value, errors, log
