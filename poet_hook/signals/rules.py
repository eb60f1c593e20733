"""Feedback in the words of a person or a program -> Signal, offline and in linear time.

Whatever is doubtful is "unread" with a reason. `phrases` reads what is said in words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from numbers import Integral
from typing import Any

from poet_hook.domains import generic, vocabulary
from poet_hook.domains.base import Domain, as_bool, decision
from poet_hook.domains.number import is_number
from poet_hook.model import UNSET, Signal
from poet_hook.signals.agreement import in_sum, sign, way
from poet_hook.signals.fields import DOUBTFUL_LABEL, by_field, decision_of, fields_of
from poet_hook.signals.phrases import CONTRADICTS, TABLE, WAYS, by_phrases, clauses_of, read_clause, surest
from poet_hook.signals.scales import CLEAR, bare_number, cost, scale, score, unread
from poet_hook.signals.stated import Stated, inside, off_by, stated

CAP = 10_000
MOST_ITEMS = 100
TRUTH = ("expected", "correct", "label", "truth", "ground_truth")
WORDS = ("comment", "text", "feedback")
PREFERENCES = ("better_than", "worse_than")
SET = "set"  # an instruction, which `request` reads
FIELDS = frozenset((*TRUTH, *WORDS, *PREFERENCES, "rating", "reward", "cost", SET))

_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_TURNED = re.compile(r"\b(?:anything but|far from|by mistake|it was ?n[o']t)\b")
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?")
LABEL = re.compile(r"[^\W_][\w.-]{0,39}")


def read(raw: Any, *, outcome: Any = UNSET, domain: Domain | None = None) -> Signal:
    """What was said (anything) about a result -> the signal in it; kind "unread" with a reason without one.

    `outcome` is the value that the function returned, where it is known. Never raises.
    """
    try:
        return _read(raw, outcome, domain)
    except Exception:  # noqa: BLE001 - `raw` and `outcome` are anybody's objects, and their code may raise
        return unread("the feedback could not be looked at: reading it raised an error")


def comment_of(said: Any) -> str:
    """The words in what was said, as they are kept beside the signal."""
    if isinstance(said, Mapping):
        return "\n".join(_clean(said[key]) for key in WORDS if isinstance(said.get(key), str))
    return _clean(said).strip() if isinstance(said, str) else ""


def _clean(text: str) -> str:
    """The first `CAP` characters as a plain str that can be encoded."""
    head = str.__getitem__(text, slice(0, CAP))
    return head.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _read(raw: Any, outcome: Any, domain: Domain | None) -> Signal:
    if raw is None or raw is UNSET:
        return unread(f"nothing was said; {WAYS}")
    flag = as_bool(raw)
    if flag is not None:
        return Signal("right" if flag else "wrong")
    if isinstance(raw, str):
        return _text(raw, outcome, domain)
    if is_number(raw):
        return bare_number(int(raw) if isinstance(raw, Integral) else float(raw), outcome)
    if isinstance(raw, BaseException):
        return Signal("wrong", comment=_clean(f"{type(raw).__name__}: {raw}"))
    if isinstance(raw, Mapping):
        return _mapping(raw, outcome, domain)
    if isinstance(raw, (list, tuple)):
        return (
            unread(reason)
            if (reason := no_list(raw, outcome))
            else in_sum([_read(item, outcome, domain) for item in raw], outcome)
        )
    return unread(f"the rules do not know what a {_clean(type(raw).__name__)[:80]} says; {WAYS}")


def _truth(value: bool, outcome: Any) -> Signal:
    """A bare "true", or `{"correct": True}`, may mean the result or the world: read where both come to the same."""
    if decision(outcome) is True:
        return Signal("expected", value)
    if outcome is UNSET or decision(outcome) is False or str(outcome).lower() in ("true", "false"):
        return unread('is the result meant, or the truth? Give True or False, or {"expected": True}')
    return Signal("right" if value else "wrong")


def _stated(text: str, outcome: Any, domain: Domain | None) -> Signal | None:
    """A text that names the right value, or a range: "should be 3.5", "the correct answer is 'ham'", "at least 3"."""
    found = stated(text, outcome)
    if found is None:
        return None
    words = vocabulary.tokens(found.rest.lower())
    if reason := vocabulary.doubt(words) or found.reason:
        return unread(reason)
    before = " ".join(vocabulary.tokens(found.before.lower())).rpartition(";")[2].split()
    if not vocabulary.NEGATORS.isdisjoint(before):
        return unread(generic.REFUSED["unclear"])
    if before and before[-1] in vocabulary.SETTINGS:
        return unread(generic.REFUSED["setting"])
    remark = by_phrases(found.rest.translate(generic.SYMBOLS).lower(), UNSET, domain)
    if reason := _unfitting(found, remark, outcome):
        return unread(reason)
    unsure = any(one[0] == "unsure" for clause in clauses_of(words, None) for one in read_clause(clause)[0])
    sure = min(surest(words), 0.5 if found.about else CLEAR, 0.3 if unsure else CLEAR)
    return Signal(found.kind, found.value, sure)


def _unfitting(found: Stated, remark: Signal, outcome: Any) -> str:
    """How what a text names, and the rest of it, contradict each other; "" where they do not."""
    if outcome is UNSET or outcome is None or isinstance(found.value, date):
        return ""
    if found.kind == "range":
        kept = inside(found.value, outcome)
    else:
        kept = bool(outcome == found.value) or (decision(outcome) is found.value and found.value is not None)
    if remark.kind == "right" and not kept:
        return "it names another value than the result's, and says that the result was right"
    if remark.kind in ("wrong", "direction") and kept:
        return "it names the result's own value, and says that the result was wrong"
    if remark.kind == "direction" and way(Signal(found.kind, found.value), outcome) != remark.value:
        return "the value it names lies on the other side of the result"
    return ""


def _text(raw: str, outcome: Any, domain: Domain | None) -> Signal:
    text = _clean(raw).strip()
    if not text:
        return unread(f"an empty text; {WAYS}")
    quoted = text.translate(generic.QUOTES)
    plain = quoted.translate(generic.SYMBOLS).lower().strip()[:CAP]
    signal = scale(plain, outcome)
    if signal is None and plain.rstrip(" .!") in ("true", "false"):
        signal = _truth(plain.startswith("true"), outcome)
    signal = signal or off_by(plain, outcome) or _stated(quoted, outcome, domain)
    if signal is None and _TURNED.search(plain):
        signal = unread("the words around it turn it into its opposite")
    if signal is None:
        signal = by_phrases(plain, outcome, domain)
        if signal.kind == "right" and is_number(outcome) and _names_another(plain, float(outcome)):
            signal = unread("it says right, and names another number; for a right value, say: should be 3.5")
    if isinstance(outcome, str) and LABEL.fullmatch(text) and LABEL.fullmatch(outcome):
        signal = _label(text, signal, outcome)
    return replace(signal, comment=text)


def _names_another(plain: str, outcome: float) -> bool:
    return any(float(number.replace(",", "") or 0) != outcome for number in _NUMBER.findall(plain))


def _label(text: str, signal: Signal, outcome: str) -> Signal:
    """One word about a one-word result: the right label, where no rule has another reading of it."""
    if TABLE.fullmatch(" ".join(vocabulary.tokens(outcome.lower()))) and signal.kind != "unread":
        return unread(DOUBTFUL_LABEL)
    words = vocabulary.tokens(text.lower())
    # "anomaly" and "alert" are words of the rules, but good labels too.
    common = vocabulary.KNOWN - set(vocabulary.CANONICAL.values()) | {"#", "true", "false"}
    if signal.kind != "unread" or not words or not common.isdisjoint(words) or vocabulary.doubt(words):
        return signal
    return Signal("expected", text, CLEAR)


def _mapping(raw: Mapping[Any, Any], outcome: Any, domain: Domain | None) -> Signal:
    """A mapping that names fields of the result, or else one with fields of ours."""
    known = fields_of(outcome)
    if any(key in known for key in raw):
        return by_field(raw, known, lambda said, value: _read(said, value, domain), WORDS)
    comment = "\n".join(raw[key] for key in WORDS if isinstance(raw.get(key), str))
    said = _text(comment, outcome, domain)
    named = [key for key in TRUTH if key in raw]
    if len(named) > 1:
        return unread(f"several true values: {', '.join(named)}")
    if named:
        signal = _expectation(named[0], raw[named[0]], outcome)
    elif "reward" in raw or "rating" in raw:
        signal = _judged(score(raw), said, outcome)
    elif "cost" in raw:
        signal = cost(raw["cost"])
    elif comment:
        return said
    elif "feedback" in raw and not isinstance(raw["feedback"], Mapping):
        return _read(raw["feedback"], outcome, domain)
    else:
        signal = decision_of(raw, outcome) or unread(_nothing_known(raw, known))
    return replace(signal, comment=said.comment)


def _nothing_known(raw: Mapping[Any, Any], known: Mapping[Any, Any]) -> str:
    if any(word in raw for word in PREFERENCES):
        return "of an execution, another may be said to be better, and not of a value"
    reason = f"none of the fields {', '.join(sorted(FIELDS))} is there"
    if known and raw:
        names, others = (", ".join(_clean(str(key))[:80] for key in list(keys)[:9]) for keys in (known, raw))
        reason += f", and {others} is none of the result's: {names}"
    return reason


def _expectation(key: str, value: Any, outcome: Any) -> Signal:
    if key == "correct" and as_bool(value) is not None:
        return _truth(bool(value), outcome)
    if (isinstance(value, float) and math.isnan(value)) or (value is None and key != "expected"):
        return unread(f"{key} is missing")
    if isinstance(value, str) and is_number(outcome):  # from a form or a table; a text is never equal to a number
        found = stated(f"should be {_clean(value)}", outcome)
        if found is None or found.reason or found.rest.strip(" ;"):
            return unread((found and found.reason) or f"{key} is a text, and the result a number")
        return Signal(found.kind, found.value, 0.5 if found.about else 1.0)
    if as_bool(outcome) is not None and as_bool(value) is None and value not in (0, 1):
        known = _YES_NO.get(_clean(value).strip().lower()) if isinstance(value, str) else None
        if known is None:
            return unread(f"{key} must be a yes or a no, as the result is")
        return Signal("expected", known)
    return Signal("expected", value)


def no_list(raw: Sequence[Any], outcome: Any) -> str:
    """Why a list is no list of feedback; "" where it is."""
    if isinstance(outcome, (list, tuple)):
        return 'a list of feedback, or the right list? Give {"expected": [...]}, or one after the other'
    if not raw:
        return f"nothing was said; {WAYS}"
    if len(raw) > MOST_ITEMS:
        return f"a list of more than {MOST_ITEMS} items is no feedback on one execution"
    return "a list inside a list" if any(isinstance(item, (list, tuple)) for item in raw) else ""


def _judged(score: Signal, said: Signal, outcome: Any) -> Signal:
    """A score and the words beside it: the words where the score is missing or neutral, both where they agree."""
    if said.kind == "unread":
        # Words that contradict the result cast doubt on the score, words that no rule reads do not.
        return said if said.reason.startswith(CONTRADICTS) else score
    if sign(score, outcome) * sign(said, outcome) >= 0:
        return said
    reason = "the rating and the words contradict each other"
    if said.confidence >= 0.8 and score.kind != "reward":
        return unread(reason)
    return replace(score, confidence=0.4, reason=reason)
