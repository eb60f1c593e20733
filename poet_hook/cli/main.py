"""The words after `poet_hook` -> one command, its exit code, and errors in one line."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from poet_hook.errors import PoetError, PoetWarning, PragmaWarning
from poet_hook.startup import end

if TYPE_CHECKING:
    import argparse

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def entry() -> None:
    """`python -m poet_hook` and the command `poet_hook`: ends the process."""
    if not sys.warnoptions:  # who asks Python for warnings gets Python's own form of them
        _shorten_warnings()
    end()  # what `run` runs is activated by it, and no other command is the user's program
    code = main(sys.argv[1:])
    if sys.argv[1:2] != ["run"]:
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is left to be told about
    sys.exit(code)


def main(argv: Sequence[str]) -> int:
    """Carry out one command line (without the program's name); 0 fine, 1 it is not so, 2 usage.

    Raises `SystemExit` for `--help` and wrong usage, and, with `run`, as the program does.
    """
    if argv[:1] == ["run"] and not {"-h", "--help"} & set(argv[1:2]):
        try:
            from poet_hook.cli.run import run  # nothing of ours but what `run` needs is imported beside a program
        except KeyboardInterrupt:
            return 130
        return run(argv[1:])
    try:
        return _command(argv)
    except BrokenPipeError:
        for number, stream in ((1, sys.stdout), (2, sys.stderr)):
            try:
                if stream is not None:
                    stream.flush()
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)  # what is still buffered has nowhere to go
        return 141
    except KeyboardInterrupt:
        return 130


def _command(argv: Sequence[str]) -> int:
    from poet_hook.cli.commands import parser

    try:
        options = parser().parse_args(argv)
    except SystemExit:
        _flush()  # the help, too, may have a reader that has gone
        raise
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    return _carried_out(options)


def _carried_out(options: argparse.Namespace) -> int:
    from poet_hook.cli.output import say_error

    try:
        code: int = options.command(options)
        _flush()
    except PoetError as error:
        say_error(error)
        return 1
    except BrokenPipeError:
        raise
    except OSError as error:
        told = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else error
        print(f"poet_hook: {told}", file=sys.stderr)
        return 1
    return code


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _shorten_warnings() -> None:
    """Show warnings of ours without a source line: their text names the place.

    What the user's program warns of stays Python's: with a `formatwarning` of another, it would no longer say where
    what is warned of was made.
    """
    others = getattr(warnings, "_formatwarnmsg_impl", None)
    if others is None:  # a Python that does it otherwise: all is shown with its line
        return

    def one_line(shown: warnings.WarningMessage) -> str:
        if not issubclass(shown.category, PoetWarning):
            return str(others(shown))
        if issubclass(shown.category, PragmaWarning):
            return f"{shown.message}\n"
        place = "poet_hook" if shown.filename.startswith(_OWN) else f"{shown.filename}:{shown.lineno}"
        return f"{place}: {shown.category.__name__}: {shown.message}\n"

    warnings._formatwarnmsg_impl = one_line  # type: ignore[attr-defined]
