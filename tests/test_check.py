from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from poet_hook.cli import cost
from poet_hook.cli.lint import python_files
from poet_hook.cli.main import main

Poet = Callable[..., tuple[int, str, str]]
HERE = Path(__file__).resolve().parent
GOOD = "# poet: optimize_for=accuracy\ndef f(value: float) -> bool:\n    return value > 2.0\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "SECONDS", 0.01)


@pytest.fixture
def poet(project: Path, capsys: pytest.CaptureFixture[str]) -> Poet:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        return code, *capsys.readouterr()

    return run


def write(path: str | Path, text: str) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# --------------------------------------------------------------------------- check


def test_nothing_wrong(poet: Poet) -> None:
    write("app.py", GOOD)
    write("other.py", "x = 1\n")
    assert poet("check", ".") == (0, "0 problems in 0 files (2 checked)\n", "")
    assert json.loads(poet("check", "--json", "app.py")[1]) == {"problems": [], "files": 0, "checked": 1}


def test_a_typo_is_shown_in_its_place(poet: Poet) -> None:
    write("app.py", GOOD.replace("accuracy", "accuracy, retires=2"))
    code, out, err = poet("check", "app.py")
    assert (code, err) == (1, "")
    first, line, carets, hint, last = out.splitlines()
    assert first.startswith("app.py:1:32: PH201 ")
    assert carets.index("^") == line.index("retires")
    assert hint.strip() == "did you mean 'retries'?"
    assert last == "1 problem in 1 file (1 checked); --fix corrects 1"
    (problem,) = json.loads(poet("check", "app.py", "--json")[1])["problems"]
    assert (problem["path"], problem["line"], problem["column"], problem["code"]) == ("app.py", 1, 32, "PH201")
    assert problem["hint"] == "did you mean 'retries'?"


TYPO = "# poet: retires=2, nosuch=1\ndef f(a: int) -> int:\n    return a\n\n# poetic\nx = 1  # poet: retries=1\n"


def test_a_line_for_editors(poet: Poet) -> None:
    write("app.py", TYPO)
    code, out, _ = poet("check", "app.py", "--output-format", "concise")
    assert code == 1
    assert out.splitlines() == [
        "app.py:1:9: PH201 unknown option 'retires' (did you mean 'retries'?)",
        "app.py:1:20: PH201 unknown option 'nosuch'",
        "app.py:6:8: PH004 options go above the function, on a line of their own",
        "3 problems in 1 file (1 checked); --fix corrects 1",
    ]
    assert poet("check", "app.py", "--output-format=json") == poet("check", "app.py", "--json")


def test_workflow_commands_for_github(poet: Poet) -> None:
    write("a,b.py", GOOD.replace("accuracy", "accuracy, 5%0=2"))
    code, out, _ = poet("check", "a,b.py", "--output-format=github")
    assert code == 1
    assert out.startswith("::error file=a%2Cb.py,line=1,col=32,endColumn=35,title=poet_hook PH201::PH201 ")
    assert "5%250" in out
    assert out.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        (["--select=PH2"], ["PH201", "PH201"]),
        (["--select", "PH004"], ["PH004"]),
        (["--ignore=ph0"], ["PH201", "PH201"]),
        (["--select=PH", "--ignore=PH2, PH004"], []),
        (["--select=PH004", "--ignore=PH0"], ["PH004"]),
        (["--select=PH0", "--ignore=PH0"], []),
    ],
)
def test_codes_are_chosen_by_their_beginning(poet: Poet, words: list[str], codes: list[str]) -> None:
    write("app.py", TYPO)
    code, out, _ = poet("check", "app.py", "--json", *words)
    assert [row["code"] for row in json.loads(out)["problems"]] == codes
    assert code == bool(codes)


def test_a_code_that_is_none_is_refused(poet: Poet, capsys: pytest.CaptureFixture[str]) -> None:
    write("app.py", TYPO)
    with pytest.raises(SystemExit) as refused:
        poet("check", "app.py", "--select=PH2,E501")
    assert refused.value.code == 2
    assert "E501" in capsys.readouterr().err


def from_stdin(text: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "poet_hook", "check", *words]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=environment)


def test_the_text_of_an_editor(project: Path) -> None:
    done = from_stdin(TYPO, "-", "--stdin-filename=src/app.py", "--select=PH004", "--output-format=concise")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("src/app.py:6:8: PH004 ")
    assert not Path("src").exists()


WRONG = "\ufeff# poet: retires=2, nosuch=1\r\n\r\n# a note\r\ndef f(a: int) -> int:\r\n    return a\r\n\n# poet retries=1\ndef g(): return '# poet retries=1'\n"
RIGHT = "\ufeff# poet: retries=2, nosuch=1\r\n# a note\r\ndef f(a: int) -> int:\r\n    return a\r\n\n# poet: retries=1\ndef g(): return '# poet retries=1'\n"


def test_what_is_safe_is_corrected_and_nothing_else(poet: Poet) -> None:
    path = Path("app.py")
    path.write_bytes(WRONG.encode())
    path.chmod(0o640)
    code, out, _ = poet("check", "app.py", "--diff")
    assert (code, "-# poet retries=1\n+# poet: retries=1\n" in out) == (1, True)
    assert path.read_bytes() == WRONG.encode()
    code, out, _ = poet("check", "app.py", "--fix", "--output-format=concise")
    assert path.read_bytes() == RIGHT.encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert (code, out.count("PH")) == (1, 1)
    assert poet("check", "app.py", "--diff") == (0, "", "")


@pytest.mark.parametrize("text", [WRONG.replace("return a", "return ="), GOOD, "# poet: zzz=1\ndef f(): pass\n"])
def test_what_is_not_safe_stays_as_it_is(poet: Poet, text: str) -> None:
    Path("app.py").write_bytes(text.encode())
    poet("check", "app.py", "--fix")
    assert Path("app.py").read_bytes() == text.encode()


def test_a_read_only_file_is_not_corrected(poet: Poet) -> None:
    write("app.py", TYPO).chmod(0o444)
    write("other.py", TYPO)
    code, _, err = poet("check", ".", "--fix")
    said = "poet_hook: app.py is read-only: it is not corrected\npoet_hook: other.py is corrected\n"
    assert (code, err) == (1, said)
    assert Path("app.py").read_text() == TYPO
    assert Path("other.py").read_text() == TYPO.replace("retires", "retries")


def test_a_file_that_can_not_be_written_is_not_corrected(poet: Poet, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("poet_hook.versions.apply.os.fsync", full)
    write("app.py", TYPO)
    code, _, err = poet("check", "app.py", "--fix")
    assert (code, err) == (1, "poet_hook: app.py is not corrected: [Errno 28] No space left on device\n")
    assert Path("app.py").read_text() == TYPO


def test_stdin_stands_alone(poet: Poet) -> None:
    write("app.py", TYPO)
    assert poet("check", "-", "app.py") == (2, "", "poet_hook: - (stdin) stands alone\n")
    assert poet("check", "app.py", "--stdin-filename=a.py")[0] == 2


def test_the_hooks_of_pre_commit_find_it_and_correct_it(poet: Poet) -> None:
    text = HERE.with_name(".pre-commit-hooks.yaml").read_text()
    entries = [line.partition(":")[2].split() for line in text.splitlines() if line.strip().startswith("entry:")]
    write("app.py", TYPO)
    found = []
    for program, *words in entries:
        assert program == "poet_hook"
        code, out, _ = poet(*words, "app.py")
        found.append((code, out.count("PH201")))
    assert found == [(1, 2), (1, 1)]
    assert Path("app.py").read_text() == TYPO.replace("retires", "retries")


def test_what_the_planner_finds_is_reported_too(poet: Poet) -> None:
    write("app.py", GOOD.replace("accuracy", "accuracy, record.valeu=none"))
    code, out, _ = poet("check", "app.py")
    assert code == 1
    assert "PH401 record.valeu: f() has no argument 'valeu'" in out


def test_a_file_with_a_syntax_error(poet: Poet) -> None:
    write("app.py", "# poet: retires=2\ndef f(a):\n    return a\n\nx = = 1\n")
    code, out, _ = poet("check", "app.py")
    assert code == 1
    assert "app.py:1:9: PH201 " in out
    assert "app.py:5:5: PH000 syntax error: " in out
    assert out.endswith("2 problems in 1 file (1 checked)\n")


def test_a_file_that_does_not_even_tokenize_is_reported_once(poet: Poet) -> None:
    write("app.py", GOOD + "x = '''\n")
    code, out, _ = poet("check", "app.py")
    assert code == 1
    assert out.count("PH000") == 1


def test_broken_files_without_pragmas_are_not_our_business(poet: Poet) -> None:
    write("old.py", "print 'poetry'\n")
    Path("latin.py").write_bytes(b"x = '\xe9'\n")
    assert poet("check", ".")[0] == 0


def test_a_file_that_can_not_be_decoded(poet: Poet) -> None:
    Path("latin.py").write_bytes(b"# poet: retries=1\ndef f():\n    return '\xe9'\n")
    code, out, _ = poet("check", ".")
    assert code == 1
    assert out.startswith("latin.py:1:1: PH000 the file can't be decoded")


def test_a_file_that_can_not_be_read(poet: Poet) -> None:
    Path("loop.py").symlink_to("loop.py")
    Path("there.py").symlink_to("nowhere.py")
    write("app.py", GOOD)
    code, out, _ = poet("check", ".")
    assert code == 1
    assert out.endswith("2 problems in 2 files (3 checked)\n")


def test_a_path_that_is_not_there(poet: Poet) -> None:
    write("app.py", GOOD)
    assert poet("check", "app.py", "nowhere") == (2, "", "poet_hook: no such file or folder: nowhere\n")


def test_installed_and_hidden_files_are_skipped_unless_named(project: Path) -> None:
    for name in ("app.py", "a/b.py", ".venv/x.py", ".git/x.py", "lib/site-packages/x.py", "a/__pycache__/x.py"):
        write(name, "")
    write("env/pyvenv.cfg", "")
    write("env/lib/x.py", "")
    write("notes.txt", "")
    assert [str(path) for path in python_files(["."])] == ["app.py", "a/b.py"]
    assert [str(path) for path in python_files([".venv", "notes.txt"])] == [".venv/x.py", "notes.txt"]


# --------------------------------------------------------------------------- explain


def explained(poet: Poet, name: str) -> Any:
    code, out, err = poet("explain", name, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


PACKAGE = """
class Monitor:
    # poet: optimize_for=accuracy, domain=ml_monitoring, fallback=False, timeout=2s, retries=3
    def check(self, value: float, flags: list[str], name: str | None = None, other=1) -> bool:
        few = len(flags) < 7  # poet: tune 1..9 as most
        return value > 2.0 and few

# poet: coerce=strict, ensure="result > 0"
def strict(count: int | None, text: str) -> int:
    return 1

# poet: retries=1
@njit
def later():
    return 1

# poet: coerce=off
def loose(value: float) -> float:
    return value

def bare(value: float) -> bool:
    return value > 1.0
"""


@pytest.mark.parametrize(
    "name",
    ["check", "Monitor.check", "p.m:Monitor.check", "m:Monitor.check", "src/p/m.py:Monitor.check", "p.m.Monitor.check"],
)
def test_a_function_is_found_in_the_files_of_the_project(poet: Poet, name: str) -> None:
    write("src/p/__init__.py", "")
    write("src/p/m.py", PACKAGE)
    write(".venv/m.py", PACKAGE)
    found = explained(poet, name)
    assert (found["function"], found["line"]) == ("src.p.m:Monitor.check", 4)
    assert found["path"].endswith("src/p/m.py")
    assert not Path(".poet").exists()


def test_a_plan_in_words(poet: Poet) -> None:
    write("m.py", PACKAGE)
    code, out, err = poet("explain", "check")
    assert (code, err) == (0, "")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines() if line.split()}
    assert lines["domain"] == "ml_monitoring line 3"
    assert lines["timeout"] == "2 s line 3"
    assert lines["fallback"] == "False line 3"
    assert lines["retries"] == "3 line 3"
    assert lines["learn"] == "auto default"
    assert lines["value"].startswith('float text that is a number ("65,000", "25%") becomes one')
    assert lines["flags"] == "list passed on as it is; then normalised by ml_monitoring"
    assert lines["other"] == "- not checked"
    assert lines["result"] == "bool refused unless it is bool; invariants of ml_monitoring"
    assert lines["most"] == "7 7 1..9 5 marked with tune"
    assert "in use: v1, the original" in out


def test_the_checks_of_other_modes(poet: Poet) -> None:
    write("m.py", PACKAGE)
    strict = explained(poet, "strict")
    assert [item["check"] for item in strict["parameters"]] == [
        "refused unless it is int or None",
        "refused unless it is str",
    ]
    assert strict["returns"] == {"kind": "int", "check": "refused unless it is int; ensure="}
    loose = explained(poet, "loose")
    assert [item["check"] for item in loose["parameters"]] == ["not checked (coerce=off)"]
    assert loose["returns"]["check"] == "not checked"
    assert "nothing is recorded" in poet("explain", "loose")[1]


def test_a_function_that_is_left_alone(poet: Poet) -> None:
    write("m.py", PACKAGE)
    code, out, _ = poet("explain", "later")
    assert code == 0
    assert "left alone, it runs as it is written: @njit compiles it" in out
    found = explained(poet, "m:later")
    assert (found["enhanced"], found["function"]) == (False, "m:later")
    assert found["reason"].startswith("@njit compiles it")
    code, _, err = poet("show", "later")
    assert (code, "@njit compiles it" in err) == (1, True)


def test_what_is_wrong_in_its_pragma_is_shown(poet: Poet) -> None:
    write("m.py", GOOD.replace("accuracy", "accuracy, retires=2") + "\n# poet: nosuch=1\ndef g():\n    pass\n")
    out = poet("explain", "f")[1]
    assert "PH201" in out
    assert "nosuch" not in out
    assert [item["code"] for item in explained(poet, "g")["diagnostics"]] == ["PH201"]


@pytest.mark.parametrize("name", ["bare", "m.py:bare", "m.py:nothing", "m:nothing", "check:Monitor"])
def test_a_function_without_a_pragma_is_not_found(poet: Poet, name: str) -> None:
    write("m.py", PACKAGE)
    code, out, err = poet("explain", name)
    assert (code, out) == (1, "")
    assert "has a `# poet:` comment above it" in err


def test_a_name_that_several_functions_have(poet: Poet) -> None:
    write("a.py", GOOD)
    write("b.py", GOOD)
    code, _, err = poet("explain", "f")
    assert code == 1
    assert "/a.py:f" in err
    assert "/b.py:f" in err
    assert explained(poet, "b:f")["function"] == "b:f"


@pytest.mark.parametrize(("text", "says"), [(None, "can't be read"), ("x = = 1\n", "m.py:1: syntax error")])
def test_a_file_that_can_not_be_explained(poet: Poet, text: str | None, says: str) -> None:
    if text:
        write("m.py", text)
    code, out, err = poet("explain", "m.py:f")
    assert (code, out) == (1, "")
    assert says in err
    assert "Traceback" not in err


def test_show_a_function_that_never_ran(poet: Poet) -> None:
    write("m.py", PACKAGE)
    out = poet("show", "m:strict")[1]
    assert "text = POET.perceive" in out
    assert "m" not in sys.modules


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("# poet: retries=1\ndef f(x: float) -> bool:\n    return x > 2.0  # poet: tune 1..3\n", "PH407"),
        ("# poet: optimize_for=accuracy, cost=1:3\ndef f(x: float) -> bool:\n    return x > 2.0\n", "PH408"),
        ("# poet: retries=1\n@jit\ndef f(x: float) -> bool:\n    return x > 2.0\n", "PH409"),
        ("# poet: retries=1\ndef f(x: float):\n    yield x > 2.0\n", "PH416"),
    ],
)
def test_what_has_no_effect_is_said(poet: Poet, source: str, code: str) -> None:
    write("app.py", source)
    exit_code, out, _ = poet("check", "app.py")
    assert exit_code == 1
    assert f" {code} " in out


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("losses:late", None), ("losses:made", None), ("losses:other", None), ("losses:looped", None),
        ("losses:typo", "losses has no function typo"), ("lossse:late", "there is no module lossse in "),
        ("statistics:mean", "there is no module statistics in "), ("broken:late", "broken.py can't be read as Python"),
    ],
)  # fmt: skip
def test_a_loss_of_ones_own_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], named: str, reason: str | None
) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "losses.py").write_text(
        "from x import y as other\ndef late(expected, outcome): return 0\nif True:\n    made = late\n"
        "for looped in (late,): pass\nraise SystemExit('never run')\n"
    )
    (tmp_path / "broken.py").write_text("def late(:")
    file = tmp_path / "app.py"
    file.write_text(
        f"\n# poet: retries=1\n# poet: optimize_for={named}\ndef f(x: float) -> bool:\n    return x > 1.0\n"
    )
    code = main(["check", str(file)])
    out = capsys.readouterr().out
    if reason is None:
        assert (code, "PH415" in out) == (0, False)
    else:
        assert code == 1
        assert f"{file}:3:22: PH415 optimize_for={named}: " in out
        assert reason in out
