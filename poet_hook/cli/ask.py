"""`ask`: the few executions whose label would decide most, and how to give it."""

from __future__ import annotations

import argparse

from poet_hook import api
from poet_hook.cli.names import for_each
from poet_hook.cli.output import apart, heading, say, shown
from poet_hook.learning.ask import Asked
from poet_hook.transform.values import as_text


def ask(options: argparse.Namespace) -> int:
    """Ask about the function named, or about all; 1 where one of them can't be asked about."""
    names = [options.function] if options.function else []
    return for_each(names, options.json, lambda name: api.ask(name, options.limit), _say)


def _say(found: Asked) -> None:
    if not found.questions:
        heading(f"{found.function}: nothing to ask")
        say(f"  {found.reason}")
        return
    against = ", ".join(f"{name} = {as_text(value)}" for name, value in (found.challenger or {}).items())
    heading(f"{found.function}: v{found.champion} against {against}" if against else f"{found.function}: near limits")
    for item in found.questions:
        arguments = ", ".join(f"{name}={shown(value)}" for name, value in item.arguments.items())
        returned, other = shown(item.returned), ""
        if against and item.challenger != item.returned:
            returned, challenger = apart(item.returned, item.challenger)
            other = f"; the challenger: {challenger}"
        elif against:
            other = f"; the challenger: {returned}"
        say(f"{arguments or 'no arguments'} -> {returned}{other}")
        say(f"  why: {item.why}")
        say(f"  {item.answer}")
    say("Write wrong, or what it should have been, for correct. Answer all of them, also where you agree.")
