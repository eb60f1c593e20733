from __future__ import annotations

import contextlib
import importlib
import linecache
import os
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import canary
import pytest

import poet_hook
from poet_hook import activation, api
from poet_hook.errors import PoetWarning
from poet_hook.hook import first
from poet_hook.model import Plan, Tunable
from poet_hook.runtime import handed, record, slot, steady
from poet_hook.versions.watch import watch

PACKAGE = Path(poet_hook.__file__).resolve().parent.parent
Load = Callable[..., ModuleType]
Python = Callable[..., "subprocess.CompletedProcess[str]"]


_unexpected: list[str] = []


def pytest_warning_recorded(warning_message: warnings.WarningMessage, nodeid: str) -> None:
    """Ours are shown where warnings are errors, not raised: one that no test expected fails the run."""
    if issubclass(warning_message.category, PoetWarning):
        _unexpected.append(f"{nodeid}: {warning_message.message}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _unexpected:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _unexpected:
        terminalreporter.write_line(f"UNEXPECTED WARNING {line}", red=True)


def forget(folder: Path) -> None:
    """Drop the modules that were imported from `folder`."""
    found = {}
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
        if isinstance(path, str) and path.startswith(f"{folder}{os.sep}"):
            found[name] = path
    for name, path in found.items():  # a namespace package inside another asks that one for its path
        del sys.modules[name]
        linecache.cache.pop(path, None)
    importlib.invalidate_caches()


def reset() -> None:
    """Bring poet_hook back to where it is right after its own import."""
    if api.background.cache_info().currsize:
        api.background().wait(None)
    watch.end()
    first.remove()
    handed.make_store = None
    if record.recorder._store is not None:
        record.recorder._store.close()
    if activation._store.cache_info().currsize:
        api.store().close()
    api.belong_to([])
    api.settings.cache_clear()
    activation.language_model.cache_clear()
    activation._store.cache_clear()
    record.recorder.lost = 0
    record.recent.results.clear()
    record.recent.dropped = False
    slot._slots.clear()
    steady.memory.clear()


def numbers_of(plan: Plan) -> list[Tunable]:
    """The numbers among the tunables of a plan."""
    return [tunable for tunable in plan.tunables if tunable.kind == "number"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """What a test printed and logged is looked at too."""
    report = yield
    for title, text in report.sections:
        canary.look(f"{title} of {item.nodeid}", text)
    return report  # type: ignore[return-value]


@pytest.fixture(scope="session", autouse=True)
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A key of the session that no test may leave behind, in a file, a log or a prompt; nor a name in `canary`."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("OPENAI_API_KEY", "SHOP_API_KEY", "DATABASE_PASSWORD"):
            patched.setenv(name, canary.KEY)
        yield
    found = [*canary.leaks, *canary.scan(tmp_path_factory.getbasetemp())]
    if found:
        pytest.fail("the tests left behind:\n" + "\n".join(found), pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes into the cache of whoever runs it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty project, which is the working directory; poet_hook knows of nothing before and after."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text('[project]\nname = "monitor"\n', encoding="utf-8")
    monkeypatch.setenv("POET_USER_DIR", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("HOME", "STRICT", "TRUST", "SIGNING_KEY", "ASSUME", "MODEL"):
        monkeypatch.delenv(f"POET_{name}", raising=False)
    monkeypatch.delenv("AITOMATIC_API_URL", raising=False)
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    reset()
    yield root
    reset()
    forget(root)


@pytest.fixture
def load(project: Path) -> Load:
    """Write a module into the project and import it: enhanced, or plain with `active=False`."""

    def load(source: str | None, name: str = "m", *, active: bool = True) -> ModuleType:
        path = project.joinpath(*name.split(".")).with_suffix(".py")
        if source is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(source), encoding="utf-8", newline="")
        sys.modules.pop(name, None)
        linecache.cache.pop(str(path), None)
        importlib.invalidate_caches()
        with api.activated() if active else contextlib.nullcontext():
            return importlib.import_module(name)

    return load


@pytest.fixture
def python(project: Path) -> Python:
    """Run a real Python in the project; `code` is dedented."""

    def run(code: str, *arguments: str, check: bool = True, **environ: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(**environ),
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done

    return run


def environment(**changes: str) -> dict[str, str]:
    """The environment of a child process that finds this poet_hook and the working directory's modules.

    COVERAGE_PROCESS_CONFIG="" leaves it unmeasured, which is four times as fast where it computes much.
    """
    path = os.pathsep.join([str(PACKAGE), os.getcwd()])
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTHON"))}
    return {**kept, "PYTHONPATH": path, **changes}
