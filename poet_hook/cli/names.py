"""What somebody calls a function -> the recorded one, or the one in the project's files."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poet_hook import api
from poet_hook.cli.lint import python_files
from poet_hook.cli.output import plain, say, say_error, say_json
from poet_hook.errors import NotEnhancedError, PoetError, ReplayError, UnknownFunctionError
from poet_hook.model import Diagnostic, LeftAlone, Plan
from poet_hook.transform.plan import UNPARSABLE, Planned, plan_module
from poet_hook.versions.current import path_of


@dataclass(frozen=True, slots=True)
class Found:
    """A function with a pragma: its plan, or else why it is left alone; `diagnostics` are those of its file."""

    what: Plan | LeftAlone
    source: str
    diagnostics: tuple[Diagnostic, ...]


def nothing_recorded() -> bool:
    """True where the project has no store yet; looking must not make one."""
    return not api.settings().home.exists()


def recorded(function: str) -> str:
    """The stored name of a function.

    Raises `UnknownFunctionError`, or `NotEnhancedError` where it is one of the project that does not learn.
    """
    try:
        return _stored(function)
    except UnknownFunctionError:
        for found in _in_project(function):
            what = found.what
            if isinstance(what, LeftAlone):
                raise NotEnhancedError(
                    f"{what.function} ({what.path}:{what.line}) is left alone: {what.reason}"
                ) from None
            if not what.pragma.trains:
                raise NotEnhancedError(
                    f"{what.function} ({what.path}:{what.line}) has no optimize_for= in its pragma, so nothing of it "
                    "is recorded, and nothing can be learned"
                ) from None
        raise


def _stored(function: str) -> str:
    if nothing_recorded():
        raise UnknownFunctionError(
            f"no function is called {function!r}: nothing was recorded in {api.settings().home} yet. "
            "Start the program with: python -m poet_hook run SCRIPT"
        )
    return api.name_of(function)


def for_each(names: list[str], as_json: bool, act: Callable[[str], Any], show: Callable[[Any], None]) -> int:
    """Do something to the functions named, or to all that were recorded; 1 where it can't be done to one of them."""
    functions = [recorded(name) for name in names]
    if not names and not nothing_recorded():
        functions = [record.function for record in api.store().functions()]
    if not functions and not as_json:
        say(f"No function was recorded in {api.settings().home} yet")
    documents: list[Any] = []
    failed = False
    for function in functions:
        try:
            found = act(function)
        except PoetError as error:
            failed = True
            say_error(error)
            documents.append({"function": function, "error": str(error), "code": error.code})
            continue
        documents.append(plain(found))
        if not as_json:
            show(found)
    if as_json:
        say_json({"functions": documents})
    return 1 if failed else 0


def find(name: str) -> Found:
    """The function that `name` means: a recorded one, `path/to/file.py:qualname`, `module:qualname`, or an end of it.

    Raises `UnknownFunctionError` where there is none or more than one, and `ReplayError` where its file is broken.
    """
    head, _, qualname = name.rpartition(":")
    if head.endswith(".py"):
        return _only(name, [found for found in _in_file(Path(head), _module_of(Path(head))) if _is(found, qualname)])
    try:
        record = api.store().function(_stored(name))
    except UnknownFunctionError:
        return _only(name, list(_in_project(name)))
    assert record is not None
    path = path_of(record, api.settings())
    known = [found for found in _in_file(Path(path), record.function.partition(":")[0]) if _is(found, record.qualname)]
    return _only(name, known, path)


def _is(found: Found, qualname: str) -> bool:
    return found.what.function.partition(":")[2] == qualname


def _only(name: str, found: list[Found], place: str = "") -> Found:
    if len(found) > 1:  # those that nobody wants to have enhanced are meant last
        found = [item for item in found if isinstance(item.what, Plan) or item.what.asked] or found
    if len(found) == 1:
        return found[0]
    if not found:
        where = place or f"the Python files below {api.settings().root}, and none was recorded"
        raise UnknownFunctionError(f"no function {name!r} has a `# poet:` comment above it in {where}")
    listed = ", ".join(f"{item.what.path}:{item.what.function.partition(':')[2]}" for item in found)
    raise UnknownFunctionError(f"several functions are called {name!r}: {listed}")


def _module_of(path: Path) -> str:
    return api.settings().module_of(path, path.stem)


def _in_file(path: Path, module: str) -> list[Found]:
    try:
        source = importlib.util.decode_source(path.read_bytes())
        planned = plan_module(source, str(path), module, assume=api.settings().assume)
    except OSError as error:
        raise ReplayError(f"{path} can't be read: {error.strerror or error}") from error
    except UNPARSABLE as error:
        raise ReplayError(f"{path}:{getattr(error, 'lineno', None) or 1}: syntax error: {error}") from error
    return _functions(planned, source)


def _functions(planned: Planned, source: str) -> list[Found]:
    items = [target.plan for target in planned.targets] + planned.left_alone
    return [Found(item, source, tuple(planned.diagnostics)) for item in items]


def _in_project(name: str) -> Iterator[Found]:
    wanted = "." + name.replace(":", ".")
    assume = api.settings().assume
    for path in python_files([api.settings().root]):
        try:
            data, module = path.read_bytes(), _module_of(path)
            if b"poet:" not in data and not any(entry.reaches(module, str(path)) for entry in assume):
                continue
            found = _in_file(path, module)
        except (OSError, ReplayError):  # `check` reports those
            continue
        for item in found:
            if f".{item.what.function.replace(':', '.')}".endswith(wanted):
                yield item
