from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PACKAGE, environment
from test_docs import blocks_of, matches

EXAMPLES = PACKAGE / "examples"
HELLO, REAL = EXAMPLES / "01_hello_world", EXAMPLES / "03_real_world"
MISSING = [name for name in ("river", "matplotlib") if importlib.util.find_spec(name) is None]


def run(folder: Path, tmp_path: Path, *words: str, **changes: str) -> str:
    """What a copy of an example prints, with a home of its own."""
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("out", ".poet", "__pycache__"))
    done = subprocess.run(
        [sys.executable, *words],
        cwd=copy,
        env=environment(POET_HOME=str(copy / ".poet"), POET_USER_DIR=str(tmp_path / "user"), **changes),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def shown(page: Path, command: str) -> str:
    """The output that a page shows for a command."""
    for block in blocks_of(page):
        _, found, rest = block.text.partition(f"$ {command}\n")
        if block.language == "console" and found:
            return rest.partition("\n$ ")[0].rstrip("\n") + "\n"
    raise AssertionError(f"{page} does not show {command}")


def test_hello_world_is_small_and_does_what_its_page_shows(tmp_path: Path) -> None:
    assert len((HELLO / "hello.py").read_text(encoding="utf-8").splitlines()) < 20
    output = run(HELLO, tmp_path, "-m", "poet_hook", "run", "hello.py")
    assert matches(shown(HELLO / "README.md", "python -m poet_hook run hello.py"), output)


def test_the_readme_shows_hello_world_as_it_is() -> None:
    program = (HELLO / "hello.py").read_text(encoding="utf-8").partition('"""\n\n')[2]
    assert program in [block.text for block in blocks_of(PACKAGE / "README.md")]


def test_the_page_of_the_monitor_shows_it_as_it_is() -> None:
    program = (REAL / "monitor.py").read_text(encoding="utf-8").partition('"""\n\n\n')[2]
    assert program in [block.text for block in blocks_of(REAL / "README.md")]


def costs(output: str) -> dict[str, int]:
    """Version -> cost per 1,000 held-out readings."""
    table = output.partition("Held-out readings")[2].partition("\n\n")[0].splitlines()[2:]
    return {row.split()[0]: int(row.split()[-1].replace(",", "")) for row in table}


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_the_monitor_gets_better_on_readings_that_gave_no_feedback(tmp_path: Path) -> None:
    output = run(REAL, tmp_path, "run.py", COVERAGE_PROCESS_CONFIG="")
    found = costs(output)
    newest = f"v{max(int(name[1:]) for name in found)}"
    assert newest != "v1"
    assert found[newest] < found["v1"]
    assert f"The running function is version {newest[1:]}" in output
    picture = (tmp_path / REAL.name / "out" / "learning.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    for page in (REAL / "README.md", PACKAGE / "README.md"):
        assert matches(shown(page, "python examples/03_real_world/run.py"), output), f"{page}:\n{output}"
