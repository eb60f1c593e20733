"""Numbers, percentages and stars -> how good the result was; unread where it is not clear on which scale."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from poet_hook.domains.base import as_bool, decision
from poet_hook.domains.number import is_number
from poet_hook.model import UNSET, Signal

CLEAR = 0.9
SCORE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)(?: ?(%)|[ -]?stars?| ?(?:/|out of|of) ?(5|10|100)(?: ?stars?)?)")
COST = re.compile(r"(?:costs? {0,3}[:=]? {0,3})?[$€£]?(\d{1,15}(?:\.\d{1,15})?)", re.IGNORECASE)
NUMBER = re.compile(r"[-+]?\d{0,15}(?:\.\d{0,15})?")


def unread(reason: str) -> Signal:
    """Feedback that was not understood, and why."""
    return Signal("unread", confidence=0.0, reason=reason)


def rating(score: float, top: float) -> Signal:
    """A score on a scale up to `top`; that up to 5 begins at 1, and only its middle is no clear word."""
    if not 0 <= score <= top:
        return unread(f"{score:g} is not on a scale up to {top:g}")
    if top != 5:
        return Signal("reward", score / top)
    if score >= 4 or score <= 2:
        return Signal("right" if score >= 4 else "wrong")
    return Signal("reward", (score - 1) / 4)


def bare_number(number: float, outcome: Any) -> Signal:
    """A bare number: 1 to 5 as an int, 0 to 1 as a float; doubtful where the function returns numbers."""
    if is_number(outcome) or (isinstance(outcome, str) and NUMBER.fullmatch(outcome.strip())):
        return unread('a rating or the right value? Give {"expected": 3.0} or {"rating": 3}')
    if isinstance(number, int) and number == 1:
        return unread("1 is the worst rating, and the best of 0 and 1: say True or False, or {'rating': 1}")
    if isinstance(number, int) and 1 <= number <= 5:
        return rating(number, 5)
    if isinstance(number, float) and 0.0 <= number <= 1.0:
        return Signal("reward", number)
    return unread("a number is read as a rating from 1 to 5 (int) or a reward from 0 to 1 (float)")


def scale(plain: str, outcome: Any) -> Signal | None:
    """A text that is nothing but a score: "4/5", "3 stars", "80%", "0.5", "+1", stars; None for any other."""
    marks = "".join(plain.split())
    full = sum(marks.count(star) for star in "⭐★🌟")
    if full and full + marks.count("☆") == len(marks):
        if len(marks) == 5 or 2 <= full == len(marks) < 5:
            return rating(full, 5)
        return unread("it is not clear out of how many stars this is")
    if match := SCORE.fullmatch(plain):
        doubtful = bare_number(0.5, outcome) if match[2] else Signal("right")
        top = 100 if match[2] else int(match[3] or 5)
        return doubtful if doubtful.kind == "unread" else rating(float(match[1]), top)
    if plain in ("+1", "-1") and not is_number(outcome):
        return Signal("right" if plain == "+1" else "wrong", confidence=CLEAR)
    if NUMBER.fullmatch(plain) and any(char.isdigit() for char in plain):
        number = float(plain) if "." in plain else int(plain)
        if number in (0.0, 1.0) and decision(outcome) is False:  # tables write 1.0 where something is so, too
            return unread('the best score, or a yes? Give True or False, {"expected": True} or {"reward": 1.0}')
        return bare_number(number, outcome)
    return None


def cost(given: Any) -> Signal:
    """What an execution cost, in whatever unit all of them are told."""
    if isinstance(given, str) and (match := COST.fullmatch(given.strip()[:40])):
        given = float(match[1])
    number = float(given) if is_number(given) else math.nan
    return Signal("cost", number) if 0.0 <= number < math.inf else unread("a cost is a number from 0 up")


def spent(said: Any) -> Signal | None:
    """A bare number, as such or as a text, where costs are what counts; None for anything else."""
    if isinstance(said, Mapping) and set(said) == {"cost"}:
        return cost(said["cost"])
    text = isinstance(said, str) and COST.fullmatch(said.strip()[:40])
    return cost(said) if text or is_number(said) else None


def score(raw: Mapping[Any, Any]) -> Signal:
    """The reward (0 to 1) or rating (1 to 5, or 0 to 1) in a mapping."""
    name = "reward" if "reward" in raw else "rating"
    given = raw[name]
    if isinstance(given, str):
        return scale(given.strip()[:40].lower(), UNSET) or unread(f"{name} is no number")
    if not is_number(given):
        return Signal("right" if given else "wrong") if as_bool(given) is not None else unread(f"{name} is no number")
    number = float(given)
    if name == "rating" and isinstance(given, float) and number == 1.0:
        return unread('1.0 is the best from 0 to 1 and the worst from 1 to 5; give 1 or {"reward": 1.0}')
    if 0.0 <= number <= 1.0 and (name == "reward" or number < 1.0):
        return Signal("reward", number)
    return rating(number, 5) if name == "rating" else unread("a reward is from 0 to 1")
