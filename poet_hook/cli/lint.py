"""`check`: files and folders -> what is wrong in their pragmas."""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from poet_hook.cli.assumed import unknown_names
from poet_hook.cli.correct import corrected, edits
from poet_hook.cli.findings import Problem, report
from poet_hook.cli.output import say
from poet_hook.cli.rules import RULES
from poet_hook.errors import SettingsError, VersionError
from poet_hook.model import Diagnostic, Plan
from poet_hook.pragma.assume import mistakes
from poet_hook.pragma.scan import find
from poet_hook.settings import load
from poet_hook.transform.plan import UNPARSABLE, left_alone, plan_module
from poet_hook.versions.apply import write

# what `ast.parse` raises for text that is no Python
SYNTAX_ERROR = "PH000"
CODES = frozenset(RULES)
_SKIPPED = frozenset({"site-packages", "dist-packages", "node_modules", "__pycache__"})


def check(options: argparse.Namespace) -> int:
    """Print the problems in the pragmas below `options.paths` (`-`: stdin): 0, 1 for any, 2 for a wrong call."""
    if wrong := _wrong_call(options):
        print(f"poet_hook: {wrong}", file=sys.stderr)
        return 2
    if options.fix or options.diff:
        changed = _correct_files(options)
        if options.diff:
            return 1 if changed else 0
    checked = 0
    assumed = _assumed_mistakes(everything="-" not in options.paths)
    problems = [
        Problem(said_in, item) for said_in, item in assumed if _wanted(item.code, options.select, options.ignore)
    ]
    for path, data in _texts(options.paths, options.stdin_filename):
        checked += 1
        found = [data] if isinstance(data, Diagnostic) else problems_in(data, path)
        items = [item for item in found if _wanted(item.code, options.select, options.ignore)]
        fixes = edits(b"" if isinstance(data, Diagnostic) else data, items)
        problems += [Problem(str(path), item, edit) for item, edit in zip(items, fixes, strict=True)]
    can_fix = not options.fix and "-" not in options.paths
    report(problems, checked, "json" if options.json else options.output_format, offer=can_fix)
    return 1 if problems else 0


def _assumed_mistakes(everything: bool) -> Iterator[tuple[str, Diagnostic]]:
    """What is wrong in what the settings assume of code; settings that can't be read are another command's matter.

    With `everything` all files of the project are looked at, for what is named.
    """
    try:
        settings = load()
    except SettingsError:
        return
    yield from mistakes(settings.assume)
    if settings.assume and everything:  # an editor asks of one file, and often
        yield from unknown_names(settings, python_files([settings.root]))


def codes(text: str) -> tuple[str, ...]:
    """Codes and prefixes with commas between them -> the same, one by one; ValueError where no code begins so."""
    wanted = tuple(filter(None, (word.strip().upper() for word in text.split(","))))
    for word in wanted:
        if not any(code.startswith(word) for code in CODES):
            raise ValueError(word)
    return wanted


def _correct_files(options: argparse.Namespace) -> bool:
    """Correct what is safe to correct, or with --diff print it; whether there was anything."""
    changed = False
    for path in python_files(options.paths):
        try:
            before = path.read_bytes()
        except OSError:  # which is reported as a problem
            continue
        after = corrected(before, lambda code: _wanted(code, options.select, options.ignore))
        if after == before:
            continue
        changed = True
        if options.diff:
            old, new = (importlib.util.decode_source(data).splitlines() for data in (before, after))
            for line in difflib.unified_diff(old, new, str(path), str(path), lineterm=""):
                say(line)
        elif not path.stat().st_mode & 0o222:
            print(f"poet_hook: {path} is read-only: it is not corrected", file=sys.stderr)
        else:
            try:
                write(path.resolve(), before, after)
                said = "is corrected"
            except (OSError, VersionError) as error:
                said = f"is not corrected: {error}"
            print(f"poet_hook: {path} {said}", file=sys.stderr)
    return changed


def _wanted(code: str, select: tuple[str, ...], ignore: tuple[str, ...]) -> bool:
    """Whether a code is reported: the longer prefix decides, of two as long the ignored one."""
    chosen = max((len(word) for word in select if code.startswith(word)), default=-1 if select else 0)
    ignored = max((len(word) for word in ignore if code.startswith(word)), default=-1)
    return chosen > ignored


def _wrong_call(options: argparse.Namespace) -> str:
    if "-" in options.paths and (options.fix or options.diff):
        return "- (stdin) can't be corrected"
    if "-" in options.paths:
        return "" if len(options.paths) == 1 else "- (stdin) stands alone"
    if options.stdin_filename:
        return "--stdin-filename goes with - only"
    missing = [path for path in options.paths if not os.path.exists(path)]
    return f"no such file or folder: {', '.join(missing)}" if missing else ""


def _texts(paths: list[str], stdin_name: str | None) -> Iterator[tuple[Path, bytes | Diagnostic]]:
    """Each file with its bytes, or with what is said where it can't be read."""
    if paths == ["-"]:
        yield Path(stdin_name or "stdin.py"), sys.stdin.buffer.read()
        return
    for path in python_files(paths):
        try:
            yield path, path.read_bytes()
        except OSError as error:
            yield path, Diagnostic(SYNTAX_ERROR, f"the file can't be read: {error.strerror or error}", 1, 0, 0)


def problems_in(data: bytes, path: Path) -> list[Diagnostic]:
    """What is wrong in the pragmas of a file, in the order of its lines; it need not be on the disk."""
    if b"poet" not in data.lower():
        return []
    try:
        source = importlib.util.decode_source(data)
    except (SyntaxError, UnicodeDecodeError) as error:
        return [Diagnostic(SYNTAX_ERROR, f"the file can't be decoded: {error}", 1, 0, 0)]
    found = find(source)
    try:
        planned = plan_module(source, str(path), path.stem)
        items = planned.diagnostics + [left_alone(item, source) for item in planned.left_alone if item.asked]
        for target in planned.targets:
            items += _losses(target.plan)
    except UNPARSABLE as error:
        items = list(found.diagnostics)
        # a file without pragmas is none of our business, and one that does not tokenize was reported so
        if (found.pragmas or found.tunes or items) and all(item.code != SYNTAX_ERROR for item in items):
            items.append(_syntax_error(error, source))
    return sorted(items, key=lambda item: (item.line, item.column))


def _losses(plan: Plan) -> Iterator[Diagnostic]:
    """Losses of the user's own that `optimize_for` names and that are not there."""
    for name in plan.pragma.objectives:
        module, colon, function = name.partition(":")
        if not colon or not (reason := _missing(module, function, Path(plan.path))):
            continue
        origin = plan.pragma.origins["optimize_for"]
        column = max(origin.source_line.find(name, origin.column), 0)
        message = f"optimize_for={name}: {reason}"
        yield Diagnostic("PH415", message, origin.line, column, column + len(name), source_line=origin.source_line)


def _missing(module: str, function: str, named_in: Path) -> str:
    """Why a loss can't be imported, as far as that can be told without running anything."""
    try:
        settings = load(named_in.resolve().parent)
    except SettingsError:  # which every other command says
        return ""
    path = settings.path_of(module)
    if path is None:
        known = module in settings.replay_modules
        return "" if known else f"there is no module {module} in {settings.root}"
    try:
        body = ast.parse(path.read_bytes()).body
    except (OSError, *UNPARSABLE):
        return f"{path} can't be read as Python"
    simple = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = {node.name for node in body if isinstance(node, simple)}
    if function in names or any(not isinstance(node, (*simple, ast.Expr)) and _binds(node, function) for node in body):
        return ""
    return f"{module} has no function {function}"


def _binds(statement: ast.stmt, name: str) -> bool:
    """Whether a statement may give a name to something, at any depth."""
    for node in ast.walk(statement):
        if isinstance(node, ast.alias) and ({name, "*"} & {node.asname or node.name}):
            return True
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
            return True
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            return True
    return False


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
