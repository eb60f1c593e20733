"""A store whose files anybody changed -> the very version that this user signed, or the original, and a reason.

Files are cut off, changed in their bytes or their JSON, and exchanged between functions and numbers.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzz import Check, Target, within
from poet_hook.errors import VersionError
from poet_hook.model import CODE, Evidence, Value, Verdict, Version
from poet_hook.settings import Settings
from poet_hook.settings import load as settings_of
from poet_hook.transform.compile import compile_module
from poet_hook.transform.plan import plan_module
from poet_hook.versions.chain import Chain, functions_with_versions
from poet_hook.versions.pointer import FIRST, Pointer

_SECONDS = 3.0
_SOURCE = """\
# poet: optimize_for=accuracy
def f(x: float) -> bool:
    return x > 2.5

# poet: optimize_for=accuracy
def g(x: float) -> bool:
    return x > 2.5
"""
_OTHER = "def f(x: float) -> bool:\n    return 4.0 < x < 9.0\n"
_EVIDENCE = Evidence(labelled=20, wins=9.5, losses=1, e_value=33.0, before=0.5, after=0.9, silent=3)
_VERDICT = Verdict("promote", "proven", 0.05, _EVIDENCE, ("fixes 9 of 10",), isolation="closed")
_VALUES: dict[str, list[dict[str, Value]]] = {
    "m:f": [{"constant": 3.5}, {CODE: _OTHER}],
    "m:g": [{"constant": 3.5}, {"constant": 6.0}],
}
_XS = (1.0, 3.0, 5.0, 9.5)

_junk = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just([]), st.just({}), st.just("x" * 70_000),
    st.sampled_from(["m:f", "m:g", "proven", "closed", CODE, "constant", "f.g:h", "../../x", 2, 3, 1 << 70, {"code": _OTHER}]),
)  # fmt: skip
_place = st.integers(0, 1 << 16)
_KINDS = ("cut", "byte", *["field"] * 4, "away", "junk", "text", "nested", "file", "folder", "link", "pointer")
_CHANGE = st.tuples(st.sampled_from(_KINDS), _place, _place, _place, _junk)
_TEXTS = (b"import os\n", b"", b"\xff\xfe", b"\0", b"9" * 5000, b"x > 2.0", b"# poet: retries=9\n")


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    project = folder / "project"
    project.mkdir(parents=True)
    source = project / "m.py"
    source.write_text(_SOURCE, encoding="utf-8")
    environ = {"HOME": str(folder), "POET_USER_DIR": str(folder / "user"), "POET_HOME": str(project / ".poet")}
    settings = settings_of(project, environ)
    signed = _signed(settings, source)
    pointed = {function: Chain(settings, function).pointer() for function in _VALUES}
    home = settings.home / "functions"
    kept = {path.relative_to(home): path.read_bytes() for path in home.rglob("*") if path.is_file()}

    def check(changes: Any) -> None:
        _restore(home, kept)
        for change in changes:
            with contextlib.suppress(OSError):  # an earlier one took away what this one wants
                _change(home, change)
        with within(_SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the one that says why the original runs
            _look(settings, source, signed, pointed)

    for plan in (target.plan for target in plan_module(_SOURCE, str(source), "m").targets):
        assert Chain(settings, plan.function).champion(plan).version == 3, "nothing is found where nothing was changed"
    yield check


def _restore(home: Path, kept: dict[Path, bytes]) -> None:
    for path in sorted(home.rglob("*"), reverse=True):
        if path.is_symlink() or (path.is_file() and path.relative_to(home) not in kept):
            path.unlink()
        elif path.is_dir() and not any(name.is_relative_to(path.relative_to(home)) for name in kept):
            path.rmdir()
    for name, data in kept.items():
        path = home / name
        if not path.exists() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def _signed(settings: Settings, source: Path) -> dict[tuple[str, int], Version]:
    """Store the versions; what is stored, by function and number."""
    signed: dict[tuple[str, int], Version] = {}
    for target in plan_module(_SOURCE, str(source), "m").targets:
        chain = Chain(settings, target.plan.function)
        for values in _VALUES[target.plan.function]:
            (name,) = values
            named = {name if name == CODE else _tunable(target.plan): next(iter(values.values()))}
            chain.add(target.plan, 1, named, _VERDICT, "what runs")
        for number in chain.numbers():
            signed[chain.function, number] = chain.read(number)
        chain.point(3, [1, 2])
    return signed


def _tunable(plan: Any) -> str:
    return next(tunable.name for tunable in plan.tunables if tunable.kind == "number")


def _look(
    settings: Settings, source: Path, signed: dict[tuple[str, int], Version], pointed: dict[str, Pointer]
) -> None:
    assert set(functions_with_versions(settings)) <= {"m:f", "m:g"} | {f"m:{name}" for name in ("f.g", "g.f")}
    for function in ("m:f", "m:g"):
        chain = Chain(settings, function)
        for number in {*chain.numbers(), 1, 2, 3}:
            try:
                version = chain.read(number)
            except VersionError:
                continue
            assert version == signed.get((function, number)), f"v{number} of {function} was taken, and is another"
        with contextlib.suppress(VersionError):
            assert chain.pointer() in (FIRST, pointed[function]), "a pointer was taken that this user did not write"
        chain.versions()

    def champion(plan: Any) -> Any:
        chosen = Chain(settings, plan.function).champion(plan)
        expected = signed.get((plan.function, chosen.version))
        assert chosen.version == 1 or (expected and chosen.values == expected.values)
        return chosen

    compiled = compile_module(_SOURCE, str(source), "m", champion)
    for plan in compiled.plans:
        stored = [each.values for (function, _), each in signed.items() if function == plan.function]
        assert Chain(settings, plan.function).champion(plan).values in [{}, *stored]


# --------------------------------------------------------------------------- what somebody does to the files


def _change(home: Path, change: tuple[str, int, int, int, Any]) -> None:
    kind, one, two, three, junk = change
    files = sorted(path for path in home.rglob("*") if path.is_file())
    folders = sorted(path for path in home.rglob("v*") if path.is_dir())
    documents = [path for path in files if path.suffix == ".json"]
    if not files or not folders or not documents:
        return
    path, other = files[one % len(files)], files[two % len(files)]
    data = path.read_bytes()
    if kind == "cut":
        path.write_bytes(data[: two % (len(data) + 1)])
    elif kind == "byte" and data:
        place = two % len(data)
        path.write_bytes(data[:place] + bytes([three % 256]) + data[place + three % 2 :])
    elif kind == "field":
        _change_field(documents[one % len(documents)], two, three, junk)
    elif kind == "away":
        path.unlink()
    elif kind == "junk":
        path.write_bytes(random.Random(two).randbytes(three % 2_000))
    elif kind == "text":
        path.write_bytes(data + _TEXTS[two % len(_TEXTS)] if three % 2 else _TEXTS[two % len(_TEXTS)])
    elif kind == "nested":
        path.write_bytes((b"[" if three % 2 else b'{"a":') * (two % 60_000))
    elif kind == "file":  # as of another version or function
        path.write_bytes(other.read_bytes())
    elif kind == "folder":
        _exchange(folders[one % len(folders)], folders[two % len(folders)], three)
    elif kind == "link":
        path.unlink()
        path.symlink_to(other)
    else:
        _point(home, one, two, junk)


def _like(value: Any, place: int) -> Any:
    """Another value of that kind."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, (int, float)):
        return value + (1, -1, 0.5)[place % 3]
    return value + "x" if isinstance(value, str) else value


def _change_field(path: Path, place: int, how: int, junk: Any) -> None:
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return
    slots: list[tuple[Any, Any]] = []
    open_: list[Any] = [document]
    while open_:
        node = open_.pop()
        inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in list(inside):
            slots.append((node, key))
            open_.append(value)
    if slots:
        node, key = slots[place % len(slots)]
        if isinstance(node, dict) and place % 5 == 0:
            del node[key]
        elif isinstance(node, dict) and place % 5 == 1:
            node[str(junk)[:20]] = node.pop(key)
        else:
            node[key] = _like(node[key], place) if how % 3 else junk
    path.write_text(json.dumps(document), encoding="utf-8")


def _exchange(one: Path, other: Path, how: int) -> None:
    if how % 3 == 0:  # a version of one is a further version of the other
        shutil.copytree(one, other.parent / f"v{4 + how % 3}", dirs_exist_ok=True)
    elif how % 3 == 1 and one != other:
        shutil.rmtree(other)
        shutil.copytree(one, other)
    elif one != other:
        between = one.with_name("between")
        os.rename(one, between)
        os.rename(other, one)
        os.rename(between, other)


def _point(home: Path, one: int, two: int, junk: Any) -> None:
    folder = home / ("m.f", "m.g")[one % 2]
    champion = (two % 6, junk, -1, 1 << 30)[two % 4]
    document = {"champion": champion, "history": [1, champion, 2][: two % 4], "since": two / 7}
    (folder / "champion.json").write_text(json.dumps(document), encoding="utf-8")


VERSIONS = Target("version loader", st.lists(_CHANGE, min_size=1, max_size=4), _opened)
