"""What the import hook costs, beside Python alone and beside other hooks.

    pip install '.[bench]'
    python benchmarks/imports.py [--runs 9]

Four things are measured, each in processes of its own, the hooks in turn, and the fastest of `--runs` is taken:

- *installed*: `find_spec` for 500 modules of the standard library and of installed packages, which no hook touches.
- *project*: the import of 500 modules of a project, none of which asks for anything; their bytecode is there.
- *cold*, *warm*: the import of one module of 200 annotated functions, each of which the hook takes part in; for the
  first time, and again in another process.
- *start*: a bare interpreter, one that imports the hook, and one that installs it; and in an environment of its own,
  one with the file of `install-startup`, and one for which POET_HOOK is set too, in which nothing has a pragma.

A hook that is not installed on this machine is left out. Times are in microseconds (a module); what counts are the
ratios to *plain* in the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import pkgutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

MODULES = 500
FUNCTIONS = 200
HOOKS = ("plain", "poet_hook", "typeguard", "beartype", "logfire", "pytest")

FUNCTION = '''
{mark}
def f{number}(value: float, limit: float = {number}.5) -> float:
    """The distance of a value from its limit, or nothing where it is below."""
    distance = value - limit
    if distance > {number}.0 and value > 2.0:
        scaled = distance * {number}
        return scaled
    return 0.0
'''
UNTOUCHED = '''"""A module that asks for nothing."""

import math

LIMIT = {number}


class Point:
    def __init__(self, x: float, y: float) -> None:
        self.x = x
        self.y = y

    def length(self) -> float:
        return math.hypot(self.x, self.y)


def area(width: float, height: float) -> float:
    return width * height if width < LIMIT else 0.0
'''


# -- the hooks, each as its own documentation installs it


def install(hook: str, folder: Path) -> None:
    """Install a hook for the modules in `folder`."""
    if hook == "poet_hook":
        import poet_hook

        poet_hook.activate(roots=[folder])
    elif hook == "typeguard":
        from typeguard import install_import_hook

        install_import_hook(["many", *(f"m{n}" for n in range(MODULES))])
    elif hook == "beartype":
        from beartype.claw import beartype_packages

        beartype_packages(("many", *(f"m{n}" for n in range(MODULES))))
    elif hook == "logfire":
        import logfire

        logfire.configure(send_to_logfire=False, console=False)
        logfire.install_auto_tracing(
            modules=lambda module: str(module.filename).startswith(str(folder)), min_duration=0
        )
    elif hook == "pytest":
        from _pytest.assertion import install_importhook
        from _pytest.config import get_config

        config = get_config()
        config.parse([str(folder), "-p", "no:cacheprovider", "-o", "python_files=*.py"])
        install_importhook(config)


# -- what a process of its own measures


def installed(_folder: Path) -> float:
    """Microseconds of `find_spec` for one module that is installed."""
    places = [sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["purelib"]]
    found: list[tuple[str, list[str] | None]] = []
    for place in places:
        for module in pkgutil.iter_modules([place]):
            found.append((module.name, None))
            if module.ispkg and not module.name.startswith("test"):
                inner = [os.path.join(place, module.name)]
                found += [(f"{module.name}.{part.name}", inner) for part in pkgutil.iter_modules(inner)]
    found = found[:: max(1, len(found) // MODULES)][:MODULES]
    find: Callable[..., object] = importlib._bootstrap._find_spec  # type: ignore[attr-defined]
    took = []
    for _ in range(5):
        start = time.perf_counter_ns()
        for name, path in found:
            find(name, path)
        took.append(time.perf_counter_ns() - start)
    return min(took) / len(found) / 1e3


def project(folder: Path) -> float:
    """Microseconds of the import of one module that asks for nothing."""
    sys.path.insert(0, str(folder))
    start = time.perf_counter_ns()
    for number in range(MODULES):
        importlib.import_module(f"m{number}")
    return (time.perf_counter_ns() - start) / MODULES / 1e3


def many(folder: Path) -> float:
    """Microseconds of the import of the module with many functions."""
    sys.path.insert(0, str(folder))
    start = time.perf_counter_ns()
    module = importlib.import_module("many")
    took = (time.perf_counter_ns() - start) / 1e3
    assert module.f3(10.0) == 19.5
    return took


MEASURED = {"installed": installed, "project": project, "cold": many, "warm": many}


def worker(hook: str, what: str, folder: Path) -> None:
    """Install, measure, and print the microseconds."""
    install(hook, folder)
    print(json.dumps(MEASURED[what](folder)))


# -- the runs


def write(folder: Path, hook: str) -> None:
    """The modules that a hook will import."""
    mark = {"poet_hook": "# poet:"}.get(hook, "#")
    parts = [FUNCTION.format(number=number, mark=mark) for number in range(FUNCTIONS)]
    (folder / "many.py").write_text('"""Many functions."""\n' + "\n".join(parts), encoding="utf-8")
    for number in range(MODULES):
        (folder / f"m{number}.py").write_text(UNTOUCHED.format(number=number), encoding="utf-8")


def environment(cache: Path) -> dict[str, str]:
    """That of a user who set nothing: bytecode is written, and kept in `cache` where it is ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POET_", "PYTHON"))}
    return kept | {"XDG_CACHE_HOME": str(cache)}


def measured(hook: str, what: str, folder: Path, cache: Path) -> float:
    """One process's microseconds."""
    done = subprocess.run(
        [sys.executable, __file__, "--worker", hook, what, str(folder)],
        capture_output=True, text=True, env=environment(cache), cwd=folder, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{hook}, {what}:\n{done.stderr}")
    return float(json.loads(done.stdout.splitlines()[-1]))


def rounds(hooks: list[str], runs: int) -> dict[str, dict[str, float]]:
    """The least microseconds by what is measured and hook."""
    took: dict[str, dict[str, list[float]]] = {what: {hook: [] for hook in hooks} for what in MEASURED}
    for _ in range(runs):
        for hook in hooks:
            with tempfile.TemporaryDirectory() as name:
                folder, cache = Path(name, "project"), Path(name, "cache")
                folder.mkdir()
                write(folder, hook)
                took["cold"][hook].append(measured(hook, "cold", folder, cache))
                took["warm"][hook].append(measured(hook, "warm", folder, cache))
                measured(hook, "project", folder, cache)
                took["project"][hook].append(measured(hook, "project", folder, cache))
                took["installed"][hook].append(measured(hook, "installed", folder, cache))
    return {what: {hook: min(times) for hook, times in by.items()} for what, by in took.items()}


def starts(runs: int) -> list[tuple[str, float]]:
    """Milliseconds of an interpreter's start, alone and with us."""
    programs = [
        ("bare interpreter", "pass"),
        ("import poet_hook", "import poet_hook"),
        ("activate()", "import poet_hook; poet_hook.activate()"),
    ]
    took: dict[str, list[float]] = {name: [] for name, _ in programs}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(runs * 3):
            for name, program in programs:
                start = time.perf_counter()
                subprocess.run([sys.executable, "-c", program], check=True, cwd=folder, env=environment(Path(folder)))
                took[name].append((time.perf_counter() - start) * 1e3)
    return [(name, min(times)) for name, times in took.items()]


def starts_with_file(runs: int) -> list[tuple[str, float]]:
    """The same for an environment with and without the file of `install-startup`."""
    took: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, symlinks=True)
        python, kept = str(Path(folder, "bin", "python")), environment(Path(folder))
        (packages,) = Path(folder).glob("lib/python*/site-packages")
        for_it = [str(Path(__file__).resolve().parents[1]), sysconfig.get_path("purelib")]
        (packages / "places.pth").write_text("\n".join(for_it), encoding="utf-8")
        for _ in range(runs * 3):
            for name, command, more in (
                ("its environment", "uninstall-startup", {}),
                ("install-startup", "install-startup", {}),
                ("and POET_HOOK=1", "install-startup", {"POET_HOOK": "1"}),
            ):
                done = [python, "-m", "poet_hook", command]
                subprocess.run(done, check=True, cwd=folder, env=kept, stdout=subprocess.DEVNULL)
                start = time.perf_counter()
                subprocess.run([python, "-c", "pass"], check=True, cwd=folder, env=kept | more)
                took.setdefault(name, []).append((time.perf_counter() - start) * 1e3)
    return [(name, min(times)) for name, times in took.items()]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="What the import hook costs.")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--worker", nargs=3, metavar=("HOOK", "WHAT", "FOLDER"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        hook, what, folder = chosen.worker
        worker(hook, what, Path(folder))
        return
    hooks = [hook for hook in HOOKS if hook == "plain" or importlib.util.find_spec(hook)]
    table = rounds(hooks, chosen.runs)
    print(f"{'us':12}" + "".join(f"{what:>22}" for what in table))
    for hook in hooks:
        cells = []
        for by in table.values():
            extra = by[hook] - by["plain"]
            cells.append(f"{by[hook]:10.1f} {by[hook] / by['plain']:5.2f}x {extra:+.1f}".rjust(22))
        print(f"{hook:12}" + "".join(cells))
    print()
    for measure in starts, starts_with_file:
        bare = None
        for name, took in measure(chosen.runs):
            bare = bare or took
            print(f"{name:20}{took:8.1f} ms {took / bare:6.2f}x")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
