"""Feedback in the words of a person or a program -> Signal, offline and in linear time.

A text is split into clauses and searched for phrases (in domains/generic.py). A phrase is *firm* where it can hardly
mean anything else ("false alarm"), else *loose* ("right"): that counts only in a clause whose every word is known, so
"right in the middle of the deploy" is no praise. Whatever is doubtful is "unread" with a reason.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache
from numbers import Integral
from typing import Any

from poet_hook.domains import generic
from poet_hook.domains.base import Domain, as_bool, decision
from poet_hook.model import UNSET, Signal
from poet_hook.signals.agreement import TELLING, in_sum, sign, way
from poet_hook.signals.fields import DOUBTFUL_LABEL, by_field, decision_of, fields_of
from poet_hook.signals.scales import CLEAR, bare_number, cost, is_number, scale, score, unread
from poet_hook.signals.stated import Stated, inside, off_by, stated

CAP = 10_000
MOST_UNKNOWN = 40
MOST_ITEMS = 100
WAYS = "say for example 'correct', 'false alarm', 'missed', or give {\"expected\": value}"
TRUTH = ("expected", "correct", "label", "truth", "ground_truth")
WORDS = ("comment", "text", "feedback")
PREFERENCES = ("better_than", "worse_than")
SET = "set"  # an instruction, which `request` reads
FIELDS = frozenset((*TRUTH, *WORDS, *PREFERENCES, "rating", "reward", "cost", SET))

_GROUPS = "|".join(f"(?P<m{i}>{'|'.join(words)})" for i, (_, _, words) in enumerate(generic.PHRASES))
TABLE = re.compile(rf"(?<!\S)(?:{_GROUPS})(?!\S)")
_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_TURNED = re.compile(r"\b(?:anything but|far from|by mistake|it was ?n[o']t)\b")
# What was thought at first is taken back by what follows.
_AT_FIRST = re.compile(
    r"^(?:at first|first|initially)?,? ?(?:i |we |it |this |that )*(?:looked|seemed|thought|assumed|appeared)\b"
    r"[^.;,]{0,120}?(?:,|\bbut\b|\bthough\b|\bhowever\b)(?P<now>.+)$",
    re.DOTALL,
)
_OTHERS = re.compile(
    r"\b(?:(?:last|previous|earlier) (?:one|alert|page|time|week|month|night|year)|unlike|yesterday's|not like)\b"
    r"|\bonly\b[^.;,]{0,60}\b(?:when|while|during|if)\b"
)
_SILENCE = r"no (?:alert|alarm|page)s?|nothing happened|(?:did ?n[o']t|did not|never) (?:alert|fire|page)(?:ed|d)?"
_UNSEEN = re.compile(rf"\b(?:{_SILENCE})\b[^.;]{{0,40}}?\b(?:when|while|though|although|but)\b(?P<while>[^.;]*)")
_BENIGN = re.compile(
    r"(?:^|[.,;!] ?|\b(?:it|this|that)(?:'s| was| is) )(?:just|only) (?:an?|the|our|my) "
    r"(?P<what>[\w-]+(?: [\w-]+){0,3})(?=\s*(?:$|[.,;!]))"
)
_BROKEN = re.compile(
    r"(?:^| )(?:we|db|database|api|service|server|site|website|app|region|cluster|prod|production|disk|queue|replica"
    rf"|node|host|pod|it) (?:was|were|is|are|went) (?:{'|'.join(sorted(generic.BROKEN))})(?= |$)"
)
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
        return unread("a contradiction: it speaks of an alarm, and the result raised none")
    if meaning in ("miss", "due", "quiet") and known is True:
        return unread("a contradiction: it says that an alarm is missing, and the result raised one")
    if meaning in ("right", "yes", "praise", "caught", "quiet") or (meaning == "vague" and known is False):
        return Signal("right")
    if meaning in generic.CLAIMS and known is not None:
        return Signal("expected", generic.CLAIMS[meaning])
    if meaning in ("wrong", "no", "false_alarm", "miss", "due"):
        return Signal("wrong")
    if meaning in ("too_high", "too_low") and (outcome is UNSET or is_number(outcome)):
        return Signal("direction", -1 if meaning == "too_high" else 1)
    return unread(generic.REFUSED[meaning])


def _phrases(plain: str, outcome: Any, domain: Domain | None) -> Signal:
    """A text -> what its phrases say together, if they agree and it is about this result."""
    if first := _AT_FIRST.match(plain):
        plain = first["now"]
    words = generic.tokens(plain)
    if _OTHERS.search(plain):
        return unread("it may speak of other results, or of some of them")
    clauses = _clauses(words, domain)
    if reason := generic.doubt(" ".join(clauses).split()):
        return unread(reason)
    found: list[tuple[str, float]] = []
    loose: list[str] = []
    strange = 0
    for clause in clauses:
        phrases, unknown = _clause(clause)
        strange += unknown
        found += [(meaning, sure) for meaning, sure, counts in phrases if counts]
        loose += [meaning for meaning, _, counts in phrases if not counts]
    if _unseen(plain):  # "nothing happened when the db died"
        found = [("miss", CLEAR), *((m, sure) for m, sure in found if m not in ("normal", "silent"))]
    elif all(meaning == "praise" for meaning, _ in found):
        found += [(meaning, 0.7) for meaning in _told(plain, clauses)]
    found, doubt = _without_sarcasm(found, loose, strange, words, outcome)
    if doubt:
        return unread(doubt)
    if not found or strange > MOST_UNKNOWN:
        return unread(f"no rule reads this; {WAYS}")
    meanings = {meaning for meaning, _ in found}
    unsure = "unsure" in meanings and meanings != {"unsure"}
    if meanings - {"right", "wrong", "praise", "yes", "no", "unsure", *generic.SOFT}:
        # "Yes, a false alarm" answers a question that was asked elsewhere.
        meanings -= {"yes", "no"}
    signal = _agreed(meanings - {"unsure"} if unsure else meanings, outcome)
    if signal.kind == "unread":
        return signal
    sure = min(sure for meaning, sure in found if meaning != "unsure")
    sure = min(sure, 0.3 if unsure else CLEAR, _surest(words))
    against = {sign(_resolve(meaning, outcome), outcome) for meaning in loose if meaning not in generic.REFUSED}
    if -sign(signal, outcome) in against - {0}:
        if "but" in words:
            return unread("it says both that the result was right and that it was wrong")
        sure = min(sure, 0.7)
    return replace(signal, confidence=sure, reason="" if sure >= 0.8 else "said with a doubt")


def _unseen(plain: str) -> bool:
    """Whether a text says that something broke in silence."""
    unseen = _UNSEEN.search(plain)
    return unseen is not None and not generic.BROKEN.isdisjoint(unseen["while"].split())


def _told(plain: str, clauses: Sequence[str]) -> Iterator[str]:
    """What a text tells by its form: that something was down, or that it was only a backup."""
    if any(_BROKEN.search(clause) and generic.INTENDED.isdisjoint(clause.split()) for clause in clauses):
        yield "anomalous"
    benign = _BENIGN.search(plain)
    if benign:
        words = generic.tokens(benign["what"])
        if generic.BROKEN.isdisjoint(words) and "anomaly" not in words and not (generic.KNOWN & {*words}):
            yield "normal"


def _without_sarcasm(
    found: list[tuple[str, float]], loose: list[str], strange: int, words: list[str], outcome: Any
) -> tuple[list[tuple[str, float]], str]:
    """Praise beside a complaint means nothing, and praise beside words that nobody reads may mean anything."""
    if "question" in loose:
        return found, generic.REFUSED["question"]
    if all(meaning != "praise" for meaning, _ in found):
        return found, ""
    others = [(meaning, min(sure, 0.6)) for meaning, sure in found if meaning != "praise"]
    against = [meaning for meaning, _ in others if sign(_resolve(meaning, outcome), outcome) < 0]
    if against and "but" not in words and not any(meaning in ("right", "wrong") for meaning, _ in others):
        return others, ""
    if not others and (strange or loose):
        return found, "it praises, perhaps in jest: no rule reads the rest"
    return found, ""


def _agreed(meanings: set[str], outcome: Any) -> Signal:
    """The most telling of the signals in these meanings; unread where they do not agree."""
    signals = {meaning: _resolve(meaning, outcome) for meaning in sorted(meanings)}
    for meaning, signal in signals.items():
        if signal.kind == "unread" and meaning not in generic.SOFT:
            return signal
    read_ones = [signal for signal in signals.values() if signal.kind != "unread"]
    signs = {sign(signal, outcome) for signal in read_ones}
    if {"too_high", "too_low"} <= meanings or len(signs) > 1 or ("timing" in meanings and 1 in signs):
        return unread("it says both that the result was right and that it was wrong")
    return min(read_ones or signals.values(), key=lambda signal: (*TELLING, "unread").index(signal.kind))


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
    words = generic.tokens(found.rest.lower())
    if reason := generic.doubt(words) or found.reason:
        return unread(reason)
    before = " ".join(generic.tokens(found.before.lower())).rpartition(";")[2].split()
    if not generic.NEGATORS.isdisjoint(before):
        return unread(generic.REFUSED["unclear"])
    if before and before[-1] in generic.SETTINGS:
        return unread(generic.REFUSED["setting"])
    remark = _phrases(found.rest.translate(generic.SYMBOLS).lower(), UNSET, domain)
    if reason := _unfitting(found, remark, outcome):
        return unread(reason)
    unsure = any(one[0] == "unsure" for clause in _clauses(words, None) for one in _clause(clause)[0])
    sure = min(_surest(words), 0.5 if found.about else CLEAR, 0.3 if unsure else CLEAR)
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
        signal = _phrases(plain, outcome, domain)
        if signal.kind == "right" and is_number(outcome) and _names_another(plain, float(outcome)):
            signal = unread("it says right, and names another number; for a right value, say: should be 3.5")
    if isinstance(outcome, str) and LABEL.fullmatch(text) and LABEL.fullmatch(outcome):
        signal = _label(text, signal, outcome)
    return replace(signal, comment=text)


def _names_another(plain: str, outcome: float) -> bool:
    return any(float(number.replace(",", "") or 0) != outcome for number in _NUMBER.findall(plain))


def _label(text: str, signal: Signal, outcome: str) -> Signal:
    """One word about a one-word result: the right label, where no rule has another reading of it."""
    if TABLE.fullmatch(" ".join(generic.tokens(outcome.lower()))) and signal.kind != "unread":
        return unread(DOUBTFUL_LABEL)
    words = generic.tokens(text.lower())
    # "anomaly" and "alert" are words of the rules, but good labels too.
    common = generic.KNOWN - set(generic.CANONICAL.values()) | {"#", "true", "false"}
    if signal.kind != "unread" or not words or not common.isdisjoint(words) or generic.doubt(words):
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
        return said if said.reason.startswith("a contradiction") else score
    if sign(score, outcome) * sign(said, outcome) >= 0:
        return said
    reason = "the rating and the words contradict each other"
    if said.confidence >= 0.8 and score.kind != "reward":
        return unread(reason)
    return replace(score, confidence=0.4, reason=reason)
