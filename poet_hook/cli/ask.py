"""`ask`: the few executions whose label would decide most, and how to give it."""

from __future__ import annotations

import argparse
from typing import Any

from poet_hook import api
from poet_hook.cli.names import nothing_recorded, recorded
from poet_hook.cli.output import heading, plain, say, say_error, say_json, shown
from poet_hook.errors import PoetError
from poet_hook.learning.ask import Asked


def ask(options: argparse.Namespace) -> int:
    """Ask about the function named, or about all; 1 where one of them can't be asked about."""
    names = [recorded(options.function)] if options.function else []
    if not options.function and not nothing_recorded():
        names = [record.function for record in api.store().functions()]
    if not names and not options.json:
        say(f"No function was recorded in {api.settings().home} yet")
    documents: list[Any] = []
    failed = False
    for name in names:
        try:
            found = api.ask(name, options.limit)
        except PoetError as error:
            failed = True
            say_error(error)
            documents.append({"function": name, "error": str(error), "code": error.code})
            continue
        documents.append(plain(found))
        if not options.json:
            _say(found)
    if options.json:
        say_json({"functions": documents})
    return 1 if failed else 0


def _say(found: Asked) -> None:
    if not found.questions:
        heading(f"{found.function}: nothing to ask")
        say(f"  {found.reason}")
        return
    against = ", ".join(f"{name} = {value:g}" for name, value in (found.challenger or {}).items())
    heading(f"{found.function}: v{found.champion} against {against}" if against else f"{found.function}: near limits")
    for item in found.questions:
        arguments = ", ".join(f"{name}={shown(value)}" for name, value in item.arguments.items())
        other = f"; the challenger: {shown(item.challenger)}" if against else ""
        say(f"{arguments or 'no arguments'} -> {shown(item.returned)}{other}")
        say(f"  why: {item.why}")
        say(f"  {item.answer}")
    say("Write wrong, or what it should have been, for correct. Answer all of them, also where you agree.")
