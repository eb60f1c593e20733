from __future__ import annotations

import ast
import importlib.util
import io
import os
import re
import stat
import subprocess
import sys
import tokenize
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Load, numbers_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_versions import SOURCE, VERDICT, chain_of, plan_of, promote

from poet_hook import api
from poet_hook.cli.main import main
from poet_hook.errors import StoreError, VersionError
from poet_hook.model import Plan
from poet_hook.transform.plan import plan_module
from poet_hook.transform.values import with_values
from poet_hook.versions import apply as apply_module
from poet_hook.versions import promote as steps
from poet_hook.versions.apply import apply, edit_of, replaced
from poet_hook.versions.chain import Chain
from poet_hook.versions.rebase import same_code
from poet_hook.versions.watch import refresh

Said = pytest.CaptureFixture[str]


def written(project: Path, source: str | bytes = SOURCE, name: str = "m.py") -> Path:
    path = project / name
    path.write_bytes(source.encode() if isinstance(source, str) else source)
    return path


def plan_in(path: Path, qualname: str = "f") -> Plan:
    module = api.settings().module_of(path, path.stem)
    targets = plan_module(importlib.util.decode_source(path.read_bytes()), str(path), module).targets
    return next(target.plan for target in targets if target.plan.qualname == qualname)


def champion(path: Path, qualname: str = "f", **values: float) -> Plan:
    """Promote a version of a function in a file; with no values given, every number in it is 3.5."""
    plan = plan_in(path, qualname)
    chain = Chain(api.settings(), plan.function)
    chosen = values or {tunable.name: 3.5 for tunable in numbers_of(plan)}
    steps.promote(chain, chain.add(plan, 1, chosen, VERDICT, "").number, plan)
    return plan


def apply_all(path: Path, qualname: str = "f") -> bytes:
    plan = plan_in(path, qualname)
    chain = Chain(api.settings(), plan.function)
    version = chain.in_use(plan)
    assert version
    apply(edit_of(version, plan, api.settings()), chain)
    return path.read_bytes()


# --------------------------------------------------------------------------- the command


def test_the_champion_is_written_into_the_file(load: Load, project: Path, capsys: Said) -> None:
    path = written(project)
    champion(path)
    assert not load(None).f(3)
    assert main(["apply", "m:f", "--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "--- m.py",
        "+++ m.py",
        "@@ -1,3 +1,3 @@",
        " # poet: optimize_for=accuracy",
        " def f(x):",
        "-    return x > 2.5  # poet: tune 0..10",
        "+    return x > 3.5  # poet: tune 0..10",
    ]
    assert path.read_text() == SOURCE
    assert chain_of().champion_number() == 2
    assert main(["apply", "m:f"]) == 0
    assert capsys.readouterr().out == "m.py:2: v2 of m:f is your own text now, and so v1 is in use\n"
    assert path.read_text() == SOURCE.replace("2.5", "3.5")
    assert sorted(os.listdir(project)) == [".poet", "m.py", "pyproject.toml"]
    assert main(["apply", "f"]) == 0
    assert capsys.readouterr().out == "m:f: v1, your own text, is in use: nothing to apply\n"
    assert main(["apply", "f", "--check"]) == 0


def test_after_it_the_function_runs_as_before(load: Load, project: Path, capsys: Said) -> None:
    path = written(project)
    m = load(None)
    assert m.f(3)
    champion(path)
    refresh(api.settings())
    assert not m.f(3)
    assert main(["apply", "f"]) == 0
    refresh(api.settings())
    assert not m.f(3)
    assert not load(None, active=False).f(3)
    fresh = load(None)
    assert not fresh.f(3)
    assert (chain_of().champion_number(), chain_of().history()) == (1, [])
    assert [e.version for e in api.store().executions("m:f")] == [1, 2, 2, 1]
    capsys.readouterr()
    assert main(["status"]) == 0
    assert re.search(r"^m:f +accuracy +v1 +2 ", capsys.readouterr().out, re.MULTILINE)
    assert main(["explain", "f"]) == 0
    out = capsys.readouterr()
    assert "in use: v1, the original" in out.out
    assert re.search(r"x_limit +3\.5 +3\.5 ", out.out)
    assert out.err == ""
    with pytest.raises(VersionError, match="no other was in use before it"):
        api.rollback("m:f")


def test_learning_goes_on_from_it(load: Load, project: Path) -> None:
    path = written(project)
    champion(path)
    apply_all(path)
    assert not load(None).f(3)
    plan = plan_in(path)
    made = chain_of().add(plan, 1, {"x_limit": 4.5}, VERDICT, "")
    assert made.number == 3
    api.promote("m:f", 3)
    assert not load(None).f(4)
    assert load(path.read_text().replace("    return", "    # edited\n    return")).f(5)
    assert chain_of().champion_number() == 4
    assert chain_of().original(chain_of().read(3)) == plan.source
    path.write_text(SOURCE.replace("2.5", "3.5"))
    assert b"4.5" in apply_all(path)


def test_any_version_may_be_written(project: Path, capsys: Said) -> None:
    path = written(project)
    champion(path, x_limit=3.5)
    champion(path, x_limit=4.5)
    assert main(["apply", str(path) + ":f", "--version", "9"]) == 1
    assert "m:f has no version 9" in capsys.readouterr().err
    assert main(["apply", str(path) + ":f", "--version", "v2", "--check"]) == 1
    assert "+    return x > 3.5" in capsys.readouterr().out
    assert main(["apply", str(path) + ":f", "--version", "v2"]) == 0
    assert path.read_text() == SOURCE.replace("2.5", "3.5")
    assert chain_of().champion_number() == 1
    for words in (["--version", "2"], ["--version", "2", "--check"], ["--version", "1"], []):
        assert main(["apply", f"{path}:f", *words]) == 0
    assert main(["apply", f"{path}:f", "--version", "3"]) == 1
    assert "m:f was edited after v3 was learned" in capsys.readouterr().err
    assert path.read_text() == SOURCE.replace("2.5", "3.5")


def test_what_the_user_wrote_already_is_not_written_again(project: Path, capsys: Said) -> None:
    path = written(project)
    champion(path)
    source = SOURCE.replace("2.5", "3.50").replace("    return", "    # as learned\n    return")
    written(project, source)
    assert main(["apply", f"{path}:f", "--check"]) == 0
    assert chain_of().champion_number() == 2
    assert main(["apply", f"{path}:f"]) == 0
    assert capsys.readouterr().out == "m.py:2: v2 of m:f stands there already\n"
    assert path.read_text() == source
    assert chain_of().champion_number() == 1


def test_what_does_not_fit_is_not_written(load: Load, project: Path, capsys: Said) -> None:
    path = written(project)
    champion(path)
    edited = SOURCE.replace("    return", "    x = x + 0\n    return")
    written(project, edited)
    assert main(["apply", f"{path}:f"]) == 1
    assert "v2 was learned; its numbers are carried over when it is imported the next time" in capsys.readouterr().err
    load(None)
    assert main(["apply", f"{path}:f"]) == 0
    assert path.read_text() == edited.replace("2.5", "3.5")
    champion(path, x_limit=9.5)
    written(project, edited.replace("x >", "x >="))
    with pytest.raises(VersionError, match="m:f was edited after v4 was learned"):
        edit_of(chain_of().read(4), plan_in(path), api.settings())


def test_a_function_that_is_none(project: Path, capsys: Said) -> None:
    written(project, "# poet: optimize_for=f1\n@jit\ndef f(x): return x > 2.5\n")
    assert main(["apply", "f"]) == 1
    assert "@jit compiles it" in capsys.readouterr().err
    assert main(["apply", "g"]) == 1
    written(project, "# poet: retries=1\ndef f(x): return x > 2.5\n")
    assert main(["apply", "f", "--check"]) == 0


def test_a_damaged_champion_is_an_error(project: Path, capsys: Said) -> None:
    path = written(project)
    champion(path)
    (project / ".poet/functions/m.f/v2/operate.py").write_text("def f(x):\n    return True\n")
    assert main(["apply", f"{path}:f"]) == 1
    assert "operate.py was edited" in capsys.readouterr().err
    assert path.read_text() == SOURCE


# --------------------------------------------------------------------------- nothing else changes

SHAPES = {
    "CRLF": SOURCE.replace("\n", "\r\n").encode(),
    "CR": SOURCE.replace("\n", "\r").encode(),
    "mixed line ends": SOURCE.replace("\n", "\r\n", 1).replace("def f(x):\n", "def f(x):\r").encode(),
    "no line end": SOURCE.rstrip().encode(),
    "BOM": b"\xef\xbb\xbf" + SOURCE.encode(),
    "latin-1": ("# -*- coding: latin-1 -*-\n# é\n" + SOURCE.replace("tune 0", "tune 0") + "s = 'ü'\n").encode(
        "latin-1"
    ),
    "cp1252 and CRLF": ("# coding: cp1252\r\n" + SOURCE.replace("\n", "\r\n") + "s = '€'\r\n").encode("cp1252"),
    "form feeds": ("\f\n" + SOURCE.replace("    return", "    \f\n    return") + "\f\n").encode(),
    "other separators": ("s = 'a\u2028b\x0b\x1c'\n" + SOURCE.replace("x > ", "'\u2028' and x > ")).encode(),
    "white space at line ends": SOURCE.replace("\n", "  \n").replace("def f(x):  \n", "def f(x):  \n  \n\t\n").encode(),
    "tabs": SOURCE.replace("    ", "\t").encode(),
    "emoji before the number": SOURCE.replace("x > ", "'🙂é' != x and x > ").encode(),
    "a decorated function": SOURCE.replace("def f", "@staticmethod\n\n# 2.5\ndef f").encode(),
    "on one line": b"# poet: optimize_for=f1\ndef f(x): return x > 2.5; 7",
    "a continued line": b"# poet: optimize_for=f1\ndef f(x):\n    return x \\\n  > 2.5 \\\n # no comment"[:-15] + b"\n",
    "two functions": (SOURCE + "\n\n" + SOURCE.replace("def f", "def g")).encode(),
    "other numbers": ("A = 2.5\n" + SOURCE + "B = 2.5\nassert f(2.5) is False\n").encode(),
}


@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES)
def test_all_other_bytes_stay(project: Path, data: bytes) -> None:
    path = written(project, data)
    plan = champion(path)
    at = data.index(b"2.5", data.index(b"x > " if b"x > " in data else b"> 2.5"))
    version = chain_of().read(2)
    after = data[:at] + b"3.5" + data[at + 3 :]
    assert replaced(data, plan, version.source) == after


NESTED = '''\
class Outer:
  class Inner:
      """2.5"""

      # poet: optimize_for=accuracy
      @property
      def f(self):
          """Not 2.5.

    left of it: 2.5
          """

# a comment at the left
          text = f"""
  {self.x}
          """
          return (
              text
              and self.x > 2.5  # is it?
              and self.y
    < 2.5
              and -2.5 <
                  self.z)

      def g(self): return 2.5
'''


def test_nested_and_continued_lines(project: Path) -> None:
    path = written(project, NESTED)
    plan = champion(path, "Outer.Inner.f", value_limit=3.5, value_limit_2=-4.5)
    assert [tunable.value for tunable in numbers_of(plan)] == [2.5, -2.5]
    expected = NESTED.replace("x > 2.5", "x > 3.5").replace("-2.5 <", "-4.5 <")
    assert apply_all(path, "Outer.Inner.f").decode() == expected


def test_signs_and_kinds_of_numbers(project: Path) -> None:
    source = (
        "# poet: optimize_for=f1\ndef f(x, y):\n    if y > 3: return-2.5 * x\n    return x > -2.5e-3 or y < 1_000\n"
    )
    path = written(project, source)
    names = [tunable.name for tunable in numbers_of(plan_in(path))]
    assert len(names) == 4
    champion(path, **dict(zip(names, (7.0, 4.5, 1e-300, 12.0), strict=True)))
    expected = "    if y > 7: return 4.5 * x\n    return x > 1e-300 or y < 12\n"
    assert apply_all(path).decode() == source[: source.index("    if")] + expected


BODIES = {
    "more lines": "def f(x):\n    if x is None:\n        return False\n    return x > 2.5  # poet: tune 0..10\n",
    "fewer lines": "def f(x): return x > 9.5\n",
    "other lines": "def f(x):\n    return x < 2.5\n",
    "a long text": "def f(x):\n    text = '''\n  a\n\n    b'''\n    return x > 2.5  # poet: tune 0..10\n",
    "lines in between": "def f(x):\n\n    # why\n    y = x\n\n    return y > 2.5\n",
}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_whole_bodies(project: Path, body: str, last: bool, end: str) -> None:
    method = "class C:\n    # poet: optimize_for=accuracy\n    @staticmethod\n    def f(x):\n        return x > 2.5  # poet: tune 0..10\n"
    source = (method.rstrip("\n") if last else method + "\n    y = 1\n").replace("\n", end)
    path = written(project, source)
    plan = plan_in(path, "C.f")
    after = replaced(source.encode(), plan, body).decode()
    start = source.index("    def f")
    assert after.startswith(source[:start])
    assert after.endswith("" if last else f"{end}{end}    y = 1{end}")
    assert after.count(end) == after.replace("\r\n", "\n").replace("\r", "\n").count("\n")
    written(project, after)
    assert plan_in(path, "C.f").source == body
    assert after.endswith(end) is not last


def test_what_a_file_can_not_hold(project: Path) -> None:
    path = written(project, b"# coding: latin-1\n" + SOURCE.encode())
    plan = plan_in(path)
    with pytest.raises(VersionError, match=r"its encoding, iso-8859-1, has no '€'"):
        replaced(path.read_bytes(), plan, "def f(x):\n    return '€'\n")
    with pytest.raises(VersionError, match="stands there in a way that does not allow it"):
        replaced(path.read_bytes(), plan, "def f(x):\n    return x\n\n\ndef g(x):\n    return x\n")
    with pytest.raises(VersionError, match=r"m:f no longer stands in .*, or has lost its pragma"):
        replaced(path.read_bytes(), plan, "")
    with pytest.raises(VersionError, match="can't be read as Python"):
        replaced(path.read_bytes(), plan, "def f(x:\n")
    data = b"# coding: utf-7\n" + SOURCE.encode() + b"s = '+AGE-'\n"  # which says `a` in five bytes
    with pytest.raises(VersionError, match="other bytes of it would change too; save it as UTF-8, not utf-7"):
        replaced(data, plan_in(written(project, data)), plan.source)


# --------------------------------------------------------------------------- the file


def test_permissions_and_links(project: Path) -> None:
    path = written(project)
    (project / "real").mkdir()
    path.rename(project / "real" / "m.py")
    path.symlink_to(Path("real", "m.py"))
    os.chmod(project / "real" / "m.py", 0o750)
    os.utime(project / "real" / "m.py", (2e9, 2e9))
    champion(path)
    apply_all(path)
    assert path.is_symlink()
    status = (project / "real" / "m.py").stat()
    assert stat.S_IMODE(status.st_mode) == 0o750
    assert int(status.st_mtime) > 2e9  # else a bytecode file of the text before would be taken for the new one
    assert "3.5" in path.read_text()
    assert os.listdir(project / "real") == ["m.py"]


def test_what_lies_outside_the_project_is_not_written(project: Path, tmp_path: Path, capsys: Said) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text(SOURCE)
    (project / "m.py").symlink_to(outside)
    champion(project / "m.py")
    assert main(["apply", f"{project / 'm.py'}:f"]) == 1
    assert f"m.py is {outside}, outside the project {project}: nothing there is written" in capsys.readouterr().err
    assert outside.read_text() == SOURCE


def test_a_read_only_file(project: Path, capsys: Said) -> None:
    path = written(project)
    champion(path)
    path.chmod(0o444)
    assert main(["apply", f"{path}:f"]) == 1
    assert "m.py is read-only: nothing was written" in capsys.readouterr().err
    assert path.read_text() == SOURCE
    assert chain_of().champion_number() == 2


def test_a_file_that_changes_meanwhile(project: Path) -> None:
    path = written(project)
    plan = champion(path)
    edit = edit_of(chain_of().read(2), plan, api.settings())
    written(project, SOURCE + "# more\n")
    with pytest.raises(VersionError, match="was changed meanwhile: nothing was written"):
        apply(edit, chain_of())
    assert path.read_text() == SOURCE + "# more\n"
    assert chain_of().champion_number() == 2
    assert b"# more" in apply_all(path)
    written(project, "x = 1\n")
    with pytest.raises(VersionError, match=r"m:f no longer stands in .*, or has lost its pragma"):
        edit_of(chain_of().read(2), plan, api.settings())
    path.unlink()
    with pytest.raises(VersionError, match="is no regular file"):
        edit_of(chain_of().read(2), plan, api.settings())


def test_a_full_disk_leaves_the_file(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    path = written(project)
    champion(path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert main(["apply", f"{path}:f"]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert path.read_text() == SOURCE
    assert sorted(os.listdir(project)) == [".poet", "m.py", "pyproject.toml"]


def test_between_the_file_and_the_pointer(load: Load, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(project)
    champion(path)

    def refuse(chain: Chain, number: int, history: list[int]) -> None:
        raise StoreError("read-only")

    with monkeypatch.context() as patched:
        patched.setattr(Chain, "point", refuse)
        with pytest.raises(StoreError, match="read-only"):
            apply_all(path)
    assert "3.5" in path.read_text()
    assert chain_of().champion_number() == 2
    assert not load(None).f(3)
    assert chain_of().champion_number() == 1


# --------------------------------------------------------------------------- black

LONG = """\
# poet: optimize_for=accuracy
def f(x):
    return x > 2.5 and "{}"
"""


def black(path: Path) -> int:
    command = [sys.executable, "-m", "black", "--quiet", "--check", str(path)]
    return subprocess.run(command, cwd=path.parent, check=False).returncode


def test_what_is_formatted_stays_so(project: Path) -> None:
    path = written(project, LONG.format("-" * 58))
    champion(path, x_limit=-1234.56789)
    assert black(path) == 0
    after = apply_all(path).decode()
    assert black(path) == 0
    assert after.count("\n") > 3
    assert same_code(plan_in(path).source, chain_of().read(2).source)
    for words in ([], ["--version", "2"], ["--version", "2", "--check"]):
        assert main(["apply", f"{path}:f", *words]) == 0
    assert path.read_text() == after


def test_what_is_not_formatted_is_not_touched(project: Path) -> None:
    path = written(project, LONG.format("-" * 58) + "x = 'a'\n")
    champion(path, x_limit=-1234.56789)
    assert apply_all(path).decode() == LONG.format("-" * 58).replace("2.5", "-1234.56789") + "x = 'a'\n"


def test_the_projects_own_line_length_counts(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.black]\nline-length = 120\n")
    (project / "black.py").write_text("raise SystemExit('not that one')\n")
    path = written(project, LONG.format("-" * 58))
    champion(path, x_limit=-1234.56789)
    assert apply_all(path).decode() == LONG.format("-" * 58).replace("2.5", "-1234.56789")


def test_formatting_does_not_lose_a_range(project: Path) -> None:
    source = LONG.replace('2.5 and "{}"', '2.5 and "{}"  # poet: tune -9999..9999').format("-" * 30)
    path = written(project, source)
    champion(path, x_limit=-1234.56789)
    assert black(path) == 0
    apply_all(path)
    (tunable,) = plan_in(path).tunables
    assert (tunable.value, tunable.lower, tunable.declared) == (-1234.56789, -9999, True)


def test_without_black_the_change_is_made(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply_module.sys, "executable", str(project / "none"))
    path = written(project)
    champion(path)
    assert apply_all(path) == SOURCE.replace("2.5", "3.5").encode()


# --------------------------------------------------------------------------- any module

FEED = "\f"
LINES = [
    "",
    "# a remark: 2.5",
    "#",
    "y = 2.5 * x",
    "text = '''\n  2.5 \n'''",
    'text = f"{x:>2.5f}"',
    "if x < 7: y = -0.25",
    "z = [\n x[3]\n  , 8.5,\n# left\n]",
    "s = 'é🙂' if x > 3.25 else ''",
    "y = x \\\n      > 6.5",
    "while x > 1e3: x -= 10.5",
    "w = lambda q: q > 2.5",
    "match = 1.5;  y=match+.5   # end",
    "\fy = 5.5",
]
OUTSIDE = [
    "",
    "# outside 2.5",
    "K = 2.5",
    "T = '''\n# poet: tune\n  '''",
    "\f",
    "@staticmethod\ndef other(x): return x > 2.5",
]
ENCODINGS = {
    "": "utf-8",
    "\ufeff": "utf-8",
    "# coding: latin-1\n": "latin-1",
    "# vim: set fileencoding=utf-8 :\n": "utf-8",
}


@st.composite
def modules(draw: st.DrawFn) -> tuple[bytes, Sequence[str]]:
    """The bytes of a module, and the qualified names of its functions that learn."""
    rows: list[str] = []
    names = []
    for number in range(draw(st.integers(1, 3))):
        rows += draw(st.lists(st.sampled_from(OUTSIDE), max_size=2))
        inside = draw(st.sampled_from(["", "  ", "    ", "\t"]))
        if inside:
            rows.append(f"class C{number}:")
        names.append(f"C{number}.f" if inside else f"f{number}")
        indent = inside + draw(st.sampled_from(["  ", "    ", "\t"]))
        rows += [f"{inside}# poet: optimize_for=f1", *([f"{inside}@print"] if draw(st.booleans()) else [])]
        rows.append(f"{inside}def {names[-1].rpartition('.')[2]}(x):")
        body = draw(st.lists(st.sampled_from(LINES), max_size=4))
        rows += [FEED * (row[:1] == FEED) + indent + row.lstrip(FEED) if row.strip() else row for row in body]
        rows.append(f"{indent}return x > 2.5 or x < -7.5" + draw(st.sampled_from(["", "  # poet", " "])))
    start = draw(st.sampled_from(list(ENCODINGS)))
    text = start + "\n".join(rows) + draw(st.sampled_from(["", "\n", "\n\n"]))
    text = text.replace("🙂", "") if ENCODINGS[start] == "latin-1" else text
    # Python itself looks for the encoding in the first line as bytes, and those end with a line feed
    ends = draw(st.sampled_from(["\n", "\r\n", *(["\r"] if ENCODINGS[start] == "utf-8" else [])]))
    return text.replace("\n", ends).encode(ENCODINGS[start]), names


def tokens(data: bytes) -> list[tuple[int, str]]:
    text = importlib.util.decode_source(data)
    found = [(token.type, token.string) for token in tokenize.generate_tokens(io.StringIO(text).readline)]
    return [(kind, "0" if kind == tokenize.NUMBER else string) for kind, string in found]


@settings(deadline=None)
@given(modules(), st.data())
def test_only_the_numbers_of_any_module_change(module: tuple[bytes, Sequence[str]], data: st.DataObject) -> None:
    before, names = module
    for name in names:
        source = importlib.util.decode_source(before)
        plan = next(t.plan for t in plan_module(source, "m.py", "m").targets if t.plan.qualname == name)
        values = {
            t.name: data.draw(st.integers(2, 10**6) if t.integer else st.floats(1.5, 1e9), t.name)
            for t in numbers_of(plan)
            if data.draw(st.booleans())
        }
        text = with_values(plan.source, plan.tunables, values)
        after = replaced(before, plan, text)
        ast.parse(importlib.util.decode_source(after))
        # a sign may go with the number that it stood before
        assert [t for t in tokens(after) if t[1] != "-"] == [t for t in tokens(before) if t[1] != "-"]
        changed = plan_in_text(after, name)
        assert changed.source == text
        assert replaced(after, changed, text) == after
        assert replaced(after, changed, plan.source) == before
        assert spared(before, plan) == spared(after, plan)
        before = after


def plan_in_text(data: bytes, qualname: str) -> Plan:
    targets = plan_module(importlib.util.decode_source(data), "m.py", "m").targets
    return next(target.plan for target in targets if target.plan.qualname == qualname)


def spared(data: bytes, plan: Plan) -> list[bytes]:
    """The bytes of each line that has no tunable."""
    touched = {plan.line + tunable.line for tunable in plan.tunables}
    rows = re.split(rb"(?<=\n)|(?<=\r)(?!\n)", data)
    return [row for number, row in enumerate(rows, 1) if number not in touched]


def test_twice_changes_nothing(project: Path) -> None:
    path = written(project, NESTED)
    champion(path, "Outer.Inner.f", value_limit=3.5)
    once = apply_all(path, "Outer.Inner.f")
    version = replace(Chain(api.settings(), "m:Outer.Inner.f").read(2))
    edit = edit_of(version, plan_in(path, "Outer.Inner.f"), api.settings())
    assert edit.before == edit.after == once
    assert edit.diff("m.py") == ""


def test_processes_see_the_old_or_the_new_file(load: Load, project: Path) -> None:
    promote(3.5)
    path = written(project)
    plan = plan_of()
    edit = edit_of(chain_of().read(2), replace(plan, path=str(path)), api.settings())
    seen = []
    move = os.replace

    def look(source: Path, target: Path) -> None:
        seen.append(path.read_bytes())
        move(source, target)
        seen.append(path.read_bytes())

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(apply_module.os, "replace", look)
        apply(edit, chain_of())
    assert seen[:2] == [edit.before, edit.after]


def test_what_was_applied_is_called_v1(load: Load, project: Path, capsys: Said) -> None:
    path = written(project)
    champion(path)
    assert not load(None).f(3)
    assert main(["apply", "f"]) == 0
    capsys.readouterr()
    assert main(["promote", "f", "2"]) == 1
    said = capsys.readouterr().err
    assert "m:f: v2 is the function's own text now, which is called v1: python -m poet_hook promote m:f 1" in said
    for command in (["status"], ["versions", "f"]):
        assert main(command) == 0
        assert "v2 is the function's own text now, which is called v1" in capsys.readouterr().out
