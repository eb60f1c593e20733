"""`vet`: a candidate's text -> may it run in the place of a function, and if not, which rule it breaks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from poet_hook.cli.output import clean, say, say_json
from poet_hook.isolation.policy import Original, Refusal, vet


class Unusable(Exception):
    """What the command was given can't be read: the message says what and why."""


def vet_(options: argparse.Namespace) -> int:
    """Print the rules that a candidate breaks; 0 where it breaks none, 1 where it does, 2 where it can't be told."""
    try:
        original = original_of(options.original, options.function)
        text = text_of(options.candidate)
    except Unusable as error:
        print(clean(f"poet_hook: {error}"), file=sys.stderr)
        return 2
    refusals = vet(text, original).refusals
    if options.json:
        say_json({"accepted": not refusals, "refusals": refusals})
    else:
        told(options.candidate, refusals)
    return 1 if refusals else 0


def told(file: str, refusals: tuple[Refusal, ...]) -> None:
    """Print each refusal with its place."""
    for refusal in refusals:
        say(f"{file}:{refusal.line}: {refusal}")


def original_of(file: str, function: str) -> Original:
    """The function of a file; raises `Unusable` where the file can't be read or parsed, or has no such function."""
    source = text_of(file)
    try:
        return Original(source, function.rpartition(":")[2])
    except LookupError as error:
        raise Unusable(f"{file}: {error.args[0]}") from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise Unusable(f"{file}{place}: this is no Python that can be parsed: {error}") from error


def text_of(file: str) -> str:
    """The text of a file, or of stdin for `-`; what is no UTF-8 becomes characters that no rule lets through."""
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Unusable(f"{file}: {error.strerror or error}") from error
    return data.decode("utf-8", "surrogateescape")
