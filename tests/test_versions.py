from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from conftest import Load, Python, environment, numbers_of

from poet_hook import api
from poet_hook.errors import MovedError, StoreError, VersionError, VersionWarning
from poet_hook.model import Evidence, Plan, Verdict, Version
from poet_hook.runtime.slot import slots
from poet_hook.settings import Settings
from poet_hook.transform.plan import plan_module
from poet_hook.versions import promote as steps
from poet_hook.versions import sign
from poet_hook.versions.chain import Chain, generation_path
from poet_hook.versions.diff import diff
from poet_hook.versions.files import write_atomic
from poet_hook.versions.find import functions_of
from poet_hook.versions.watch import refresh, watch

SOURCE = """\
# poet: optimize_for=accuracy
def f(x):
    return x > 2.5  # poet: tune 0..10
"""
VERDICT = Verdict(
    decision="promote",
    level="proven",
    alpha=0.05,
    evidence=Evidence(labelled=20, wins=9.5, losses=1, e_value=33.0, before=0.5, after=0.9, silent=3),
    reasons=("fixes 9 of 10",),
    regressions=("a",),
    flips=("b", "c"),
)


def plan_of(function: str = "m:f", source: str = SOURCE) -> Plan:
    module, _, qualname = function.partition(":")
    targets = plan_module(textwrap.dedent(source), f"{module}.py", module).targets
    return next(target.plan for target in targets if target.plan.qualname == qualname)


def chain_of(function: str = "m:f") -> Chain:
    return Chain(api.settings(), function)


def add(value: float = 3.5, function: str = "m:f", source: str = SOURCE) -> int:
    """A version with every number of the function at `value`; its number."""
    plan = plan_of(function, source)
    return chain_of(function).add(plan, 1, {t.name: value for t in numbers_of(plan)}, VERDICT, "# shown\n").number


def promote(value: float = 3.5, function: str = "m:f", source: str = SOURCE) -> int:
    number = add(value, function, source)
    steps.promote(chain_of(function), number, plan_of(function, source))
    return number


def folder(number: int | None = None) -> Path:
    place = api.settings().home / "functions" / "m.f"
    return place if number is None else place / f"v{number}"


# --------------------------------------------------------------------------- writing and reading


def test_a_version_is_files_that_a_person_reads(project: Path) -> None:
    assert chain_of().numbers() == []
    assert chain_of().versions() == []
    made = chain_of().add(plan_of(), 1, {"x_limit": 3.5}, VERDICT, "# shown\n")
    assert folder() == project / ".poet" / "functions" / "m.f"
    assert sorted(path.name for path in folder().iterdir()) == ["v1", "v2"]
    assert sorted(path.name for path in folder(1).iterdir()) == ["operate.py", "version.json"]
    assert sorted(path.name for path in folder(2).iterdir()) == ["enhanced.py", "operate.py", "version.json"]
    assert (folder(1) / "operate.py").read_text() == plan_of().source
    assert (folder(2) / "operate.py").read_text() == plan_of().source.replace("2.5", "3.5")
    assert (folder(2) / "enhanced.py").read_text() == "# shown\n"
    written = json.loads((folder(2) / "version.json").read_text())
    assert (written["number"], written["parent"], written["values"]) == (2, 1, {"x_limit": 3.5})
    assert written["verdict"]["evidence"]["e_value"] == 33.0
    assert chain_of().read(2) == made
    assert made.level == "proven"
    first = chain_of().read(1)
    assert (first.source, first.verdict, first.level, first.parent) == (plan_of().source, None, None, None)
    assert chain_of().versions() == [first, made]


def test_numbers_go_on(project: Path) -> None:
    assert [add(), add(4), add(5)] == [2, 3, 4]
    shutil.rmtree(folder(3))
    assert add(6) == 5
    (folder() / "v01").mkdir()
    (folder() / "vx").mkdir()
    (folder() / "notes.txt").touch()
    assert chain_of().numbers() == [1, 2, 4, 5]
    assert add(7) == 6


def test_integers_and_odd_numbers_come_back(project: Path) -> None:
    source = "# poet: optimize_for=f1\ndef f(x):\n    return 1e-300 < x < 3\n"
    plan = plan_of(source=source)
    values = {plan.tunables[0].name: 0.1 + 0.2, plan.tunables[1].name: 7}
    chain_of().add(plan, 1, values, None, "")
    version = chain_of().read(2)
    assert version.values == values
    assert version.source == "def f(x):\n    return 0.30000000000000004 < x < 7\n"
    steps.promote(chain_of(), 2, plan)
    assert chain_of().champion(plan).values == values


def test_no_draft_is_left(project: Path) -> None:
    for _ in range(3):
        promote()
    assert list((api.settings().home / "functions").rglob(".*")) == []


def test_a_missing_version(project: Path) -> None:
    add()
    with pytest.raises(VersionError, match=r"m:f has no version 9 .*version\.json is missing"):
        chain_of().read(9)
    with pytest.raises(VersionError, match="no version 9"):
        steps.promote(chain_of(), 9)


def test_a_home_that_can_not_be_written(project: Path) -> None:
    (project / ".poet").write_text("in the way")
    with pytest.raises(StoreError, match="the version can't be written"):
        add()
    with pytest.raises(StoreError, match="the champion can't be changed"):
        chain_of().point(2, [1])
    assert chain_of().numbers() == []
    assert chain_of().champion_number() == 1


def test_a_full_disk_leaves_the_old_champion(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promote()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        steps.rollback(chain_of())
    assert chain_of().champion_number() == 2
    assert [p for p in folder().iterdir() if p.name.startswith(".")] == []
    with pytest.raises(OSError):
        write_atomic(project / "new.txt", "text")
    assert not (project / "new.txt").exists()


# --------------------------------------------------------------------------- the champion


def test_promote_and_rollback(project: Path) -> None:
    plan = plan_of()
    add(3)
    add(4)
    chain = chain_of()
    assert (chain.champion_number(), chain.history()) == (1, [])
    assert steps.promote(chain, 2, plan) == 1
    assert steps.promote(chain, 3, plan) == 2
    assert steps.promote(chain, 3, plan) == 3
    assert (chain.champion_number(), chain.history()) == (3, [1, 2])
    assert steps.rollback(chain) == (3, 2)
    assert steps.rollback(chain) == (2, 1)
    with pytest.raises(VersionError, match="v1 is in use, and no other was in use before it"):
        steps.rollback(chain)
    assert steps.promote(chain, 2, plan) == 1
    assert steps.promote(chain, 1, plan) == 2
    assert chain.champion(plan).version == 1


def test_each_move_tells_running_processes(project: Path) -> None:
    seen = set()
    for value in (3, 4):
        promote(value)
        seen.add(generation_path(api.settings()).read_text())
    steps.rollback(chain_of())
    seen.add(generation_path(api.settings()).read_text())
    assert len(seen) == 3


def test_what_does_not_fit_is_not_promoted(project: Path) -> None:
    add()
    edited = SOURCE.replace("return", "return  ")
    with pytest.raises(VersionError, match="m:f was edited after v2 was learned"):
        steps.promote(chain_of(), 2, plan_of(source=edited))
    assert chain_of().champion_number() == 1


POINTERS = ["", "[]", "{}", "3", '{"champion": 2}', '{"champion": "2", "history": []}', "\xff", "[" * 100_000, "null"]
POINTERS += ['{"champion": true, "history": [], "since": 0.0}', '{"champion": 2, "history": ["1"], "since": 0.0}']
MISSING = [f'{{"champion": {n}, "history": [], "since": 0.0}}' for n in ("99", "0", "-1", "1" + "0" * 400)]


@pytest.mark.parametrize("text", POINTERS + MISSING)
def test_a_damaged_pointer(load: Load, text: str) -> None:
    promote()
    (folder() / "champion.json").write_text(text, encoding="latin-1")
    with pytest.warns(VersionWarning, match="m:f: the original runs: ") as caught:
        m = load(SOURCE)
    assert len(caught) == 1
    assert m.f(3)
    if text in POINTERS:
        with pytest.raises(VersionError, match="Choose again: poet_hook promote m:f VERSION"):
            chain_of().champion_number()
        with pytest.raises(VersionError, match="Choose again"):
            steps.rollback(chain_of())
    for number in (1, 2):
        (folder() / "champion.json").write_text(text, encoding="latin-1")
        steps.promote(chain_of(), number, plan_of())
        assert chain_of().champion_number() == number


# --------------------------------------------------------------------------- what can't be trusted


def edit(**changes: Any) -> Callable[[Path], None]:
    def apply(place: Path) -> None:
        path = place / "version.json"
        record = json.loads(path.read_text())
        path.write_text(json.dumps({k: v for k, v in {**record, **changes}.items() if v is not None}))

    return apply


def text(content: str | bytes, name: str = "version.json") -> Callable[[Path], None]:
    data = content if isinstance(content, bytes) else content.encode()

    def apply(place: Path) -> None:
        (place / name).write_bytes(data)

    return apply


def drop(name: str) -> Callable[[Path], None]:
    return lambda place: (place / name).unlink()


def replaced(name: str, make: Callable[[Path], Any]) -> Callable[[Path], None]:
    def apply(place: Path) -> None:
        path = place / name
        path.rename(place / "kept")
        make(path)

    return apply


def other_version(place: Path) -> None:
    number = add(4)
    shutil.rmtree(place)
    folder(number).rename(place)


def other_function(place: Path) -> None:
    source = SOURCE.replace("def f", "def g")
    number = add(3.5, "m:g", source)
    shutil.rmtree(place)
    (place.parent.parent / "m.g" / f"v{number}").rename(place)


def change(place: Path, path: str, value: Any) -> None:
    record = json.loads((place / "version.json").read_text())
    inner = record
    *parents, last = path.split(".")
    for name in parents:
        inner = inner[name]
    inner[last] = value
    (place / "version.json").write_text(json.dumps(record))


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "folder gone": (shutil.rmtree, "has no version 2"),
    "json gone": (drop("version.json"), "has no version 2"),
    "text gone": (drop("operate.py"), "has no version 2"),
    "empty": (text(""), "is damaged"),
    "half": (lambda p: text((p / "version.json").read_bytes()[:100])(p), "is damaged"),
    "binary": (text(b"\xff\xfe\x00"), "is damaged"),
    "list": (text("[]"), "is damaged"),
    "null": (text("null"), "is damaged"),
    "object": (text("{}"), "is damaged"),
    "deep": (text("[" * 200_000), "is damaged"),
    "large": (text("[" + "1," * 600_000 + "1]"), "larger than"),
    "folder in place": (replaced("version.json", Path.mkdir), "is damaged"),
    "fifo in place": (replaced("version.json", os.mkfifo), "is damaged"),
    "link in place": (replaced("version.json", lambda p: p.symlink_to("kept")), "is damaged"),
    "text is a link": (replaced("operate.py", lambda p: p.symlink_to("kept")), "is damaged"),
    "text is a device": (replaced("operate.py", lambda p: p.symlink_to("/dev/zero")), "is damaged"),
    "no signature": (edit(signature=None), "is damaged"),
    "signature is a number": (edit(signature=3), "is damaged"),
    "signature is no ASCII": (edit(signature="é"), "was not made by this user, or was edited"),
    "wrong signature": (edit(signature="0" * 64), "was not made by this user, or was edited"),
    "empty signature": (edit(signature=""), "was not made by this user, or was edited"),
    "number": (edit(number=3), "was not made by this user, or was edited"),
    "function": (edit(function="m:g"), "was not made by this user, or was edited"),
    "source hash": (edit(source_hash="0" * 64), "was not made by this user, or was edited"),
    "level": (edit(level="provisional"), "was not made by this user, or was edited"),
    "extra": (edit(extra=1), "was not made by this user, or was edited"),
    "value": (lambda p: change(p, "values.x_limit", 9.0), "was not made by this user, or was edited"),
    "evidence": (lambda p: change(p, "verdict.evidence.wins", 99), "was not made by this user, or was edited"),
    "value is text": (lambda p: change(p, "values.x_limit", "9"), "was not made by this user, or was edited"),
    "value is true": (lambda p: change(p, "values.x_limit", True), "is damaged"),
    "text edited": (text("def f(x):\n    return True\n", "operate.py"), "operate.py was edited"),
    "text with other line ends": (
        lambda p: text((p / "operate.py").read_bytes().replace(b"\n", b"\r\n"), "operate.py")(p),
        "operate.py was edited",
    ),
    "text is no text": (text(b"\xff", "operate.py"), "is damaged"),
    "another version": (other_version, "belongs to m:f v3"),
    "another function": (other_function, "belongs to m:g v2"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_a_warning_and_the_original_runs(load: Load, name: str) -> None:
    damage, reason = DAMAGE[name]
    promote()
    damage(folder(2))
    with pytest.warns(VersionWarning) as caught:
        m = load(SOURCE)
    (warning,) = caught
    assert str(warning.message).startswith("m:f: the original runs: ")
    assert reason in str(warning.message).replace(f"{folder(2)}/", "")
    assert m.f(3)
    assert api.store().count("m:f") == 1
    assert next(api.store().executions("m:f")).version == 1
    with pytest.raises(VersionError):
        steps.promote(chain_of(), 2)


def test_damaged_versions_are_left_out_of_lists(project: Path) -> None:
    add(3)
    add(4)
    text("{}")(folder(2))
    with pytest.warns(VersionWarning, match="v2 is damaged"):
        versions = chain_of().versions()
    assert [v.number for v in versions] == [1, 3]


def test_what_is_shown_is_not_what_runs(load: Load) -> None:
    promote()
    (folder(2) / "enhanced.py").write_text("raise SystemExit")
    assert not load(SOURCE).f(3)


@pytest.mark.parametrize("gone", [True, False])
def test_versions_of_another_user(load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gone: bool) -> None:
    promote()
    monkeypatch.setenv("POET_USER_DIR", str(tmp_path / "other"))
    if not gone:
        sign.make_key(made_folder(tmp_path / "other") / "signing.key")
    api.settings.cache_clear()
    with pytest.warns(VersionWarning, match="was not written by this user, or was edited"):
        assert load(SOURCE).f(3)
    assert (tmp_path / "other" / "signing.key").exists() is not gone


def made_folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_the_key_is_private_and_made_once(project: Path, tmp_path: Path) -> None:
    place = tmp_path / "user" / "deep"
    settings = replace(api.settings(), user_dir=place)
    assert not sign.verified(b"a", "", settings)
    assert not place.exists()
    first = sign.signature(b"a", settings)
    assert sign.signature(b"a", settings) == first != sign.signature(b"b", settings)
    assert sign.verified(b"a", first, settings)
    assert not sign.verified(b"b", first, settings)
    key = place / "signing.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert [p.name for p in place.iterdir()] == ["signing.key"]
    assert project not in key.parents


def test_keys_that_are_none(load: Load, tmp_path: Path) -> None:
    promote()
    key = api.settings().user_dir / "signing.key"
    key.write_bytes(b"short")
    with pytest.warns(VersionWarning, match="not a key of 32 bytes"):
        assert load(SOURCE).f(3)
    with pytest.raises(VersionError, match="not a key of 32 bytes"):
        add()
    shutil.rmtree(key.parent)
    key.parent.write_text("in the way")
    with pytest.warns(VersionWarning, match="was not written by this user"):
        assert load(SOURCE).f(3)
    with pytest.raises(VersionError, match="can't be read or made"):
        add()


def signed(version: Version) -> None:
    """Store a version that this user signed, whatever it says."""
    chain = chain_of()
    assert chain._write(version, "")
    chain.point(version.number, [1])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"values": {"x_limit": 99.0}}, "sets 'x_limit' to 99, outside its range"),
        ({"values": {"x_limit": -1.0}}, "sets 'x_limit' to -1, outside its range"),
        ({"values": {"x_limit": float("nan")}}, "which is no number"),
        ({"values": {"x_limit": float("inf")}}, "which is no number"),
        ({"values": {"other": 1.0}}, "changes 'other', which is nothing of m:f to tune"),
        ({"source": "def f(x):\n    return __import__('os')\n"}, "changes more of m:f than its values"),
        ({"source_hash": "0" * 64}, "m:f was edited after v2 was learned"),
    ],
)
def test_signed_versions_must_fit_too(load: Load, changes: dict[str, Any], reason: str) -> None:
    number = add()
    version = replace(chain_of().read(number), **changes)
    shutil.rmtree(folder(number))
    signed(version)
    with pytest.warns(VersionWarning, match="the original runs: ") as caught:
        assert load(SOURCE).f(3)
    assert reason in str(caught[0].message)


def test_an_edited_function_runs_as_edited(load: Load) -> None:
    promote()
    edited = SOURCE.replace("2.5", "2.0")
    with pytest.warns(VersionWarning, match=r"m:f was edited after v2 was learned.*poet_hook promote m:f 1"):
        m = load(edited)
    assert m.f(2.2)


@pytest.mark.parametrize(
    "moved",
    ["import os\n\n\n" + SOURCE, SOURCE.replace("accuracy", "f1"), SOURCE.replace("def", "@staticmethod\ndef")],
)
def test_edits_around_the_function_change_nothing(load: Load, moved: str) -> None:
    promote()
    assert not load(moved).f(3)


# --------------------------------------------------------------------------- swapping


def test_the_next_import_loads_the_champion(load: Load) -> None:
    promote()
    m = load(SOURCE)
    assert (m.f(3), m.f(4)) == (False, True)
    assert [e.version for e in api.store().executions("m:f")] == [2, 2]


def test_the_running_function_changes_and_goes_back(load: Load) -> None:
    m = load(SOURCE)
    f, code = m.f, m.f.__code__
    assert f(3)
    promote()
    assert f(3)
    assert refresh(api.settings()) == [("m:f", 2)]
    assert not f(3)
    assert refresh(api.settings()) == []
    steps.rollback(chain_of())
    assert refresh(api.settings()) == [("m:f", 1)]
    assert f(3)
    assert f is m.f
    assert f.__code__ is not code
    assert f.__code__.co_firstlineno == code.co_firstlineno
    assert [e.version for e in api.store().executions("m:f")] == [1, 1, 2, 1]


def test_promotion_through_the_public_face(load: Load) -> None:
    m = load(SOURCE)
    assert m.f(3)
    add()
    assert api.promote(m.f, 2) == 1
    assert not m.f(3)
    assert api.champion("f") == 2
    assert [v.number for v in api.versions_of("m:f")] == [1, 2]
    assert "x > 3.5" in api.show(m.f)
    assert api.rollback("m:f") == (2, 1)
    assert m.f(3)


MANY = """
    import functools

    def opaque(function):
        return lambda *args: function(*args)

    def wrapped(function):
        @functools.wraps(function)
        def call(*args):
            return function(*args)
        return call

    # poet: optimize_for=accuracy
    @opaque
    def hidden(x): return x > 2.5

    # poet: optimize_for=accuracy
    @wrapped
    @wrapped
    def twice(x): return x > 2.5

    # poet: optimize_for=accuracy
    @functools.lru_cache(maxsize=0)
    def cached(x): return x > 2.5

    class Base:
        def m(self, x): return False

    class C(Base):
        limit = 0

        # poet: optimize_for=accuracy
        def m(self, x): return super().m(x) or x > 2.5

        # poet: optimize_for=accuracy
        @classmethod
        def c(cls, x): return x > 2.5

        # poet: optimize_for=accuracy
        @staticmethod
        def s(x): return x > 2.5

        # poet: optimize_for=accuracy
        @property
        def p(self): return self.x > 2.5

        @property
        def q(self): return self.__seen

        # poet: optimize_for=accuracy
        @q.setter
        def q(self, x): self.__seen = x > 2.5

    class D(C):
        pass

    # poet: optimize_for=accuracy
    def recursive(x, depth=3): return x > 2.5 if depth == 0 else recursive(x, depth - 1)

    # poet: optimize_for=accuracy
    def with_defaults(x, *, k=[1], **rest): return x > 2.5

    later = {"held": with_defaults}

    # poet: optimize_for=accuracy
    def never_changed(x): return x > 2.5
"""
WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "hidden": lambda m, x: m.hidden(x),
    "twice": lambda m, x: m.twice(x),
    "cached": lambda m, x: m.cached(x),
    "C.m": lambda m, x: m.D().m(x),
    "C.c": lambda m, x: m.D.c(x),
    "C.s": lambda m, x: m.D().s(x),
    "C.p": lambda m, x: set_and(m.D(), x=x).p,
    "C.q": lambda m, x: set_and(m.D(), q=x).q,
    "recursive": lambda m, x: m.recursive(x),
    "with_defaults": lambda m, x: m.later["held"](x),
}


def set_and(value: Any, **attributes: Any) -> Any:
    for name, attribute in attributes.items():
        setattr(value, name, attribute)
    return value


def test_every_kind_of_function_follows(load: Load) -> None:
    m = load(MANY)
    bound = m.C().m
    for name, way in WAYS.items():
        assert (way(m, 3), way(m, 2)) == (True, False), name
        promote(3.5, f"m:{name}", MANY)
    assert sorted(refresh(api.settings())) == sorted((f"m:{name}", 2) for name in WAYS)
    for name, way in WAYS.items():
        assert (way(m, 3), way(m, 4)) == (False, True), name
    assert not bound(3)
    assert m.never_changed(3)
    for name in WAYS:
        steps.rollback(chain_of(f"m:{name}"))
    refresh(api.settings())
    assert all(way(m, 3) for way in WAYS.values())


def test_names_imported_from_the_module_follow(load: Load) -> None:
    m = load(SOURCE)
    user = load("from m import f\ndef g(x): return f(x)\n", "user")
    held = [m.f]
    promote()
    refresh(api.settings())
    assert not any((user.f(3), user.g(3), held[0](3)))


def test_a_call_in_progress_ends_as_it_began(load: Load) -> None:
    source = """
        # poet: optimize_for=accuracy
        def f(x, then=None):
            if then:
                then()
            return x > 2.5
    """
    m = load(source)

    def swap() -> None:
        promote(3.5, source=source)
        refresh(api.settings())

    assert m.f(3, swap)
    assert not m.f(3)


def test_the_line_numbers_are_those_of_the_import(load: Load, project: Path) -> None:
    source = "# poet: optimize_for=accuracy\n@staticmethod\ndef f(x):\n    return 1 / 0 if x > 2.5 else 0\n"
    m = load(source)
    (project / "m.py").write_text("'''\nsome\nlines\nmore'''\n" + source)
    promote(3.5, source=source)
    refresh(api.settings())
    assert m.f(3) == 0
    with pytest.raises(ZeroDivisionError) as caught:
        m.f(4)
    assert caught.traceback[-1].lineno == 3


def test_what_was_edited_on_disk_goes_on_as_it_is(load: Load, project: Path) -> None:
    m = load(SOURCE)
    promote()
    (project / "m.py").write_text(SOURCE.replace("2.5", "2.25"))
    assert refresh(api.settings()) == []
    assert m.f(3)


@pytest.mark.parametrize("content", [None, b"def f(:", b"\xff", b"# poet: optimize_for=f1\ndef g(x): return x > 1\n"])
def test_a_source_that_has_gone(load: Load, project: Path, content: bytes | None) -> None:
    m = load(SOURCE)
    promote()
    (project / "m.py").unlink()
    if content is None or b"def g" not in content:
        if content:
            (project / "m.py").write_bytes(content)
        with pytest.warns(VersionWarning, match=r"m\.py: a new version could not be loaded: "):
            assert refresh(api.settings()) == []
    else:
        (project / "m.py").write_bytes(content)
        assert refresh(api.settings()) == []
    assert m.f(3)


def test_damage_found_while_running_brings_the_original_back(load: Load) -> None:
    promote(3.5)
    m = load(SOURCE)
    assert not m.f(3)
    promote(4.5)
    text("{}")(folder(3))
    with pytest.warns(VersionWarning, match="the original runs"):
        assert refresh(api.settings()) == [("m:f", 1)]
    assert m.f(3)
    (folder() / "champion.json").write_text("{}")
    assert refresh(api.settings()) == []
    assert m.f(3)


def test_reloading_while_an_old_function_is_held(load: Load, project: Path) -> None:
    m = load(SOURCE)
    old = m.f
    edited = SOURCE.replace("return", "return  ")
    m = load(edited)
    promote(3.5, source=edited)
    assert refresh(api.settings()) == [("m:f", 2)]
    assert not m.f(3)
    assert old(3)


def test_one_file_under_two_names(load: Load, project: Path) -> None:
    first = load(SOURCE, "pack.m")
    sys.path.insert(0, str(project / "pack"))
    try:
        second = load(None, "m")
    finally:
        sys.path.remove(str(project / "pack"))
    assert first.__file__ == second.__file__
    promote(3.5, "pack.m:f")
    assert refresh(api.settings()) == [("pack.m:f", 2), ("pack.m:f", 2)]
    for module in first, second:
        assert [module.f(x) for x in (3, 4, 5)] == [False, True, True]


class Sulky:
    def __getattribute__(self, name: str) -> object:
        raise ImportError(f"{name} can't be had")


def test_a_module_that_can_not_be_touched_is_in_nobodys_way(load: Load) -> None:
    sys.modules["sulky"] = Sulky()  # type: ignore[assignment]
    try:
        m = load(SOURCE)
        promote(3.5)
        assert refresh(api.settings()) == [("m:f", 2)]
        assert m.f(3) is False
    finally:
        del sys.modules["sulky"]


def test_a_folder_that_is_a_link_is_not_written_to(load: Load, project: Path, tmp_path: Path) -> None:
    load(SOURCE)
    (tmp_path / "elsewhere").mkdir()
    (project / ".poet" / "functions").mkdir(parents=True)
    (project / ".poet" / "functions" / "m.f").symlink_to(tmp_path / "elsewhere")
    for write in lambda: chain_of().add(plan_of(), 1, {"x_limit": 3.5}, VERDICT, ""), lambda: chain_of().point(2, []):
        with pytest.raises(StoreError, match="is a symbolic link"):
            write()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_functions_that_do_not_learn_are_not_looked_for(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    load("# poet: retries=1\ndef f(x): return x > 2.5\n")
    monkeypatch.setattr(Chain, "champion_number", lambda self: 1 / 0)
    assert refresh(api.settings()) == []
    assert watch.thread is None


def test_functions_are_found_again(load: Load) -> None:
    m = load(MANY)
    found = {slot.qualname: functions_of(slot) for slot in slots()}
    assert set(found) == {*WAYS, "never_changed"}
    assert all(type(function) is FunctionType for (function,) in found.values())
    assert found["C.s"] == [m.C.s]


# --------------------------------------------------------------------------- other processes


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def test_another_thread_follows_by_itself(load: Load) -> None:
    api.activate()
    m = load(SOURCE)
    promote()
    eventually(lambda: not m.f(3))
    steps.rollback(chain_of())
    eventually(lambda: bool(m.f(3)))
    api.deactivate()
    assert watch.thread is None


WATCHER = """
import sys
import poet_hook
poet_hook.activate()
from m import f
for line in sys.stdin:
    print(f(float(line)), flush=True)
"""


class Watcher:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WATCHER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def ask(self, value: float) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{value}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0


def test_another_process_follows_by_itself(project: Path) -> None:
    (project / "m.py").write_text(SOURCE)
    first, second = Watcher(), Watcher()
    assert [first.ask(3), second.ask(3)] == ["True", "True"]
    promote()
    eventually(lambda: first.ask(3) == second.ask(3) == "False")
    steps.rollback(chain_of())
    eventually(lambda: first.ask(3) == second.ask(3) == "True")
    first.end()
    second.end()
    assert set(api.store().versions_used("m:f")) == {1, 2}


def test_a_child_forked_right_after_a_promotion_follows(load: Load) -> None:
    api.activate()
    m = load(SOURCE)
    assert m.f(3)
    promote()  # this process has had no time to look
    child = os.fork()
    if child == 0:
        status = 1
        try:
            eventually(lambda: not m.f(3))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    eventually(lambda: not m.f(3))


def test_the_watch_is_started_once(load: Load) -> None:
    api.activate()
    load(SOURCE)
    thread = watch.thread
    load("# poet: optimize_for=f1\ndef g(x): return x > 2\n", "other")
    assert watch.thread is thread
    assert [t.name for t in threading.enumerate()].count("poet_hook watch") == 1
    other = replace(api.settings(), home=api.settings().root / "elsewhere")
    watch.start(other)
    assert watch.thread is not thread
    assert [t.name for t in threading.enumerate()].count("poet_hook watch") == 1


def test_without_a_thread_to_be_had_functions_are_enhanced_all_the_same(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    m = load(SOURCE.replace("accuracy", "accuracy require='x'"))
    with pytest.raises(ValueError):
        m.f(0)


ADDER = """
import sys
sys.path.insert(0, {tests!r})
from test_versions import add
print(*[add(float(sys.argv[1])) for _ in range(8)])
"""


def test_processes_add_versions_at_once(project: Path, python: Python) -> None:
    said: list[str] = []

    def run(value: int) -> None:
        said.append(python(ADDER.format(tests=str(Path(__file__).parent)), str(value)).stdout)

    threads = [threading.Thread(target=run, args=(n,)) for n in (3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = sorted(int(word) for line in said for word in line.split())
    assert numbers == list(range(2, 18))
    versions = chain_of().versions()  # each is whole, and signed by the one key that both of them made
    assert [v.number for v in versions] == list(range(1, 18))
    assert sorted(v.values["x_limit"] for v in versions[1:]) == [3.0] * 8 + [4.0] * 8


# --------------------------------------------------------------------------- differences


def test_diff(project: Path) -> None:
    add()
    old, new = chain_of().versions()
    assert diff(old, old) == ""
    assert diff(old, new).splitlines() == [
        "--- m:f v1",
        "+++ m:f v2",
        "@@ -1,2 +1,2 @@",
        " def f(x):",
        "-    return x > 2.5  # poet: tune 0..10",
        "+    return x > 3.5  # poet: tune 0..10",
    ]


def test_settings_decide_where(tmp_path: Path, project: Path) -> None:
    settings: Settings = replace(api.settings(), home=tmp_path / "other home")
    Chain(settings, "pack.m:C.f").add(plan_of(), 1, {}, None, "")
    assert (tmp_path / "other home" / "functions" / "pack.m.C.f" / "v2").is_dir()


@pytest.mark.parametrize("function", ["../../elsewhere:f", "/elsewhere:f", "..", "m:", "m:f/g", "m:f\0"])
def test_a_name_from_a_foreign_store_leads_nowhere_else(function: str) -> None:
    with pytest.raises(VersionError, match="is no name of a function"):
        chain_of(function)


def test_a_store_that_came_with_a_checkout_can_t_make_learning_write_elsewhere(load: Load, project: Path) -> None:
    m = load(SOURCE.replace("accuracy", "accuracy, after=1000"))
    for number in range(40):
        api.feedback(api.call(m.f, number / 4), {"expected": number > 20})
    with api.store().write() as connection:
        for table in ("functions", "sources", "executions"):
            connection.execute(f"UPDATE {table} SET function = '../../../elsewhere/' || function")
    with pytest.raises(VersionError, match="is no name of a function"):
        api.learn("../../../elsewhere/m:f")
    assert not (project.parent / "elsewhere").exists()


def test_what_a_person_chose_while_learning_ran_stays(load: Load) -> None:
    m = load(SOURCE.replace("accuracy", "accuracy, after=1000"))
    for number in range(60):
        x = number * 37 % 60 / 6
        api.feedback(api.call(m.f, x), {"expected": x > 6.0})
    chosen = []

    def meanwhile(_what: str, share: float) -> None:
        if share == 1.0 and not chosen:
            chosen.append(api.versions_of("m:f"))
            add(9.0, source=SOURCE.replace("accuracy", "accuracy, after=1000"))
            api.promote("m:f", 2)

    learned = api.learn("m:f", meanwhile)
    assert chosen
    assert not learned.promoted
    assert learned.reasons == ("v2 of m:f came into use in place of v1 meanwhile: nothing was changed",)
    assert (api.champion("m:f"), m.f(8.0), m.f(9.5)) == (2, False, True)


def test_of_two_at_once_one_moves_the_champion(project: Path) -> None:
    for value in (3.5, 4.5, 5.5):
        promote(value)
    chain = chain_of()
    steps.rollback(chain)
    with pytest.raises(MovedError, match="v3 of m:f came into use in place of v4 meanwhile"):
        steps.rollback(chain, "it did worse", instead_of=4)
    with pytest.raises(MovedError):
        steps.promote(chain, 4, instead_of=2)
    with pytest.raises(MovedError):
        steps.refine(chain, 4, plan_of(), 4)
    assert (chain.champion_number(), chain.history()) == (3, [1, 2])
