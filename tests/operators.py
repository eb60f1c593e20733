"""Sentences of operators, and how the rules read them: correct, unread or wrong, for either half of the list.

`python tests/operators.py` prints the score of both halves, and what is not read correctly in the half that may be
looked at; `--all` shows the other one too, after which it is held out no longer.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from poet_hook.domains.base import Domain, load
from poet_hook.model import Signal
from poet_hook.signals.rules import read


class Sentence(NamedTuple):
    """What was said of a result (True: an alert), what a person takes it to mean, and whether it is held out."""

    said: str
    alert: bool
    meaning: str
    held_out: bool


def sentences() -> Iterator[Sentence]:
    """The sentences of operators.txt; of each kind and meaning, every second one is held out."""
    seen: Counter[tuple[str, str]] = Counter()
    for line in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            kind, meaning, said = line.split(" ", 2)
            seen[kind, meaning] += 1
            yield Sentence(said, kind == "A", meaning, seen[kind, meaning] % 2 == 0)


def meaning_of(signal: Signal, alert: bool) -> str:
    """What a signal says of an alert, or of none, in the words of operators.txt."""
    if signal.kind == "unread":
        return "unclear"
    right = signal.kind == "right" or (signal.kind == "expected" and signal.value is alert)
    if signal.kind not in ("right", "wrong", "expected"):
        return "other"
    return "right" if right else "false" if alert else "miss"


def outcome(sentence: Sentence, domain: Domain | None) -> str:
    """How a sentence is read: "correct", "unread" where a person would know, or "wrong"."""
    found = meaning_of(read(sentence.said, outcome=sentence.alert, domain=domain), sentence.alert)
    if found == sentence.meaning:
        return "correct"
    return "unread" if found == "unclear" else "wrong"


def score(held_out: bool, domain: Domain | None) -> Counter[str]:
    """How many sentences of a half are read how."""
    return Counter(outcome(one, domain) for one in sentences() if one.held_out is held_out)


def main() -> None:
    for name in (None, "ml_monitoring"):
        domain = load(name) if name else None
        for held_out in (False, True):
            counted = score(held_out, domain)
            told = ", ".join(f"{counted[key]} {key}" for key in ("correct", "unread", "wrong"))
            print(f"{'held out' if held_out else 'looked at'}, domain {name}: {told} of {counted.total()}")
    domain = load("ml_monitoring")
    for one in sentences():
        how = outcome(one, domain)
        if how != "correct" and (not one.held_out or "--all" in sys.argv):
            signal = read(one.said, outcome=one.alert, domain=domain)
            kind = f"{'A' if one.alert else 'Q'} {one.meaning}"
            print(f"{how:7} {kind:10} {one.said!r}: {signal.kind} {signal.value} {signal.reason[:50]}")


if __name__ == "__main__":
    main()
