"""`learn`, `promote`, `rollback`: words in a terminal -> a better version."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

from poet_hook import api
from poet_hook.cli.names import for_each, recorded
from poet_hook.cli.output import before_and_after, heading, one_measure, say, table
from poet_hook.model import Learned, Verdict
from poet_hook.transform.values import as_changes

_BAR = 24


# --------------------------------------------------------------------------- learning


def learn(options: argparse.Namespace) -> int:
    """Learn the functions named, or all; 1 where one of them can't be learned."""
    if options.dry_run:  # beside a JSON document, which stands alone
        sink = partial(print, file=sys.stderr) if options.json else say
        return for_each(options.functions, options.json, lambda name: api.would_ask(name, sink), _say_learned)
    return for_each(options.functions, options.json, lambda name: api.learn(name, _progress(name)), _say_learned)


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
        changes = as_changes(learned.candidate.values)
        interval = learned.candidate.interval
        as_good = f" (as good: {interval[0]:g} to {interval[1]:g})" if interval and interval[0] < interval[1] else ""
        say(f"  candidate: {changes}{as_good}")
    if learned.candidate is not None and learned.verdict is not None:
        _say_evidence(learned.verdict)
    for reason in learned.reasons:
        say(f"  {reason}")
    if len(learned.choices) > 1:
        _say_choices(learned)


def _say_choices(learned: Learned) -> None:
    """What can be had of several objectives."""
    say("  what can be had instead; none is put in use by itself:")
    rows = []
    for choice in learned.choices:
        rows.append(
            [
                f"  v{choice.version}{' (in use)' if choice.champion else ''}",
                *(one_measure(each.metric, each.value) for each in choice.measures),
                *("" if choice.champion else f"{each.e_value:.3g}" for each in choice.measures),
                as_changes(choice.values) or "as written",
            ]
        )
    names = [each.objective for each in learned.choices[0].measures]
    table(["  version", *names, *(f"e, {name}" for name in names), "values"], rows)
    say(f"  accept one with: python -m poet_hook promote {learned.function} VERSION")


def _conclusion(learned: Learned) -> str:
    verdict = learned.verdict
    if learned.promoted and verdict is not None:
        return f"v{learned.version} is in use now ({verdict.level}; it was v{learned.champion})"
    if learned.version is not None and verdict is not None and verdict.decision == "challenge":
        return (
            f"v{learned.version} is on trial, v{learned.champion} stays in use; "
            f"accept it with: python -m poet_hook promote {learned.function} {learned.version}"
        )
    if learned.version is not None:
        return (
            f"v{learned.version} is proposed, v{learned.champion} stays in use; "
            f"accept it with: python -m poet_hook promote {learned.function} {learned.version}"
        )
    if verdict is not None and verdict.decision == "wait":
        what = "executions" if verdict.evidence.comments is None else "incidents"
        more = f", about {verdict.needed} more {what} with feedback would do" if verdict.needed else ""
        return f"v{learned.champion} stays in use: the evidence is too weak yet{more}"
    return f"v{learned.champion} is in use"


def _say_evidence(verdict: Verdict) -> None:
    evidence, each = verdict.evidence, "execution"
    heard = f"{evidence.labelled} executions with feedback"
    if evidence.comments is not None:
        each = "incident"
        heard = f"{evidence.labelled} incidents ({evidence.comments} executions with feedback)"
    say(
        f"  evidence: {before_and_after(evidence.metric, evidence.before, evidence.after)} on {heard}; "
        f"better on {round(evidence.wins, 2):g}, worse on {round(evidence.losses, 2):g}, "
        f"e = {evidence.e_value:.3g}, alpha = {verdict.alpha:g}"
    )
    if evidence.gain is not None:
        say(
            f"  gain: {evidence.gain:.2g} per {each} that did not help to choose the candidate; "
            f"above {evidence.gain_low:.2g}, and below {evidence.gain_high:.2g}, "
            f"each at an error rate of {100 * verdict.alpha:g}%"
        )
    if verdict.flips:
        approved = f", {len(verdict.regressions)} of them approved" if verdict.regressions else ""
        of = "" if verdict.replayed is None else f" of {verdict.replayed:,}"
        which = "past results" if verdict.replayed is None else "past results that were replayed"
        say(f"  {len(verdict.flips)}{of} {which} would have been different{approved}")


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


def challenge(options: argparse.Namespace) -> int:
    """Put a version on trial, or end the trial of the one that is."""
    function = recorded(options.function)
    before = api.challenge(function, options.version)
    if options.version is not None:
        say(f"{function}: v{options.version} is on trial, v{api.champion(function)} stays in use")
    elif before is not None:
        again = f"python -m poet_hook challenge {options.function} {before}"
        say(f"{function}: v{before} is on trial no more; to begin again: {again}")
    else:
        say(f"{function}: no version is on trial")
    return 0


def rollback(options: argparse.Namespace) -> int:
    """Put the version before the one in use back."""
    function = recorded(options.function)
    before, after = api.rollback(function)
    say(f"{function}: v{after} is in use again (it was v{before})")
    return 0
