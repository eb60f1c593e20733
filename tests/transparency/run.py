"""The test suites of real packages, with every function of the package enhanced, and without: the same outcomes?

`make transparency` fetches the published source archives (this needs the network), runs each suite in a process of its
own, plainly and then in each of `WAYS`, and compares the outcome of every single test. Python's own tests of what import
hooks touch are run with the finder installed. It ends with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from poet_hook.settings import load
from poet_hook.transform.plan import UNPARSABLE, plan_module

ROOT = Path(__file__).resolve().parents[2]
# what is assumed of every function: the least that there is, and what puts a guard around each body
WAYS = ("record=none", "ensure='True'")
LONGEST = 900.0  # seconds of one run
OWN = ("test_importlib", "test_runpy", "test_pkgutil", "test_inspect", "test_coroutines", "test_generators")


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests of one package; `source` is the folder in its archive that is imported from."""

    archive: str
    packages: tuple[str, ...]
    tests: str
    source: str = "."
    further: str = ""  # assumed besides
    why: str = ""


SUITES = (
    Suite("more-itertools==11.2.1", ("more_itertools",), "tests"),
    Suite("toolz==1.2.0", ("toolz", "tlz"), "toolz"),
    Suite("boltons==26.2.0", ("boltons",), "tests"),
    Suite(
        "attrs==26.1.0",
        ("attr", "attrs"),
        "tests",
        "src",
        "attr:_make_getattr: coerce=off",
        "a function in it is annotated to return str, and returns a VersionInfo too",
    ),
    Suite("pluggy==1.7.0", ("pluggy",), "testing", "src"),
    Suite("tenacity==9.2.1", ("tenacity",), "tests"),
    Suite("cachetools==8.0.2", ("cachetools",), "tests", "src"),
)
NEEDED = ("pytest>=8", "hypothesis", "tornado")  # by the suites; where others are missing, tests skip, here as there


def main() -> int:
    """Run the suites that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="packages, or test modules of Python's own (default: all)")
    parser.add_argument("--folder", type=Path, default=ROOT / ".transparency", help="where archives are kept")
    options = parser.parse_args()
    folder = options.folder.resolve()
    python = _environment(folder)
    print(f"{'suite':<24}{'tests':>7}{'functions':>11}{'left alone':>12}   " + "   ".join(WAYS))
    differ = False
    for suite in SUITES:
        if not options.names or suite.archive.partition("==")[0] in options.names:
            differ |= _compare(suite, folder, python)
    for name in OWN:
        if not options.names or name in options.names:
            differ |= _compare_own(name, python)
    return 1 if differ else 0


# --------------------------------------------------------------------------- packages


def _environment(folder: Path) -> Path:
    """A Python with what the suites need and the poet_hook of this checkout, and the archives beside it."""
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-e", ROOT, *NEEDED], check=True)
    archives = [suite.archive for suite in SUITES if not _unpacked(folder, suite).is_dir()]
    if archives:
        wanted = ["--no-deps", "--no-binary", ":all:", "-d", folder / "archives", *archives]
        subprocess.run([python, "-m", "pip", "download", "-q", *wanted], check=True)
        for path in (folder / "archives").glob("*.tar.gz"):
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
    return python


def _unpacked(folder: Path, suite: Suite) -> Path:
    name, _, version = suite.archive.partition("==")
    return folder / f"{name.replace('-', '_')}-{version}"


def _compare(suite: Suite, folder: Path, python: Path) -> bool:
    place = _unpacked(folder, suite)
    plain = outcomes(place, [str(python), "-m", "pytest"], suite.tests, suite.source)
    enhanced, left = _counted(place / suite.source, suite)
    told, differ = [], False
    for way in WAYS:
        assume = "; ".join([*(f"{package}: {way}" for package in suite.packages), *filter(None, [suite.further])])
        command = [str(python), "-m", "poet_hook", "run", "-m", "pytest"]
        found = outcomes(place, command, suite.tests, suite.source, POET_ASSUME=assume)
        different = differences(plain, found)
        differ |= bool(different)
        told.append(f"{len(different) or 'none'} differ" + "".join(f"\n    {line}" for line in different[:10]))
    note = f" ({suite.further}: {suite.why})" if suite.further else ""
    print(f"{suite.archive:<24}{len(plain):>7}{enhanced:>11}{left:>12}   " + "   ".join(told) + note, flush=True)
    return differ or not plain


def outcomes(place: Path, command: list[str], tests: str, source: str = ".", **environ: str) -> dict[str, str]:
    """Each test of a run of pytest, with what became of it."""
    report = place / f".outcomes-{os.getpid()}.xml"
    words = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}", tests]
    done = subprocess.run(
        [*command, *words],
        cwd=place,
        env={**_clean(), "PYTHONPATH": os.pathsep.join([str(place / source), str(ROOT)]), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST,
    )
    try:
        cases = list(ET.parse(report).iter("testcase"))
    except (OSError, ET.ParseError):
        raise SystemExit(f"{place.name}: the suite was not run:\n{done.stdout}") from None
    finally:
        report.unlink(missing_ok=True)
    found: dict[str, str] = {}
    for case in cases:
        name, became = f"{case.get('classname')}::{case.get('name')}", [child.tag for child in case]
        while name in found:
            name += "'"
        found[name] = next((tag for tag in became if tag in ("failure", "error", "skipped")), "passed")
    return found


def _clean() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POET_", "PYTEST", "COV"))}
    return kept | {"PYTHONHASHSEED": "1"}


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """The tests that two runs tell differently."""
    names = sorted(one.keys() | other.keys())
    return [
        f"{name}: {one.get(name, 'not there')} -> {other.get(name, 'not there')}"
        for name in names
        if one.get(name) != other.get(name)
    ]


def _counted(source: Path, suite: Suite) -> tuple[int, int]:
    """How many functions of the packages are enhanced, and how many are left alone."""
    enhanced = left = 0
    for package in suite.packages:
        assume = load(source, {"POET_ASSUME": f"{package}: {WAYS[-1]}", "HOME": "/"}).assume
        for path, module in _modules(source / package, package):
            try:
                planned = plan_module(importlib.util.decode_source(path.read_bytes()), str(path), module, assume=assume)
            except UNPARSABLE:
                continue
            enhanced += len(planned.targets)
            left += len(planned.left_alone)
    return enhanced, left


def _modules(folder: Path, package: str) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob("*.py")):
        parts = [package, *path.relative_to(folder).with_suffix("").parts]
        yield path, ".".join(part for part in parts if part != "__init__")


# --------------------------------------------------------------------------- Python's own


def _compare_own(name: str, python: Path) -> bool:
    if importlib.util.find_spec(f"test.{name}") is None:
        print(f"{name:<24} is not among the modules of this Python")
        return False
    plain = _own_outcomes([str(python), "-m", "unittest"], name)
    found = _own_outcomes([str(python), "-m", "poet_hook", "run", "-m", "unittest"], name)
    different = differences(plain, found)
    told = f"{len(different) or 'none'} differ" + "".join(f"\n    {line}" for line in different[:10])
    print(f"{name:<24}{len(plain):>7}{'the finder installed':>23}   {told}", flush=True)
    return bool(different) or not plain


def _own_outcomes(command: list[str], name: str) -> dict[str, str]:
    done = subprocess.run(
        [*command, "-v", f"test.{name}"],
        env={**_clean(), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST,
    )
    found: dict[str, str] = {}
    for test, became in re.findall(
        r"^(\w+ \([\w.<> ]+\)).*?\.\.\. .*?(ok|FAIL|ERROR|skipped|expected failure)", done.stdout, re.M | re.S
    ):
        while test in found:
            test += "'"
        found[test] = became
    return found


if __name__ == "__main__":
    sys.exit(main())
