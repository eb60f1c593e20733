"""A text that names what the result should have been: a value, a range, a percentage or a date.

What a number with a unit means for a result whose unit nobody knows is not guessed, nor what "25%" means for a
result that is no share from 0 to 1.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from poet_hook.domains import generic, vocabulary
from poet_hook.domains.base import decision
from poet_hook.domains.number import is_number
from poet_hook.model import UNSET, Signal
from poet_hook.signals.scales import CLEAR

HOLDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "at_least": operator.ge,
    "at_most": operator.le,
    "above": operator.gt,
    "below": operator.lt,
}
# The first that matches wins: "no more than" before "more than".
_LIMITS = {
    "at_least": "at least|(?:no|not) (?:less|fewer|lower|smaller) than|minimum(?: of)?|>=|≥",
    "at_most": "at most|(?:no|not) (?:more|greater|higher|larger|bigger) than|up to|maximum(?: of)?|<=|≤",
    "above": "(?:more|greater|higher|larger|bigger) than|over|above|>",
    "below": "(?:less|fewer|lower|smaller) than|under|below|<",
}
_DATE = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?"
NUMBER = r"[-+]?(?:\d{1,15}(?:,\d{3}){0,4}(?:\.\d{1,20})?|\.\d{1,20})(?:e[-+]?\d{1,2}|k(?!\w))?"
_LEAD = generic.STATED.pattern.partition("(?P<value>")[0]  # "should be", "expected", "the right value is", ...
_LIMIT = "|".join(f"(?P<{name}>{words})" for name, words in _LIMITS.items())
_RANGE = (
    rf"(?P<between>between )?(?:from )?(?P<low>{NUMBER})\s?%?(?P<to> and | to |\s?[-–—]\s?)(?P<high>{NUMBER})"
    rf"|(?:{_LIMIT})\s?(?P<limit>{NUMBER})"
)
_UNIT = r"\s?(?!(?:not|but|instead|because|since)\b)(?P<unit>[^\W\d_]{1,12}(?:/[^\W\d_]{1,4})?|[°$€£¥][^\W\d_]?)"
_ANY_LIMIT = "|".join(_LIMITS.values())
_END = r"(?=$|[.,;!)](?:\s|$)|\s(?:not|but|instead|because|since)\b|\s[-–—]" rf"|\sand (?:{_ANY_LIMIT})\s?{NUMBER})"
# With a lead a range, a date or a number; without one, at the start of the text, a range or a date.
EXPECTATION = re.compile(
    rf"(?:(?P<lead>{_LEAD})|^\s*(?P<roughly>about |around |roughly )?)"
    rf"(?:(?P<date>{_DATE})|(?P<currency>[$€£¥])?(?:{_RANGE}|(?P<one>{NUMBER}))(?P<percent>\s?%)?(?:{_UNIT})?){_END}",
    re.IGNORECASE,
)
_ABOUT = "about |around |roughly |~"
_ANY_UNIT = r"\s?%|\s?[^\W\d_]{1,12}"
_OFF = re.compile(
    rf"(?:(?:it|this|that)(?:'s| is| was) )?(?P<about>{_ABOUT})?(?:(?P<amount>{NUMBER})(?P<unit>{_ANY_UNIT})? too "
    rf"(?P<end>high|low|large|small|big)|too (?P<start>high|low|large|small|big) by (?P<roughly>{_ABOUT})?"
    rf"(?P<by>{NUMBER})(?P<of>{_ANY_UNIT})?)[.!]?",
    re.IGNORECASE,
)
_OR = re.compile(r"\W{0,3}or\b", re.IGNORECASE)
# "at least 4" has a second half in "at least 4, at most 6".
_OTHER_END = re.compile(rf"\s?(?:,? (?:and|but) |, )(?:{_LIMIT})\s?(?P<limit>{NUMBER}){_END}", re.IGNORECASE)
_LIMIT_LEFT = re.compile(rf"(?<!\w)(?:{_ANY_LIMIT})\s?{NUMBER}", re.IGNORECASE)
_BUT = re.compile(rf"\W{{0,3}}but (?:it |that |this )?{NUMBER}(?!\S)", re.IGNORECASE)
WHOLE_DATE = re.compile(_DATE, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Stated:
    """What a text names: `value` as in a signal of this kind, or else the `reason` why it can't be taken.

    `before` and `rest` are the text before it and all of the text but it.
    """

    kind: Literal["expected", "range"]
    value: Any
    about: bool
    before: str
    rest: str
    reason: str = ""


def stated(text: str, outcome: Any) -> Stated | None:
    """The one expectation in a text, None where there is none."""
    found: list[Stated] = []
    rest, end = "", 0
    matches = [*EXPECTATION.finditer(text), *generic.STATED.finditer(text)]
    for match in sorted(matches, key=lambda match: match.start()):
        one = _read(match, outcome) if match.start() >= end else None
        if one is not None:
            rest += f"{text[end : match.start()]} ; "
            end = match.end()
            if one.kind == "range" and (other := _OTHER_END.match(text, end)) is not None:
                one, end = _both_ends(one, other), other.end()
            found.append(one)
    if not found:
        return None
    first = replace(found[0], rest=rest + text[end:])
    named = {(one.kind, type(one.value), repr(one.value)) for one in found}
    several = len(named) > 1 or _OR.match(text, end) or _BUT.match(text, end)
    if several or (first.kind == "range" and _LIMIT_LEFT.search(first.rest)):
        return replace(first, reason=first.reason or "it names several values")
    return first


def _both_ends(one: Stated, other: re.Match[str]) -> Stated:
    """A range with the other end that follows it."""
    name = next(name for name in HOLDS if other[name])
    bounds = {**one.value, name: as_written(number(other["limit"]))} if isinstance(one.value, Mapping) else {}
    low, high = (
        [bounds[each] for each in sides if each in bounds] for sides in (("at_least", "above"), ("at_most", "below"))
    )
    if len(low) != 1 or len(high) != 1 or low[0] > high[0]:
        return replace(one, reason=one.reason or "these limits are no range")
    return replace(one, value=bounds)


def _read(match: re.Match[str], outcome: Any) -> Stated | None:
    named = match.groupdict()
    about = bool(named["about"] or named.get("roughly"))
    head = Stated("expected", None, about, match.string[: match.start()], "")
    if "value" in named:
        value = _value(named["value"])
        return replace(head, value=value, reason=_misfit(value, outcome))
    if named["date"] is not None:
        # a date alone is a word about a result that is one
        return _date(head, named["date"], outcome) if named["lead"] or moment(outcome) is not None else None
    if named["one"] is None:
        bounds = _bounds(named)
        if bounds is None or not (named["lead"] or named["low"] is None or named["between"] or is_number(outcome)):
            return None
        head = replace(head, kind="range", value=bounds)
    elif not (named["percent"] or named["unit"] or named["currency"]) and (named["lead"] or not named["roughly"]):
        return None  # a plain value, which `generic.STATED` reads, or a score
    elif not named["lead"] and not (named["roughly"] and is_number(outcome)):
        return None
    else:
        head = replace(head, value=number(named["one"]))
    return _measured(head, named, outcome)


def _measured(head: Stated, named: Mapping[str, str | None], outcome: Any) -> Stated | None:
    """A number or range as the result counts, if that is known."""
    unit = named["unit"] or named["currency"]
    if unit and not vocabulary.KNOWN.isdisjoint(vocabulary.tokens(unit.lower())):
        return None  # "should be 5 today" names no unit
    if not is_number(outcome) and outcome is not UNSET and outcome is not None:
        return replace(head, reason="it names a number, and the result is none")
    if unit:
        return replace(head, reason=f"in which unit the result counts is not known ({unit!r}): give the number alone")
    percent = named["percent"] is not None
    if percent and not (is_number(outcome) and 0 <= outcome <= 1):
        return replace(head, reason="of what is this a percentage? The result is no share from 0 to 1: give the number")
    plain = (lambda number: float(number / 100)) if percent else as_written
    if head.kind == "expected":
        return replace(head, value=plain(head.value))
    if "at_least" in head.value and head.value["at_least"] > head.value.get("at_most", math.inf):
        return replace(head, reason="the lower end of this range is above the upper one")
    return replace(head, value={name: plain(limit) for name, limit in head.value.items()})


def _bounds(named: Mapping[str, str | None]) -> dict[str, Decimal] | None:
    low, high = named["low"], named["high"]
    if low is None or high is None:
        name = next(name for name in HOLDS if named[name])
        return {name: number(named["limit"] or "")}
    if (named["to"] or "").lower() == " and " and not named["between"]:
        return None  # "3 and 5" are two values
    return {"at_least": number(low), "at_most": number(high)}


def _date(head: Stated, text: str, outcome: Any) -> Stated:
    value = moment(text.upper())
    if value is None:
        return replace(head, reason=f"{text} is no date")
    known = moment(outcome)
    if known is None and outcome is not UNSET and outcome is not None:
        return replace(head, reason="it names a date, and the result is none")
    if isinstance(value, datetime) and isinstance(known, datetime) and bool(value.tzinfo) != bool(known.tzinfo):
        return replace(head, reason="of the result and the time that it names, only one has a time zone")
    return replace(head, value=value)


def off_by(text: str, outcome: Any) -> Signal | None:
    """What a text says that is nothing but how far a number lies off: "0.5 too low", "too high by 12%".

    Of a number without a unit the right one follows; of one with a unit, or a percentage of nobody knows what, only
    the side where it lies.
    """
    match = _OFF.fullmatch(text) if is_number(outcome) else None
    if match is None:
        return None
    way = 1 if (match["end"] or match["start"]).lower() in ("low", "small") else -1
    amount = float(number(match["amount"] or match["by"]))
    sure = 0.5 if match["about"] or match["roughly"] else CLEAR
    if match["unit"] or match["of"] or amount <= 0 or not math.isfinite(float(outcome) + amount):
        return Signal("direction", way, CLEAR)
    return Signal("expected", float(outcome) + way * amount, sure)


def moment(value: Any) -> date | None:
    """A date or datetime, or an ISO 8601 text of one, as what it is; None for anything else."""
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not WHOLE_DATE.fullmatch(value):
        return None
    try:
        return date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
    except ValueError:
        return None


def inside(bounds: Mapping[str, Any], number: Any) -> bool:
    """Whether a number is in a range, such as {"at_least": 3, "below": 10}."""
    return all(HOLDS[name](number, limit) for name, limit in bounds.items())


def _value(text: str) -> Any:
    """The value that a text spells: quoted text, true, false or a number."""
    if text[0] in "\"'`":
        return text[1:-1]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return as_written(number(text))


def number(text: str) -> Decimal:
    """The number that a text of the form `NUMBER` spells; 5k is 5000."""
    plain = text.replace(",", "").lower()
    return Decimal(plain.removesuffix("k")) * (1000 if plain.endswith("k") else 1)


def as_written(number: Decimal) -> int | float:
    """An int where it was written as one."""
    return int(number) if number.as_tuple().exponent == 0 else float(number)


def _misfit(value: Any, outcome: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "the number it names is too large"
    fits = {bool: decision(outcome) is not None, str: isinstance(outcome, str)}.get(type(value), is_number(outcome))
    if fits or outcome is UNSET or outcome is None:
        return ""
    return f"the value it names is a {type(value).__name__}, and the result is none"
