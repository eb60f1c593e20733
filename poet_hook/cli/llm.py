"""`llm-log` and `trust-endpoint`: what a language model was asked, and whether the checkout may say which one."""

from __future__ import annotations

import argparse

from poet_hook import api
from poet_hook.cli.names import nothing_recorded
from poet_hook.cli.output import aside, local_time, say, say_json, table
from poet_hook.llm import allowed, ledger
from poet_hook.llm.endpoint import configured, said


def llm_log(options: argparse.Namespace) -> int:
    """The last requests, newest first: when, what for, how many tokens, how long, what became of it."""
    empty = nothing_recorded()
    found = [] if empty else ledger.calls(api.store(), options.limit)
    spent = {"calls": 0, "tokens": 0, "money": 0.0} if empty else ledger.today(api.store())
    if options.json:
        say_json({"today": spent, "calls": found})
        return 0
    if not found:
        say("No language model was asked anything yet")
        return 0
    rows = [
        (
            local_time(call.started),
            call.purpose,
            call.function or "-",
            call.model,
            f"{call.tokens_in:,} + {call.tokens_out:,}",
            f"{call.seconds:.2f} s",
            call.outcome,
        )
        for call in found
    ]
    table(("time", "for", "function", "model", "tokens", "took", "outcome"), rows, flexible={2, 6})
    cost = f", {spent['money']:.4g} of money" if spent["money"] else ""
    requests = f"{spent['calls']:,} request{'' if spent['calls'] == 1 else 's'}"
    aside(f"today (UTC): {requests}, {spent['tokens']:,} tokens{cost}")
    return 0


def trust_endpoint(options: argparse.Namespace) -> int:
    """Allow what `.env` and pyproject.toml say of the endpoint now, or with --revoke none of it."""
    settings = api.settings()
    if options.revoke:
        was = allowed.revoke(settings)
        say(f"{settings.root}: {'its files have no say in the endpoint any more' if was else 'nothing was allowed'}")
        return 0
    found = said(settings)
    if not allowed.foreign_of(found):
        say(f"{settings.root}: no file of it says anything of an endpoint")
        return 1
    names = allowed.allow(settings, found)
    now = configured(settings)
    for name, value, source in now.rows:
        if name in names:
            say(f"allowed: {name} = {value} ({source})")
    for word in [now.why_not, *now.notes]:
        if word:
            aside(word)
    return 0
