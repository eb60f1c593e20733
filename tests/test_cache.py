"""What was compiled is kept, for this user alone, and never a moment too long. Bytecode is written in all of these."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Python, environment

RUN = """
import poet_hook
from poet_hook.hook.loader import Enhancer
compiled = []
compile = Enhancer._compiled
Enhancer._compiled = lambda *given: compiled.append(given) or compile(*given)
poet_hook.activate()
import m
print(m.f(1.0), bool(compiled))
"""
SOURCE = "# poet: require='x > 0'\ndef f(x: float) -> float:\n    return x + 1\n"

Run = Callable[..., tuple[str, bool]]


@pytest.fixture
def run(python: Python) -> Run:
    """What f(1.0) is in a new process, and whether the module was compiled there."""

    def run(**environ: str) -> tuple[str, bool]:
        said, compiled = python(RUN, **environ).stdout.split()
        return said, compiled == "True"

    return run


@pytest.fixture
def kept(project: Path) -> Callable[[], list[Path]]:
    """The files of the cache."""
    return lambda: sorted(path for path in (project.parent / "cache").rglob("*") if path.is_file())


def test_a_second_process_compiles_nothing(project: Path, run: Run, kept: Callable[[], list[Path]]) -> None:
    (project / "m.py").write_text(SOURCE)
    assert [run(), run(), run()] == [("2.0", True), ("2.0", False), ("2.0", False)]
    (file,) = kept()
    assert file.parent.name == sys.implementation.cache_tag
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert not (project / "__pycache__").exists()


def test_nothing_heavy_is_imported_where_only_types_are_checked(project: Path, python: Python) -> None:
    (project / "m.py").write_text("# poet:\ndef f(x: float) -> float:\n    return x + 1\n")
    heavy = ("msgspec", "sqlite3", "poet_hook.model", "poet_hook.runtime.slot", "poet_hook.transform.compile")
    code = RUN + f"import sys\nprint([name for name in {heavy} if name in sys.modules])"
    python(code)
    assert python(code, COVERAGE_PROCESS_CONFIG="").stdout == "2.0 False\n[]\n"  # coverage imports sqlite3


@pytest.mark.parametrize("options", ["retries=1", "optimize_for=accuracy"])
def test_nothing_of_learning_is_imported_where_the_original_runs(project: Path, python: Python, options: str) -> None:
    (project / "m.py").write_text(f"# poet: {options}\ndef f(x: float) -> float:\n    return x + 1\n")
    late = ("learning", "model.plan", "model.pragma", "model.version", "pragma.scan", "transform", "versions.rebase")
    code = RUN + f"import sys\nprint([name for name in {late} if f'poet_hook.{{name}}' in sys.modules])"
    python(code)
    assert python(code).stdout == "2.0 False\n[]\n"


def test_an_edit_of_the_same_size_in_the_same_moment_is_seen(project: Path, run: Run) -> None:
    path = project / "m.py"
    path.write_text(SOURCE)
    before = path.stat()
    assert run() == ("2.0", True)
    path.write_text(SOURCE.replace("x + 1", "x + 2"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run() == ("3.0", True)
    path.write_text(SOURCE.replace("x > 0", "x > 5"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(AssertionError, match="PerceiveError"):
        run()


def test_a_module_that_moves_says_where_it_is(project: Path, python: Python) -> None:
    code = "import poet_hook\npoet_hook.activate()\nimport m\nprint(m.f.__code__.co_filename, m.f.poet.place)"
    (project / "m.py").write_text(SOURCE)
    assert python(code).stdout == f"{project}/m.py {project}/m.py\n"
    (project / "lib").mkdir()
    (project / "m.py").rename(project / "lib" / "m.py")
    moved = code.replace("import m", "import sys\nsys.path.insert(0, 'lib')\nimport m")
    assert python(moved).stdout == f"{project}/lib/m.py {project}/lib/m.py\n"


def test_a_project_inside_another_has_names_of_its_own(
    project: Path, python: Python, monkeypatch: pytest.MonkeyPatch, kept: Callable[[], list[Path]]
) -> None:
    inner = project / "inner"
    inner.mkdir()
    (inner / "m.py").write_text(SOURCE)
    code = f"import sys\nsys.path.insert(0, {str(inner)!r})\nimport poet_hook\npoet_hook.activate()\nimport m\nm.f(0.0)"
    assert "PerceiveError: inner.m:f: " in python(code, check=False).stderr
    (inner / "pyproject.toml").touch()
    monkeypatch.chdir(inner)
    assert "PerceiveError: m:f: " in python(code, check=False).stderr
    assert len(kept()) == 1


def test_a_file_with_two_names_is_two_modules(project: Path, python: Python) -> None:
    (project / "lib").mkdir()
    (project / "lib" / "m.py").write_text(SOURCE)
    slot = "next(part for part in {}.f.__code__.co_consts if type(part).__name__ == 'Slot')"
    code = f"""
        import sys
        import poet_hook
        poet_hook.activate()
        sys.path.insert(0, "lib")
        import m, lib.m
        print({slot.format("m")}.module, {slot.format("lib.m")}.module)
    """
    assert [python(code).stdout, python(code).stdout] == ["m lib.m\n"] * 2


LEARNED = """
import sys
import poet_hook
poet_hook.activate()
import m
for n in range(80):
    result = poet_hook.call(m.f, n / 30)
    poet_hook.feedback(result, {"expected": n > 45})
poet_hook.learn(m.f)
"""
TRAINED = "# poet: optimize_for=accuracy, after=1000\ndef f(x: float) -> bool:\n    return x > 0.5\n"


def test_the_version_in_use_is_part_of_it(project: Path, python: Python, run: Run) -> None:
    (project / "m.py").write_text(TRAINED)
    assert [run(), run()] == [("True", True), ("True", False)]
    python(LEARNED)
    assert [run(), run()] == [("False", True), ("False", False)]
    python("import poet_hook; poet_hook.rollback('m:f')")
    assert [run(), run()] == [("True", True), ("True", False)]


def test_a_version_that_was_edited_does_not_come_back_from_the_cache(project: Path, python: Python, run: Run) -> None:
    (project / "m.py").write_text(TRAINED)
    python(LEARNED)
    assert [run(), run()] == [("False", True), ("False", False)]
    path = next(project.glob(".poet/functions/*/v2/version.json"))
    path.write_text(path.read_text().replace('"proven"', '"requested"'))
    done = python(RUN)
    assert done.stdout.startswith("True")
    assert "the original runs" in done.stderr


@pytest.mark.parametrize("damage", ["empty", "short", "bit", "key", "other", "folder"])
def test_a_damaged_file_is_replaced(
    project: Path, python: Python, run: Run, kept: Callable[[], list[Path]], damage: str
) -> None:
    (project / "m.py").write_text(SOURCE)
    run()
    (file,) = kept()
    data = file.read_bytes()
    if damage == "folder":
        file.unlink()
        file.mkdir()
        assert [run(), run()] == [("2.0", True), ("2.0", True)]
        return
    middle = len(data) // 2
    file.write_bytes(
        {
            "empty": b"",
            "short": data[:middle],
            "bit": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
            "key": bytes(8) + data[8:],
            "other": b"\n" * 100,
        }[damage]
    )
    assert [run(), run()] == [("2.0", True), ("2.0", False)]
    assert file.read_bytes() == data


def test_levels_of_optimisation_keep_apart(project: Path, run: Run) -> None:
    (project / "m.py").write_text(SOURCE + "    assert x\n".replace("    assert x\n", ""))
    flags = ["", "1", "2", "", "1", "2"]
    assert [run(PYTHONOPTIMIZE=flag)[1] for flag in flags] == [True, True, True, False, False, False]


def test_where_python_is_told_to_keep_bytecode(project: Path, run: Run, tmp_path: Path) -> None:
    (project / "m.py").write_text(SOURCE)
    place = tmp_path / "elsewhere"
    assert [run(PYTHONPYCACHEPREFIX=str(place))[1] for _ in range(2)] == [True, False]
    assert len(list((place / "poet_hook").rglob("*"))) == 2


def test_nothing_is_written_where_python_writes_no_bytecode(
    project: Path, run: Run, kept: Callable[[], list[Path]]
) -> None:
    (project / "m.py").write_text(SOURCE)
    assert [run(PYTHONDONTWRITEBYTECODE="1")[1] for _ in range(2)] == [True, True]
    assert kept() == []
    run()
    assert run(PYTHONDONTWRITEBYTECODE="1") == ("2.0", False)


def test_a_folder_that_others_may_write_to_is_not_used(project: Path, run: Run, kept: Callable[[], list[Path]]) -> None:
    (project / "m.py").write_text(SOURCE)
    run()
    (file,) = kept()
    file.parent.chmod(0o777)
    assert [run()[1] for _ in range(2)] == [True, True]
    file.parent.chmod(0o700)
    assert run() == ("2.0", False)
    elsewhere = project.parent / "moved"
    file.parent.rename(elsewhere)
    file.parent.symlink_to(elsewhere)
    assert run() == ("2.0", True)


def test_no_room_for_it_is_no_error(project: Path, python: Python) -> None:
    (project / "m.py").write_text(SOURCE)
    (project.parent / "cache").write_text("a file")
    assert [python(RUN).stdout for _ in range(2)] == ["2.0 True\n"] * 2
    done = python(RUN, XDG_CACHE_HOME="relative")
    assert (done.stdout, done.stderr) == ("2.0 True\n", "")


def test_what_is_wrong_in_a_pragma_is_said_each_time(project: Path, python: Python) -> None:
    (project / "m.py").write_text(SOURCE.replace("require", "retires=1, require"))
    first, second = (python(RUN) for _ in range(2))
    assert (first.stdout, second.stdout) == ("2.0 True\n", "2.0 False\n")
    assert first.stderr == second.stderr
    assert "PH201" in second.stderr
    assert "PragmaError" in python(RUN, check=False, POET_STRICT="1").stderr


def test_a_script_is_kept_too(project: Path, python: Python, kept: Callable[[], list[Path]]) -> None:
    (project / "app.py").write_text(SOURCE + "print(f(1.0))\n")
    command = [sys.executable, "-m", "poet_hook", "run", "app.py"]
    assert subprocess.check_output(command, text=True, env=environment()) == "2.0\n"
    (file,) = kept()
    before = file.stat().st_ino
    assert subprocess.check_output(command, text=True, env=environment()) == "2.0\n"
    assert file.stat().st_ino == before


def test_many_processes_at_once(project: Path, run: Run, kept: Callable[[], list[Path]]) -> None:
    (project / "m.py").write_text(SOURCE)
    command = [sys.executable, "-c", RUN]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) for _ in range(8)]
    assert {process.communicate()[0].split()[0] for process in running} == {"2.0"}
    assert run() == ("2.0", False)
    assert len(kept()) == 1


def test_old_files_make_room(project: Path, run: Run, kept: Callable[[], list[Path]]) -> None:
    (project / "m.py").write_text(SOURCE)
    run()
    (file,) = kept()
    for number in range(2_000):
        other = file.parent / f"{number:016x}"
        other.touch()
        os.utime(other, (1, 1))
    (project / "m.py").write_text(SOURCE.replace("+ 1", "+ 3"))
    now = time.time()
    assert run() == ("4.0", True)
    assert run() == ("4.0", False)
    assert len(kept()) < 1_100
    assert file.stat().st_mtime > now - 60


def test_poet_hook_itself_is_part_of_it(project: Path, python: Python) -> None:
    code = """
        from poet_hook.hook import cache
        before = cache.Cache(None).key(b"source", "m")
        assert cache.Cache(None).key(b"source", "m") == before
        assert cache.Cache(None).key(b"source", "n") != before
        state = cache._state
        cache._state = lambda path: (*state(path), 1)
        assert cache.Cache(None).key(b"source", "m") != before
    """
    python(code)
