"""The bytes of a file -> the same with the mistakes corrected that have one safe correction."""

from __future__ import annotations

import ast
import difflib
import io
import re
import tokenize
from collections.abc import Callable

from poet_hook.model import Diagnostic
from poet_hook.pragma.options import OPTIONS
from poet_hook.pragma.scan import find
from poet_hook.transform.plan import UNPARSABLE

_ENDS = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")


def corrected(data: bytes, wanted: Callable[[str], bool]) -> bytes:
    """Correct what `wanted` says of a code; each correction leaves the program as it is.

    Encoding, byte order mark and the ends of the other lines are kept. Text that is no Python comes back as it is.
    """
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
        text = data.decode(encoding)
        program = ast.dump(ast.parse(text))
    except UNPARSABLE:
        return data
    for item in reversed(find(text).diagnostics):  # from below, so that the places of the others stay
        if not wanted(item.code):
            continue
        changed = _correct(text, item)
        # what is a pragma only now may have mistakes of its own
        if _count(changed, item.code) < _count(text, item.code) and ast.dump(ast.parse(changed)) == program:
            text = changed
    after = text.encode(encoding)
    return after if after == data else corrected(after, wanted)


def _count(text: str, code: str) -> int:
    return sum(item.code == code for item in find(text).diagnostics)


def _correct(text: str, item: Diagnostic) -> str:
    rows = _ENDS.split(text)
    at = item.line - 1
    row = rows[at]
    if item.code == "PH002":
        below = at + 1
        while below < len(rows) and (not rows[below].strip() or rows[below].lstrip()[:1] == "#"):
            below += 1
        rows[at + 1 : below] = [line for line in rows[at + 1 : below] if line.strip()]
    elif item.code == "PH001":
        rows[at] = f"{row[: item.column]}# poet:{row[item.end_column :]}"
    elif item.code == "PH201":
        name = row[item.column : item.end_column]
        near = difflib.get_close_matches(name.lower().replace("-", "_"), OPTIONS, n=2, cutoff=0.8)
        if len(near) == 1:
            rows[at] = row[: item.column] + near[0] + row[item.end_column :]
    return "".join(rows)
