"""`vet`: the text of a candidate, or a model's reply -> may it run in the place of a function, and if not, why."""

from __future__ import annotations

import argparse
import sys

from poet_hook.cli.output import clean, say, say_json
from poet_hook.isolation.policy import Original, Refusal, vet

_MOST = 1 << 20


class Unusable(Exception):
    """What the command was given can't be read: the message says what and why."""


def judge(options: argparse.Namespace) -> int:
    """Print the rules that a candidate breaks; 0 where it breaks none, 1 where it does, 2 where it can't be told."""
    try:
        if (options.candidate is None) is (options.reply is None):
            raise Unusable("vet takes a file with a candidate, or --reply with a file that has a model's reply")
        original = _original(options.original, options.function)
        text = _text(options.candidate or options.reply, _MOST)
    except Unusable as error:
        print(clean(f"poet_hook: {error}"), file=sys.stderr)
        return 2
    if options.candidate is not None:
        return _judged(options, options.candidate, vet(text, original).refusals)
    return _reply(options, text, original)


def _reply(options: argparse.Namespace, text: str, original: Original) -> int:
    from poet_hook.llm.extract import NotExtracted, extract_code
    from poet_hook.llm.reply import content_of

    read = content_of(text)
    name = original.function.name
    found = read if isinstance(read, NotExtracted) else extract_code(read[0], name, read[1], original.source)
    if isinstance(found, NotExtracted):
        if options.json:
            say_json({"accepted": False, "extracted": None, "reason": found, "refusals": []})
        else:
            say(f"{options.reply}: {found.message} [{found.reason}]")
        return 1
    if not options.json:
        say(found.source.rstrip("\n"))
    return _judged(options, "extracted", vet(found.source, original).refusals, extracted=found.source, reason=None)


def _judged(options: argparse.Namespace, file: str, refusals: tuple[Refusal, ...], **more: str | None) -> int:
    if options.json:
        say_json({"accepted": not refusals, **more, "refusals": refusals})
    else:
        for refusal in refusals:
            say(f"{file}:{refusal.line}: {refusal}")
    return 1 if refusals else 0


def _original(file: str, function: str) -> Original:
    """The function of a file; raises `Unusable` where the file can't be read or parsed, or has no such function."""
    source = _text(file)
    try:
        return Original(source, function.rpartition(":")[2])
    except LookupError as error:
        raise Unusable(f"{file}: {error.args[0]}") from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise Unusable(f"{file}{place}: this is no Python that can be parsed: {error}") from error


def _text(file: str, most: int = -1) -> str:
    """The text of a file, or of stdin for `-`; what is no UTF-8 becomes characters that no rule lets through.

    Of what a model wrote no more than `most` bytes are read, which is more than is ever taken.
    """
    try:
        with sys.stdin.buffer if file == "-" else open(file, "rb") as source:
            data = source.read(most)
    except OSError as error:
        raise Unusable(f"{file}: {error.strerror or error}") from error
    return data.decode("utf-8", "surrogateescape")
