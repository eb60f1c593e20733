"""`install-startup` and `uninstall-startup`: the `.pth` file through which children are enhanced too."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from poet_hook.settings import asked_for_hook

# Python reads the files of a folder by name: the last one finds poet_hook where another makes it importable
NAME = "zz_poet_hook.pth"
# One line that begins with `import`: Python runs nothing else. Without POET_HOOK, it is one look-up.
LINE = (
    "import os, sys; os.environ.get('POET_HOOK') and not sys.flags.ignore_environment and exec("
    '"try:\\n from poet_hook.startup import begin\\n begin()\\n'
    "except ImportError: pass\\n"
    "except Exception as error: sys.stderr and print('poet_hook:', error, file=sys.stderr)\")\n"
)
_STARTS = "import sys; sys.exit(not any(type(finder).__module__ == 'poet_hook.hook.first' for finder in sys.meta_path))"


def install(options: argparse.Namespace) -> int:
    """Write the file into the site-packages of this Python; 1 where it has no effect there."""
    path = place()
    if not (_in_an_environment() or options.system):
        return _refused(
            f"{sys.executable} is in no virtual environment, and whoever uses it would have the file too. Make an "
            "environment (python -m venv .venv) and install poet_hook there; or, in a container or on a machine of "
            "your own, say so: install-startup --system"
        )
    try:
        was = _text(path)
        if was != LINE:
            _write(path)
    except OSError as error:
        return _refused(_why_not(path, error))
    print(f"{path}: {'is there already' if was == LINE else 'written'}")
    environment = {**os.environ, "POET_HOOK": "1"}
    if subprocess.run([sys.executable, "-P", "-c", _STARTS], env=environment, cwd=path.parent).returncode:
        return _refused(
            f"but {sys.executable} finds no poet_hook when it starts, and goes on without it: install poet_hook into "
            "this environment"
        )
    print("With POET_HOOK=1 in its environment, a program and its children are enhanced.")
    return 0


def uninstall(_options: argparse.Namespace) -> int:
    """Remove the file."""
    path = place()
    try:
        path.unlink()
    except FileNotFoundError:
        print(f"{path}: is not there")
    except OSError as error:
        return _refused(_why_not(path, error))
    else:
        print(f"{path}: removed")
    return 0


def place() -> Path:
    """Where the file is, or would be."""
    return Path(sysconfig.get_path("purelib"), NAME)


def state() -> tuple[str, str, str]:
    """Whether children are enhanced in this environment, as a row of `config`; raises `SettingsError`."""
    asked = asked_for_hook()
    if not os.path.isfile(place()):
        return "startup", "not installed", "no install-startup in this environment"
    source = "environment variable POET_HOOK" if "POET_HOOK" in os.environ else "default"
    return "startup", "on" if asked else "off", source


def _in_an_environment() -> bool:
    return sys.prefix != sys.base_prefix or os.path.isdir(os.path.join(sys.prefix, "conda-meta"))


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _write(path: Path) -> None:
    draft = path.with_suffix(f".{os.getpid()}")  # Python may start meanwhile: it sees the old file or the new one
    try:
        draft.write_text(LINE, encoding="utf-8")
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def _why_not(path: Path, error: OSError) -> str:
    return (
        f"{path}: {error.strerror}. Do it as the owner of that environment, or make one of your own "
        "(python -m venv .venv) and install poet_hook there"
    )


def _refused(why: str) -> int:
    print(f"poet_hook: {why}", file=sys.stderr)
    return 1
