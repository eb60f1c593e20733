"""What `check` found -> text for people, editors, programs and GitHub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from poet_hook.cli.output import say, say_json
from poet_hook.model import Diagnostic
from poet_hook.pragma.diagnose import render

FORMATS = ("full", "concise", "json", "github")


@dataclass(frozen=True, slots=True)
class Problem:
    """A diagnostic and the file that it is about."""

    path: str
    diagnostic: Diagnostic


def report(problems: Sequence[Problem], checked: int, form: str) -> None:
    """Print problems in one of `FORMATS`; `checked` is the number of files that were looked at."""
    files = len({problem.path for problem in problems})
    if form == "json":
        rows = [{"path": problem.path, **_row(problem.diagnostic)} for problem in problems]
        say_json({"problems": rows, "files": files, "checked": checked})
        return
    line = {"full": _full, "concise": _concise, "github": _github}[form]
    for problem in problems:
        say(line(problem))
    if form != "github":
        say(f"{_count(len(problems), 'problem')} in {_count(files, 'file')} ({checked} checked)")


def _full(problem: Problem) -> str:
    return render(problem.diagnostic, problem.path)


def _concise(problem: Problem) -> str:
    item = problem.diagnostic
    hint = f" ({item.hint})" if item.hint else ""
    return " ".join(f"{problem.path}:{item.line}:{item.column + 1}: {item.code} {item.message}{hint}".splitlines())


def _github(problem: Problem) -> str:
    """A workflow command, which GitHub shows beside the line of a pull request."""
    item = problem.diagnostic
    where = f"file={_property(problem.path)},line={item.line},col={item.column + 1},endColumn={item.end_column + 1}"
    text = f"{item.code} {item.message}" + (f" ({item.hint})" if item.hint else "")
    return f"::error {where},title=poet_hook {item.code}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


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
