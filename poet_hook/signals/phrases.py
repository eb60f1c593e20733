"""A text in plain words -> what its phrases say of a result, together.

A text is split into clauses and searched for phrases (in domains/generic.py). A phrase is *firm* where it can hardly
mean anything else ("false alarm"), else *loose* ("right"): that counts only in a clause whose every word is known, so
"right in the middle of the deploy" is no praise. Whatever is doubtful is "unread" with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from poet_hook.domains import generic, vocabulary
from poet_hook.domains.base import Domain, decision
from poet_hook.domains.number import is_number
from poet_hook.model import UNSET, Signal
from poet_hook.signals.agreement import TELLING, sign
from poet_hook.signals.scales import CLEAR, unread

MOST_UNKNOWN = 40
CONTRADICTS = "a contradiction"  # how the reason begins where words can't be about this result
APPROVALS = {"right", "praise", "yes"}
WAYS = "say for example 'correct', 'false alarm', 'missed', or give {\"expected\": value}"
_GROUPS = "|".join(f"(?P<m{i}>{'|'.join(words)})" for i, (_, _, words) in enumerate(generic.PHRASES))
TABLE = re.compile(rf"(?<!\S)(?:{_GROUPS})(?!\S)")
# What was thought at first is taken back by what follows.
_AT_FIRST = re.compile(
    r"^(?:at first|first|initially)?,? ?(?:i |we |it |this |that )*(?:looked|seemed|thought|assumed|appeared"
    r"|(?:expected|suspected|believed) (?:it |this |that )?(?:to be|was|were|an?))\b"
    r"[^.;,]{0,120}?(?:,|\bbut\b|\bthough\b|\bhowever\b)(?P<now>.+)$",
    re.DOTALL,
)
OF_OTHERS = "it may speak of other results, or of some of them"
OTHERS = re.compile(
    r"\b(?:(?:last|previous|earlier) (?:one|alert|page|time|week|month|night|year)|unlike|yesterday's|not like)\b"
    r"|\bbefore (?:this|that)\b"
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
    rf"|node|host|pod|it) (?:was|were|is|are|went) (?:{'|'.join(sorted(vocabulary.BROKEN))})(?= |$)"
)


@lru_cache(maxsize=32)
def _domain_phrases(phrases: tuple[tuple[str, str], ...]) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """A pattern for what a domain adds, and what each of its groups is replaced by."""
    patterns, marks = ["(?!)"], [""]
    for phrase, meaning in sorted(phrases, key=lambda pair: -len(pair[0])):
        words = " ".join(vocabulary.tokens(phrase)).strip("; ")
        # What every field shares knows more: that a "true positive" can't be said of silence.
        if words and not TABLE.fullmatch(words):
            patterns.append(re.escape(words).replace(r"\ ;\ ", r"\ (?:;\ )?"))
            marks.append(("~" if " " in words else "~~") + meaning)
    groups = "|".join(f"(?P<d{i}>{pattern})" for i, pattern in enumerate(patterns))
    return re.compile(rf"(?<!\S)(?:{groups})(?!\S)"), tuple(marks)


def clauses_of(words: list[str], domain: Domain | None) -> list[str]:
    said = " ".join(words)
    if domain is not None and domain.phrases:
        pattern, marks = _domain_phrases(domain.phrases)
        said = pattern.sub(lambda match: marks[int((match.lastgroup or "d0")[1:])], said)
    return [clause.strip() for clause in said.split(";")]


def surest(words: list[str]) -> float:
    """How sure one is at most who uses these words."""
    return min((vocabulary.HEDGES[word] for word in words if word in vocabulary.HEDGES), default=CLEAR)


def _deny(meaning: str, gap: list[str]) -> tuple[str, float]:
    """What a phrase means after the words that stand before it in its clause, and how sure that is."""
    first = next((i for i, word in enumerate(gap) if word in vocabulary.NEGATORS), None)
    if first is None:
        return meaning, CLEAR
    denials = sum(word in vocabulary.NEGATORS for word in gap)
    if denials > 2 or not vocabulary.KNOWN.issuperset(gap[first:]):
        return "unclear", 0.0
    if denials == 2:
        return meaning, 0.6
    return generic.DENIED.get(meaning, "unclear"), 0.8


def read_clause(clause: str) -> tuple[list[tuple[str, float, bool]], int]:
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
    unknown = sum(word not in vocabulary.KNOWN for word in (*rest, *tail))
    denied = next((i for i, word in enumerate(tail) if word in vocabulary.NEGATORS), None)
    if found and denied is not None and vocabulary.KNOWN.issuperset(tail[denied:]):
        found.append(("unclear", 0.0, True))
    if len(found) > 1 and any(meaning == "unsure" for meaning, _, _ in found):
        found.append(("unclear", 0.0, True))
    return [(meaning, sure, firm or not unknown) for meaning, sure, firm in found], unknown


def _resolve(meaning: str, outcome: Any) -> Signal:
    """What a meaning says of this result; unread where it can't be said of it."""
    known = decision(outcome)
    if meaning in ("caught", "false_alarm") and known is False:
        return unread(f"{CONTRADICTS}: it speaks of an alarm, and the result raised none")
    if meaning in ("miss", "due", "quiet") and known is True:
        return unread(f"{CONTRADICTS}: it says that an alarm is missing, and the result raised one")
    if meaning in ("right", "yes", "praise", "caught", "quiet") or (meaning == "vague" and known is False):
        return Signal("right")
    if meaning in generic.CLAIMS and known is not None:
        return Signal("expected", generic.CLAIMS[meaning])
    if meaning in ("wrong", "no", "false_alarm", "miss", "due"):
        return Signal("wrong")
    if meaning in ("too_high", "too_low") and (outcome is UNSET or is_number(outcome)):
        return Signal("direction", -1 if meaning == "too_high" else 1)
    return unread(generic.REFUSED[meaning])


def by_phrases(plain: str, outcome: Any, domain: Domain | None) -> Signal:
    """A text -> what its phrases say together, if they agree and it is about this result."""
    if first := _AT_FIRST.match(plain):
        plain = first["now"]
    words = vocabulary.tokens(plain)
    if OTHERS.search(plain):
        return unread(OF_OTHERS)
    clauses = clauses_of(words, domain)
    if reason := vocabulary.doubt(" ".join(clauses).split()):
        return unread(reason)
    found: list[tuple[str, float]] = []
    loose: list[str] = []
    strange = 0
    for clause in clauses:
        phrases, unknown = read_clause(clause)
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
    if meanings <= APPROVALS and any(clause.endswith("?") for clause in clauses):
        return unread(generic.REFUSED["question"])  # "okay, so why did this fire?"
    unsure = "unsure" in meanings and meanings != {"unsure"}
    if meanings - {"right", "wrong", "praise", "yes", "no", "unsure", *generic.SOFT}:
        # "Yes, a false alarm" answers a question that was asked elsewhere.
        meanings -= {"yes", "no"}
    signal = _agreed(meanings - {"unsure"} if unsure else meanings, outcome)
    if signal.kind == "unread":
        return signal
    sure = min(sure for meaning, sure in found if meaning != "unsure")
    sure = min(sure, 0.3 if unsure else CLEAR, surest(words))
    against = {sign(_resolve(meaning, outcome), outcome) for meaning in loose if meaning not in generic.REFUSED}
    if -sign(signal, outcome) in against - {0}:
        if "but" in words:
            return unread("it says both that the result was right and that it was wrong")
        sure = min(sure, 0.7)
    return replace(signal, confidence=sure, reason="" if sure >= 0.8 else "said with a doubt")


def _unseen(plain: str) -> bool:
    """Whether a text says that something broke in silence."""
    unseen = _UNSEEN.search(plain)
    return unseen is not None and not vocabulary.BROKEN.isdisjoint(unseen["while"].split())


def _told(plain: str, clauses: Sequence[str]) -> Iterator[str]:
    """What a text tells by its form: that something was down, or that it was only a backup."""
    if any(_BROKEN.search(clause) and vocabulary.INTENDED.isdisjoint(clause.split()) for clause in clauses):
        yield "anomalous"
    benign = _BENIGN.search(plain)
    if benign:
        words = vocabulary.tokens(benign["what"])
        if vocabulary.BROKEN.isdisjoint(words) and "anomaly" not in words and not (vocabulary.KNOWN & {*words}):
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
