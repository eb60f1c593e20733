"""`feedback`: what somebody said in a terminal, or in a file -> the store, and in words how it was understood."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from poet_hook import api
from poet_hook.cli.names import nothing_recorded, recorded
from poet_hook.cli.output import percent, plain, say, say_json, shown
from poet_hook.errors import AmbiguousResultError, UnknownExecutionError
from poet_hook.model import Signal
from poet_hook.signals.bulk import Fate, import_feedback
from poet_hook.transform.values import as_text

_WORDS = {"right": "the result was right", "wrong": "the result was wrong"}
_LIMITS = {"at_least": "at least", "at_most": "at most", "above": "above", "below": "below"}
_FATES = {
    "understood": "understood",
    "unread": "stored, but not understood",
    "there": "there already",
    "empty": "empty",
    "unknown": "no such execution",
    "ambiguous": "ambiguous",
    "broken": "broken",
}
_OF_A_FILE = ("key", "id", "said", "dry_run")
_EVERY = 0.1  # seconds between two looks at the progress


def feedback(options: argparse.Namespace) -> int:
    """Store what was said, and say how it was understood; 1 where it was not, or a row was not stored."""
    if problem := _misuse(options):
        print(f"poet_hook: feedback: {problem}", file=sys.stderr)
        return 2
    return _from_file(options) if options.file is not None else _single(options)


def _misuse(options: argparse.Namespace) -> str:
    if options.file is None:
        alone = next((name for name in _OF_A_FILE if getattr(options, name)), None)
        return f"--{alone.replace('_', '-')} is about the rows of a file: give it with --from" if alone else ""
    if options.execution is not None or options.json_value:
        return (
            "--from FILE has the executions, and what was said about them: give neither EXECUTION_ID nor --json-value"
        )
    return ""


# --------------------------------------------------------------------------- one


def _single(options: argparse.Namespace) -> int:
    text = " ".join(options.text)
    said: Any = text
    if options.json_value:
        try:
            said = json.loads(text)
        except (ValueError, RecursionError) as error:
            print(f"poet_hook: --json-value: {text!r} is no JSON: {error}", file=sys.stderr)
            return 2
    about, function = _meant(options.execution, options.function)
    before = _before(function)
    receipt = api.feedback(about, said, source=options.source)
    unread = receipt.signal.kind == "unread"
    if not options.json:
        if unread:
            say(f"{receipt.execution_id}: stored, but not understood: {receipt.signal.reason}")
        else:
            say(f"{receipt.execution_id} of {receipt.function}: understood: {in_words(receipt.signal)}")
    learned = _learned({receipt.function: before})  # of what is unread, too, where a model may read it
    if options.json:
        say_json(plain(receipt) | learned._asdict())
    else:
        _say_learned(learned)
    return 1 if unread else 0


def _meant(name: str, function: str | None) -> tuple[str, str]:
    """How the library knows the execution that somebody calls so (of `function`, where given), and its function.

    Raises `UnknownExecutionError` in words for a terminal, and `AmbiguousResultError`.
    """
    only = recorded(function) if function else None
    store = None if nothing_recorded() else api.store()
    execution = store.execution(name) if store else None
    if execution and only and execution.function != only:
        raise UnknownExecutionError(f"{execution.id} is an execution of {execution.function}, not of {only}")
    if store and execution is None:
        ids = store.ids_for_key(only, name)
        if len(ids) > 1 and only:
            listed = ", ".join(ids[:5])
            raise AmbiguousResultError(
                f"{len(ids)} executions of {only} have the key {name!r}: {listed}. Name one by its id", ids
            )
        execution = store.execution(ids[0]) if ids else None
    if execution is None:
        of = f" of {only}" if only else ""
        raise UnknownExecutionError(
            f"no execution{of} in {api.settings().home} has the id or key {name!r}; the ids are in: "
            f"python -m poet_hook log {only or 'FUNCTION'}"
        )
    return (execution.id if only else name), execution.function


def in_words(signal: Signal) -> str:
    """What a signal says, and how sure it is."""
    confidence = f"(confidence {percent(signal.confidence)})"
    return f"{_meaning(signal)} {confidence}" + (f"; {signal.reason}" if signal.reason else "")


def _meaning(signal: Signal) -> str:
    if signal.kind == "fields":
        return "; ".join(f"{name}: {_meaning(part)}" for name, part in signal.value.items())
    if signal.kind == "expected":
        return f"the right value is {shown(signal.value)}"
    if signal.kind == "range":
        limits = " and ".join(f"{_LIMITS[name]} {limit:g}" for name, limit in signal.value.items())
        return f"the right value is {limits}"
    if signal.kind == "direction":
        return "the value was too low" if signal.value > 0 else "the value was too high"
    if signal.kind == "requested":
        return "asked for: " + ", ".join(f"{name} = {as_text(value)}" for name, value in signal.value.items())
    if signal.kind == "cost":
        return f"it cost {signal.value:g}"
    return f"a score of {percent(signal.value)}" if signal.kind == "reward" else _WORDS[signal.kind]


class _Learned(NamedTuple):
    """By function the version that is in use now and was not before, and the versions that were asked for and wait."""

    learned: dict[str, int]
    requested: dict[str, list[int]]


def _before(function: str) -> tuple[int, int]:
    """The version in use, and the latest one."""
    return api.champion(function), api.versions_of(function)[-1].number


def _learned(before: dict[str, tuple[int, int]]) -> _Learned:
    """What has changed once learning has ended."""
    api.wait_for_learning()
    after = {function: api.champion(function) for function in before}
    asked = {
        function: [v.number for v in api.versions_of(function) if v.level == "requested" and v.number > latest]
        for function, (_, latest) in before.items()
    }
    return _Learned(
        {function: version for function, version in after.items() if version != before[function][0]},
        {function: numbers for function, numbers in asked.items() if numbers},
    )


def _say_learned(changes: _Learned) -> None:
    for function, version in changes.learned.items():
        say(f"learned from it: v{version} is in use now; see: python -m poet_hook diff {function}")
    for function, numbers in changes.requested.items():
        for made in api.versions_of(function):
            if made.number in numbers and made.verdict is not None:
                how = f"python -m poet_hook promote {function} {made.number}"
                say(f"v{made.number} waits: {'; '.join(made.verdict.reasons)}; put it in use with: {how}")


# --------------------------------------------------------------------------- a file


def _from_file(options: argparse.Namespace) -> int:
    path = Path(options.file)
    if nothing_recorded():
        raise UnknownExecutionError(f"{path}: nothing was recorded in {api.settings().home} yet")
    function = recorded(options.function) if options.function else None
    chosen = {name: getattr(options, name) for name in ("key", "id", "said", "source", "dry_run")}
    fates = import_feedback(api.store(), api.settings(), path, function=function, **chosen)
    before: dict[str, tuple[int, int]] = {}
    counts: Counter[str] = Counter()
    rows, failed = [], 0
    for fate in _shown_progress(fates, path):
        counts[fate.outcome] += 1
        failed += not fate.kept
        if fate.outcome == "understood" and fate.function is not None and fate.function not in before:
            before[fate.function] = _before(fate.function)
        if options.json:
            rows.append(plain(fate))
        else:
            say(f"{path}:{fate.line}: {_fate_in_words(fate)}")
    learned = _Learned({}, {}) if options.dry_run else _learn(before)
    summary = {name: counts[name] for name in _FATES}
    if options.json:
        say_json({"file": path, "dry_run": options.dry_run, "rows": rows, "summary": summary} | learned._asdict())
    else:
        listed = ", ".join(f"{count} {_FATES[name]}" for name, count in summary.items() if count) or "nothing in it"
        say(
            f"{path}: {counts.total()} rows: {listed}" + ("; nothing was stored (--dry-run)" if options.dry_run else "")
        )
        _say_learned(learned)
    return 1 if failed else 0


def _learn(before: dict[str, tuple[int, int]]) -> _Learned:
    for function in before:
        api.learn_later(function)
    return _learned(before)


def _fate_in_words(fate: Fate) -> str:
    about = f"{fate.name}: " if fate.name else ""
    if fate.outcome == "understood" and fate.signal is not None:
        return f"{about}understood: {in_words(fate.signal)}"
    return f"{about}{_FATES[fate.outcome]}" + (f": {fate.reason}" if fate.reason else "")


def _shown_progress(fates: Iterator[Fate], path: Path) -> Iterator[Fate]:
    """The same, with a line on a terminal that tells how far it is."""
    if not sys.stderr.isatty() or sys.stdout.isatty():  # rows that scroll by show it themselves
        yield from fates
        return
    with path.open("rb") as file:
        total = max(1, sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")))
    shown_at = 0.0
    for fate in fates:
        if time.monotonic() - shown_at > _EVERY:
            shown_at = time.monotonic()
            share = percent(min(1.0, fate.line / total))
            print(f"\r\033[K{path.name}: {share}", end="", file=sys.stderr, flush=True)
        yield fate
    print("\r\033[K", end="", file=sys.stderr, flush=True)
