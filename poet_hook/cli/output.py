"""Rows, values and errors -> lines for a terminal, or one JSON document."""

from __future__ import annotations

import json
import math
import os
import reprlib
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from poet_hook.errors import PoetError
from poet_hook.model import Metric, Signal
from poet_hook.transform.values import as_text

NARROWEST = 8

DIGITS = 6  # significant ones of a number that is no whole one; more where there are more before its point
_EXACT = 1e15  # beyond it, a float has no digits behind its point


class _Short(reprlib.Repr):
    def repr_float(self, value: float, _level: int) -> str:
        if not math.isfinite(value) or not 1e-4 <= abs(value) < _EXACT:
            return f"{value:.{DIGITS}g}" if math.isfinite(value) and value else repr(value)
        text = f"{value:.{max(DIGITS, len(str(int(abs(value)))) + 2)}g}"
        return text if "." in text or "e" in text else f"{text}.0"


_short = _Short()
_short.maxlist = _short.maxtuple = _short.maxset = _short.maxdict = 4
_short.maxstring = _short.maxother = 60
_short.maxlevel = 3


def say(text: str = "") -> None:
    """Print text from anywhere; control characters in it can't move the cursor."""
    print(clean(text))


def heading(text: str) -> None:
    """Print a line in bold where the terminal can."""
    print(_styled(clean(text), "1"))


def aside(text: str) -> None:
    """Print a line that matters less, dim where the terminal can."""
    print(_styled(clean(text), "2"))


def say_error(error: PoetError) -> None:
    """Print an error of ours as one line on stderr, with its code."""
    print(clean(f"poet_hook: {' '.join(str(error).splitlines())} [{error.code}]"), file=sys.stderr)


def say_json(document: Any) -> None:
    """Print one JSON document; ASCII, so that every encoding of stdout carries it."""
    print(json.dumps(plain(document), indent=2, allow_nan=False))


def table(header: Sequence[str], rows: Sequence[Sequence[str]], flexible: Collection[int] = ()) -> None:
    """Print rows under a header; on a terminal the columns in `flexible` are cut so that the lines fit."""
    cells = [[clean(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    if sys.stdout is not None and sys.stdout.isatty():
        _narrow(widths, flexible, shutil.get_terminal_size().columns)
    for number, row in enumerate(cells):
        line = "  ".join(_cut(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        print(line if number else _styled(line, "1"))


def _narrow(widths: list[int], flexible: Collection[int], room: int) -> None:
    excess = sum(widths) + 2 * (len(widths) - 1) - room
    while excess > 0 and flexible:
        widest = max(flexible, key=widths.__getitem__)
        if widths[widest] <= NARROWEST:
            return
        widths[widest] -= 1
        excess -= 1


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _styled(text: str, code: str) -> str:
    plain_terminal = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    if sys.stdout is None or not sys.stdout.isatty() or plain_terminal:
        return text
    return f"\033[{code}m{text}\033[0m"


def clean(text: str) -> str:
    """Text without characters that would move the cursor or change the terminal."""
    return "".join(c if c in "\t\n" or c.isprintable() else "�" for c in text)


def shown(value: Any) -> str:
    """A value as Python would write it, shortened; of a number what people read, which `--json` has in full."""
    return _short.repr(value)


def signal_words(signal: Signal) -> str:
    """What a signal says, in a few words."""
    if signal.kind == "fields":
        return ", ".join(f"{name} {signal_words(part)}" for name, part in signal.value.items())
    if signal.kind == "requested":
        return "requested " + ", ".join(f"{name} = {as_text(value)}" for name, value in signal.value.items())
    told = signal.value is not None and signal.kind != "unread"
    return f"{signal.kind} {shown(signal.value)}" if told else signal.kind


def apart(one: Any, other: Any) -> tuple[str, str]:
    """Two values that differ, shown so that one sees it."""
    short = shown(one), shown(other)
    return short if short[0] != short[1] else (repr(one), repr(other))


def before_and_after(metric: Metric | None, before: float | None, after: float | None) -> str:
    """What a verdict changes, in the terms of the objective; "-" where there is none."""
    from poet_hook.learning.aims import WORDS

    if metric is None or before is None or after is None:
        return "-"
    return f"{WORDS[metric]} {one_measure(metric, before)} -> {one_measure(metric, after)}"


def one_measure(metric: Metric, value: float) -> str:
    """How good something is, in the terms of the objective."""
    from poet_hook.learning.aims import SHARES

    return percent(value) if metric in SHARES or metric == "reliability" else f"{value:.3g}"


def percent(share: float | None) -> str:
    """A share in 0..1 as percent with one decimal, "-" for None."""
    return "-" if share is None else f"{share * 100:.1f} %"


def local_time(seconds: float) -> str:
    """Seconds since the epoch as local time, ISO 8601 to the second; "-" for 0, which means unknown."""
    if not seconds:
        return "-"
    try:
        return datetime.fromtimestamp(seconds).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return repr(seconds)


def plain(value: Any) -> Any:
    """A value as JSON types: dataclasses and mappings as objects, sequences and sets as arrays, else text."""
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else repr(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return str(value)
