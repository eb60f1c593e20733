"""An instruction in feedback ("use 3.5", "raise the limit to 4", {"set": {"value_limit": 3.5}}) -> what it asks for.

It asks for a number in the function, and says nothing of a result. Which number is meant is never guessed, and what
is asked for only ever becomes a version that waits to be promoted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from poet_hook.domains import generic, vocabulary
from poet_hook.domains.number import is_number
from poet_hook.errors import PoetError
from poet_hook.model import Signal, Tunable, Value
from poet_hook.settings import Settings
from poet_hook.signals.fields import fields_of
from poet_hook.signals.rules import SET
from poet_hook.signals.scales import CLEAR, unread
from poet_hook.signals.stated import NUMBER
from poet_hook.signals.stated import number as spelled
from poet_hook.store.database import Store
from poet_hook.versions.chain import Chain
from poet_hook.versions.current import plan_of
from poet_hook.versions.rebase import allowed

WAY = 'Say for example: set {} to 3.5, or give {{"set": {{"{}": 3.5}}}}'
_LONGEST = 1_000
_SAME = {"thresholds": "limit", "threshold": "limit", "limits": "limit", "cutoff": "limit", "bound": "limit"}
_EMPTY = frozenset("the a an its our your my this that it one alert alerting alarm new current number".split())
_SOFTENERS = frozenset("value setting parameter constant".split())  # unless a number of the function is called so

_POLITE = (
    r"(?:please |pls |just |so |then |let's |lets |(?:you|we) (?:should|must|need to) (?:just |rather )?"
    r"|(?:can|could) (?:you|we) (?:please )?|i(?:'d| would) like (?:you )?to |i want (?:you )?to )*"
)
_NAMED = r"(?P<name>[a-z_][\w' -]{0,60}?)"
_AFTER = (
    "instead|please|pls|here|now|from|next|because|since|so|and|not|for|then|rather|thanks|thank|but|too|or|if|unless"
    "|until|when"
)
_UNIT = rf"(?:\s?(?!(?:{_AFTER})\b)(?P<unit>[^\W\d_]{{1,12}}))?"
_AMOUNT = rf"(?:about |around |roughly |~)?(?P<value>{NUMBER})(?P<percent>\s?%)?{_UNIT}"
_END = rf"(?=\s*$|\s*[.!?;,)\n](?:\s|$)|\s[-–—]\s|\s(?:{_AFTER})\b)"
_UP = "raise|increase|bump(?: up)?|lift"
_DOWN = "lower|reduce|decrease|drop|cut"
_SETS = "set|change|put|switch|adjust|move|update"
_TO = r"(?:back |up |down )?(?:to|at|=)"
_START = rf"(?:^|(?<=[.!;,:\n)])|(?<=\s[-–—])|(?<=\sand)|(?<=\sso)|(?<=\sbut))\s*{_POLITE}"
# Each names one number of the function, in the order in which they are tried at a place.
_FORMS = (
    rf"(?:(?P<up>{_UP})|(?P<down>{_DOWN})|{_SETS}) {_NAMED} (?:from {NUMBER} )?{_TO} {_AMOUNT}{_END}",
    rf"make {_NAMED} {_AMOUNT}{_END}",
    rf"(?:use|try|take) (?:an? |the )?{_NAMED} of {_AMOUNT}{_END}",
    rf"(?:use|try|take) {_AMOUNT} (?:as|for) {_NAMED}{_END}",
    rf"(?:use|try|take) {_AMOUNT}{_END}",
    rf"{_NAMED} ?(?:=|:=|:| should be| must be| needs to be| has to be| ought to be) ?{_AMOUNT}{_END}",
)
FORMS = tuple(re.compile(_START + form, re.IGNORECASE) for form in _FORMS)
_TOO = re.compile(
    rf"\s*(?:,|and|, and) (?!(?:{_UP}|{_DOWN}|{_SETS}|make|use|try|take) )(?:the )?{_NAMED} to {_AMOUNT}{_END}",
    re.IGNORECASE,
)
_ANSWER = re.compile(r"\W*(?:no|nope|nah|yes|yeah|yep|yup)\W*", re.IGNORECASE)
_OR = re.compile(r"\W{0,3}or\b", re.IGNORECASE)
_POLITE_QUESTION = re.compile(r"^\W*(?:can|could) (?:you|we)\b", re.IGNORECASE)
_CONDITIONS = vocabulary.CONDITIONAL | {"until", "when", "says", "said", "told", "claims", "claimed"}


@dataclass(frozen=True, slots=True)
class Wish:
    """A number or choice that is asked for: how it is called (None: not at all), and whether it shall rise or fall."""

    name: str | None
    value: Value
    way: int = 0
    percent: bool = False
    unit: str = ""
    certain: bool = True
    """False where only a function that has a number of this name makes it an instruction."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for in something that was said, the rest of it (None: nothing), or why it can't be done."""

    wishes: Sequence[Wish]
    rest: Any
    problem: str = ""


def request_in(said: Any, outcome: Any) -> Request | None:
    """The instruction in what was said of a result; None where there is none. Reads one text or mapping."""
    if isinstance(said, str):
        return _in_text(said[:_LONGEST].translate(generic.QUOTES), outcome)
    if isinstance(said, Mapping) and SET in said and SET not in fields_of(outcome):
        rest = {key: value for key, value in said.items() if key != SET}
        return _in_mapping(said[SET], rest or None)
    return None


def _in_mapping(wanted: Any, rest: Any) -> Request:
    given = wanted if isinstance(wanted, Mapping) else {None: wanted}
    wishes = []
    for name, value in given.items():
        known: Value | None = _number(value)
        if known is None and isinstance(value, (str, bool)):
            known = str(value)
        if known is None or not (name is None or isinstance(name, str)):
            return Request((), rest, f"{SET} takes numbers and choices by their names, or one of them")
        wishes.append(Wish(name, known))
    return Request(wishes, rest, "" if wishes else f"{SET} names no number")


def _number(value: Any) -> float | None:
    if isinstance(value, str) and re.fullmatch(NUMBER, value.strip()):
        value = float(spelled(value.strip()))
    return float(value) if is_number(value) else None


def _in_text(text: str, outcome: Any) -> Request | None:
    found: list[re.Match[str]] = []
    end, rest = 0, ""
    while (match := _next(text, end)) is not None:
        rest += f"{text[end : match.start()]} ; "
        while match is not None:
            found.append(match)
            end = match.end()
            match = _TOO.match(text, end)
    if not found:
        return None
    rest = (rest + text[end:]).strip(" ;.,!\n")
    wishes = [_wish(match) for match in found]
    problem = _doubt(text, found, wishes, rest, outcome)
    if problem == generic.REFUSED["question"] and _ANSWER.fullmatch(rest):
        rest = ""  # "set it to 4? no" answers itself, and says nothing of a result
    return Request(wishes, rest or None, problem)


def _next(text: str, start: int) -> re.Match[str] | None:
    """The first instruction from there on; of those that begin at one place, that of the first form."""
    matches = [match for form in FORMS if (match := form.search(text, start)) and not _unit_of(match)]
    return min(matches, key=lambda match: match.start(), default=None)


def _unit_of(match: re.Match[str]) -> str:
    """The unit of a number that has no name: "use 3 servers" is no word about a number of the function."""
    return "" if match.groupdict().get("name") else match["unit"] or ""


def _wish(match: re.Match[str]) -> Wish:
    named = match.groupdict()
    name = named.get("name")
    certain = match.re is not FORMS[-1] or not vocabulary.SETTINGS.isdisjoint(_words(name or ""))
    way = 1 if named.get("up") else -1 if named.get("down") else 0
    value = float(spelled(match["value"]))
    return Wish(name, value, way, bool(match["percent"]), match["unit"] or "", certain)


def _doubt(text: str, found: Sequence[re.Match[str]], wishes: Sequence[Wish], rest: str, outcome: Any) -> str:
    if is_number(outcome) and any(not _words(wish.name or "") for wish in wishes):
        return 'a number in the function, or the right result? Give {"set": 3.5} or {"expected": 3.5}'
    if any(_OR.match(text, match.end()) for match in found):
        return "it names several values"
    if any(text[match.end() :].lstrip()[:1] == "?" and not _POLITE_QUESTION.search(match[0]) for match in found):
        return generic.REFUSED["question"]
    if conditions := sorted(_CONDITIONS.intersection(vocabulary.tokens(rest.lower()))):
        return f"it asks for a number only with a condition, or in other people's words ({conditions[0]!r})"
    return ""


# --------------------------------------------------------------------------- which number is meant


def asked_for(request: Request, function: str, store: Store, settings: Settings) -> Signal | None:
    """What a request asks of a function, unread where that can't be done; None where it means no number of it."""
    if request.problem:
        return unread(request.problem)
    try:
        plan, _ = plan_of(function, store, settings)
    except PoetError as error:
        return unread(f"which numbers the function has is not known: {error}")
    now = Chain(settings, function).champion(plan).values
    numbers = [tunable for tunable in plan.tunables if tunable.kind == "number"]
    options = [tunable for tunable in plan.tunables if tunable.kind == "option"]
    values: dict[str, Value] = {}
    for wish in request.wishes:
        if isinstance(wish.value, str):
            chosen = _choice(wish, plan.tunables)
            if isinstance(chosen, Signal):
                return chosen
            values[chosen.name] = wish.value
            continue
        found = _meant(wish.name, numbers) or [
            option for option in options if _words(option.name) == _words(wish.name or "")
        ]
        if not found and not wish.certain:
            return None
        if len(found) != 1:
            return _not_one(wish, found, numbers)
        (tunable,) = found
        value, problem = _fitting(wish, wish.value, tunable, float(now.get(tunable.name, tunable.value)))
        if values.setdefault(tunable.name, value) != value:
            problem = f"it names several values for {tunable.name}"
        if problem:
            return unread(problem)
    return Signal("requested", values, CLEAR)


def _words(name: str) -> list[str]:
    """The words that tell a number from another one: "the alert threshold" is a "limit"."""
    return [_SAME.get(word, word) for word in re.findall(r"[^\W_]+", name.lower()) if word not in _EMPTY]


def _meant(name: str | None, tunables: Sequence[Tunable]) -> Sequence[Tunable]:
    """The tunables that may be meant by a name; an option is only meant by its own."""
    exact = [tunable for tunable in tunables if name is not None and tunable.name == name.strip()]
    words = _words(name or "")
    alike = [tunable for tunable in tunables if words and _words(tunable.name) == words]
    if exact or alike:
        return exact or alike
    if not set(words) - _SOFTENERS:
        return tunables
    within = [tunable for tunable in tunables if set(words) <= set(_words(tunable.name))]
    if words == ["limit"] and not within and len(tunables) == 1:
        return tunables  # whatever it is called, it is what decides
    return within


def _not_one(wish: Wish, found: Sequence[Tunable], tunables: Sequence[Tunable]) -> Signal:
    if not tunables:
        return unread("there is no number in the function that may be changed; mark one with: # poet: tune LOW..HIGH")
    listed = ", ".join(tunable.name for tunable in found or tunables)
    if not found:
        return unread(f"the function has no number called {(wish.name or '').strip()!r}; it has: {listed}")
    return unread(f"which number is meant: {listed}? {WAY.format(*[found[0].name] * 2)}")


def _choice(wish: Wish, tunables: Sequence[Tunable]) -> Tunable | Signal:
    """The tunable of which a choice is asked for; unread where there is none, or several."""
    choices = [t for t in tunables if t.choices and (wish.name is not None or wish.value in t.choices)]
    found = [tunable for tunable in choices if wish.name is None or tunable.name == wish.name.strip()]
    if len(found) != 1:
        listed = ", ".join(f"{tunable.name} ({', '.join(tunable.choices)})" for tunable in found or choices)
        return unread(
            f"which choice is meant by {wish.value!r}? " + (f"There is {listed}" if listed else "There is none")
        )
    if wish.value not in found[0].choices:
        return unread(f"{found[0].name} can't be {wish.value!r}: it must be one of {', '.join(found[0].choices)}")
    return found[0]


def _fitting(wish: Wish, value: float, tunable: Tunable, now: float) -> tuple[float, str]:
    """The value that a tunable is to have, and why it can't have it ("": it can); `now` is the one in use."""
    if wish.percent:
        if tunable.integer or not 0 <= now <= 1:
            return value, f"of what is this a percentage? {tunable.name} is {now:g} in use: give the number"
        value /= 100
    if wish.unit:
        return value, f"in which unit {tunable.name} counts is not known ({wish.unit!r}): give the number alone"
    if not math.isfinite(value):
        return value, "the number it names is too large"
    if (value - now) * wish.way < 0:
        way = "rise" if wish.way > 0 else "fall"
        return value, f"{tunable.name} would not {way} to {value:g}: it is {now:g} in use"
    if not allowed(tunable, value):
        return value, f"{tunable.name} can't be {value:g}: {_range_of(tunable)}"
    return value, ""


def _range_of(tunable: Tunable) -> str:
    ends = [f"{end:g}" if end is not None else "" for end in (tunable.lower, tunable.upper)]
    among = f"from {ends[0]} to {ends[1]}" if all(ends) else f"at least {ends[0]}" if ends[0] else f"at most {ends[1]}"
    kind = "a whole number" if tunable.integer else "a number"
    return f"it must be {kind}" + (f" {among}" if any(ends) else "")
