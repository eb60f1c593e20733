"""What a model says that feedback means -> a signal that its words bear out and the result allows, or "unread".

Of the model only three things are taken: right or wrong, the words that it goes by, and a value that stands in them.
False alarm or miss, too high or too low follow from what the function returned. It can't set anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import msgspec

from poet_hook.domains import generic, vocabulary
from poet_hook.domains.base import Domain, as_bool, deciding, decision
from poet_hook.domains.number import is_number
from poet_hook.model import UNSET, Signal
from poet_hook.signals.agreement import sign
from poet_hook.signals.fields import fields_of
from poet_hook.signals.phrases import CONTRADICTS, OF_OTHERS, OTHERS, surest
from poet_hook.signals.rules import read
from poet_hook.signals.scales import CLEAR, unread
from poet_hook.signals.stated import NUMBER, as_written, number

SURE = 0.5  # of what a model reads; rules read plain words at 0.8 and 0.9
LEAST = 0.25  # half of it, for "probably"; with "maybe" it counts for nothing
MOST_SUGGESTED = 300
CONDITIONS = frozenset({"if", "unless", "whether"})
MOST_FIELDS = 50

_NUMBERS = re.compile(
    rf"(?P<currency>[$€£¥]\s?)?(?<![\w.])(?P<number>{NUMBER})(?P<percent>\s?%)?(?:(?P<space>\s?)(?P<word>[^\W\d_]+|°))?"
)
_PLAIN_WORDS = (
    vocabulary.KNOWN | vocabulary.DROPPED | vocabulary.SPLITTERS | vocabulary.EXTENT | vocabulary.CONDITIONAL
    | vocabulary.CANONICAL.keys() | set(vocabulary.CANONICAL.values()) | {"or", "until", "after", "before", "when"}
)  # fmt: skip
_AROUND = " \t\n.,;:!?\"'`()[]…-"  # what models put around words that they quote
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)|\n")


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model may say about feedback; texts are copied from it, and "" stands for none."""

    judgement: Literal["right", "wrong", "unclear"]
    sure: bool
    quote: str
    field: str | None = None
    expected: bool | int | float | str | None = None
    suggestion: str | None = None


def schema_for(outcome: Any) -> dict[str, Any]:
    """What may be said of this result, as a JSON schema of `Said`; the quote comes first, so that the rest follows it.

    Of a result without fields none can be named, and a yes or no is named by right and wrong.
    """
    names = [str(name) for name in fields_of(outcome)][:MOST_FIELDS]
    kind = "number" if is_number(outcome) else "string" if isinstance(outcome, str) else None
    value = {"type": [kind, "null"]} if kind else {"type": "null"}
    fields: dict[str, Any] = {
        "quote": {"type": "string"},
        "judgement": {"type": "string", "enum": ["right", "wrong", "unclear"]},
        "sure": {"type": "boolean"},
        "field": {"anyOf": [{"type": "string", "enum": names}, {"type": "null"}]} if names else {"type": "null"},
        "expected": {"type": ["boolean", "number", "string", "null"]} if names else value,
        "suggestion": {"type": ["string", "null"]},
    }
    return {"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False}


class Verified(NamedTuple):
    """A signal and what bears it out; `usable` is False where the model must be asked again."""

    signal: Signal
    quote: str = ""
    suggestion: str = ""
    usable: bool = True


def verified(said: Said, text: str, outcome: Any, domain: Domain | None = None, source: str = "") -> Verified:
    """What a model said of `text`, which is about `outcome` -> what may be learned from it.

    `source` is the text of the function, in which labels stand as it writes them. Never raises.
    """
    suggestion = found_in(said.suggestion or "", text)[:MOST_SUGGESTED]
    if said.judgement == "unclear" or not said.sure:
        return Verified(unread("it is not clear from it whether the result was right"), suggestion=suggestion)
    quote = found_in(said.quote, text)
    if not quote:
        return Verified(unread("the words that it quotes do not stand in the feedback"), usable=False)
    try:
        signal = _signal(said, quote, text, outcome, domain, source)
    except Exception:  # noqa: BLE001 - comparing anybody's values runs anybody's code
        signal = unread("the result could not be compared with it")
    return Verified(signal, quote, suggestion)


def found_in(words: str, text: str) -> str:
    """These words as they stand in a text, whatever its capitals and spaces are; "" where they do not."""
    parts = words.translate(generic.QUOTES).strip(_AROUND).split()
    if not any(any(c.isalnum() or ord(c) > 0x2000 for c in part) for part in parts):
        return ""
    pattern = r"\s+".join(map(re.escape, parts))
    match = re.search(rf"(?<!\w){pattern}(?!\w)", text.translate(generic.QUOTES), re.IGNORECASE)
    return text[match.start() : match.end()] if match else ""


def _signal(said: Said, quote: str, text: str, outcome: Any, domain: Domain | None, source: str) -> Signal:
    sentence = _sentence(quote, text)
    if sentence.rstrip().endswith("?"):
        return unread(generic.REFUSED["question"])
    plain = sentence.translate(generic.QUOTES).lower()
    if OTHERS.search(plain) or not CONDITIONS.isdisjoint(vocabulary.tokens(plain)):
        return unread(OF_OTHERS)
    sure = _sure(plain)
    if sure < LEAST:
        return unread("whoever said it was not sure")
    right = said.judgement == "right"
    by_rules = read(quote, outcome=outcome, domain=domain)
    if by_rules.reason.startswith(CONTRADICTS):
        return unread(by_rules.reason)
    if sign(by_rules, outcome) == (-1 if right else 1):
        return unread("the rules read the words that it quotes as the opposite")
    known = fields_of(outcome)
    if said.field and known:
        name = next((name for name in known if str(name) == said.field), UNSET)
        if name is UNSET:
            return unread("it speaks of a field that the result does not have")
        part = _on(right, said.expected, text, known[name], source, sure)
        if part.kind == "unread" or name == deciding(outcome):
            return part
        return Signal("fields", {name: part}, part.confidence)
    return _on(right, said.expected, text, outcome, source, sure)


def _on(right: bool, expected: Any, text: str, value: Any, source: str, sure: float) -> Signal:
    """Right or wrong about a value, with the right one where it is named, and of its type."""
    decided = decision(value)
    if decided is not None:
        deserved = decided if right else not decided
        told = as_bool(expected)
        if told is not None and told is not deserved:
            return unread("the value that it names and its judgement contradict each other")
        return Signal("right", confidence=sure) if right else Signal("expected", deserved, sure)
    named: int | float | str | None = None
    if is_number(value) and is_number(expected):
        named = next((n for n, spelled in numbers_in(text, value) if expected in (n, spelled)), None)
    elif isinstance(value, str) and isinstance(expected, str):
        named = _label(expected, text, source)
    if named is not None and bool(named == value) is not right:
        return unread("the value that it names and its judgement contradict each other")
    if right or named is None:
        return Signal("right" if right else "wrong", confidence=sure)
    return Signal("expected", named, sure)


def _sentence(quote: str, text: str) -> str:
    """The sentence of a text in which a quote stands, or those that it reaches over."""
    place = text.find(quote)
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    start = max((end for end in ends if end <= place), default=0)
    stop = min((end for end in ends if end >= place + len(quote)), default=len(text))
    return text[start:stop]


def _sure(plain: str) -> float:
    """How sure whoever said this was."""
    hedge = surest(vocabulary.tokens(plain))
    return SURE if hedge >= CLEAR else SURE * hedge


def numbers_in(text: str, value: Any) -> Iterator[tuple[int | float, int | float]]:
    """The numbers in a text that may be meant as one like `value`, each as the result has it and as it is spelled.

    None with a unit, and percentages only of shares.
    """
    for match in _NUMBERS.finditer(text):
        spelled = as_written(number(match["number"]))
        word = (match["word"] or "").lower()
        if match["currency"] or (word and (not match["space"] or word not in _PLAIN_WORDS)):
            continue
        if match["percent"] is None:
            yield spelled, spelled
        elif 0 <= value <= 1:
            yield float(number(match["number"]) / 100), spelled


def _label(expected: str, text: str, source: str) -> str | None:
    """A label that a text names, written as in the function where that has it."""
    found = found_in(expected, text)
    if not found:
        return None
    literal = re.search(rf"(['\"])({re.escape(found)})\1", source, re.IGNORECASE)
    return literal[2] if literal else found
