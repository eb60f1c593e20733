"""`doctor`: what works here and what does not, check by check."""

from __future__ import annotations

import argparse

from poet_hook import api
from poet_hook.cli.checks import CHECKS
from poet_hook.cli.checks.base import Patient
from poet_hook.cli.output import say, say_json, table


def doctor(options: argparse.Namespace) -> int:
    """Print what each check found; 1 where one of them found a problem."""
    shown: list[str] = []
    patient = Patient(api.settings(), api.store(), shown.append if options.dry_run else None)
    found = [finding for check in CHECKS for finding in check(patient)]
    well = all(finding.state != "problem" for finding in found)
    if options.json:
        say_json({"well": well, "findings": found, **({"would_send": shown} if options.dry_run else {})})
        return 0 if well else 1
    table(("about", "state", "found"), [(item.about, item.state, item.words) for item in found])
    for text in shown:
        say(text)
    return 0 if well else 1
