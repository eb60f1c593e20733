"""`run`: a script or a module, as Python itself would run it, with its pragmas carried out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from poet_hook import api
from poet_hook.activation import folders_of
from poet_hook.cli.output import say_error
from poet_hook.errors import PoetError
from poet_hook.hook import script

USAGE = "poet_hook run SCRIPT [arguments ...]\n       poet_hook run -m MODULE [arguments ...]"


def run(words: Sequence[str]) -> int:
    """Run what stands after `run`; the program's exit code, or what it raised for `SystemExit` and SIGINT.

    All words after SCRIPT or MODULE belong to the program.
    """
    if words and words[0].startswith("-m"):
        module, arguments = (words[0][2:], words[1:]) if words[0] != "-m" else ("".join(words[1:2]), words[2:])
        if module:
            return _run([], lambda: script.run_module(module, arguments))
    elif words and not words[0].startswith("-"):
        path = words[0]
        if not _readable(path):
            return 2
        return _run(folders_of(path), lambda: script.run_script(path, words[1:]))
    print(f"usage: {USAGE}", file=sys.stderr)
    return 2


def _readable(path: str) -> bool:
    try:
        with open(path, "rb"):
            return True
    except IsADirectoryError:
        return True
    except OSError as error:
        full = os.path.join(os.getcwd(), path)
        print(f"{sys.executable}: can't open file {full!r}: [Errno {error.errno}] {error.strerror}", file=sys.stderr)
        return False


def _run(folders: list[Path], program: Callable[[], None]) -> int:
    try:
        api.belong_to(folders)
        api.activate()
    except PoetError as error:
        say_error(error)
        return 1
    except KeyboardInterrupt:  # the program has not begun
        return 130
    try:
        program()
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever the program raises is shown as Python shows it
        return script.report(error)
    return 0
