"""The words after `poet_hook` -> one command, its exit code, and errors in one line."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from poet_hook.errors import PoetError, PoetWarning, PragmaWarning

if TYPE_CHECKING:
    import argparse

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def entry() -> None:
    """`python -m poet_hook` and the command `poet_hook`: ends the process."""
    if not sys.warnoptions:  # who asks Python for warnings gets Python's own form of them
        _shorten_warnings()
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Carry out one command line (without the program's name); 0 fine, 1 it is not so, 2 usage.

    Raises `SystemExit` for `--help` and wrong usage, and, with `run`, as the program does.
    """
    if argv[:1] == ["run"] and not {"-h", "--help"} & set(argv[1:2]):
        from poet_hook.cli.run import run  # nothing of ours but what `run` needs is imported beside a program

        return run(argv[1:])
    from poet_hook.cli.commands import parser

    options = parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    return _carried_out(options)


def _carried_out(options: argparse.Namespace) -> int:
    from poet_hook.cli.output import say_error

    try:
        code: int = options.command(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except PoetError as error:
        say_error(error)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered has nowhere to go
        return 141
    except OSError as error:
        told = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else error
        print(f"poet_hook: {told}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("poet_hook: interrupted", file=sys.stderr)
        return 130
    return code


def _shorten_warnings() -> None:
    """Show warnings of ours without a source line: their text names the place."""
    others = warnings.formatwarning

    def one_line(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if not issubclass(category, PoetWarning):
            return others(message, category, filename, lineno, line)
        if issubclass(category, PragmaWarning):
            return f"{message}\n"
        place = "poet_hook" if filename.startswith(_OWN) else f"{filename}:{lineno}"
        return f"{place}: {category.__name__}: {message}\n"

    warnings.formatwarning = one_line
