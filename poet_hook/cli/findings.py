"""What `check` found -> text for people, editors, programs and GitHub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from poet_hook.cli.correct import Edit
from poet_hook.cli.output import say, say_json
from poet_hook.cli.rules import RULES
from poet_hook.model import Diagnostic
from poet_hook.pragma.diagnose import render

FORMATS = ("full", "concise", "json", "github")


@dataclass(frozen=True, slots=True)
class Problem:
    """A diagnostic, the file that it is about, and its safe correction, where it has one."""

    path: str
    diagnostic: Diagnostic
    edit: Edit | None = None


def report(problems: Sequence[Problem], checked: int, form: str, offer: bool) -> None:
    """Print problems in one of `FORMATS`; `checked` files were looked at, and `offer` says whether --fix could help."""
    files = len({problem.path for problem in problems})
    if form == "json":
        say_json({"problems": [_row(problem) for problem in problems], "files": files, "checked": checked})
        return
    line = {"full": _full, "concise": _concise, "github": _github}[form]
    for problem in problems:
        say(line(problem))
    if form != "github":
        fixable = sum(problem.edit is not None for problem in problems) if offer else 0
        more = f"; --fix corrects {fixable}" if fixable else ""
        say(f"{_count(len(problems), 'problem')} in {_count(files, 'file')} ({checked} checked){more}")


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
    return f"::{RULES[item.code].severity} {where},title=poet_hook {item.code}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _row(problem: Problem) -> dict[str, Any]:
    item, edit, rule = problem.diagnostic, problem.edit, RULES[problem.diagnostic.code]
    return {
        "path": problem.path,
        "line": item.line,
        "column": item.column + 1,
        "end_column": item.end_column + 1,
        "code": item.code,
        "name": rule.name(),
        "severity": rule.severity,
        "message": item.message,
        "hint": item.hint,
        "url": rule.url(),
        "fix": edit
        and {
            "line": edit.line,
            "column": edit.column + 1,
            "end_line": edit.end_line,
            "end_column": edit.end_column + 1,
            "text": edit.text,
        },
    }
