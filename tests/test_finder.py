"""The finder and the loader in the ways in which Python finds and loads modules: real files, and mostly real processes."""

from __future__ import annotations

import ctypes
import importlib
import importlib.resources
import importlib.util
import json
import os
import pkgutil
import runpy
import subprocess
import sys
import threading
import types
import zipfile
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path

import pytest
from conftest import PACKAGE, Load, Python, environment

import poet_hook
from poet_hook import api
from poet_hook.hook import cache, finder, loader

CHECKED = "# poet: require='x'\ndef f(x):\n    return x\n"
OURS = "import poet_hook\npoet_hook.activate()\n"
SAID = """
def said(call):
    try:
        return repr(call())
    except Exception as error:
        return type(error).__name__
"""


def refuses(module: types.ModuleType) -> bool:
    """Whether the `f` of a module is enhanced."""
    assert module.f(1) == 1
    try:
        return module.f(0) != 0
    except poet_hook.PerceiveError:
        return True


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def child(*words: str, stdin: str = "", check: bool = True, **changes: str) -> subprocess.CompletedProcess[str]:
    """A real Python with these words on its command line."""
    env = environment(COVERAGE_PROCESS_CONFIG="", **changes)
    done = subprocess.run(
        [sys.executable, *words], input=stdin, capture_output=True, text=True, timeout=60, env=env, check=False
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


# --------------------------------------------------------------------------- packages


def test_namespace_packages(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, {"one/space/a.py": CHECKED, "two/space/deep/b.py": CHECKED, "two/space/c.py": "x = 1\n"})
    for name in ("one", "two"):
        monkeypatch.syspath_prepend(str(project / name))
    importlib.invalidate_caches()
    with api.activated():
        space = importlib.import_module("space")
        modules = [importlib.import_module(f"space.{name}") for name in ("a", "deep.b", "c")]
        found = sorted(module.name for module in pkgutil.iter_modules(space.__path__, "space."))
        assert importlib.resources.files("space").joinpath("a.py").read_text() == CHECKED
    assert space.__spec__ is not None
    assert space.__spec__.origin is None
    assert sorted(space.__path__) == [str(project / name / "space") for name in ("one", "two")]
    assert [refuses(module) for module in modules[:2]] == [True, True]
    assert [type(module.__loader__) for module in modules] == [loader.PoetLoader, loader.PoetLoader, SourceFileLoader]
    assert found == ["space.a", "space.c"]


PACKAGE_FILES = {
    "pack/__init__.py": CHECKED,
    "pack/part.py": CHECKED,
    "pack/sub/__init__.py": "from ..part import f\n",
    "pack/sub/leaf.py": CHECKED + "from . import sibling\n",
    "pack/sub/sibling.py": "from .leaf import f\n",
    "pack/sub/data.txt": "data",
    "pack/__main__.py": CHECKED + "import sys\nprint(__name__, __package__, sys.argv[1:], __spec__.name)\n"
    "try:\n    f(0)\nexcept ValueError as error:\n    print(error)\n",
}


@pytest.mark.parametrize("below", ["", "jobs"])
@pytest.mark.parametrize("told", [True, False])
def test_a_working_directory_that_is_entered_by_a_link(
    project: Path, tmp_path: Path, python: Python, monkeypatch: pytest.MonkeyPatch, told: bool, below: str
) -> None:
    """A shell says in PWD how it came there, and PYTHONPATH=$PWD has it from there."""
    (project / "m.py").write_text("# poet: require='x'\ndef f(x): return x\n")
    (project / "jobs").mkdir()
    monkeypatch.chdir(project / below)
    (tmp_path / "link").symlink_to(project)
    code = f"""
        import sys
        sys.path.insert(0, {str(tmp_path / "link")!r})
        import poet_hook
        poet_hook.activate()
        import m
        m.f(0)
    """
    pwd = tmp_path / ("link" if told else "elsewhere") / below
    assert ("PerceiveError: m:f" in python(code, check=False, PWD=str(pwd)).stderr) == told


def test_packages_are_walked_and_their_data_read(project: Path) -> None:
    write(project, PACKAGE_FILES)
    importlib.invalidate_caches()
    with api.activated():
        pack = importlib.import_module("pack")
        walked = {module.name: module.ispkg for module in pkgutil.walk_packages(pack.__path__, "pack.")}
        top = {module.name for module in pkgutil.iter_modules([str(project)])}
        leaf = importlib.import_module("pack.sub.leaf")
        assert pkgutil.get_data("pack.sub", "data.txt") == b"data"
        assert pkgutil.resolve_name("pack.sub.leaf:f") is leaf.f
        files = importlib.resources.files("pack.sub")
        assert sorted(entry.name for entry in files.iterdir() if entry.name != "__pycache__") == [
            "__init__.py",
            "data.txt",
            "leaf.py",
            "sibling.py",
        ]
        assert files.joinpath("data.txt").read_text() == "data"
        with importlib.resources.as_file(files / "data.txt") as path:
            assert path == project / "pack" / "sub" / "data.txt"
        own = importlib.util.find_spec("pack.part")
    assert walked == {
        "pack.__main__": False,
        "pack.part": False,
        "pack.sub": True,
        "pack.sub.leaf": False,
        "pack.sub.sibling": False,
    }
    assert top == {"pack"}
    assert refuses(leaf)
    assert refuses(pack)
    assert own is not None
    assert own.loader is not None
    assert own.loader.get_resource_reader("pack.part") is not None  # type: ignore[attr-defined]
    assert (own.origin, own.has_location, own.submodule_search_locations) == (f"{project}/pack/part.py", True, None)


def test_a_package_in_a_zip_is_its_own(project: Path, python: Python, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(project / "bundle.zip", "w") as bundle:
        for name, text in PACKAGE_FILES.items():
            bundle.writestr(name, text)
    done = python(
        OURS + "import sys, pkgutil\nsys.path.insert(0, 'bundle.zip')\nimport pack.sub.leaf as leaf\n"
        "print(leaf.f(0), type(leaf.__loader__).__name__, pkgutil.get_data('pack.sub', 'data.txt'))\n"
        "print([m.name for m in pkgutil.walk_packages(sys.modules['pack'].__path__)])\n"
    )
    assert done.stdout == "0 zipimporter b'data'\n['__main__', 'part', 'sub']\n"
    assert done.stderr == ""


def test_frozen_and_built_in_modules_are_found(project: Path) -> None:
    with api.activated():
        for name in ("__hello__", "__phello__.spam", "builtins", "zipimport", "_thread"):
            assert importlib.util.find_spec(name) is not None
        hello = importlib.import_module("__hello__")
    assert hello.__spec__ is not None
    assert hello.__spec__.origin == "frozen"
    for name in ("__hello__", "__phello__", "__phello__.spam"):
        sys.modules.pop(name, None)


# --------------------------------------------------------------------------- ways to run and to load again


def test_run_of_a_package(project: Path) -> None:
    write(project, PACKAGE_FILES)
    plain = child("-m", "pack", "a", "-m")
    assert plain.stdout == "__main__ pack ['a', '-m'] pack.__main__\n"
    ours = child("-m", "poet_hook", "run", "-m", "pack", "a", "-m")
    assert ours.stdout == plain.stdout + "pack.__main__:f: require='x' does not hold for x=0\n"
    assert child("-m", "pack", "a", "-m").stdout == plain.stdout
    code = "import runpy\nprint(sorted(runpy.run_module('pack', run_name='other')))\n"
    assert child("-c", OURS + code).stdout == child("-c", code).stdout.replace(
        "other pack [] pack.__main__\n",
        "other pack [] pack.__main__\npack.__main__:f: require='x' does not hold for x=0\n",
    )


def test_the_source_of_a_script_is_found(project: Path) -> None:
    looks = "import inspect, linecache\nprint(inspect.getsource(f), linecache.getline(__file__, 1), inspect.getsourcefile(f))\n"
    write(project, {"app.py": CHECKED + looks})
    assert child("-m", "poet_hook", "run", "app.py").stdout == child("app.py").stdout


def test_files_run_by_path_are_scripts_and_folders_are_not(project: Path) -> None:
    write(project, {"script.py": CHECKED, "folder/__main__.py": CHECKED})
    with api.activated():
        assert runpy.run_path("script.py")["f"](0) == 0  # runpy reads a file itself
        ran = runpy.run_path("folder")
    with pytest.raises(poet_hook.PerceiveError):
        ran["f"](0)
    assert "__main__" in sys.modules


def test_stdin_and_command_line_code_are_left_alone(project: Path) -> None:
    source = OURS + CHECKED + "print(f(0))\n"
    assert child("-", stdin=source).stdout == "0\n"
    assert child(stdin=source).stdout == "0\n"
    assert child("-c", source).stdout == "0\n"
    interactive = child("-i", "-q", "-c", "", stdin=source.replace("return x\n", "return x\n\n")).stdout
    assert interactive.strip() == "0"


def test_reloading(load: Load, project: Path) -> None:
    write(project, {"pack/__init__.py": CHECKED, "pack/part.py": CHECKED})
    importlib.invalidate_caches()
    with api.activated():
        pack, part = importlib.import_module("pack"), importlib.import_module("pack.part")
        old, before = part.f, part.__spec__
        for module in (part, pack, part):
            assert importlib.reload(module) is module
            assert refuses(module)
            assert type(module.__loader__) is loader.PoetLoader
        assert part.f is not old
        assert part.__spec__ is not before
        assert pack.part is part
        write(project, {"pack/part.py": CHECKED.replace("# poet", "# poem")})
        assert not refuses(importlib.reload(part))
        write(project, {"pack/part.py": CHECKED + "broken(\n"})
        with pytest.raises(SyntaxError):
            importlib.reload(part)
        assert sys.modules["pack.part"] is part
        write(project, {"pack/part.py": CHECKED})
        assert refuses(importlib.reload(part))
    assert not refuses(importlib.reload(part))


def test_modules_that_import_each_other(project: Path) -> None:
    write(
        project,
        {
            "left.py": "import right\n" + CHECKED + "from right import g\n",
            "right.py": "import left\n# poet: require='x'\ndef g(x):\n    return left.f(x)\n",
        },
    )
    importlib.invalidate_caches()
    with api.activated():
        left = importlib.import_module("left")
    assert refuses(left)
    assert left.g(2) == 2
    with pytest.raises(poet_hook.PerceiveError, match=r"^right:g"):
        left.g(0)
    done = child("-c", OURS + "try:\n    import left\nexcept ImportError as error:\n    print(error)\n")
    assert done.stdout == ""
    write(project, {"left.py": "from right import g\n" + CHECKED, "right.py": "from left import f\n" + CHECKED})
    plain, ours = (child("-c", start + "import left\n", check=False).stderr for start in ("", OURS))
    assert "partially initialized module 'left'" in plain
    assert ours == plain.replace("line 1, in <module>", "line 3, in <module>", 1)


class Importing:
    """A finder that imports another module when it is asked, as some plugins do."""

    def __init__(self) -> None:
        self.within: list[str] = []

    def find_spec(self, name: str, path: Sequence[str] | None, target: types.ModuleType | None) -> ModuleSpec | None:
        if name == "outer" and not self.within:
            self.within.append(name)
            importlib.import_module("inner")
            assert importlib.util.find_spec("other") is not None
        return None


def test_a_finder_that_imports_while_it_is_asked(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread has its own import under way: none waits for the lock of another."""
    write(project, {f"{name}.py": CHECKED for name in ("outer", "inner", "other")})
    importlib.invalidate_caches()
    monkeypatch.setattr(sys, "meta_path", [Importing(), *sys.meta_path])
    ended: list[bool] = []

    def run(name: str) -> None:
        ended.append(refuses(importlib.import_module(name)))

    with api.activated():
        threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in ("outer", "inner", "other") * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert ended == [True] * 9


SUBINTERPRETER = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
poet = "--ours" in sys.argv
if poet:
    import poet_hook
    poet_hook.activate()
import m
def f(): return m.f(0)
try:
    print("main", m.f(0), flush=True)
except ValueError:
    print("main refuses", flush=True)
code = "import sys; sys.path.insert(0, '.')\\nimport m\\nprint('inside', m.f(0), m.__loader__.__class__.__name__, flush=True)"
number = interpreters.create("legacy") if sys.version_info >= (3, 13) else interpreters.create()
try:
    failed = (interpreters.exec if sys.version_info >= (3, 13) else interpreters.run_string)(number, code)
finally:
    interpreters.destroy(number)
assert not failed, failed
try:
    print("main", m.f(0))
except ValueError:
    print("main refuses")
"""


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python asks them no more")
@pytest.mark.parametrize("knows", ["m", "another"])
def test_finders_of_the_days_before_find_spec_keep_their_place(project: Path, python: Python, knows: str) -> None:
    (project / "m.py").write_text("# poet: require='x'\ndef f(x): return x\n")
    code = f"""
        import sys, types, warnings
        import poet_hook
        class Old:
            def find_module(self, name, path=None):
                return self if name == {knows!r} else None
            def load_module(self, name):
                sys.modules[name] = types.ModuleType(name)
                sys.modules[name].f = lambda x: "theirs"
                return sys.modules[name]
        sys.meta_path.insert(0, Old())
        warnings.simplefilter("ignore", ImportWarning)
        poet_hook.activate()
        import m
        print(m.f(0))
    """
    done = python(code, check=False)
    assert done.stdout == "theirs\n" if knows == "m" else "PerceiveError" in done.stderr


def test_subinterpreters_are_left_alone(project: Path) -> None:
    write(project, {"m.py": CHECKED})
    plain, ours = child("-c", SUBINTERPRETER), child("-c", SUBINTERPRETER, "--ours")
    assert plain.stdout == "main 0\ninside 0 SourceFileLoader\nmain 0\n"
    assert ours.stdout == "main refuses\ninside 0 SourceFileLoader\nmain refuses\n"


# --------------------------------------------------------------------------- editable installs


def backend(requires: str, name: str, more: str) -> str:
    system = f'[build-system]\nrequires = ["{requires}"]\nbuild-backend = "{name}"\n'
    return f'{system}[project]\nname = "monitor"\nversion = "1.0"\n{more}'


SETUPTOOLS, HATCHLING = ("setuptools", "setuptools.build_meta"), ("hatchling", "hatchling.build")
FLAT = backend(*SETUPTOOLS, '[tool.setuptools]\npackages = ["monitor"]\n')
EXACT = "[tool.hatch.build]\ndev-mode-exact = true\n"
# how a package is installed in editable mode: where in its folder it lies, its pyproject.toml, what the backend is told
WAYS: dict[str, tuple[str, str, dict[str, str]]] = {
    "setuptools, src": ("src/", FLAT + 'package-dir = {"" = "src"}\n', {}),  # a path
    "setuptools, flat": ("", FLAT, {}),  # a finder behind Python's own
    "setuptools, strict": ("", FLAT, {"editable_mode": "strict"}),  # a folder of links
    "hatchling": ("src/", backend(*HATCHLING, '[tool.hatch.build.targets.wheel]\npackages = ["src/monitor"]\n'), {}),
    "hatchling, exact": ("", backend(*HATCHLING, EXACT), {}),  # the finder of `editables`
}
# what pip and uv do: the backend makes a wheel, and that is unpacked
BUILD = """
import importlib, json, os, sys, tomllib, zipfile
for folder, site, told in json.loads(sys.argv[1]):
    os.chdir(folder)
    with open("pyproject.toml", "rb") as file:
        backend = importlib.import_module(tomllib.load(file)["build-system"]["build-backend"])
    os.mkdir(site)
    with zipfile.ZipFile(os.path.join(site, backend.build_editable(site, told))) as wheel:
        wheel.extractall(site)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package for each of WAYS, which its own build backend has installed into `site NAME`."""
    folder = tmp_path_factory.mktemp("editable")
    write(folder, {"pyproject.toml": ""})
    for name, (place, pyproject, _) in WAYS.items():
        files = {f"{place}monitor/__init__.py": CHECKED, f"{place}monitor/part.py": CHECKED}
        write(folder / name, {"pyproject.toml": pyproject, **files})
    todo = [(str(folder / name), str(folder / f"site {name}"), told) for name, (_, _, told) in WAYS.items()]
    child("-c", BUILD, json.dumps(todo))
    return folder


@pytest.mark.parametrize("first", ["theirs", "ours"])
@pytest.mark.parametrize("way", WAYS)
def test_editable_installs(
    installed: Path, monkeypatch: pytest.MonkeyPatch, project: Path, way: str, first: str
) -> None:
    starts = [f"import site\nsite.addsitedir({str(installed / f'site {way}')!r})\n", OURS]
    asks = "import monitor, monitor.part as part\nprint(said(lambda: monitor.f(0)), said(lambda: part.f(0)), part.__file__)"
    code = "".join(starts if first == "theirs" else starts[::-1]) + SAID + asks
    links = "build/__editable__.monitor-1.0-py3-none-any/" if "strict" in way else ""
    file = installed / way / f"{WAYS[way][0]}{links}monitor/part.py"
    outside = child("-c", code)
    assert (outside.stdout, outside.stderr) == (f"0 0 {file}\n", "")  # it is no part of this project
    if first == "theirs":
        rooted = code.replace("activate()", f"activate(roots=[{str(installed / way)!r}])")
        assert child("-c", rooted).stdout.startswith("PerceiveError PerceiveError ")
    monkeypatch.chdir(installed)
    inside = child("-c", code)
    assert (inside.stdout, inside.stderr) == (f"PerceiveError PerceiveError {file}\n", "")


SCIKIT_FINDER = """\
import importlib.util, os, sys

class ScikitBuildRedirectingFinder:
    def __init__(self, known):
        self.known_source_files = known

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.known_source_files:
            return None
        redir = self.known_source_files[fullname]
        locations = [os.path.dirname(redir)] if redir.endswith("__init__.py") else None
        return importlib.util.spec_from_file_location(fullname, redir, submodule_search_locations=locations)

sys.meta_path.insert(0, ScikitBuildRedirectingFinder({{"monitor": {init!r}, "monitor.part": {part!r}}}))
"""


@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_a_finder_that_puts_itself_in_front(project: Path, tmp_path: Path, first: str) -> None:
    """As scikit-build-core has it, which needs a compiler: what comes later than ours is not seen."""
    write(project / "src", {"monitor/__init__.py": CHECKED, "monitor/part.py": CHECKED})
    init, part = (str(project / "src" / "monitor" / name) for name in ("__init__.py", "part.py"))
    text = SCIKIT_FINDER.format(init=init, part=part)
    write(
        tmp_path / "site-packages",
        {"_monitor_editable.py": text, "_monitor_editable.pth": "import _monitor_editable\n"},
    )
    starts = [f"import site\nsite.addsitedir({str(tmp_path / 'site-packages')!r})\n", OURS]
    asks = "import monitor, monitor.part as part\nprint(said(lambda: monitor.f(0)), said(lambda: part.f(0)))"
    done = child("-c", "".join(starts if first == "theirs" else starts[::-1]) + SAID + asks)
    assert (done.stdout, done.stderr) == ("PerceiveError PerceiveError\n" if first == "theirs" else "0 0\n", "")


# --------------------------------------------------------------------------- sources

SOURCES = {
    "BOM": b"\xef\xbb\xbf# poet: require='x'\ndef f(x): return 'a\xc3\xa4', x\n",
    "BOM and cookie": b"\xef\xbb\xbf# coding: utf-8\n# poet: require='x'\ndef f(x): return 'a\xc3\xa4', x\n",
    "latin-1": b"# -*- coding: latin-1 -*-\n# poet: require='x'\ndef f(x): return '\xe4', x\n",
    "cookie below": b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\n# poet: require='x'\ndef f(x): return '\x80', x\n",
    "euc-jp": "# coding: euc-jp\n# poet: require='x'\ndef f(x): return '\u65e5\u672c', x\n".encode("euc-jp"),
    "CRLF": b"'''Doc\r\nof two lines.'''\r\n# poet: require='x'\r\ndef f(x):\r\n    return '''\r\n\r\n''', x\r\n",
    "CR": b"# poet: require='x'\rdef f(x):\r    return '''\r''', x\r",
    "form feeds": b"\x0c\n\x0c# poet: require='x'\ndef f(x):\n\x0c    y = x\n    return '\x0c', y\n\x0c\n",
    "no end": b"# poet: require='x'\ndef f(x): return x",
    "tabs": b"if 1:\n\t# poet: require='x'\n\tdef f(x):\n\t\treturn x\n",
    "continued": b"# poet: require='x'\ndef f(\\\n  x): \\\n  return \\\n  x\n",
    "future": b'#!/bin/sh\n"""Doc."""\nfrom __future__ import annotations\n# poet: require=\'x\'\ndef f(x: a.b.C = 1): return x\n',
    "futures": b"from __future__ import (annotations,\n    generator_stop); y = 1\n# poet: require='x'\ndef f(x): return x\n",
    "identifiers": "# poet: require='x'\ndef f(x, \u00e4\u03c0=1, \ufb01=2):\n    return x, \u00e4\u03c0, fi\n".encode(),
    "semicolons": b"a = 1; b = 2\n# poet: require='x'\ndef f(x): y = x; return y; z = 2\nc = 3\n",
}


@pytest.mark.parametrize("name", SOURCES)
def test_sources_mean_what_they_meant(project: Path, load: Load, name: str) -> None:
    (project / "m.py").write_bytes(SOURCES[name])
    told = []
    for active in (False, True):
        m = load(None, active=active)
        told.append(
            (
                m.f(1),
                m.__doc__,
                m.f.__annotations__,
                m.f.__code__.co_firstlineno,
                sorted(vars(m)),
                m.f.__code__.co_flags,
            )
        )
        assert m.__loader__ is not None
        assert m.__loader__.get_source("m") == importlib.util.decode_source(SOURCES[name])
        assert m.f.__dict__.keys() <= {"poet"}
    assert told[0] == told[1]
    with pytest.raises(poet_hook.PerceiveError):
        m.f(0)


KINDS = """
import dataclasses, typing
from typing import Protocol, no_type_check, overload, runtime_checkable

# poet: require="True"
@overload
def o(x: int) -> int: ...
# poet: require="True"
@overload
def o(x: str) -> str: ...
# poet: require="True"
def o(x): return x

# poet: require="True"
def later(x: "Later", y: "list[Later] | None" = None) -> "Later": return x
class Later: ...

@runtime_checkable
class Sized(Protocol):
    # poet: require="True"
    def size(self) -> int: ...

@dataclasses.dataclass(order=True)
class Point:
    x: float = 0.0
    total: typing.ClassVar[int] = 3
    # poet: require="True"
    def size(self) -> float: return self.x
    # poet: require="True"
    def __post_init__(self): self.x += 1

# poet: require="True"
@no_type_check
def unchecked(x: 3, y: "nonsense" = 1) -> 7: return x

class Meta(type):
    # poet: require="True"
    def __call__(cls, *args): return super().__call__(*args)
class Made(metaclass=Meta):
    # poet: require="True"
    def __init_subclass__(cls, **kwargs): super().__init_subclass__(); cls.kwargs = kwargs
    # poet: require="True"
    def __set_name__(self, owner, name): self.name = name
    # poet: require="True"
    def __class_getitem__(cls, item): return item
class Sub(Made, a=1): part = Made()
"""
SEEN = [
    "len(typing.get_overloads(m.o))",
    "m.o('x')",
    "str(typing.get_type_hints(m.later))",
    "m.later.__annotations__",
    "isinstance(m.Point(), m.Sized), isinstance(3, m.Sized)",
    "m.Sized.__protocol_attrs__ if sys.version_info >= (3, 12) else 0",
    "[f.name for f in dataclasses.fields(m.Point)], m.Point(1), m.Point(1) < m.Point(2)",
    "m.unchecked.__no_type_check__, m.unchecked(5), typing.get_type_hints(m.unchecked)",
    "m.Sub.kwargs, m.Sub.part.name, m.Sub[3], m.Made() is not None",
    "sorted(vars(m)), sorted(vars(m.Sub)), sorted(vars(m.Point))",
]


def test_what_typing_and_classes_look_at(load: Load) -> None:
    import dataclasses
    import typing

    told = []
    for active in (False, True):
        typing.clear_overloads()
        names = {"m": load(KINDS, active=active), "typing": typing, "dataclasses": dataclasses, "sys": sys}
        told.append([str(eval(look, names)) for look in SEEN])
    assert told[0] == told[1]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax of Python 3.12")
def test_type_parameters_stay(load: Load) -> None:
    source = """\
type Alias[T] = list[T]
# poet: require="x"
def f[T: int, *Ts, **P](x: T, *rest: *Ts, y: Alias[T] | None = None) -> T:
    z: T = x
    return z
class C[T]:
    # poet: require="x"
    def m[U](self, x: T, y: U = 3) -> tuple[T, U]:
        return x, y
"""
    told = []
    for active in (False, True):
        m = load(source, active=active)
        told.append(
            (
                *(m.f(1), m.C().m(2), str(m.f.__annotations__), m.f.__code__.co_freevars, str(m.Alias.__value__)),
                *(str(each.__type_params__) for each in (m.f, m.C, m.C.m)),
            )
        )
    assert told[0] == told[1]
    with pytest.raises(poet_hook.PerceiveError):
        m.f(0)
    with pytest.raises(poet_hook.PerceiveError):
        m.C().m(0)


ONCE = """
seen = []
def note(x):
    seen.append(x)
    return x

# poet: require="note('require')" ensure="note('ensure')" key="note('key')" optimize_for=accuracy
def f(x=note("default")):
    if (y := note("walrus")) and note("and") or note("never"):
        return note(f"{note('inside')}") if note("if") else [note(i) for i in "no"]

# poet:
@note
def g(x: float = note(2.0)) -> float: return note(x)
"""


def test_everything_is_evaluated_once(load: Load) -> None:
    m = load(ONCE)
    assert m.seen[0] == "default"
    assert m.seen.pop(1) == 2.0
    assert m.seen.pop(1) is m.g
    m.f()
    m.g(3.0)
    body = ["walrus", "and", "if", "inside", "inside"]
    assert m.seen == ["default", "require", "key", *body, "ensure", 3.0]


@pytest.mark.parametrize("place", ["poet_hook.transform.compile.enhance", "poet_hook.runtime.bind.bind"])
def test_a_module_runs_once_whatever_fails(
    load: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(place, fail)
        with pytest.warns(poet_hook.PoetWarning, match="the original runs"):
            load("print('runs')\n" + CHECKED)
        assert capsys.readouterr().out == "runs\n"
        with pytest.raises(ZeroDivisionError), pytest.warns(poet_hook.PoetWarning):
            load("print('fails')\n" + CHECKED + "1 / 0\n", "n")
    with pytest.raises(ZeroDivisionError):
        load(None, "n")
    assert capsys.readouterr().out == "fails\nfails\n"


# --------------------------------------------------------------------------- how Python was started

FLAGS = """
import sys
sys.path[:0] = {path!r}
{ours}
import m
try:
    print(m.f.__doc__, m.g(0), __debug__, m.DEBUG, m.f(0))
except (AssertionError, ValueError) as error:
    print(type(error).__name__)
"""
FLAGGED = '''\
DEBUG = __debug__
# poet: require="x != 0"
def f(x):
    """Doc."""
    return x
def g(x):
    assert x, "must be"
    return x
'''


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("flags", [[], ["-O"], ["-OO"], ["-B"], ["-I"], ["-S"]])
def test_flags_of_python(project: Path, tmp_path: Path, flags: list[str]) -> None:
    write(project, {"m.py": FLAGGED})
    path = [str(PACKAGE), str(project), *([p for p in sys.path if p.endswith("-packages")] if "-S" in flags else [])]
    codes = [FLAGS.format(path=path, ours=ours) for ours in ("", OURS)]
    plain = child(*flags, "-c", codes[0])
    optimized = any(flag.startswith("-O") for flag in flags)
    doc = "None" if "-OO" in flags else "Doc."
    assert plain.stdout == (f"{doc} 0 False False 0\n" if optimized else "AssertionError\n")
    before = files_in(project)
    for _ in range(2):
        ours = child(*flags, "-c", codes[1])
        assert ours.stdout == ("PerceiveError\n" if optimized else "AssertionError\n")
        assert ours.stderr == ""
        assert files_in(project) == before  # plain bytecode, where it was written, is as it was
    written = files_in(tmp_path / "cache") if (tmp_path / "cache").exists() else []
    assert bool(written) is ("-B" not in flags)
    assert child(*flags, "-c", codes[0]).stdout == plain.stdout


def test_a_prefix_for_bytecode_holds_both_apart(project: Path, tmp_path: Path) -> None:
    write(project, {"m.py": CHECKED, "other.py": "import m\n"})
    place = str(tmp_path / "prefix")
    code = SAID + "import m, other\nprint(said(lambda: m.f(0)), m.__cached__)"
    own = f"{place}{project}/m.{sys.implementation.cache_tag}.pyc"
    for start, expected in ((OURS, "PerceiveError"), ("", "0"), (OURS, "PerceiveError"), ("", "0")):
        assert child("-c", start + code, PYTHONPYCACHEPREFIX=place).stdout == f"{expected} {own}\n"
    assert not list(project.rglob("*.pyc"))
    assert Path(own).exists()
    assert not (tmp_path / "cache").exists()


def test_where_python_has_no_name_for_its_bytecode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "implementation", types.SimpleNamespace(**{**vars(sys.implementation), "cache_tag": None}))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = cache.user_cache()
    kept.write("place", bytes(8), 1)
    assert kept.read("place", bytes(8)) is None
    assert list(tmp_path.iterdir()) == []


def without_its_rights() -> None:
    """Root may write where nobody may: not from here on (prctl PR_CAPBSET_DROP of CAP_DAC_OVERRIDE)."""
    if os.geteuid() == 0:
        assert ctypes.CDLL(None).prctl(24, 1, 0, 0, 0) == 0


def test_folders_that_can_only_be_read(project: Path, tmp_path: Path) -> None:
    """Neither the project nor the cache may be written to: everything works, and nothing is said of it."""
    write(project, {"m.py": CHECKED})
    write(tmp_path, {"cache/poet_hook/other": ""})
    folders = [project, tmp_path / "cache" / "poet_hook", tmp_path / "cache"]
    code = "import m\nprint(said(lambda: m.f(0)), m.f(1))\ntry:\n    open('new', 'w')\nexcept OSError as error:\n    print(type(error).__name__)"
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", OURS + SAID + code],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(COVERAGE_PROCESS_CONFIG=""),
            preexec_fn=without_its_rights,
        )
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert (done.stdout, done.stderr) == ("PerceiveError 1\nPermissionError\n", "")
    assert files_in(project) == ["m.py", "pyproject.toml"]
    assert files_in(tmp_path / "cache") == ["poet_hook/other"]


def test_what_the_hook_says_of_bytecode_is_true(project: Path) -> None:
    """`__cached__` names the plain file, and whoever reads it gets plain code."""
    write(project, {"m.py": CHECKED})
    code = "import m, os\nprint(m.__cached__, os.path.exists(m.__cached__), m.__spec__.cached == m.__cached__)"
    first, second = child("-c", OURS + code).stdout, child("-c", code).stdout
    cached = str(project / "__pycache__" / f"m.{sys.implementation.cache_tag}.pyc")
    assert first == f"{cached} False True\n"
    assert second == f"{cached} True True\n"
    assert b"require" not in Path(cached).read_bytes().replace(b"# poet: require", b"")


def test_a_source_that_goes_while_it_is_imported(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, {"m.py": CHECKED})
    importlib.invalidate_caches()
    real: Callable[[str], bool] = finder.has_pragma

    def gone(path: str) -> bool:
        found = real(path)
        if path.endswith("m.py"):
            os.unlink(path)
        return found

    monkeypatch.setattr(finder, "has_pragma", gone)
    with api.activated(), pytest.raises(FileNotFoundError):
        importlib.import_module("m")


def test_an_error_of_syntax_shows_no_frame_of_ours(project: Path, python: Python) -> None:
    (project / "bad.py").write_text("# poet:\ndef f(x): return x\ndef g(:\n")
    plain, ours = (
        python(f"{way}\nimport bad", check=False).stderr.replace("line 2, in <module>", "line 1, in <module>")
        for way in ("", "import poet_hook; poet_hook.activate()")
    )
    assert "SyntaxError" in plain
    assert plain.count("File") == 2
    assert ours.count("File") == 2
    assert ours.splitlines()[1:] == plain.splitlines()[1:]
