"""A .csv or .jsonl file -> its rows by the names of their columns, each with its line; a broken row loses no other."""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poet_hook.errors import FeedbackError

LONGEST_LINE = 1 << 20
LONGEST_CELL = 100_000
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_ENDINGS = {".csv", ".jsonl", ".ndjson"}


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row, where it begins (1-based), and why it can't be used (then without cells)."""

    line: int
    cells: Mapping[str, Any]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file; `columns` are None where each row names its own."""

    columns: Sequence[str] | None
    rows: Iterator[FileRow]


def open_table(path: Path) -> Table:
    """Open a file; raises `FeedbackError` where it can't be read, or is none of these kinds.

    CSV has its columns in the first line, commas, and quotes around what has commas or line ends in it.
    """
    kind = path.suffix.lower()
    if kind not in _ENDINGS:
        raise FeedbackError(f"{path}: feedback is read from .csv and .jsonl files")
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise FeedbackError(f"{path}: {error.strerror or error}") from error
    if start in _UTF16:
        raise FeedbackError(f"{path}: it is UTF-16; save it as UTF-8")
    lines = _lines(path)
    if kind != ".csv":
        return Table(None, _objects(lines))
    rows = _records(lines)
    header = next(rows, None)
    if header is None or isinstance(header[1], str):
        raise FeedbackError(f"{path}:1: {header[1] if header else 'it is empty'}; its first line must name the columns")
    columns = [name.strip() for name in header[1]]
    return Table(columns, _by_column(columns, rows))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines with their numbers; of one that is too long, only so much that it is seen to be."""
    # what is no UTF-8 stays in its row
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        number = 0
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            yield number, line
            while len(line) > LONGEST_LINE and not line.endswith(("\n", "\r")):
                line = file.readline(LONGEST_LINE + 1)


def _problem(text: str) -> str:
    if len(text) > LONGEST_LINE:
        return f"longer than {LONGEST_LINE:,} characters"
    return "it is not UTF-8" if _NOT_UTF8.search(text) else ""


def _objects(lines: Iterator[tuple[int, str]]) -> Iterator[FileRow]:
    for number, line in lines:
        if not line.strip():
            continue
        problem, cells = _problem(line), None
        if not problem:
            try:
                cells = json.loads(line)
            except (ValueError, RecursionError) as error:
                problem = f"no JSON: {error}"
            if not problem and not isinstance(cells, dict):
                problem = "no JSON object"
        yield FileRow(number, {} if problem or cells is None else cells, problem)


def _by_column(columns: Sequence[str], rows: Iterator[tuple[int, list[str] | str]]) -> Iterator[FileRow]:
    for number, cells in rows:
        if isinstance(cells, str):
            yield FileRow(number, {}, cells)
        elif len(cells) != len(columns):
            # a comma in a comment without quotes around it would otherwise cut the comment
            yield FileRow(number, {}, f"{len(cells)} cells under {len(columns)} columns")
        else:
            yield FileRow(number, dict(zip(columns, cells, strict=True)))


def _records(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, list[str] | str]]:
    """The records of a CSV file, or why there is none; after one that is broken, the next line begins anew."""
    waiting: deque[tuple[int, str]] = deque()
    while True:
        taken: list[tuple[int, str]] = []
        quotes = size = 0
        while not taken or (quotes % 2 and size <= LONGEST_CELL):
            step = waiting.popleft() if waiting else next(lines, None)
            if step is None:
                break
            taken.append(step)
            quotes += step[1].count('"')
            size += len(step[1])
        if not taken:
            return
        text = "".join(line for _, line in taken)
        if not text.strip():
            continue
        number, first = taken[0]
        cells = _cells(text)
        if isinstance(cells, str) and len(taken) > 1:
            cells = _cells(first)  # its quote may be one inside a cell
            waiting.extendleft(reversed(taken[1:]))
        yield number, cells


def _cells(text: str) -> list[str] | str:
    if problem := _problem(text):
        return problem
    try:
        records = list(csv.reader([text], strict=True))
    except csv.Error as error:
        return f"no CSV: {error}"
    return records[0] if len(records) == 1 else "no CSV: a line end without quotes around it"
