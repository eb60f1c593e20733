"""The body of a chat completion, or a model's text -> the text of its answer, or why there is none.

A reply is hostile: nothing in it is run, and it is read in one pass, whatever it holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

MAX_REPLY = 64 * 1024  # bytes; of a longer reply nothing is read
_DEEPEST = 32  # brackets inside each other in JSON
_OPEN = ("<think>", "<thinking>", "<thought>", "<reasoning>")
_CLOSE = tuple(f"</{tag[1:]}" for tag in _OPEN)
_KEPT = frozenset("\t\n\r")

Reason = Literal[
    "ambiguous",
    "characters",
    "cut-off",
    "empty",
    "no-code",
    "no-json",
    "no-reply",
    "not-python",
    "placeholder",
    "several",
    "too-long",
    "unchanged",
    "wrong-name",
    "wrong-shape",
]


@dataclass(frozen=True, slots=True)
class NotExtracted:
    """Why nothing was taken from a reply: a word for programs, and a sentence that a model can act on."""

    reason: Reason
    message: str


def content_of(body: str) -> tuple[str, str] | NotExtracted:
    """The text of a reply and its finish_reason; `body` is a chat completion as JSON, or else already the text."""
    if _too_long(body):
        return _TOO_LONG
    if not (body.lstrip()[:1] == "{" and '"choices"' in body):
        return body, "stop"
    return completion(strict_json(body))


def completion(read: object) -> tuple[str, str] | NotExtracted:
    """The text and the finish_reason of a chat completion, read as JSON."""
    if not isinstance(read, dict):
        return NotExtracted("no-reply", "the server's answer is no JSON object")
    choices = read.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message, dict):
        return NotExtracted("no-reply", "the server's answer has no message")
    text = _text(message.get("content"))
    if not text.strip():
        return NotExtracted("no-reply", "the message has no text")
    finish = first.get("finish_reason")
    return text, finish if isinstance(finish, str) else "missing"


def _text(content: object) -> str:
    """The text of a message: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [p.get("text") for p in parts if isinstance(p, dict) and p.get("type") in ("text", "output_text")]
    return "".join(t for t in texts if isinstance(t, str))


def answer(reply: str, finish_reason: str) -> str | NotExtracted:
    """The answer in a reply, without what the model thought before it, with line feeds as line ends."""
    if _too_long(reply):
        return _TOO_LONG
    if finish_reason != "stop":
        return NotExtracted(
            "cut-off", f"the reply ended with finish_reason {finish_reason[:40]!r}; write all of it, shorter"
        )
    text = reply.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    odd = next((c for c in text if (c < " " and c not in _KEPT) or "\ud800" <= c <= "\udfff"), None)
    if odd is not None:
        return NotExtracted("characters", f"the reply has the character {odd!a}; write plain text")
    text = _without_thoughts(text)
    return text if text.strip() else NotExtracted("empty", "the reply has no answer")


def _too_long(text: str) -> bool:
    return len(text) > MAX_REPLY or len(text.encode("utf-8", "surrogatepass")) > MAX_REPLY


_TOO_LONG = NotExtracted("too-long", f"the reply has more than {MAX_REPLY:,} bytes; write the function only")


def _without_thoughts(text: str) -> str:
    """What comes after the last closed thought; an open one has no answer behind it."""
    low = text.lower() if len(text.lower()) == len(text) else text
    ends = [place + len(tag) for tag in _CLOSE if (place := low.rfind(tag)) >= 0]
    text, low = (text[max(ends) :], low[max(ends) :]) if ends else (text, low)
    starts = [place for tag in _OPEN if (place := low.find(tag)) >= 0]
    return text[: min(starts)] if starts else text


def strict_json(text: str) -> Any | NotExtracted:
    """JSON as RFC 8259 has it: no NaN, no infinity, no number that overflows, no name twice, not nested deep."""
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    if deepest > _DEEPEST:
        return NotExtracted("no-json", f"the JSON is nested more than {_DEEPEST} deep")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse, parse_float=_number)
    except _Twice as error:
        return NotExtracted("ambiguous", str(error))
    except (ValueError, RecursionError, MemoryError) as error:
        return NotExtracted("no-json", f"this is no JSON: {str(error)[:200]}")


class _Twice(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise _Twice("a name stands twice in an object")
    return dict(pairs)


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _number(word: str) -> float:
    value = float(word)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{word[:40]} is too large")
    return value


def objects(text: str) -> Iterator[str]:
    """The outermost `{...}` in a text, in one pass; braces in the strings of an object do not count."""
    depth, start, quoted, escaped = 0, 0, False, False
    for place, character in enumerate(text):
        if depth and quoted:
            quoted = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == "{":
            start = place if depth == 0 else start
            depth += 1
        elif depth and character == '"':
            quoted, escaped = True, False
        elif depth and character == "}":
            depth -= 1
            if depth == 0:
                yield text[start : place + 1]
