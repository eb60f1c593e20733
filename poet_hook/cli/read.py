"""`read`: feedback that no rule reads -> what a language model reads in it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from poet_hook import api
from poet_hook.cli.names import nothing_recorded, recorded
from poet_hook.cli.output import aside, heading, plain, say, say_json, shown, signal_words
from poet_hook.errors import SettingsError

if TYPE_CHECKING:
    from poet_hook.signals.reader import OneRead, ReadFeedback


def read(options: argparse.Namespace) -> int:
    """Have the unread feedback on the functions named, or on all, read; 1 where something is left that could not be."""
    functions = [recorded(name) for name in options.functions]
    if not functions and not nothing_recorded():
        functions = [record.function for record in api.store().functions()]
    sent: list[str] = []
    dry_run = sent.append if options.dry_run else None
    found = [api.read_feedback(name, limit=options.limit, dry_run=dry_run) for name in functions]
    if options.json:
        document = {"functions": [{**plain(each), "understood": each.understood} for each in found]}
        say_json({**document, "would_be_sent": sent} if options.dry_run else document)
    elif options.dry_run and any(each.model for each in found):
        for text in sent:
            say(text)
        aside(f"{'1 request' if len(sent) == 1 else f'{len(sent)} requests'} would be sent; nothing was")
    else:
        _say_read(found)
    return 1 if any(each.reason and each.left for each in found) else 0


def _say_read(found: list[ReadFeedback]) -> None:
    for each in found:
        if not each.items and not each.left:
            continue
        heading(f"{each.function}: {_words(each)}")
        for item in each.items:
            _say_item(item)
        if each.understood:
            aside(f"  to learn from it: python -m poet_hook learn {each.function}")
    if not any(each.items or each.left for each in found):
        say("There is no unread feedback that a language model could be asked about")


def _words(found: ReadFeedback) -> str:
    if not found.model:
        return f"{_feedbacks(found.left)} unread: {found.reason}"
    return found.in_words()


def _say_item(item: OneRead) -> None:
    said = f"{item.execution_id} {shown(item.text)} ({item.source})"
    what = item.signal.reason if item.signal.kind == "unread" else signal_words(item.signal)
    say(f"  {said}: {what}")
    if item.suggestion:
        say(f"    suggests: {item.suggestion}")


def to_be_read(function: str) -> str:
    """How the unread feedback on a function can be had read; "" where no model could be asked about any of it."""
    try:
        count, model = api.to_be_read(function)
    except SettingsError as error:
        return f"no language model can read what is unread: {error}"
    if not count:
        return ""
    have = "it" if count == 1 else "them"
    how = f"python -m poet_hook read {function}"
    if not model:
        how = f"set POET_MODEL and OPENAI_BASE_URL, and say: {how}"
    return f"{_feedbacks(count)} unread; to have a language model read {have}: {how}"


def _feedbacks(count: int) -> str:
    return "1 feedback is" if count == 1 else f"{count} feedbacks are"
