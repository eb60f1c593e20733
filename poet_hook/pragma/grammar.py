"""The text of a pragma -> typed options.

It is split by hand, in one pass: no text makes it slow, and none makes it raise. A mistake costs its own
option only, and is reported with its place.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from keyword import iskeyword
from math import isfinite
from typing import Any, get_args

from ..model import Coerce, Diagnostic, Fallback, Learn, RecordMode, Tune
from .diagnose import Place, quote, suggest

MAX_LENGTH = 500
MAX_OPTIONS = 32

DOMAINS = ("generic", "ml_monitoring")
OBJECTIVES = ("accuracy", "precision", "recall", "f1", "alert_quality", "error", "absolute_error")
_LEVEL_1 = ("retries", "timeout", "fallback", "ensure", "require", "coerce", "record", "key")
OPTIONS = ("domain", "optimize_for", *_LEVEL_1, "learn", "after", "cost", "off")
# the design names these, so a did-you-mean would mislead
PLANNED = (
    "retry_on",
    "backoff",
    "sample",
    "assume_ok_after",
    "alpha",
    "stream",
    "group",
    "half_life",
    "canary",
)

_CHOICES: dict[str, tuple[str, ...]] = {
    "domain": DOMAINS,
    "optimize_for": OBJECTIVES,
    "coerce": get_args(Coerce),
    "record": get_args(RecordMode),
    "learn": get_args(Learn),
}
_PLANNED_VALUES = {"optimize_for": ("latency", "cost", "reward"), "learn": ("shadow",)}
_TRAIN_ONLY = ("record", "key", "learn", "after", "cost")

_MAX_SECONDS = 1e6
_MAX_COST = 1e6
_DURATION_UNITS = (("ms", 1000.0), ("s", 1.0), ("m", 1 / 60), ("h", 1 / 3600))
_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_FOREIGN = {"none": "None", "null": "None", "true": "True", "false": "False"}
# all that ast and compile raise on hostile text; Warning because of -W error and -bb
_UNUSABLE = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError, Warning)


class _RefusedError(Exception):
    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


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


def _quote_end(text: str, at: int, end: int) -> int:
    """The index of an opening quote -> the index after its closing one, or -1."""
    mark = text[at]
    at += 1
    while at < end:
        if text[at] == "\\":
            at += 1
        elif text[at] == mark:
            return at + 1
        at += 1
    return -1


def _value_end(text: str, at: int, end: int) -> int:
    """The index where a value starts -> the index after it; raises where quotes or brackets stay open."""
    open_brackets: list[str] = []
    while at < end:
        character = text[at]
        if character in "\"'":
            at = _quote_end(text, at, end)
            if at < 0:
                raise _RefusedError("PH103", "the quoted text is not closed")
            continue
        if character in _CLOSERS:
            open_brackets.append(_CLOSERS[character])
        elif open_brackets and character in ")]}":
            if open_brackets.pop() != character:
                raise _RefusedError("PH104", "the brackets are not balanced")
        elif not open_brackets and _separates(character):
            break
        at += 1
    if open_brackets:
        raise _RefusedError("PH104", "the brackets are not balanced", f"{open_brackets[-1]!r} is missing")
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
        except _RefusedError as refused:
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


def _number(text: str) -> float | None:
    # float() also takes 'nan', 'infinity', spaces and the digits of other scripts
    if not text or any(c not in "0123456789.eE+-_" for c in text):
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _is_name(text: str) -> bool:
    return text.isidentifier() and not iskeyword(text)


def _unquoted(text: str) -> str | None:
    """A quoted text -> what is between the quotes; None for anything else.

    Only the quote and the backslash are escaped: an expression keeps the escapes of its own strings.
    """
    if text[0] not in "\"'" or _quote_end(text, 0, len(text)) != len(text):
        return None
    out, at = [], 1
    while at < len(text) - 1:
        if text[at] == "\\" and text[at + 1] in ("\\", text[0]):
            at += 1
        out.append(text[at])
        at += 1
    return "".join(out)


def _choice(name: str, text: str) -> str:
    word, choices = _unquoted(text) or text, _CHOICES[name]
    if word in choices:
        return word
    if word in _PLANNED_VALUES.get(name, ()):
        raise _RefusedError("PH202", f"{name}={word} is not available in this version", "one of " + ", ".join(choices))
    hint = suggest(word, choices) or "one of " + ", ".join(choices)
    raise _RefusedError("PH203", f"{name} can't be {quote(word)}", hint)


def _objective(name: str, text: str) -> str:
    """One of ours, or module:function."""
    word = _unquoted(text) or text
    if ":" not in word:
        return _choice(name, text)
    if all(map(_is_name, (*word.partition(":")[0].split("."), word.partition(":")[2]))):
        return word
    raise _RefusedError("PH203", f"{name} can't be {quote(word)}", "write module:function, as in shop.losses:late")


def _whole(lowest: int, highest: int, name: str, text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 20 and lowest <= int(text) <= highest:
        return int(text)
    raise _RefusedError("PH204", f"{name} takes a whole number from {lowest} to {highest}, not {quote(text)}")


def _duration(name: str, text: str) -> float:
    amount, per_second = text, 1.0
    for unit, scale in _DURATION_UNITS:
        if text.endswith(unit):
            amount, per_second = text.removesuffix(unit), scale
            break
    number = _number(amount)
    if number is None or not 0 < number / per_second <= _MAX_SECONDS:
        raise _RefusedError(
            "PH204",
            f"{name} takes a duration above 0 and up to {_MAX_SECONDS:.0f} seconds, not {quote(text)}",
            "for example 500ms, 5s, 2m or 1h",
        )
    return number / per_second


def _cost(name: str, text: str) -> tuple[float, float]:
    first, _, second = text.partition(":")
    false_alarm, miss = _number(first), _number(second)
    if false_alarm and miss and 0 < false_alarm <= _MAX_COST and 0 < miss <= _MAX_COST:
        return false_alarm, miss
    raise _RefusedError(
        "PH204",
        f"{name} takes <false alarm>:<miss>, two numbers above 0, not {quote(text)}",
        "cost=1:5 means that a miss is five times as bad as a false alarm",
    )


def _fallback(name: str, text: str) -> Fallback:
    if text in _FOREIGN:
        raise _RefusedError("PH205", f"{text} is not a Python literal", f"did you mean '{_FOREIGN[text]}'?")
    if _is_name(text):
        return Fallback(function=text)
    try:
        return Fallback(value=ast.literal_eval(text))
    except _UNUSABLE:
        raise _RefusedError(
            "PH205",
            f"{name} takes a Python literal or the name of a function of this module, not {quote(text)}",
        ) from None


def _expression(name: str, text: str) -> str:
    body = _unquoted(text)
    if body is None:
        hint = "" if "'" in text or '"' in text else f'write {name}="{text}"'
        raise _RefusedError("PH206", f"{name} takes a quoted expression, not {quote(text)}", hint)
    body = body.strip()
    try:
        tree = ast.parse(body, mode="eval")
        # the compiler refuses more than the parser does: yield, await, a keyword given twice
        compile(tree, "<pragma>", "eval", dont_inherit=True)
        assigns = any(isinstance(node, ast.NamedExpr) for node in ast.walk(tree))
    except _UNUSABLE as error:
        reason = getattr(error, "msg", None) or str(error)
        raise _RefusedError("PH206", f"{name} can't be used: {reason}") from None
    if assigns:
        raise _RefusedError("PH206", f"{name} can't be used: ':=' would add a variable to the function")
    return body


def _key(name: str, text: str) -> str:
    return text if _is_name(text) else _expression(name, text)


_READERS: dict[str, Callable[[str, str], Any]] = {
    **dict.fromkeys(_CHOICES, _choice),
    "optimize_for": _objective,
    "retries": partial(_whole, 0, 100),
    "after": partial(_whole, 1, 1_000_000),
    "timeout": _duration,
    "cost": _cost,
    "fallback": _fallback,
    "ensure": _expression,
    "require": _expression,
    "key": _key,
}


def _unknown(item: _Item) -> Diagnostic:
    name = item.name.text
    if name in PLANNED:
        return item.name.diagnostic("PH202", f"{name} is not available in this version")
    if name == "tune":
        return item.name.diagnostic("PH005", "tune belongs at the end of the line of the number that it tunes")
    option, _, value = name.partition(":")
    hint = f"write {option}={value}" if value and option in OPTIONS else suggest(name, OPTIONS)
    return item.name.diagnostic("PH201", f"unknown option {quote(name)}", hint)


def _read_item(item: _Item) -> Any:
    """One option -> its value, or the diagnostic that says why it has none."""
    name, value = item.name.text, item.value
    family, _, argument = name.partition(".")
    by_argument = family == "record" and _is_name(argument)
    if name not in OPTIONS and not by_argument:
        return _unknown(item)
    if name == "off":
        if value is None:
            return True
        return value.diagnostic("PH207", "off takes no value", "leave the option out to switch it on")
    if value is None:
        return item.name.diagnostic("PH102", f"{quote(name)} has no value", f"write {name}=...")
    try:
        return _READERS[family](family, value.text)
    except _RefusedError as refused:
        return value.diagnostic(refused.code, refused.message, refused.hint)


def _without_effect(given: dict[str, Place], attempted: set[str]) -> Iterator[Diagnostic]:
    for name, place in given.items():
        if "off" in given:
            if name != "off":
                yield place.diagnostic("PH303", f"{name} has no effect beside off")
        elif name.partition(".")[0] in _TRAIN_ONLY and "optimize_for" not in attempted:
            hint = "add optimize_for=accuracy, alert_quality, f1 or error"
            yield place.diagnostic("PH302", f"{name} has no effect without optimize_for", hint)


def read_options(lines: Sequence[Place]) -> tuple[dict[str, Any], tuple[Diagnostic, ...]]:
    """The option texts of one pragma, a place for each of its lines -> fields of Pragma, and the mistakes.

    The fields hold what was given and understood; `off` is among them, True, where that flag was given.
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
        name, value = item.name.text, _read_item(item)
        attempted.add(name)
        if isinstance(value, Diagnostic):
            diagnostics.append(value)
            continue
        if name in given:
            diagnostics.append(item.name.diagnostic("PH301", f"{name} is given twice; this one counts"))
        given[name] = item.name
        family, dot, argument = name.partition(".")
        if dot:
            by_argument[argument] = value
        else:
            fields[family] = value
    if by_argument:
        fields["record_arguments"] = by_argument
    diagnostics.extend(_without_effect(given, attempted))
    return fields, tuple(diagnostics)


def _range(text: str) -> tuple[float | None, float | None]:
    if not text:
        return None, None
    if "|" in text:
        raise _RefusedError("PH202", "choices are not available in this version, a range is", "write tune 0.5..8")
    sides = [side.strip() for side in text.partition("..")[::2]]
    lower, upper = (_number(side) for side in sides)
    unread = any(side and number is None for side, number in zip(sides, (lower, upper), strict=True))
    if ".." not in text or unread or (lower is None and upper is None):
        raise _RefusedError("PH208", f"{quote(text)} is not a range", "write tune 0.5..8, 0.5.. or ..8")
    if lower is not None and upper is not None and lower >= upper:
        raise _RefusedError("PH208", f"the range {quote(text)} is empty", "the lower bound comes first")
    return lower, upper


def read_tune(place: Place) -> tuple[Tune | None, tuple[Diagnostic, ...]]:
    """The text of a pragma that starts with the word tune -> the range to learn in, and the mistakes."""
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
        lower, upper = _range(bounds.strip())
        if named and not _is_name(name.strip()):
            before = len(bounds) + (len(named) if name.strip() else 0)
            found = place.part(start + before, start + len(body)).stripped()
            message = f"a tunable can't be named {quote(name.strip())}"
            raise _RefusedError("PH208", message, "write tune 0.5..8 as name")
    except _RefusedError as refused:
        return None, (*diagnostics, found.diagnostic(refused.code, refused.message, refused.hint))
    return Tune(place.line, lower, upper, name.strip() if named else None), tuple(diagnostics)
