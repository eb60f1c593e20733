"""The text of a pragma -> typed options.

It is split by hand, in one pass: no text makes it slow, and none makes it raise. A mistake costs its own
option only, and is reported with its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..model import Diagnostic, Origin, RecordMode, Scope, Tune
from .diagnose import Place, quote, suggest
from .options import (
    OPTIONS,
    PLANNED,
    READERS,
    STEADY,
    TRAIN_ONLY,
    RefusedError,
    is_name,
    quote_end,
    read_choices,
    read_range,
)

MODULE = "module"  # the first word of what holds for the whole file
MAX_LENGTH = 500
MAX_OPTIONS = 32

_CLOSERS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class _Item:
    """One option as written; `value` is None for a bare name."""

    name: Place
    value: Place | None


def _separates(character: str) -> bool:
    return character == "," or character.isspace()


def _skip_spaces(text: str, at: int, end: int) -> int:
    while at < end and text[at].isspace():
        at += 1
    return at


def _name_end(text: str, at: int, end: int) -> int:
    while at < end and text[at] != "=" and not _separates(text[at]):
        at += 1
    return at


def _value_end(text: str, at: int, end: int) -> int:
    """The index where a value starts -> the index after it; raises where quotes or brackets stay open."""
    open_brackets: list[str] = []
    while at < end:
        character = text[at]
        if character in "\"'":
            at = quote_end(text, at, end)
            if at < 0:
                raise RefusedError("PH103", "the quoted text is not closed")
            continue
        if character in _CLOSERS:
            open_brackets.append(_CLOSERS[character])
        elif open_brackets and character in ")]}":
            if open_brackets.pop() != character:
                raise RefusedError("PH104", "the brackets are not balanced")
        elif not open_brackets and _separates(character):
            break
        at += 1
    if open_brackets:
        raise RefusedError("PH104", "the brackets are not balanced", f"{open_brackets[-1]!r} is missing")
    return at


def _split(place: Place) -> Iterator[_Item | Diagnostic]:
    text, at = place.source_line, place.column
    # a `#` between two options starts another tool's comment
    end = at + len(place.text.rstrip())
    while True:
        while at < end and _separates(text[at]):
            at += 1
        if at >= end or text[at] == "#":
            return
        name = place.part(at, at if text[at] in "\"'([{" else _name_end(text, at, end))
        equals = _skip_spaces(text, name.end_column, end)
        if name.text and text[equals : equals + 1] != "=":
            yield _Item(name, None)
            at = name.end_column
            continue
        start = _skip_spaces(text, equals + 1, end) if name.text else at
        try:
            at = _value_end(text, start, end)
        except RefusedError as refused:
            yield place.part(start, end).diagnostic(refused.code, refused.message, refused.hint)
            return
        if not name.text:
            found = place.part(start, at)
            yield found.diagnostic("PH101", f"expected an option name, found {quote(found.text)}")
        elif at == start:
            given = place.part(name.column, equals + 1)
            yield given.diagnostic("PH102", f"{quote(name.text)} has no value")
        else:
            yield _Item(name, place.part(start, at))


def _unknown(item: _Item, scope: Scope) -> Diagnostic:
    name = item.name.text
    if name in PLANNED:
        return item.name.diagnostic("PH202", f"{name} is not available in this version")
    if name == "tune":
        return item.name.diagnostic("PH005", "tune belongs at the end of the line of the number that it tunes")
    option, _, value = name.partition(":")
    words = (*OPTIONS, MODULE) if item.value is None and scope in ("function", "class") else OPTIONS
    hint = f"write {option}={value}" if value and option in OPTIONS else suggest(name, words)
    if hint and name == MODULE:
        hint = "it is the first word of a pragma at the top of the file"
    return item.name.diagnostic("PH201", f"unknown option {quote(name)}", hint)


def misspelt_module(options: Place) -> Diagnostic | None:
    """What is said of a pragma that begins with a word like `module`; None where it begins with anything else."""
    first = next(_split(options), None)
    if isinstance(first, Diagnostic) or first is None or first.value is not None or first.name.text in OPTIONS:
        return None
    found = _unknown(first, "function")
    return found if repr(MODULE) in found.hint else None


def _read_item(item: _Item, scope: Scope) -> Any:
    """One option -> its value, or the diagnostic that says why it has none."""
    name, value = item.name.text, item.value
    family, _, argument = name.partition(".")
    by_argument = family == "record" and is_name(argument)
    if name not in OPTIONS and not by_argument:
        return _unknown(item, scope)
    if name == "off":
        if value is None:
            return True
        return value.diagnostic("PH207", "off takes no value", "leave the option out to switch it on")
    if value is None:
        return item.name.diagnostic("PH102", f"{quote(name)} has no value", f"write {name}=...")
    try:
        return READERS[family](family, value.text)
    except RefusedError as refused:
        return value.diagnostic(refused.code, refused.message, refused.hint)


def _without_effect(given: dict[str, Place], attempted: set[str], scope: Scope) -> Iterator[Diagnostic]:
    elsewhere = scope == "assume"  # what else holds for the same functions may stand in many files
    for name, place in given.items():
        if "off" in given:
            if name != "off":
                yield place.diagnostic("PH303", f"{name} has no effect beside off")
        elif name == "stream" and attempted.intersection(STEADY):
            continue
        elif name.partition(".")[0] in TRAIN_ONLY and "optimize_for" not in attempted and not elsewhere:
            hint = "add optimize_for=accuracy, alert_quality, f1 or error"
            yield place.diagnostic("PH302", f"{name} has no effect without optimize_for", hint)


def read_options(
    lines: Sequence[Place], scope: Scope = "function", said_in: str = ""
) -> tuple[dict[str, Any], tuple[Diagnostic, ...]]:
    """The option texts of one pragma, a place for each of its lines -> fields of Pragma, and the mistakes.

    The fields hold what was given and understood, with its origins; `off` is among them, True, where that flag was
    given.
    """
    fields: dict[str, Any] = {}
    by_argument: dict[str, RecordMode] = {}
    given: dict[str, Place] = {}
    attempted: set[str] = set()
    diagnostics: list[Diagnostic] = []
    for count, item in enumerate(item for line in lines for item in _split(line)):
        if isinstance(item, Diagnostic):
            diagnostics.append(item)
            continue
        if count >= MAX_OPTIONS:
            message = f"more than {MAX_OPTIONS} options; the rest is ignored"
            diagnostics.append(item.name.diagnostic("PH106", message))
            break
        name, value = item.name.text, _read_item(item, scope)
        attempted.add(name)
        if isinstance(value, Diagnostic):
            diagnostics.append(value)
            continue
        if name in given:
            hint = "join objectives by +: optimize_for=precision+recall" if name == "optimize_for" else ""
            diagnostics.append(item.name.diagnostic("PH301", f"{name} is given twice; this one counts", hint))
        given[name] = item.name
        family, dot, argument = name.partition(".")
        if dot:
            by_argument[argument] = value
        else:
            fields[family] = value
    if by_argument:
        fields["record_arguments"] = by_argument
    diagnostics.extend(_without_effect(given, attempted, scope))
    written = scope != "assume"
    fields["origins"] = {
        name: Origin(scope, place.line * written, place.column, place.end_column, place.source_line, said_in)
        for name, place in given.items()
    }
    return fields, tuple(diagnostics)


def read_tune(place: Place) -> tuple[Tune | None, tuple[Diagnostic, ...]]:
    """The text of a pragma that starts with the word tune -> the range or choices to learn in, and the mistakes."""
    spaced = "".join(" " if c.isspace() else c for c in place.text)
    start = place.column + spaced.index("tune") + len("tune")
    body, comma, extra = spaced[start - place.column :].partition(" #")[0].partition(",")
    bounds, named, name = (body + " ").partition(" as ")
    diagnostics = []
    if extra.strip():
        after = start + len(body) + len(comma)
        found = place.part(after, after + len(extra)).stripped()
        diagnostics.append(found.diagnostic("PH004", "options go above the function, only tune stands here"))
    found = place.part(start, start + len(bounds)).stripped()
    try:
        choices = read_choices(bounds.strip()) if "|" in bounds else ()
        lower, upper = (None, None) if choices else read_range(bounds.strip())
        if named and not is_name(name.strip()):
            before = len(bounds) + (len(named) if name.strip() else 0)
            found = place.part(start + before, start + len(body)).stripped()
            message = f"a tunable can't be named {quote(name.strip())}"
            raise RefusedError("PH208", message, "write tune 0.5..8 as name")
    except RefusedError as refused:
        return None, (*diagnostics, found.diagnostic(refused.code, refused.message, refused.hint))
    return Tune(place.line, lower, upper, name.strip() if named else None, choices), tuple(diagnostics)
