from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import environment, reset

from poet_hook import __version__
from poet_hook.cli import look, output
from poet_hook.cli.main import main

Done = subprocess.CompletedProcess[str]

APP = '''"""Looks at values."""
import poet_hook

# poet: optimize_for=accuracy, after=1000
def is_high(value: float, source: str = "cpu") -> bool:
    return value > 2.0  # poet: tune 0..20


# poet: retries=1
def plain(value: float) -> float:
    return value + 1


if __name__ == "__main__":
    for step in range(60):
        value = step / 4
        result = poet_hook.call(is_high, value)
        if result.value:
            poet_hook.feedback(result, "false alarm" if value <= 5 else "good catch")
        else:
            poet_hook.feedback(result, "correct")
    is_high(1e9, source="disk")
'''


def environ(folder: Path) -> dict[str, str]:
    cleaned = {name: value for name, value in environment().items() if not name.startswith(("POET_", "PYTHON"))}
    return {**cleaned, "POET_USER_DIR": str(folder / ".user"), "PYTHONPATH": environment()["PYTHONPATH"].split(":")[0]}


def python(folder: Path, *words: str, **changes: str) -> Done:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**environ(folder), **changes},
        capture_output=True,
        text=True,
        timeout=60,
    )


def poet(folder: Path, *words: str, **changes: str) -> Done:
    return python(folder, "-m", "poet_hook", *words, **changes)


def same(folder: Path, *words: str) -> Done:
    """Run with Python and with `run`: what comes out is the same."""
    expected, got = python(folder, *words), poet(folder, "run", *words)
    assert (got.stdout, got.stderr, got.returncode) == (expected.stdout, expected.stderr, expected.returncode)
    return got


def is_one_line(text: str, code: str) -> bool:
    return text.startswith("poet_hook: ") and text.endswith(f" [{code}]\n") and text.count("\n") == 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


# --------------------------------------------------------------------------- run: as Python itself

PROBE = '''"""A probe."""
import inspect, json, os, pickle, sys

# poet: optimize_for=accuracy
def judged(value: float) -> bool:
    return value > 2.0

class Thing:
    def __init__(self, number):
        self.number = number

def facts():
    here = sys.modules[__name__]
    return {
        "argv": sys.argv, "name": __name__, "file": __file__, "path": sys.path, "names": sorted(vars(here)),
        "package": __package__, "spec": getattr(__spec__, "name", None), "doc": __doc__,
        "cached": __cached__, "annotations": __annotations__, "loader": __loader__.name,
        "is": here is sys.modules["__main__"], "source": inspect.getsource(facts) + inspect.getsource(judged),
        "loaded": inspect.getsource(Thing), "lines": judged.__code__.co_firstlineno, "co": judged.__code__.co_filename,
        "pickled": pickle.loads(pickle.dumps(Thing(3))).number, "judged": pickle.loads(pickle.dumps(judged)) is judged,
        "called": [judged(1), judged(3.5)], "signature": str(inspect.signature(judged)), "cwd": os.getcwd(),
    }

if __name__ == "__main__":
    print(json.dumps(facts(), indent=1))
'''


@pytest.fixture(scope="module")
def probes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probes").resolve()
    (folder / "pyproject.toml").touch()
    (folder / "probe.py").write_text(PROBE)
    package = folder / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sibling.py").write_text("# poet: retries=1\ndef number() -> int:\n    return 7\n")
    relative = "from . import sibling\nfrom .sibling import number\nassert number() == 7\n"
    (package / "__main__.py").write_text(PROBE.replace("import inspect", relative + "import inspect", 1))
    (package / "tool.py").write_text(PROBE)
    (folder / "plain").mkdir()
    (folder / "plain" / "__main__.py").write_text(PROBE)
    (folder / "link.py").symlink_to(Path("package", "tool.py"))
    with zipfile.ZipFile(folder / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", "import sys\nprint(__name__, sys.argv, sys.path[0])\n")
    (folder / "empty").mkdir()
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ("probe.py", "-m", "--help", "--", "a b"),
        ("./probe.py",),
        ("package/../probe.py", ""),
        ("link.py",),
        ("plain/", "-x"),
        ("app.pyz", "--json"),
        ("-m", "probe", "--help"),
        ("-mprobe", "-m"),
        ("-m", "package", "--version"),
        ("-m", "package.tool"),
    ],
)
def test_a_program_sees_what_python_shows_it(probes: Path, words: tuple[str, ...]) -> None:
    done = same(probes, *words)
    assert done.returncode == 0
    assert done.stdout
    assert not done.stderr


def test_an_absolute_path_from_elsewhere(probes: Path, tmp_path: Path) -> None:
    assert json.loads(same(tmp_path, str(probes / "probe.py")).stdout)["path"][0] == str(probes)


@pytest.mark.parametrize("words", [("absent.py", "x"), ("-m", "absent"), ("-m", "package.absent"), ("empty",)])
def test_what_is_not_there_is_reported_as_by_python(probes: Path, words: tuple[str, ...]) -> None:
    assert same(probes, *words).returncode == (2 if words[0] == "absent.py" else 1)


JUDGED = "# poet: optimize_for=accuracy\ndef judged(value: float) -> float:\n    return 1 / value\n\n"

ENDINGS = {
    "a number": ("import sys; sys.exit(3)", 3),
    "a text": ("import sys; sys.exit('no good')", 1),
    "nothing": ("raise SystemExit", 0),
    "an error": ("def f():\n    raise ValueError('bad')\nf()", 1),
    "an error in an enhanced function": ("judged(2.0)\njudged(\n    0.0)", 1),
    "a chain": ("try:\n    judged(0)\nexcept ZeroDivisionError as e:\n    raise RuntimeError('so') from e", 1),
    "a group": ("raise ExceptionGroup('two', [ValueError('a'), TypeError('b')])", 1),
    "a base exception": ("class Stop(BaseException): pass\nraise Stop", 1),
    "an interrupt": (
        "import atexit, sys\natexit.register(print, 'last')\nprint('buffered')\nraise KeyboardInterrupt",
        -signal.SIGINT,
    ),
    "SIGINT": ("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nfor _ in range(10**9): pass", -signal.SIGINT),
    "SIGKILL": ("import os\nos.kill(os.getpid(), 9)", -signal.SIGKILL),
    "an excepthook": ("import sys\nsys.excepthook = lambda *a: print(a[0], a[2].tb_lineno)\n1 / 0", 1),
    "a thread": ("import threading\nthreading.Thread(target=lambda: print('late')).start()\nraise OSError(5, 'x')", 1),
    "a warning": ("import warnings\nwarnings.warn('old', DeprecationWarning)\nwarnings.warn('odd')", 0),
    "a syntax error": ("print('never')\nx = = 1", 1),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_a_program_ends_as_with_python(folder: Path, name: str) -> None:
    body, code = ENDINGS[name]
    (folder / "app.py").write_text(JUDGED + body + "\n")
    assert same(folder, "app.py").returncode == code


def test_a_traceback_through_a_module_is_pythons(folder: Path) -> None:
    (folder / "app.py").write_text(JUDGED + "judged(0.0)\n")
    assert "<frozen runpy>" in same(folder, "-m", "app").stderr


def test_modules_beside_the_script_and_in_the_project_are_enhanced(folder: Path) -> None:
    (folder / "shared").mkdir()
    (folder / "shared" / "near.py").write_text("# poet: require='n > 0'\ndef near(n): return n\n")
    (folder / "far.py").write_text("# poet: require='n > 0'\ndef far(n): return n\n")
    script = "import sys, near\nsys.path.append('..')\nimport far\n"
    script += "for f in near.near, far.far:\n    try: f(0)\n    except ValueError as e: print(type(e).__name__)\n"
    (folder / "shared" / "app.py").write_text(script)
    (folder / "elsewhere").mkdir()
    done = poet(folder / "elsewhere", "run", "../shared/app.py")
    assert (done.stdout, done.stderr) == ("PerceiveError\n" * 2, "")


@pytest.mark.parametrize("words", [(), ("-x", "app.py"), ("-m",), ("-",)])
def test_wrong_usage_of_run(folder: Path, words: tuple[str, ...]) -> None:
    done = poet(folder, "run", *words)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: poet_hook run SCRIPT")


# --------------------------------------------------------------------------- run: bad input

PRINTS = (
    "# poet: optimize_for=accuracy\ndef f(value: float) -> bool:\n    return value > 2.0\n\nprint(f(3.0), f(4.0))\n"
)


def test_a_pragma_typo_is_one_warning_and_the_program_runs(folder: Path) -> None:
    (folder / "app.py").write_text(PRINTS.replace("accuracy", "accuracy, retires=2"))
    done = poet(folder, "run", "app.py")
    assert (done.returncode, done.stdout) == (0, "True True\n")
    first, *rest = done.stderr.splitlines()
    assert first.startswith(f"{folder}/app.py:1:32: PH201 ")
    assert rest[-1].strip() == "did you mean 'retries'?"
    assert done.stderr.count("PH201") == 1


def test_strict_makes_a_pragma_typo_an_error(folder: Path) -> None:
    (folder / "app.py").write_text(PRINTS.replace("accuracy", "accuracy, retires=2"))
    done = poet(folder, "run", "app.py", POET_STRICT="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "PH201" in done.stderr
    assert "poet_hook/" not in done.stderr


def test_a_wrong_setting_is_said_and_the_program_runs_as_it_is(folder: Path) -> None:
    (folder / "app.py").write_text(PRINTS)
    done = poet(folder, "status", POET_STRICT="perhaps")
    assert (done.returncode, done.stdout) == (1, "")
    assert is_one_line(done.stderr, "PH-E60")
    done = poet(folder, "run", "app.py", POET_STRICT="perhaps")
    assert (done.returncode, done.stdout) == (0, "True True\n")
    assert done.stderr.count("\n") == 1
    assert "nothing is enhanced: environment variable POET_STRICT: 'perhaps'" in done.stderr
    assert not (folder / ".poet").exists()


def test_strict_makes_a_wrong_setting_an_error(folder: Path) -> None:
    (folder / "app.py").write_text(PRINTS)
    done = poet(folder, "run", "app.py", POET_STRICT="1", AITOMATIC_API_URL="http://localhost:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert is_one_line(done.stderr, "PH-E60")


def test_where_warnings_are_errors_ours_are_shown_and_break_nothing(folder: Path) -> None:
    (folder / "app.py").write_text(PRINTS.replace("accuracy", "accuracy, retires=2"))
    done = poet(folder, "run", "app.py", PYTHONWARNINGS="error")
    assert (done.returncode, done.stdout) == (0, "True True\n")
    assert done.stderr.count("PH201") == 1
    (folder / "starts.py").write_text("import poet_hook.auto\nimport app\n")
    (folder / ".env").write_text("POET_STRICT=perhaps\n")
    done = python(folder, "-W", "error", "starts.py")
    assert (done.returncode, done.stdout) == (0, "True True\n")
    assert "nothing is enhanced" in done.stderr


def test_scripts_of_one_name_in_two_folders_are_two(folder: Path) -> None:
    for name in "north", "south":
        (folder / name).mkdir()
        (folder / name / "job.py").write_text(PRINTS)
        assert poet(folder, "run", f"{name}/job.py").returncode == 0
    functions = json.loads(poet(folder, "status", "--json").stdout)["functions"]
    assert [(item["function"], item["executions"]) for item in functions] == [("north.job:f", 2), ("south.job:f", 2)]
    done = poet(folder, "log", "job:f")
    assert done.returncode == 1
    assert "several functions are called 'job:f'" in done.stderr
    assert poet(folder, "log", "south.job:f").stdout.count("value=") == 2
    assert poet(folder, "log", "south/job.py:f").stdout.count("value=") == 2


def test_a_script_is_one_function_however_it_is_loaded(folder: Path) -> None:
    (folder / "north").mkdir()
    (folder / "north" / "job.py").write_text(PRINTS)
    (folder / "north" / "uses.py").write_text("import job\n")
    assert poet(folder, "run", "north/job.py").returncode == 0
    assert poet(folder, "run", "north/uses.py").returncode == 0
    assert poet(folder, "run", "-m", "north.job").returncode == 0
    functions = json.loads(poet(folder, "status", "--json").stdout)["functions"]
    assert [(item["function"], item["executions"]) for item in functions] == [("north.job:f", 6)]


def test_a_script_of_another_project_belongs_to_that_one(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "pyproject.toml").touch()
    (other / "job.py").write_text(PRINTS)
    assert poet(folder, "run", os.path.relpath(other / "job.py", folder)).returncode == 0
    assert not (folder / ".poet").exists()
    assert json.loads(poet(other, "status", "--json").stdout)["functions"][0]["executions"] == 2
    (other / "starts.py").write_text("import poet_hook.auto\nimport job\n")
    assert python(folder, str(other / "starts.py")).returncode == 0
    assert json.loads(poet(other, "status", "--json").stdout)["functions"][0]["executions"] == 4


def test_what_multiprocessing_spawns_belongs_to_the_same_project(folder: Path, tmp_path_factory: Any) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "pyproject.toml").touch()
    (other / "job.py").write_text(PRINTS)
    (other / "starts.py").write_text(
        "import multiprocessing\nimport poet_hook.auto\nimport job\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context('spawn').Process(target=job.f, args=(5.0,))\n"
        "    child.start()\n    child.join()\n"
    )
    done = python(folder, str(other / "starts.py"))
    assert (done.returncode, done.stderr) == (0, "")
    assert not (folder / ".poet").exists()
    assert json.loads(poet(other, "status", "--json").stdout)["functions"][0]["executions"] == 5


def test_a_script_without_a_suffix_of_another_project(folder: Path, tmp_path_factory: Any) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "pyproject.toml").touch()
    (other / "job.py").write_text(PRINTS)
    (other / "tool").write_text("import poet_hook.auto\nimport job\n")
    assert python(folder, str(other / "tool")).returncode == 0
    assert json.loads(poet(other, "status", "--json").stdout)["functions"][0]["executions"] == 2


def test_a_script_in_a_deleted_working_directory(folder: Path, tmp_path: Path) -> None:
    (folder / "app.py").write_text(PRINTS)
    (folder / "gone").mkdir()
    words = [sys.executable, "-m", "poet_hook", "run", str(folder / "app.py")]
    code = f"import os, subprocess, sys\nos.rmdir(os.getcwd())\nsys.exit(subprocess.call({words!r}))"
    done = python(folder / "gone", "-c", code)
    assert (done.returncode, done.stdout) == (0, "True True\n")
    assert "nothing is enhanced: the working directory can't be told" in done.stderr


def test_a_file_is_named_by_any_path_to_it(folder: Path) -> None:
    (folder / "job.py").write_text(PRINTS)
    (folder / "sub").mkdir()
    assert poet(folder, "run", "./job.py").returncode == 0
    for place, name in (folder, "job.py:f"), (folder, "./job.py:f"), (folder / "sub", "../job.py:f"):
        assert poet(place, "log", name).stdout.count("value=") == 2
    moved = folder.with_name(folder.name + "-moved")
    folder.rename(moved)
    assert poet(moved, "log", "job.py:f").stdout.count("value=") == 2
    moved.rename(folder)


TEACHES = """
import poet_hook
from {imported} import Row, is_high
for step in range(8):
    result = poet_hook.call(is_high, Row(step / 2))
    poet_hook.feedback(result, {{"expected": step > 6}})
"""
LEARNER = """
from dataclasses import dataclass
{more}
@dataclass
class Row:
    value: float

# poet: optimize_for=accuracy, after=1000
def is_high(row: Row) -> bool:
    return row.value * SCALE > 2.0
"""


@pytest.mark.parametrize(
    ("file", "start", "imported", "more"),
    [
        ("shop/mon.py", "app.py", "shop.mon", "SCALE = 1.0"),
        ("src/pkg/part.py", "src/app.py", "pkg.part", "SCALE = 1.0"),
        ("src/pkg/part.py", "app.py", "src.pkg.part", "SCALE = 1.0"),
        ("services/shop/mon.py", "services/app.py", "shop.mon", "from .limits import SCALE"),
    ],
)
def test_replay_knows_a_module_by_every_name_it_has(
    folder: Path, file: str, start: str, imported: str, more: str
) -> None:
    (folder / "pyproject.toml").write_text('[tool.poet_hook]\nreplay_modules = [".limits"]\n')
    path = folder / file
    path.parent.mkdir(parents=True)
    path.write_text(LEARNER.format(more=more))
    path.with_name("limits.py").write_text("SCALE = 1.0\n")
    (folder / start).write_text(TEACHES.format(imported=imported))
    done = poet(folder, "run", start, PYTHONPATH=f"{environ(folder)['PYTHONPATH']}:{(folder / start).parent}")
    assert (done.returncode, done.stderr) == (0, "")
    (learned,) = json.loads(poet(folder, "learn", "--json").stdout)["functions"]
    assert learned["verdict"]["evidence"]["labelled"] == 8, learned


def test_a_store_from_elsewhere_does_not_choose_what_is_run(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "pyproject.toml").touch()
    (outside / "job.py").write_text(PRINTS)
    assert poet(outside, "run", "job.py").returncode == 0
    shutil.copytree(outside / ".poet", folder / ".poet")
    done = poet(folder, "learn", "job:f")
    assert done.returncode == 1
    assert "is outside the project" in done.stderr
    assert is_one_line(done.stderr, "PH-E40")
    done = poet(folder, "learn", "job:f", POET_HOME=str(folder / ".poet"))
    assert "no execution of this source has feedback" in done.stdout
    (folder / "job.py").write_text(PRINTS)  # a project that was moved together with its store
    assert "no execution of this source has feedback" in poet(folder, "learn", "job:f").stdout


def test_a_file_where_the_store_should_be(folder: Path) -> None:
    (folder / "app.py").write_text(PRINTS)
    (folder / ".poet").write_text("mine")
    done = poet(folder, "run", "app.py")
    assert (done.returncode, done.stdout) == (0, "True True\n")
    assert done.stderr.count("\n") == 1
    assert "StoreWarning: executions are not recorded: " in done.stderr
    looked = poet(folder, "status")
    assert (looked.returncode, looked.stdout) == (1, "")
    assert is_one_line(looked.stderr, "PH-E30")
    assert (folder / ".poet").read_text() == "mine"


def test_a_damaged_store(folder: Path) -> None:
    (folder / "app.py").write_text(PRINTS)
    (folder / ".poet").mkdir()
    (folder / ".poet" / "poet.db").write_bytes(b"no database" * 1000)
    done = poet(folder, "run", "app.py")
    assert (done.returncode, done.stdout) == (0, "True True\n")
    assert done.stderr.count("\n") == 1
    looked = poet(folder, "log", "f")
    assert looked.returncode == 1
    assert is_one_line(looked.stderr, "PH-E30")
    assert "move it away" in looked.stderr


# --------------------------------------------------------------------------- a project that has learned


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learned").resolve()
    (folder / "pyproject.toml").touch()
    (folder / "app.py").write_text(APP)
    for words in ("run", "app.py"), ("learn",):
        done = poet(folder, *words)
        assert (done.returncode, done.stderr) == (0, ""), done
    return folder


@pytest.fixture
def copied(learned: Path, folder: Path) -> Path:
    for name in (".poet", ".user"):
        shutil.copytree(learned / name, folder / name)
    (folder / "app.py").write_text(APP)
    return folder


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], learned: Path, request: pytest.FixtureRequest
) -> Iterator[Call]:
    """Run a command in this process, in the learned project (or its copy, where the test asks for that)."""
    folder = request.getfixturevalue("copied") if "copied" in request.fixturenames else learned
    for name in [name for name in os.environ if name.startswith("POET_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("POET_USER_DIR", str(folder / ".user"))
    monkeypatch.chdir(folder)
    reset()

    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        return code, *capsys.readouterr()

    yield run
    reset()


def rows(text: str) -> list[list[str]]:
    return [[cell for cell in line.split("  ") if cell] for line in text.splitlines()]


def document(done: tuple[int, str, str]) -> Any:
    code, out, err = done
    assert (code, err) == (0, "")
    return json.loads(out)


def test_status(call: Call) -> None:
    code, out, _ = call("status")
    header, row = rows(out)
    assert code == 0
    assert [cell.strip() for cell in header] == [
        "function",
        "objective",
        "in use",
        "versions",
        "executions",
        "feedback",
        "evidence",
    ]
    # of values 0 to 14.75 in quarters, those over 2 and up to 5 were false alarms: 12 of 60
    assert [cell.strip() for cell in row] == [
        "app:is_high",
        "accuracy",
        "v2 proven",
        "2",
        "61",
        "60",
        "accuracy 80.0 % -> 100.0 %",
    ]
    (item,) = document(call("status", "--json"))["functions"]
    assert (item["function"], item["champion"], item["level"], item["after"]) == (
        "app:is_high",
        2,
        "proven",
        1.0,
    )


def test_log(call: Call) -> None:
    _, out, _ = call("log", "is_high", "--limit", "2")
    lines = out.splitlines()
    assert len(lines) == 3
    assert "value=1000000000.0, source='disk'  True     -" in lines[1]
    assert "value=14.75, source='cpu'" in lines[2]
    assert "'good catch' = " in lines[2]
    found = document(call("log", "app:is_high", "--json"))["executions"]
    assert len(found) == 20
    assert found[0]["arguments"] == {"value": 1e9, "source": "disk"}
    assert (found[0]["result"], found[0]["feedback"], found[0]["version"]) == (True, [], 1)
    assert found[1]["feedback"][0]["raw"] == "good catch"
    assert found[1]["feedback"][0]["signal"]["kind"] == "right"
    assert datetime.fromisoformat(found[1]["time"]).timestamp() == int(found[1]["started"])
    said = document(call("log", "is_high", "--json", "--with-feedback", "--limit", "1"))["executions"]
    assert said == found[1:2]


def test_versions_and_diff(call: Call) -> None:
    _, out, _ = call("versions", "is_high")
    name, _, first, second = out.splitlines()
    assert name == "app:is_high"
    assert "original" in first
    assert second.split()[:3] == ["v2", "yes", "proven"]
    assert second.endswith("80.0 % -> 100.0 %")
    found = document(call("versions", "is_high", "--json"))
    assert (found["champion"], [item["number"] for item in found["versions"]]) == (2, [1, 2])
    (value,) = found["versions"][1]["values"].values()
    assert 5 <= value < 5.25
    _, out, _ = call("diff", "is_high")
    assert out.splitlines()[:2] == ["--- app:is_high v1", "+++ app:is_high v2"]
    assert f"+    return value > {value!r}  # poet: tune 0..20" in out
    assert call("diff", "is_high", "1", "v2") == call("diff", "is_high", "v1") == (0, out, "")
    assert document(call("diff", "is_high", "--json")) == {
        "function": "app:is_high",
        "old": 1,
        "new": 2,
        "diff": out,
    }
    assert call("diff", "is_high", "2", "2")[1] == "app:is_high: v2 and v2 are the same text\n"


def test_show(call: Call) -> None:
    value = document(call("versions", "is_high", "--json"))["versions"][1]["values"].popitem()[1]
    _, out, _ = call("show", "is_high")
    assert f"value > {value!r}" in out
    assert "POET.perceive_all((0, 1), value, source)" in out
    assert document(call("show", "is_high", "--json"))["text"].rstrip("\n") in out
    assert "POET.retry" in call("show", "app.py:plain")[1]


def test_explain_a_function_that_has_learned(call: Call) -> None:
    _, out, _ = call("explain", "is_high")
    assert "optimize_for  accuracy" in out
    assert "in use: v2 (proven)" in out
    found = document(call("explain", "is_high", "--json"))
    assert (found["champion"], found["level"], len(found["reasons"]) > 0) == (2, "proven", True)
    (tunable,) = found["tunables"]
    assert (tunable["value"], tunable["lower"], tunable["upper"], tunable["line"]) == (2.0, 0.0, 20.0, 6)
    assert 5 <= tunable["in_use"] < 5.25


def test_config(call: Call, learned: Path) -> None:
    found = {item["name"]: item for item in document(call("config", "--json"))["settings"]}
    assert found["home"] == {"name": "home", "value": str(learned / ".poet"), "source": "default"}
    assert found["user_dir"]["source"] == "environment variable POET_USER_DIR"
    assert f"home            {learned}/.poet" in call("config")[1]


def test_learn_again_says_why_nothing_changes(call: Call, copied: Path) -> None:
    code, out, err = call("learn", "is_high")
    assert (code, err) == (0, "")
    assert out.startswith("app:is_high: v2 is in use\n")
    (item,) = document(call("learn", "--json"))["functions"]
    assert (item["promoted"], item["version"], item["champion"]) == (False, None, 2)
    assert item["reasons"]


def test_promote_and_rollback(call: Call, copied: Path) -> None:
    assert call("promote", "is_high", "v1")[:2] == (0, "app:is_high: v1 is in use now (it was v2)\n")
    assert call("promote", "is_high", "1")[:2] == (0, "app:is_high: v1 is in use already\n")
    assert call("rollback", "is_high")[:2] == (0, "app:is_high: v2 is in use again (it was v1)\n")
    assert call("rollback", "is_high")[:2] == (0, "app:is_high: v1 is in use again (it was v2)\n")
    code, out, err = call("rollback", "is_high")
    assert (code, out) == (1, "")
    assert is_one_line(err, "PH-E50")
    code, _, err = call("promote", "is_high", "9")
    assert code == 1
    assert is_one_line(err, "PH-E50")
    code, _, err = call("diff", "is_high")
    assert code == 1
    assert "python -m poet_hook diff app:is_high 1 2" in err


def test_learning_here_is_used_by_the_next_run(call: Call, copied: Path) -> None:
    (copied / "use.py").write_text("import app, poet_hook\nprint(app.is_high(4.0), poet_hook.call(app.is_high, 6.0))\n")
    done = poet(copied, "run", "use.py")
    assert done.stdout.startswith("False POETResult(value=True,")
    assert "version=2" in done.stdout


# --------------------------------------------------------------------------- feedback


def ids(call: Call) -> list[str]:
    return [item["id"] for item in document(call("log", "is_high", "--json"))["executions"]]


def test_feedback_is_read_and_stored(call: Call, copied: Path) -> None:
    newest = ids(call)[0]
    code, out, err = call("feedback", newest[-8:], "false", "alarm", "--source", "ops")
    assert (code, err) == (0, "")
    assert out.startswith(f"{newest} of app:is_high: understood: the right value is False (confidence ")
    code, out, _ = call("feedback", newest, '{"expected": true}', "--json-value")
    assert (code, "the right value is True" in out) == (0, True)
    (item,) = document(call("log", "is_high", "--json", "--limit", "1"))["executions"]
    assert [(said["source"], said["raw"]) for said in item["feedback"]] == [
        ("ops", "false alarm"),
        ("user", {"expected": True}),
    ]


def test_feedback_that_is_not_understood(call: Call, copied: Path) -> None:
    code, out, err = call("feedback", ids(call)[0], "the", "moon", "is", "far")
    assert (code, err) == (1, "")
    assert "stored, but not understood" in out
    assert "false alarm" in out
    assert document(call("status", "--json"))["functions"][0]["unread"] == 1


def test_feedback_that_is_no_json(call: Call, copied: Path) -> None:
    code, out, err = call("feedback", ids(call)[0], "{expected", "--json-value")
    assert (code, out) == (2, "")
    assert "is no JSON" in err


def test_feedback_starts_learning_and_waits_for_it(folder: Path) -> None:
    (folder / "app.py").write_text(APP)
    assert poet(folder, "run", "app.py").returncode == 0
    (newest,) = json.loads(poet(folder, "log", "is_high", "--json", "--limit", "1").stdout)["executions"]
    (folder / "app.py").write_text(APP.replace("after=1000", "after=61"))
    done = poet(folder, "feedback", newest["id"], "good catch")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{newest['id']} of app:is_high: understood: the result was right (confidence 90.0 %)",
        "learned from it: v2 is in use now; see: python -m poet_hook diff app:is_high",
    ]


# --------------------------------------------------------------------------- wrong questions


@pytest.mark.parametrize("command", ["log", "versions", "diff", "show", "explain", "rollback", "learn"])
def test_an_unknown_function(call: Call, command: str) -> None:
    code, out, err = call(command, "nowhere")
    assert (code, out) == (1, "")
    assert is_one_line(err, "PH-E24")
    assert "nowhere" in err


@pytest.mark.parametrize("command", ["log", "versions", "rollback", "learn"])
def test_a_function_that_does_not_learn(call: Call, command: str) -> None:
    code, out, err = call(command, "plain")
    assert (code, out) == (1, "")
    assert is_one_line(err, "PH-E23")
    assert "app.py:10) has no optimize_for=" in err


def test_feedback_in_a_program_on_a_function_that_does_not_learn(folder: Path) -> None:
    (folder / "app.py").write_text(
        "import poet_hook\n\n# poet: retries=1\ndef f():\n    return 1\n\npoet_hook.call(f)\n"
    )
    done = poet(folder, "run", "app.py")
    assert done.returncode == 1
    assert "NotEnhancedError: f left no execution: its pragma" in done.stderr
    assert "has no optimize_for=" in done.stderr


def test_an_unknown_execution(call: Call) -> None:
    code, out, err = call("feedback", "0123456789", "false alarm")
    assert (code, out) == (1, "")
    assert is_one_line(err, "PH-E21")
    assert "poet_hook log FUNCTION" in err


def test_an_id_that_several_executions_have(call: Call) -> None:
    code, _, err = call("feedback", ids(call)[0][:6], "false alarm")
    assert code == 1
    assert is_one_line(err, "PH-E22")


@pytest.mark.parametrize(
    "words",
    [("status",), ("log", "f"), ("versions", "f"), ("feedback", "0123456789", "no"), ("learn",), ("explain", "f")],
)
def test_looking_makes_no_store(
    folder: Path, words: Sequence[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("POET_HOME", raising=False)
    reset()
    assert main(words) == (0 if words in (("status",), ("learn",)) else 1)
    assert sorted(path.name for path in folder.iterdir()) == ["pyproject.toml"]
    captured = capsys.readouterr()
    assert str(folder) in captured.out + captured.err
    reset()


def test_a_damaged_version(copied: Path) -> None:
    (copied / ".poet" / "functions" / "app.is_high" / "v2" / "version.json").write_text("{")
    looked = poet(copied, "versions", "is_high")
    assert looked.returncode == 0
    assert looked.stderr.startswith("poet_hook: VersionWarning: ")
    assert looked.stderr.count("\n") == 1
    assert "the original runs: " in looked.stdout
    assert "python -m poet_hook rollback app:is_high" in looked.stdout
    status = json.loads(poet(copied, "status", "--json").stdout)["functions"][0]
    assert (status["champion"], status["level"]) == (1, None)
    assert "is damaged" in status["problem"]
    asked = poet(copied, "diff", "is_high", "1", "2")
    assert asked.returncode == 1
    assert "[PH-E50]" in asked.stderr
    assert "Traceback" not in asked.stderr
    (copied / "use.py").write_text("import app\nprint(app.is_high(4.0))\n")
    ran = poet(copied, "run", "use.py")
    assert (ran.returncode, ran.stdout) == (0, "True\n")
    assert "the original runs" in ran.stderr


def test_a_damaged_store_leaves_the_versions_to_choose_from(copied: Path) -> None:
    (copied / ".poet" / "poet.db").write_bytes(b"nonsense" * 1000)
    for words, said in (
        (("versions", "is_high"), "v2"),
        (("rollback", "is_high"), "v1 is in use again"),
        (("promote", "is_high", "2"), "v2 is in use"),
    ):
        done = poet(copied, *words)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
        assert "StoreWarning" in done.stderr
        assert "is damaged" in done.stderr


def test_a_syntax_error_in_a_module_is_shown_as_by_python(folder: Path) -> None:
    (folder / "m.py").write_text("# poet: retries=1\ndef f():\n    return = 1\n")
    (folder / "app.py").write_text("import m\n")
    assert same(folder, "app.py").returncode == 1


def test_a_damaged_pointer(copied: Path) -> None:
    (copied / ".poet" / "functions" / "app.is_high" / "champion.json").write_text("[]")
    done = poet(copied, "status")
    assert (done.returncode, "v1" in done.stdout) == (0, True)
    assert "poet_hook promote app:is_high VERSION" in done.stdout
    assert poet(copied, "promote", "is_high", "2").returncode == 0
    assert "v2 proven" in poet(copied, "status").stdout


def test_a_function_whose_file_has_gone(call: Call, learned: Path) -> None:
    moved = learned / "app.py"
    moved.rename(learned / "gone")
    try:
        for words in ("learn",), ("explain", "is_high"), ("learn", "--json"):
            code, out, err = call(*words)
            assert code == 1
            assert is_one_line(err, "PH-E40")
            assert bool(out) == ("--json" in words)
    finally:
        (learned / "gone").rename(moved)


@pytest.mark.parametrize(
    "words",
    [(), ("nosuch",), ("log",), ("log", "f", "--limit", "0"), ("promote", "f", "two"), ("sta",), ("status", "--js")],
)
def test_wrong_usage(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: poet_hook")


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words, text in (
        (["--version"], f"poet_hook {__version__}\n"),
        (["run", "--help"], "usage: poet_hook run SCRIPT"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(text)


# --------------------------------------------------------------------------- terminals and pipes


def on_terminal(folder: Path, *words: str, **changes: str) -> str:
    """What a command prints on a terminal (stdout and stderr together)."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "poet_hook", *words]
    process = subprocess.Popen(command, cwd=folder, env={**environ(folder), **changes}, stdout=its, stderr=its)
    os.close(its)
    out = b""
    try:
        while part := os.read(ours, 65536):
            out += part
    except OSError:  # the other end was closed
        pass
    os.close(ours)
    assert process.wait(60) == 0
    return out.decode()


def test_a_terminal_gets_bold_and_lines_that_fit(learned: Path) -> None:
    wide = on_terminal(learned, "log", "is_high", "--limit", "3", COLUMNS="300", TERM="xterm", NO_COLOR="")
    assert wide.startswith("\033[1mid")
    assert "'good catch' = right (user)" in wide
    narrow = on_terminal(learned, "log", "is_high", "--limit", "3", COLUMNS="90", TERM="xterm", NO_COLOR="1")
    assert "\033" not in narrow
    assert max(map(len, narrow.splitlines())) <= 90
    assert "…" in narrow
    piped = poet(learned, "log", "is_high", "--limit", "3", COLUMNS="90").stdout
    assert "'good catch' = right (user)" in piped
    assert "\033" not in piped


def test_progress_is_drawn_on_a_terminal_only(copied: Path) -> None:
    assert "[....." in on_terminal(copied, "learn", "is_high", TERM="xterm")
    assert poet(copied, "learn", "is_high").stderr == ""


def test_a_reader_that_goes_away_is_no_error(learned: Path) -> None:
    command = [sys.executable, "-m", "poet_hook", "versions", "is_high", "--json"]
    process = subprocess.Popen(
        command, cwd=learned, env=environ(learned), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, b"")


@pytest.mark.parametrize("words", [["--help"], ["log", "--help"], ["log"], ["log", "no_such"], ["status"]])
def test_readers_of_help_and_errors_may_go_away_too(learned: Path, words: list[str]) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    process = subprocess.Popen(
        [sys.executable, "-m", "poet_hook", *words],
        cwd=learned,
        env=environ(learned),
        stdout=writes,
        stderr=subprocess.STDOUT,
    )
    os.close(writes)
    assert process.wait(60) in (141, 2, 120)  # argparse and Python look over it where usage is wrong


INTERRUPTS = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["AT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("module", ["errors", "cli.commands", "api", "cli.look", "learning.live", "cli.output"])
@pytest.mark.parametrize("words", [["status"], ["--help"], ["run", "app.py"]], ids="_".join)
def test_an_interrupt_while_a_command_starts_is_quiet(copied: Path, module: str, words: list[str]) -> None:
    (copied / "sitecustomize.py").write_text(INTERRUPTS)
    paths = f"{copied}{os.pathsep}{environ(copied)['PYTHONPATH']}"
    done = poet(copied, *words, AT=f"poet_hook.{module}", PYTHONPATH=paths)
    assert done.returncode in (0, 130)  # 0: this command needs no such module
    assert "Traceback" not in done.stderr
    if module == "errors":
        assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_no_room_for_the_output_is_one_line(learned: Path) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "poet_hook", "status"]
        done = subprocess.run(
            command, cwd=learned, env=environ(learned), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def test_an_interrupted_command(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(look.api, "status", interrupted)
    assert call("status") == (130, "", "")


def test_text_from_the_store_can_not_move_the_cursor(call: Call, copied: Path) -> None:
    (copied / "odd.py").write_text(
        "import poet_hook\n# poet: optimize_for=accuracy, key=word\ndef odd(word: str) -> str:\n"
        "    if word == 'bad': raise ValueError('\\x1b[2J\\udc80')\n    return word\n"
        "r = poet_hook.call(odd, '\\x1b[31mred')\npoet_hook.feedback(r, '\\x1b]0;title\\x07')\n"
        "try: odd('bad')\nexcept ValueError: pass\n"
    )
    assert poet(copied, "run", "odd.py").returncode == 0
    code, out, err = call("log", "odd")
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert "raised ValueError: \ufffd[2J" in out
    assert len(document(call("log", "odd", "--json"))["executions"]) == 2


# --------------------------------------------------------------------------- words that a stranger met

PRICES = """import poet_hook
# poet: optimize_for=absolute_error, key=name
def price(name: str, weight: float) -> float:
    return weight * 3.0

# poet: optimize_for=absolute_error, key=name
def weigh(name: str) -> float:
    return 0.1 + 0.2

price("apple", 0.1)
price("pear", 1732512345.678 / 3)
weigh("apple")
"""


def test_feedback_may_name_the_function(folder: Path) -> None:
    (folder / "shop.py").write_text(PRICES)
    assert poet(folder, "run", "shop.py").returncode == 0
    assert is_one_line(poet(folder, "feedback", "apple", "4").stderr, "PH-E22")  # of both functions
    said = poet(folder, "feedback", "apple", "too low", "--function", "price")
    assert (said.returncode, said.stderr) == (0, "")
    assert " of shop:price: understood: the value was too low" in said.stdout
    execution = said.stdout.split()[0]
    assert poet(folder, "feedback", execution, "too low", "--function", "shop:price").returncode == 0
    other = poet(folder, "feedback", execution, "too low", "--function", "weigh")
    assert is_one_line(other.stderr, "PH-E21")
    assert f"{execution} is an execution of shop:price, not of shop:weigh" in other.stderr
    missing = poet(folder, "feedback", "pear", "too low", "--function", "weigh")
    assert "no execution of shop:weigh in " in missing.stderr
    assert "nothing" not in poet(folder, "feedback", "pear", "--function", "nosuch", "too low").stdout


def test_numbers_are_shown_as_people_read_them_and_kept_in_full(folder: Path) -> None:
    (folder / "shop.py").write_text(PRICES)
    assert poet(folder, "run", "shop.py").returncode == 0
    shown = poet(folder, "log", "weigh").stdout + poet(folder, "log", "price").stdout
    assert "0.30000000000000004" not in shown
    assert "  0.3  " in shown
    assert "1732512345.68" in shown
    assert document_of(poet(folder, "log", "weigh", "--json"))["executions"][0]["result"] == 0.30000000000000004


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1 + 0.2, "0.3"), (20.000000000000004, "20.0"), (5.0, "5.0"), (-1234567.891, "-1234567.89"),
        (1e22, "1e+22"), (1.23456789e-7, "1.23457e-07"), (0.0, "0.0"), (float("inf"), "inf"), (2 / 3, "0.666667"),
        ([0.1 + 0.2, {"a": 2 / 3}], "[0.3, {'a': 0.666667}]"), (True, "True"), (3, "3"),
    ],
)  # fmt: skip
def test_shown(value: object, text: str) -> None:
    assert output.shown(value) == text


def test_values_that_differ_are_shown_apart() -> None:
    assert output.apart(0.3, 0.1 + 0.2) == ("0.3", "0.30000000000000004")
    assert output.apart(0.1 + 0.2, 0.5) == ("0.3", "0.5")


def document_of(done: Done) -> Any:
    return json.loads(done.stdout)


# --------------------------------------------------------------------------- no room on the disk


def full(folder: Path, *words: str) -> Done:
    """Run a command that can make no file longer than nothing, as on a full disk."""
    limit = "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0));"
    code = f"{limit} runpy.run_module('poet_hook', run_name='__main__', alter_sys=True)"
    return python(folder, "-c", f"import sys; {code}", *words, PYTHONDONTWRITEBYTECODE="1", COVERAGE_PROCESS_CONFIG="")


LOOKING = [["status"], ["log", "is_high"], ["versions", "is_high"], ["diff", "is_high"], ["explain", "is_high"]]


@pytest.mark.parametrize("left", ["closed", "killed"])
def test_looking_needs_no_room_on_the_disk(copied: Path, left: str) -> None:
    before = [poet(copied, *words).stdout for words in LOOKING]
    if left == "killed":  # what was said last is still beside the database, which nobody closed
        killed = (
            "import os, poet_hook; poet_hook.activate(); from poet_hook import api;"
            "said = next(iter(api.executions('app:is_high')));"
            "api.store().set_meta('x', 'y'); poet_hook.feedback(said.id, 'correct'); os._exit(0)"
        )
        assert python(copied, "-c", killed).returncode == 0
        assert (copied / ".poet" / "poet.db-wal").stat().st_size
        (copied / ".poet" / "poet.db-shm").unlink()
        kept = shutil.copytree(copied / ".poet", copied / "kept")
        before = [poet(copied, *words).stdout for words in LOOKING]
        shutil.rmtree(copied / ".poet")
        kept.rename(copied / ".poet")
    for words, expected in zip(LOOKING, before, strict=True):
        done = full(copied, *words)
        looked, cost, measured = done.stdout.partition("\nCost of a call\n")
        assert (looked, done.returncode) == (expected.partition(cost)[0] if cost else expected, 0), done.stderr
        assert measured.startswith("nothing is measured: " if cost else "")
        assert "Traceback" not in done.stderr
    said = full(copied, "feedback", json.loads(before_id(copied))["id"], "correct")
    assert said.returncode == 1
    assert "Make room on it, or set POET_HOME to another folder" in said.stderr
    assert is_one_line(said.stderr, "PH-E30")


def before_id(folder: Path) -> str:
    found = document_of(poet(folder, "log", "is_high", "--limit", "1", "--json"))
    return json.dumps(found["executions"][0])
