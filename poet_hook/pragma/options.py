"""The options of a pragma: their names, and the text of a value -> the value.

Each reader takes the option's name and the text after its `=`, and raises `RefusedError` where that can't be meant.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial
from keyword import iskeyword
from math import isfinite
from typing import Any, get_args

from ..model import Coerce, Fallback, Learn, Pragma, RecordMode
from .diagnose import quote, suggest

DOMAINS = ("generic", "ml_monitoring")
OBJECTIVES = ("accuracy", "precision", "recall", "f1", "alert_quality", "error", "absolute_error")
# judged on live calls that a canary serves: replay can't tell them
UNSPOKEN = ("latency", "reliability")  # no feedback is needed
LIVE_OBJECTIVES = (*UNSPOKEN, "reward", "cost")
_LEVEL_1 = ("retries", "backoff", "timeout", "fallback", "ensure", "require", "coerce", "record", "key", "stream")
STEADY = ("margin", "min_run", "hold", "cooldown")
ATTEMPTS = ("retries", "timeout", "backoff")
OPTIONS = (
    "domain",
    "optimize_for",
    *_LEVEL_1,
    *STEADY,
    "learn",
    "after",
    "cost",
    "group",
    "assume_ok_after",
    "half_life",
    "alpha",
    "canary",
    "off",
)
# the design names these, so a did-you-mean would mislead
PLANNED = (
    "retry_on",
    "sample",
)

_CHOICES: dict[str, tuple[str, ...]] = {
    "domain": DOMAINS,
    "optimize_for": (*OBJECTIVES, *LIVE_OBJECTIVES),
    "coerce": get_args(Coerce),
    "record": get_args(RecordMode),
    "learn": get_args(Learn),
}
TRAIN_ONLY = (
    "record",
    "key",
    "stream",
    "learn",
    "after",
    "cost",
    "group",
    "assume_ok_after",
    "half_life",
    "alpha",
    "canary",
)

_MOST_OBJECTIVES = 3
_MAX_SECONDS = 1e6  # of a call
_MAX_YEARS = 10 * 365 * 86_400.0
_MAX_COST = 1e6
_MAX_MARGIN = 1e12
_MOST_SHARED = 50
MOST_CALLS = 1_000_000
MOST_CHOICES = 32
_DURATION_UNITS = (("ms", 1000.0), ("s", 1.0), ("m", 1 / 60), ("h", 1 / 3600), ("d", 1 / 86_400))
_FOREIGN = {"none": "None", "null": "None", "true": "True", "false": "False"}
# all that ast and compile raise on hostile text; Warning because of -W error and -bb
_UNUSABLE = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError, Warning)


class RefusedError(Exception):
    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


def judged_live(pragma: Pragma) -> bool:
    """Whether live calls tell which version is better, rather than replay."""
    return bool(pragma.canary) and pragma.optimize_for in LIVE_OBJECTIVES


def quote_end(text: str, at: int, end: int) -> int:
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


def _number(text: str) -> float | None:
    # float() also takes 'nan', 'infinity', spaces and the digits of other scripts
    if not text or any(c not in "0123456789.eE+-_" for c in text):
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def is_name(text: str) -> bool:
    return text.isidentifier() and not iskeyword(text)


def _unquoted(text: str) -> str | None:
    """A quoted text -> what is between the quotes; None for anything else.

    Only the quote and the backslash are escaped: an expression keeps the escapes of its own strings.
    """
    if text[0] not in "\"'" or quote_end(text, 0, len(text)) != len(text):
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
    hint = suggest(word, choices) or "one of " + ", ".join(choices)
    raise RefusedError("PH203", f"{name} can't be {quote(word)}", hint)


def _objective(name: str, text: str) -> str:
    """One of ours, several of them joined by +, or module:function."""
    word = _unquoted(text) or text
    if ":" not in word:
        parts = [part.strip() for part in word.split("+")]
        if len(parts) > _MOST_OBJECTIVES or len(set(parts)) < len(parts) or not all(parts):
            hint = f"join up to {_MOST_OBJECTIVES} different ones, as in precision+recall"
            raise RefusedError("PH203", f"{name} can't be {quote(word)}", hint)
        live = next((part for part in parts if part in LIVE_OBJECTIVES and len(parts) > 1), None)
        if live:
            raise RefusedError("PH203", f"{name} can't be {quote(word)}", f"{live} stands alone: replay can't tell it")
        return "+".join(_choice(name, part) for part in parts)
    if all(map(is_name, (*word.partition(":")[0].split("."), word.partition(":")[2]))):
        return word
    raise RefusedError("PH203", f"{name} can't be {quote(word)}", "write module:function, as in shop.losses:late")


def _whole(lowest: int, highest: int, name: str, text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 20 and lowest <= int(text) <= highest:
        return int(text)
    raise RefusedError("PH204", f"{name} takes a whole number from {lowest} to {highest}, not {quote(text)}")


def _real(lowest: float, highest: float, name: str, text: str) -> float:
    number = _number(text)
    if number is not None and lowest <= number <= highest:
        return number
    raise RefusedError("PH204", f"{name} takes a number from {lowest:g} to {highest:g}, not {quote(text)}")


def _duration(highest: float, name: str, text: str) -> float:
    amount, per_second = text, 1.0
    for unit, scale in _DURATION_UNITS:
        if text.endswith(unit):
            amount, per_second = text.removesuffix(unit), scale
            break
    number = _number(amount)
    if number is None or not 0 < number / per_second <= highest:
        raise RefusedError(
            "PH204",
            f"{name} takes a duration above 0 and up to {highest:.0f} seconds, not {quote(text)}",
            "for example 500ms, 5s, 2m, 1h or 2d",
        )
    return number / per_second


def as_duration(seconds: float) -> str:
    """A duration as one writes it, in the largest unit of which it is a whole number."""
    for unit, per_second in reversed(_DURATION_UNITS):
        amount = round(seconds * per_second, 9)
        if amount == round(amount):
            return f"{amount:.0f}{unit}"
    return f"{seconds:g}s"


def _gap(fewest: int, longest: float, name: str, text: str) -> int | float:
    """A number of calls, or with a unit a duration in seconds."""
    if not text.isdigit() and any(text.endswith(unit) for unit, _ in _DURATION_UNITS):
        return _duration(longest, name, text)
    try:
        return _whole(fewest, MOST_CALLS, name, text)
    except RefusedError as refused:
        raise RefusedError(refused.code, f"{refused.message}, or a duration", "for example 20, 30s or 5m") from None


def _cost(name: str, text: str) -> tuple[float, float]:
    first, _, second = text.partition(":")
    false_alarm, miss = _number(first), _number(second)
    if false_alarm and miss and 0 < false_alarm <= _MAX_COST and 0 < miss <= _MAX_COST:
        return false_alarm, miss
    raise RefusedError(
        "PH204",
        f"{name} takes <false alarm>:<miss>, two numbers above 0, not {quote(text)}",
        "cost=1:5 means that a miss is five times as bad as a false alarm",
    )


def _share(name: str, text: str) -> float:
    number = _number(text.removesuffix("%"))
    if text.endswith("%") and number is not None and 1 <= number <= _MOST_SHARED:
        return number / 100
    raise RefusedError(
        "PH204", f"{name} takes 1% to {_MOST_SHARED}% of the calls, not {quote(text)}", "for example canary=5%"
    )


def _fallback(name: str, text: str) -> Fallback:
    if text in _FOREIGN:
        raise RefusedError("PH205", f"{text} is not a Python literal", f"did you mean '{_FOREIGN[text]}'?")
    if is_name(text):
        return Fallback(function=text)
    try:
        return Fallback(value=ast.literal_eval(text))
    except _UNUSABLE:
        raise RefusedError(
            "PH205",
            f"{name} takes a Python literal or the name of a function of this module, not {quote(text)}",
        ) from None


def _expression(name: str, text: str) -> str:
    body = _unquoted(text)
    if body is None:
        hint = "" if "'" in text or '"' in text else f'write {name}="{text}"'
        raise RefusedError("PH206", f"{name} takes a quoted expression, not {quote(text)}", hint)
    body = body.strip()
    try:
        tree = ast.parse(body, mode="eval")
        # the compiler refuses more than the parser does: yield, await, a keyword given twice
        compile(tree, "<pragma>", "eval", dont_inherit=True)
        assigns = any(isinstance(node, ast.NamedExpr) for node in ast.walk(tree))
    except _UNUSABLE as error:
        reason = getattr(error, "msg", None) or str(error)
        raise RefusedError("PH206", f"{name} can't be used: {reason}") from None
    if assigns:
        raise RefusedError("PH206", f"{name} can't be used: ':=' would add a variable to the function")
    return body


def _name_or_expression(name: str, text: str) -> str:
    return text if is_name(text) else _expression(name, text)


def _group(name: str, text: str) -> int | float | str:
    """A gap between alerts, or what names the incident."""
    if is_name(text) or text[0] in "\"'":
        return _name_or_expression(name, text)
    return _gap(1, _MAX_YEARS, name, text)


READERS: dict[str, Callable[[str, str], Any]] = {
    **dict.fromkeys(_CHOICES, _choice),
    "optimize_for": _objective,
    "retries": partial(_whole, 0, 100),
    "margin": partial(_real, 0.0, _MAX_MARGIN),
    "min_run": partial(_whole, 1, MOST_CALLS),
    "hold": partial(_whole, 0, MOST_CALLS),
    "cooldown": partial(_gap, 0, _MAX_SECONDS),
    "after": partial(_whole, 1, 1_000_000),
    "alpha": partial(_real, 0.001, 0.5),
    "timeout": partial(_duration, _MAX_SECONDS),
    "backoff": partial(_duration, _MAX_SECONDS),
    "canary": _share,
    "cost": _cost,
    "fallback": _fallback,
    "ensure": _expression,
    "require": _expression,
    "key": _name_or_expression,
    "stream": _name_or_expression,
    "group": _group,
    "assume_ok_after": partial(_duration, _MAX_YEARS),
    "half_life": partial(_gap, 2, _MAX_YEARS),
}


def read_range(text: str) -> tuple[float | None, float | None]:
    if not text:
        return None, None
    sides = [side.strip() for side in text.partition("..")[::2]]
    lower, upper = (_number(side) for side in sides)
    unread = any(side and number is None for side, number in zip(sides, (lower, upper), strict=True))
    if ".." not in text or unread or (lower is None and upper is None):
        raise RefusedError("PH208", f"{quote(text)} is not a range", "write tune 0.5..8, 0.5.. or ..8")
    if lower is not None and upper is not None and lower >= upper:
        raise RefusedError("PH208", f"the range {quote(text)} is empty", "the lower bound comes first")
    return lower, upper


def read_choices(text: str) -> tuple[str, ...]:
    """`ks|psi|'a b'` -> its parts, each a name, a number or a quoted text, as written."""
    parts = [""]
    at = 0
    while at < len(text):
        end = quote_end(text, at, len(text)) if text[at] in "\"'" else at + 1
        if end < 0:
            raise RefusedError("PH103", "the quoted text is not closed")
        if text[at] == "|":
            parts.append("")
        else:
            parts[-1] += text[at:end]
        at = end
    found = tuple(part.strip() for part in parts)
    for part in found:
        quoted = part[:1] in ("'", '"') and quote_end(part, 0, len(part)) == len(part)
        if not (quoted or part.isidentifier() or _number(part) is not None):
            raise RefusedError("PH208", f"{quote(part)} is no choice", "write tune ks|psi|wasserstein")
        if quoted:
            try:
                ast.literal_eval(part)
            except _UNUSABLE:
                raise RefusedError("PH208", f"{quote(part)} is no choice") from None
    if len(set(found)) != len(found) or not 2 <= len(found) <= MOST_CHOICES:
        raise RefusedError("PH208", f"tune takes 2 to {MOST_CHOICES} different choices", "write tune ks|psi")
    return found
