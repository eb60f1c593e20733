"""Feedback in the words of a person or a program -> Signal, offline and in linear time.

A text is split into clauses and searched for phrases (in domains/generic.py). A phrase is *firm* where it can hardly
mean anything else ("false alarm"), else *loose* ("right"): that counts only in a clause whose every word is known, so
"right in the middle of the deploy" is no praise. Whatever is doubtful is "unread" with a reason.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

from poet_hook.domains import generic
from poet_hook.domains.base import Domain, as_bool, decision
from poet_hook.model import ANOMALY_FIELDS, UNSET, Signal

CAP = 10_000
CLEAR = 0.9
MOST_UNKNOWN = 40
WAYS = "say for example 'correct', 'false alarm', 'missed', or give {\"expected\": value}"
TRUTH = ("expected", "correct", "label", "truth", "ground_truth")
WORDS = ("comment", "text", "feedback")
FIELDS = frozenset((*TRUTH, *WORDS, "rating", "reward"))

_GROUPS = "|".join(f"(?P<m{i}>{'|'.join(words)})" for i, (_, _, words) in enumerate(generic.PHRASES))
TABLE = re.compile(rf"(?<!\S)(?:{_GROUPS})(?!\S)")
SCORE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)(?: ?(%)|[ -]?stars?| ?(?:/|out of|of) ?(5|10|100)(?: ?stars?)?)")
NUMBER = re.compile(r"[-+]?\d{0,15}(?:\.\d{0,15})?")
LABEL = re.compile(r"[^\W_][\w.-]{0,39}")


def read(raw: Any, *, outcome: Any = UNSET, domain: Domain | None = None) -> Signal:
    """What was said (anything) about a result -> the signal in it; kind "unread" with a reason without one.

    `outcome` is the value that the function returned, where it is known. Never raises.
    """
    try:
        return _read(raw, outcome, domain)
    except Exception:  # noqa: BLE001 - `raw` and `outcome` are anybody's objects, and their code may raise
        return _unread("the feedback could not be looked at: reading it raised an error")


def _unread(reason: str) -> Signal:
    return Signal("unread", confidence=0.0, reason=reason)


def _clean(text: str) -> str:
    """The first `CAP` characters as a plain str that can be encoded."""
    head = str.__getitem__(text, slice(0, CAP))
    return head.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _is_number(value: Any) -> bool:
    return isinstance(value, (Real, Decimal)) and as_bool(value) is None


def _read(raw: Any, outcome: Any, domain: Domain | None) -> Signal:
    if raw is None or raw is UNSET:
        return _unread(f"nothing was said; {WAYS}")
    flag = as_bool(raw)
    if flag is not None:
        return Signal("right" if flag else "wrong")
    if isinstance(raw, str):
        return _text(raw, outcome, domain)
    if _is_number(raw):
        return _number(int(raw) if isinstance(raw, Integral) else float(raw), outcome)
    if isinstance(raw, BaseException):
        return Signal("wrong", comment=_clean(f"{type(raw).__name__}: {raw}"))
    if isinstance(raw, Mapping):
        return _mapping(raw, outcome, domain)
    return _unread(f"the rules do not know what a {_clean(type(raw).__name__)[:80]} says; {WAYS}")


def _rating(score: float, top: float) -> Signal:
    """A score on a scale up to `top`; that up to 5 begins at 1, and only its middle is no clear word."""
    if not 0 <= score <= top:
        return _unread(f"{score:g} is not on a scale up to {top:g}")
    if top != 5:
        return Signal("reward", score / top)
    if score >= 4 or score <= 2:
        return Signal("right" if score >= 4 else "wrong")
    return Signal("reward", (score - 1) / 4)


def _number(number: float, outcome: Any) -> Signal:
    """A bare number: 1 to 5 as an int, 0 to 1 as a float; doubtful where the function returns numbers."""
    if _is_number(outcome) or (isinstance(outcome, str) and NUMBER.fullmatch(outcome.strip())):
        return _unread('a rating or the right value? Give {"expected": 3.0} or {"rating": 3}')
    if isinstance(number, int) and number == 1:
        return _unread("1 is the worst rating, and the best of 0 and 1: say True or False, or {'rating': 1}")
    if isinstance(number, int) and 1 <= number <= 5:
        return _rating(number, 5)
    if isinstance(number, float) and 0.0 <= number <= 1.0:
        return Signal("reward", number)
    return _unread("a number is read as a rating from 1 to 5 (int) or a reward from 0 to 1 (float)")


def _scale(plain: str, outcome: Any) -> Signal | None:
    """A text that is nothing but a score: "4/5", "3 stars", "80%", "0.5", "+1", stars."""
    marks = "".join(plain.split())
    full = sum(marks.count(star) for star in "⭐★🌟")
    if full and full + marks.count("☆") == len(marks):
        if len(marks) == 5 or 2 <= full == len(marks) < 5:
            return _rating(full, 5)
        return _unread("it is not clear out of how many stars this is")
    if match := SCORE.fullmatch(plain):
        doubtful = _number(0.5, outcome) if match[2] else Signal("right")
        top = 100 if match[2] else int(match[3] or 5)
        return doubtful if doubtful.kind == "unread" else _rating(float(match[1]), top)
    if plain in ("+1", "-1") and not _is_number(outcome):
        return Signal("right" if plain == "+1" else "wrong", confidence=CLEAR)
    if NUMBER.fullmatch(plain) and any(char.isdigit() for char in plain):
        return _number(float(plain) if "." in plain else int(plain), outcome)
    return None


@lru_cache(maxsize=32)
def _domain_phrases(phrases: tuple[tuple[str, str], ...]) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """A pattern for what a domain adds, and what each of its groups is replaced by."""
    patterns, marks = ["(?!)"], [""]
    for phrase, meaning in sorted(phrases, key=lambda pair: -len(pair[0])):
        words = " ".join(generic.tokens(phrase)).strip("; ")
        # What every field shares knows more: that a "true positive" can't be said of silence.
        if words and not TABLE.fullmatch(words):
            patterns.append(re.escape(words).replace(r"\ ;\ ", r"\ (?:;\ )?"))
            marks.append(("~" if " " in words else "~~") + meaning)
    groups = "|".join(f"(?P<d{i}>{pattern})" for i, pattern in enumerate(patterns))
    return re.compile(rf"(?<!\S)(?:{groups})(?!\S)"), tuple(marks)


def _clauses(words: list[str], domain: Domain | None) -> list[str]:
    said = " ".join(words)
    if domain is not None and domain.phrases:
        pattern, marks = _domain_phrases(domain.phrases)
        said = pattern.sub(lambda match: marks[int((match.lastgroup or "d0")[1:])], said)
    return [clause.strip() for clause in said.split(";")]


def _surest(words: list[str]) -> float:
    """How sure one is at most who uses these words."""
    return min((generic.HEDGES[word] for word in words if word in generic.HEDGES), default=CLEAR)


def _deny(meaning: str, gap: list[str]) -> tuple[str, float]:
    """What a phrase means after the words that stand before it in its clause, and how sure that is."""
    first = next((i for i, word in enumerate(gap) if word in generic.NEGATORS), None)
    if first is None:
        return meaning, CLEAR
    denials = sum(word in generic.NEGATORS for word in gap)
    if denials > 2 or not generic.KNOWN.issuperset(gap[first:]):
        return "unclear", 0.0
    if denials == 2:
        return meaning, 0.6
    return generic.DENIED.get(meaning, "unclear"), 0.8


def _clause(clause: str) -> tuple[list[tuple[str, float, bool]], int]:
    """The phrases of a clause (meaning, how sure, whether it counts), and how many words are unknown."""
    asked = clause.endswith("?")
    clause = clause.rstrip("? ")
    found: list[tuple[str, float, bool]] = []
    rest: list[str] = []
    end = 0
    for match in TABLE.finditer(clause):
        gap = clause[end : match.start()].split()
        end = match.end()
        rest += gap
        meaning, firm, _ = generic.PHRASES[int((match.lastgroup or "m0")[1:])]
        if meaning == "aside":
            continue
        # "Why no alert?" takes for granted that one was due.
        if asked and not (meaning == "miss" and clause.startswith(("why ", "how "))):
            meaning = "question"
        meaning, sure = _deny(meaning, gap)
        if meaning != "aside":
            found.append((meaning, sure, firm))
    tail = clause[end:].split()
    unknown = sum(word not in generic.KNOWN for word in (*rest, *tail))
    denied = next((i for i, word in enumerate(tail) if word in generic.NEGATORS), None)
    if found and denied is not None and generic.KNOWN.issuperset(tail[denied:]):
        found.append(("unclear", 0.0, True))
    if len(found) > 1 and any(meaning == "unsure" for meaning, _, _ in found):
        found.append(("unclear", 0.0, True))
    return [(meaning, sure, firm or not unknown) for meaning, sure, firm in found], unknown


def _resolve(meaning: str, outcome: Any) -> Signal:
    """What a meaning says of this result; unread where it can't be said of it."""
    known = decision(outcome)
    if meaning in ("caught", "false_alarm") and known is False:
        return _unread("a contradiction: it speaks of an alarm, and the result raised none")
    if meaning in ("miss", "due", "quiet") and known is True:
        return _unread("a contradiction: it says that an alarm is missing, and the result raised one")
    if meaning in ("right", "yes", "caught", "quiet"):
        return Signal("right")
    if meaning in generic.CLAIMS and known is not None:
        return Signal("expected", generic.CLAIMS[meaning])
    if meaning in ("wrong", "no", "false_alarm", "miss", "due"):
        return Signal("wrong")
    if meaning in ("too_high", "too_low") and (outcome is UNSET or _is_number(outcome)):
        return Signal("direction", -1 if meaning == "too_high" else 1)
    return _unread(generic.REFUSED[meaning])


def _sign(signal: Signal, outcome: Any) -> int:
    """+1 where a signal approves of the result, -1 where it does not, 0 where that can't be told."""
    if signal.kind == "reward":
        return 0 if signal.value == 0.5 else 1 if signal.value > 0.5 else -1
    if signal.kind == "expected":
        known, value = decision(outcome), as_bool(signal.value)
        return 0 if known is None or value is None else 1 if known is value else -1
    return {"right": 1, "wrong": -1, "direction": -1}.get(signal.kind, 0)


def _phrases(plain: str, outcome: Any, domain: Domain | None) -> Signal:
    """A text -> what its phrases say together, if they agree and it is about this result."""
    words = generic.tokens(plain)
    if reason := generic.doubt(words):
        return _unread(reason)
    found: list[tuple[str, float]] = []
    loose: list[str] = []
    strange = 0
    for clause in _clauses(words, domain):
        phrases, unknown = _clause(clause)
        strange += unknown
        found += [(meaning, sure) for meaning, sure, counts in phrases if counts]
        loose += [meaning for meaning, _, counts in phrases if not counts]
    if not found or strange > MOST_UNKNOWN:
        return _unread(f"no rule reads this; {WAYS}")
    meanings = {meaning for meaning, _ in found}
    unsure = "unsure" in meanings and meanings != {"unsure"}
    if meanings - {"right", "wrong", "yes", "no", "unsure", *generic.SOFT}:
        # "Yes, a false alarm" answers a question that was asked elsewhere.
        meanings -= {"yes", "no"}
    signal = _agreed(meanings - {"unsure"} if unsure else meanings, outcome)
    if signal.kind == "unread":
        return signal
    sure = min(sure for meaning, sure in found if meaning != "unsure")
    sure = min(sure, 0.3 if unsure else CLEAR, _surest(words))
    against = {_sign(_resolve(meaning, outcome), outcome) for meaning in loose if meaning not in generic.REFUSED}
    if -_sign(signal, outcome) in against - {0}:
        if "but" in words:
            return _unread("it says both that the result was right and that it was wrong")
        sure = min(sure, 0.7)
    return replace(signal, confidence=sure, reason="" if sure >= 0.8 else "said with a doubt")


def _agreed(meanings: set[str], outcome: Any) -> Signal:
    """The most telling of the signals in these meanings; unread where they do not agree."""
    signals = {meaning: _resolve(meaning, outcome) for meaning in sorted(meanings)}
    for meaning, signal in signals.items():
        if signal.kind == "unread" and meaning not in generic.SOFT:
            return signal
    read_ones = [signal for signal in signals.values() if signal.kind != "unread"]
    signs = {_sign(signal, outcome) for signal in read_ones}
    if {"too_high", "too_low"} <= meanings or len(signs) > 1 or ("timing" in meanings and 1 in signs):
        return _unread("it says both that the result was right and that it was wrong")
    order = ("expected", "direction", "right", "wrong", "unread")
    return min(read_ones or signals.values(), key=lambda signal: order.index(signal.kind))


def _truth(value: bool, outcome: Any) -> Signal:
    """A bare "true", or `{"correct": True}`, may mean the result or the world: read where both come to the same."""
    if decision(outcome) is True:
        return Signal("expected", value)
    if outcome is UNSET or decision(outcome) is False or str(outcome).lower() in ("true", "false"):
        return _unread('is the result meant, or the truth? Give True or False, or {"expected": True}')
    return Signal("right" if value else "wrong")


def _stated(text: str, plain: str, outcome: Any, domain: Domain | None) -> Signal | None:
    """A text that names the right value: "should be 3.5", "expected 12", "the correct answer is 'ham'"."""
    matches = list(generic.STATED.finditer(text))
    if not matches:
        return None
    values = [_value(match["value"]) for match in matches]
    before = " ".join(generic.tokens(text[: matches[0].start()].lower())).rpartition(";")[2].split()
    words = generic.tokens(plain)
    if reason := generic.doubt(words):
        return _unread(reason)
    if any(value != values[0] or type(value) is not type(values[0]) for value in values):
        return _unread("it names several values")
    if not generic.NEGATORS.isdisjoint(before):
        return _unread(generic.REFUSED["unclear"])
    value = values[0]
    fits = {bool: decision(outcome) is not None, str: isinstance(outcome, str)}.get(type(value), _is_number(outcome))
    if not fits and outcome is not UNSET and outcome is not None:
        return _unread(f"the value it names is a {type(value).__name__}, and the result is none")
    others = generic.STATED.sub(" ; ", text).translate(generic.SYMBOLS).lower()
    if _phrases(others, UNSET, domain).kind == "right" and fits and outcome != value:
        return _unread("it names another value than the result's, and says that the result was right")
    unsure = any(found[0] == "unsure" for clause in _clauses(words, None) for found in _clause(clause)[0])
    sure = min(_surest(words), 0.5 if matches[0]["about"] else CLEAR, 0.3 if unsure else CLEAR)
    return Signal("expected", value, sure)


def _value(text: str) -> Any:
    """The value that a text spells: quoted text, true, false or a number."""
    if text[0] in "\"'`":
        return text[1:-1]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    digits = text.replace(",", "")
    return int(digits) if digits.lstrip("+-").isdigit() else float(digits)


def _text(raw: str, outcome: Any, domain: Domain | None) -> Signal:
    text = _clean(raw).strip()
    if not text:
        return _unread(f"an empty text; {WAYS}")
    quoted = text.translate(generic.QUOTES)
    plain = quoted.translate(generic.SYMBOLS).lower().strip()[:CAP]
    signal = _scale(plain, outcome)
    if signal is None and plain.rstrip(" .!") in ("true", "false"):
        signal = _truth(plain.startswith("true"), outcome)
    signal = signal or _stated(quoted, plain, outcome, domain) or _phrases(plain, outcome, domain)
    if isinstance(outcome, str) and LABEL.fullmatch(text) and LABEL.fullmatch(outcome):
        signal = _label(text, signal, outcome)
    return replace(signal, comment=text)


def _label(text: str, signal: Signal, outcome: str) -> Signal:
    """One word about a one-word result: the right label, where no rule has another reading of it."""
    if TABLE.fullmatch(" ".join(generic.tokens(outcome.lower()))) and signal.kind != "unread":
        return _unread('a judgement or the right label? Give True or False, or {"expected": "..."}')
    words = generic.tokens(text.lower())
    # "anomaly" and "alert" are words of the rules, but good labels too.
    common = generic.KNOWN - set(generic.CANONICAL.values()) | {"#", "true", "false"}
    if signal.kind != "unread" or not words or not common.isdisjoint(words) or generic.doubt(words):
        return signal
    return Signal("expected", text, CLEAR)


def _mapping(raw: Mapping[Any, Any], outcome: Any, domain: Domain | None) -> Signal:
    """A mapping with fields of ours, or a corrected result in the shape of the result."""
    if isinstance(outcome, Mapping) and raw:
        if any(key in FIELDS and key in outcome for key in raw):
            return _unread('a field of the result or a word of ours? Give {"expected": the whole result}')
        if raw.keys() == outcome.keys():
            return Signal("expected", raw)
    comment = "\n".join(raw[key] for key in WORDS if isinstance(raw.get(key), str))
    said = _text(comment, outcome, domain)
    named = [key for key in TRUTH if key in raw]
    if len(named) > 1:
        return _unread(f"several true values: {', '.join(named)}")
    if named:
        signal = _expectation(named[0], raw[named[0]], outcome)
    elif "reward" in raw or "rating" in raw:
        signal = _judged(_score(raw), said, outcome)
    elif comment:
        return said
    elif "feedback" in raw and not isinstance(raw["feedback"], Mapping):
        return _read(raw["feedback"], outcome, domain)
    elif decision(outcome) is not None and raw and set(raw) <= set(ANOMALY_FIELDS) and decision(raw) is not None:
        signal = Signal("expected", decision(raw))
    else:
        return _unread(f"none of the fields {', '.join(sorted(FIELDS))} is there")
    return replace(signal, comment=said.comment)


def _expectation(key: str, value: Any, outcome: Any) -> Signal:
    if key == "correct" and as_bool(value) is not None:
        return _truth(bool(value), outcome)
    if (isinstance(value, float) and math.isnan(value)) or (value is None and key != "expected"):
        return _unread(f"{key} is missing")
    return Signal("expected", value)


def _score(raw: Mapping[Any, Any]) -> Signal:
    """The reward (0 to 1) or rating (1 to 5, or 0 to 1) in a mapping."""
    name = "reward" if "reward" in raw else "rating"
    given = raw[name]
    if isinstance(given, str):
        return _scale(given.strip()[:40].lower(), UNSET) or _unread(f"{name} is no number")
    if not _is_number(given):
        return Signal("right" if given else "wrong") if as_bool(given) is not None else _unread(f"{name} is no number")
    number = float(given)
    if name == "rating" and isinstance(given, float) and number == 1.0:
        return _unread('1.0 is the best from 0 to 1 and the worst from 1 to 5; give 1 or {"reward": 1.0}')
    if 0.0 <= number <= 1.0 and (name == "reward" or number < 1.0):
        return Signal("reward", number)
    return _rating(number, 5) if name == "rating" else _unread("a reward is from 0 to 1")


def _judged(score: Signal, said: Signal, outcome: Any) -> Signal:
    """A score and the words beside it: the words where the score is missing or neutral, both where they agree."""
    if said.kind == "unread":
        # Words that contradict the result cast doubt on the score, words that no rule reads do not.
        return said if said.reason.startswith("a contradiction") else score
    if _sign(score, outcome) * _sign(said, outcome) >= 0:
        return said
    reason = "the rating and the words contradict each other"
    if said.confidence >= 0.8 and score.kind != "reward":
        return _unread(reason)
    return replace(score, confidence=0.4, reason=reason)
