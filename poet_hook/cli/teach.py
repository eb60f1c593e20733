"""`feedback`, `learn`, `promote`, `rollback`: words in a terminal -> a better version."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from poet_hook import api
from poet_hook.cli.names import nothing_recorded, recorded
from poet_hook.cli.output import heading, percent, plain, say, say_error, say_json, shown
from poet_hook.errors import PoetError, UnknownExecutionError
from poet_hook.model import Learned, Signal, Verdict

_BAR = 24
_WORDS = {"right": "the result was right", "wrong": "the result was wrong"}


# --------------------------------------------------------------------------- feedback


def feedback(options: argparse.Namespace) -> int:
    """Store what was said, and say how it was understood; 1 where it was not."""
    text = " ".join(options.text)
    said: Any = text
    if options.json_value:
        try:
            said = json.loads(text)
        except (ValueError, RecursionError) as error:
            print(f"poet_hook: --json-value: {text!r} is no JSON: {error}", file=sys.stderr)
            return 2
    before = _champion_of(options.execution)
    receipt = api.feedback(options.execution, said, source=options.source)
    if receipt.signal.kind == "unread":
        say(f"{receipt.execution_id}: stored, but not understood: {receipt.signal.reason}")
        return 1
    say(f"{receipt.execution_id} of {receipt.function}: {_understood(receipt.signal)}")
    api.wait_for_learning()
    after = api.champion(receipt.function)
    if after != before:
        say(f"learned from it: v{after} is in use now; see: python -m poet_hook diff {receipt.function}")
    return 0


def _champion_of(execution_id: str) -> int:
    """The version in use of the function that was executed; raises `UnknownExecutionError` in words for a terminal."""
    store = None if nothing_recorded() else api.store()
    execution = store.execution(execution_id) if store else None
    if store and execution is None:
        ids = store.ids_for_key(None, execution_id)
        execution = store.execution(ids[0]) if ids else None
    if execution is None:
        raise UnknownExecutionError(
            f"no execution in {api.settings().home} has the id or key {execution_id!r}; the ids are in: "
            "python -m poet_hook log FUNCTION"
        )
    return api.champion(execution.function)


def _understood(signal: Signal) -> str:
    if signal.kind == "expected":
        words = f"the right value is {shown(signal.value)}"
    elif signal.kind == "direction":
        words = "the value was too low" if signal.value > 0 else "the value was too high"
    elif signal.kind == "reward":
        words = f"a score of {percent(signal.value)}"
    else:
        words = _WORDS[signal.kind]
    return f"understood: {words} (confidence {percent(signal.confidence)})"


# --------------------------------------------------------------------------- learning


def learn(options: argparse.Namespace) -> int:
    """Learn the functions named, or all; 1 where one of them can't be learned."""
    names = [recorded(name) for name in options.functions]
    if not options.functions and not nothing_recorded():
        names = [record.function for record in api.store().functions()]
    if not names and not options.json:
        say(f"No function was recorded in {api.settings().home} yet")
    documents: list[Any] = []
    failed = False
    for name in names:
        try:
            learned = api.learn(name, _progress(name))
        except PoetError as error:
            failed = True
            say_error(error)
            documents.append({"function": name, "error": str(error), "code": error.code})
            continue
        documents.append(plain(learned))
        if not options.json:
            _say_learned(learned)
    if options.json:
        say_json({"functions": documents})
    return 1 if failed else 0


def _progress(function: str) -> Callable[[str, float], None] | None:
    if not sys.stderr.isatty():
        return None

    def draw(what: str, share: float) -> None:
        full = round(share * _BAR)
        line = f"{function} [{'#' * full}{'.' * (_BAR - full)}] {what}"
        print("\r\033[K" + (line if share < 1.0 else ""), end="", file=sys.stderr, flush=True)

    return draw


def _say_learned(learned: Learned) -> None:
    heading(f"{learned.function}: {_conclusion(learned)}")
    if learned.candidate is not None:
        changes = ", ".join(f"{name} = {value:g}" for name, value in learned.candidate.values.items())
        interval = learned.candidate.interval
        as_good = f" (as good: {interval[0]:g} to {interval[1]:g})" if interval and interval[0] < interval[1] else ""
        say(f"  candidate: {changes}{as_good}")
    if learned.candidate is not None and learned.verdict is not None:
        _say_evidence(learned.verdict)
    for reason in learned.reasons:
        say(f"  {reason}")


def _conclusion(learned: Learned) -> str:
    verdict = learned.verdict
    if learned.promoted and verdict is not None:
        return f"v{learned.version} is in use now ({verdict.level}; it was v{learned.champion})"
    if learned.version is not None:
        return (
            f"v{learned.version} is proposed, v{learned.champion} stays in use; "
            f"accept it with: python -m poet_hook promote {learned.function} {learned.version}"
        )
    if verdict is not None and verdict.decision == "wait":
        more = f", about {verdict.needed} more executions with feedback would do" if verdict.needed else ""
        return f"v{learned.champion} stays in use: the evidence is too weak yet{more}"
    return f"v{learned.champion} is in use"


def _say_evidence(verdict: Verdict) -> None:
    evidence = verdict.evidence
    say(
        f"  evidence: accuracy {percent(evidence.before)} -> {percent(evidence.after)} on {evidence.labelled} "
        f"executions with feedback; better on {evidence.wins:g}, worse on {evidence.losses:g}, "
        f"e = {evidence.e_value:.3g}, alpha = {verdict.alpha:g}"
    )
    if verdict.flips:
        approved = f", {len(verdict.regressions)} of them approved" if verdict.regressions else ""
        say(f"  {len(verdict.flips)} past results would have been different{approved}")


# --------------------------------------------------------------------------- choosing


def promote(options: argparse.Namespace) -> int:
    """Put a version in use."""
    function = recorded(options.function)
    before = api.promote(function, options.version)
    if before == options.version:
        say(f"{function}: v{before} is in use already")
    else:
        say(f"{function}: v{options.version} is in use now (it was v{before})")
    return 0


def rollback(options: argparse.Namespace) -> int:
    """Put the version before the one in use back."""
    function = recorded(options.function)
    before, after = api.rollback(function)
    say(f"{function}: v{after} is in use again (it was v{before})")
    return 0
