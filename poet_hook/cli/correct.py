"""The bytes of a file -> the same with the mistakes corrected that have one safe correction."""

from __future__ import annotations

import ast
import difflib
import io
import re
import tokenize
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from poet_hook.model import Diagnostic
from poet_hook.pragma.options import OPTIONS
from poet_hook.pragma.scan import find
from poet_hook.transform.plan import UNPARSABLE

_ENDS = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")


@dataclass(frozen=True, slots=True)
class Edit:
    """A stretch of a file and the text that takes its place; lines are 1-based, columns 0-based characters."""

    line: int
    column: int
    end_line: int
    end_column: int
    text: str


def edits(data: bytes, items: Sequence[Diagnostic]) -> list[Edit | None]:
    """The safe correction of each diagnostic of a file, where it has one; each leaves the program as it is."""
    read = _read(data) if items else None
    if read is None:
        return [None] * len(items)
    text, _, program = read
    return [_safe(text, item, program) for item in items]


def corrected(data: bytes, wanted: Callable[[str], bool]) -> bytes:
    """Correct what `wanted` says of a code; each correction leaves the program as it is.

    Encoding, byte order mark and the ends of the other lines are kept. Text that is no Python comes back as it is.
    """
    read = _read(data)
    if read is None:
        return data
    text, encoding, program = read
    for item in reversed(find(text).diagnostics):  # from below, so that the places of the others stay
        if wanted(item.code) and (edit := _safe(text, item, program)):
            text = _edited(text, edit)
    after = text.encode(encoding)
    # what is a pragma only now may have mistakes of its own
    return after if after == data else corrected(after, wanted)


def _read(data: bytes) -> tuple[str, str, str] | None:
    """The text of a file, its encoding, and what the program is; None where it is no Python."""
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
        text = data.decode(encoding)
        return text, encoding, ast.dump(ast.parse(text))
    except UNPARSABLE:
        return None


def _safe(text: str, item: Diagnostic, program: str) -> Edit | None:
    edit = _correction(text, item)
    if edit is None:
        return None
    changed = _edited(text, edit)
    fewer = _count(changed, item.code) < _count(text, item.code)
    return edit if fewer and ast.dump(ast.parse(changed)) == program else None


def _count(text: str, code: str) -> int:
    return sum(item.code == code for item in find(text).diagnostics)


def _edited(text: str, edit: Edit) -> str:
    rows = _ENDS.split(text)
    before, after = rows[edit.line - 1][: edit.column], rows[edit.end_line - 1][edit.end_column :]
    return "".join([*rows[: edit.line - 1], before, edit.text, after, *rows[edit.end_line :]])


def _correction(text: str, item: Diagnostic) -> Edit | None:
    if item.code == "PH002":
        rows = _ENDS.split(text)
        below = item.line
        while below < len(rows) and (not rows[below].strip() or rows[below].lstrip()[:1] == "#"):
            below += 1
        kept = "".join(line for line in rows[item.line : below] if line.strip())
        return Edit(item.line + 1, 0, below + 1, 0, kept) if below < len(rows) else None
    if item.code == "PH001":
        return Edit(item.line, item.column, item.line, item.end_column, "# poet:")
    if item.code == "PH201":
        name = item.source_line[item.column : item.end_column]
        near = difflib.get_close_matches(name.lower().replace("-", "_"), OPTIONS, n=2, cutoff=0.8)
        return Edit(item.line, item.column, item.line, item.end_column, near[0]) if len(near) == 1 else None
    return None
