"""`check`: files and folders -> what is wrong in their pragmas."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from poet_hook.cli.output import say, say_json
from poet_hook.model import Diagnostic
from poet_hook.pragma.diagnose import render
from poet_hook.pragma.scan import find
from poet_hook.transform.plan import UNPARSABLE, left_alone, plan_module

# what `ast.parse` raises for text that is no Python
SYNTAX_ERROR = "PH000"
_SKIPPED = frozenset({"site-packages", "dist-packages", "node_modules", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Problem:
    """A diagnostic and the file that it is about."""

    path: str
    diagnostic: Diagnostic


def check(options: argparse.Namespace) -> int:
    """Print every problem in the pragmas below `options.paths`; 1 where there is any, 2 where there is no such path."""
    missing = [path for path in options.paths if not os.path.exists(path)]
    if missing:
        print(f"poet_hook: no such file or folder: {', '.join(missing)}", file=sys.stderr)
        return 2
    checked = 0
    problems: list[Problem] = []
    for path in python_files(options.paths):
        checked += 1
        problems += [Problem(str(path), item) for item in problems_of(path)]
    files = len({problem.path for problem in problems})
    if options.json:
        rows = [{"path": problem.path, **_row(problem.diagnostic)} for problem in problems]
        say_json({"problems": rows, "files": files, "checked": checked})
    else:
        for problem in problems:
            say(render(problem.diagnostic, problem.path))
        say(f"{_count(len(problems), 'problem')} in {_count(files, 'file')} ({checked} checked)")
    return 1 if problems else 0


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _row(item: Diagnostic) -> dict[str, str | int]:
    return {
        "line": item.line,
        "column": item.column + 1,
        "end_column": item.end_column + 1,
        "code": item.code,
        "message": item.message,
        "hint": item.hint,
    }


def problems_of(path: Path) -> list[Diagnostic]:
    """What is wrong in the pragmas of one file, in the order of its lines."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return [Diagnostic(SYNTAX_ERROR, f"the file can't be read: {error.strerror or error}", 1, 0, 0)]
    if b"poet" not in data.lower():
        return []
    try:
        source = importlib.util.decode_source(data)
    except (SyntaxError, UnicodeDecodeError) as error:
        return [Diagnostic(SYNTAX_ERROR, f"the file can't be decoded: {error}", 1, 0, 0)]
    found = find(source)
    try:
        planned = plan_module(source, str(path), path.stem)
        items = planned.diagnostics + [left_alone(item, source) for item in planned.left_alone]
    except UNPARSABLE as error:
        items = list(found.diagnostics)
        # a file without pragmas is none of our business, and one that does not tokenize was reported so
        if (found.pragmas or found.tunes or items) and all(item.code != SYNTAX_ERROR for item in items):
            items.append(_syntax_error(error, source))
    return sorted(items, key=lambda item: (item.line, item.column))


def _syntax_error(error: Exception, source: str) -> Diagnostic:
    line = getattr(error, "lineno", None) or 1
    column = max((getattr(error, "offset", None) or 1) - 1, 0)
    rows = source.splitlines()
    text = rows[line - 1] if line <= len(rows) else ""
    message = f"syntax error: {getattr(error, 'msg', None) or error}; nothing in this file is enhanced"
    return Diagnostic(SYNTAX_ERROR, message, line, min(column, len(text)), len(text), source_line=text)


def python_files(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Each file as it is, and every .py file below each folder; not in hidden folders and installed packages."""
    for start in map(Path, paths):
        if not start.is_dir():
            yield start
            continue
        for folder, folders, names in os.walk(start):
            folders[:] = sorted(name for name in folders if _is_source(Path(folder), name))
            yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))


def _is_source(folder: Path, name: str) -> bool:
    return name[0] != "." and name not in _SKIPPED and not (folder / name / "pyvenv.cfg").exists()
