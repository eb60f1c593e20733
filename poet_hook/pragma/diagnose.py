"""What is wrong in a pragma -> a diagnostic with its place, and its printed form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..model import Diagnostic

_SHOWN = 160
_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of a source line: `line` is 1-based, the columns 0-based, `source_line` the whole line."""

    line: int
    source_line: str
    column: int
    end_column: int

    @property
    def text(self) -> str:
        return self.source_line[self.column : self.end_column]

    def part(self, column: int, end_column: int) -> Place:
        """Another stretch of the same line, in columns of that line."""
        return Place(self.line, self.source_line, column, end_column)

    def stripped(self) -> Place:
        """The same stretch without the spaces around it; itself where there is nothing else."""
        text = self.text
        if not text.strip():
            return self
        start = self.column + len(text) - len(text.lstrip())
        return self.part(start, self.column + len(text.rstrip()))

    def diagnostic(self, code: str, message: str, hint: str = "") -> Diagnostic:
        """A diagnostic that points here."""
        return Diagnostic(code, message, self.line, self.column, self.end_column, hint, self.source_line)


def quote(text: str) -> str:
    """Text of the user's -> the same in quotes, escaped and short enough for a message."""
    return repr(text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…")


def suggest(word: str, choices: Iterable[str]) -> str:
    """A misspelt word and what was possible -> "did you mean 'x'?", or "" where nothing is near."""
    if len(word) > _LONGEST_NAME:
        return ""
    import difflib  # only a mistake pays for this import

    known = list(choices)
    spelt = (word.lower().replace("-", "_"), word)  # options are in lower case, names of others as they are
    near = next((found for way in spelt for found in difflib.get_close_matches(way, known, n=1)), "")
    return f"did you mean {near!r}?" if near else ""


def _width(character: str) -> int:
    import unicodedata

    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _printable(text: str) -> str:
    # lone surrogates can't be encoded, and control or bidi characters would move the cursor
    return "".join(c if c == "\t" or c.isprintable() else "�" for c in text)


def render(diagnostic: Diagnostic, path: str) -> str:
    """A diagnostic and the file's path -> `path:line:col: code message`, then the line, carets and the hint.

    The printed column is 1-based. A long line is cut to the part around the mistake.
    """
    d = diagnostic
    out = [_printable(f"{path}:{d.line}:{d.column + 1}: {d.code} {d.message}")]
    if d.source_line.strip():
        start = max(0, d.column - _SHOWN // 2) if len(d.source_line) > _SHOWN else 0
        end = start + _SHOWN
        shown = _printable(d.source_line[start:end])
        before, marked = shown[: d.column - start], shown[d.column - start : d.end_column - start]
        # a tab is repeated, because only the terminal knows how wide it is
        padding = "".join("\t" if c == "\t" else " " * _width(c) for c in before)
        carets = "".join("\t" if c == "\t" else "^" * _width(c) for c in marked) or "^"
        out += ["    " + shown.rstrip(), "    " + padding + carets]
    if d.hint:
        out.append("    " + _printable(d.hint))
    return "\n".join(out)
