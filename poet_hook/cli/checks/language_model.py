"""The endpoint of a language model: who named it, whether it answers, what it can do, and what is left for today."""

from __future__ import annotations

import math
from collections.abc import Iterator

from poet_hook.cli.checks.base import Finding, Patient
from poet_hook.errors import LlmError, SettingsError, StoreError
from poet_hook.llm import probe
from poet_hook.llm.client import Client
from poet_hook.llm.probe import Tried

_ABOUT = "language model"
_FORMS = {
    "json_schema": "keeps to a JSON schema",
    "json_object": "replies in JSON, and is told the schema in words",
    "text": "is told in words to reply in JSON",
}


def named(patient: Patient) -> Iterator[Finding]:
    """Which endpoint is configured, and who said each of its settings."""
    try:
        found = patient.configured
    except SettingsError as error:
        yield Finding(_ABOUT, "problem", str(error))
        return
    if found.endpoint is None:
        yield Finding(_ABOUT, "note", found.why_not)
        if all(source == "default" for _, _, source in found.rows):
            return
    for name, value, source in found.rows:
        yield Finding(name, "ok", f"{value} ({source})")
    for words in found.notes:
        yield Finding(_ABOUT, "note", words)


def asked(patient: Patient) -> Iterator[Finding]:
    """Whether it answers, has the model, and keeps to a form; which costs up to three small requests."""
    try:
        endpoint = patient.configured.endpoint
    except SettingsError:
        return
    if endpoint is None:
        return
    client = Client(endpoint, patient.store, patient.settings, patient.dry_run)
    try:
        yield from _tested(client)
        yield _left(client)
    except LlmError as error:
        if error.kind != "dry run":
            yield Finding(_ABOUT, "problem", str(error))
    except StoreError as error:
        yield Finding(_ABOUT, "problem", str(error))


def _tested(client: Client) -> Iterator[Finding]:
    if client.dry_run is None:
        listed = probe.models(client)
        yield Finding("reachable", "ok", client.endpoint.base_url)
        if isinstance(listed, str):
            yield Finding("models", "note", f"not told: {listed}")
        elif client.endpoint.model in listed:
            yield Finding("models", "ok", f"{client.endpoint.model} is one of {len(listed)}")
        else:
            has = ", ".join(sorted(listed)[:10]) or "none"
            yield Finding(
                "models", "note", f"{client.endpoint.model} is not among them, which may be well; it has {has}"
            )
    tried = probe.forms(client)
    for item in tried:
        yield _form(client, item)
    if not any(not item.problem for item in tried):
        yield Finding("form", "problem", "it keeps to no form: take another model")


def _form(client: Client, tried: Tried) -> Finding:
    if tried.problem or tried.reply is None:
        return Finding("form", "note", f"{tried.shape}: {tried.problem}")
    reply = tried.reply
    speed = f"{reply.tokens_out / reply.seconds:.0f} tokens/s" if reply.seconds else "at once"
    cost = client.endpoint.cost(reply.tokens_in, reply.tokens_out)
    paid = f", {cost:.4g} of money" if cost else ""
    took = f"{reply.tokens_in} + {reply.tokens_out} tokens in {reply.seconds:.2f} s, {speed}{paid}"
    return Finding("form", "ok", f"{_FORMS[tried.shape]} ({took})")


def _left(client: Client) -> Finding:
    left = client.ledger.left()
    money = "" if math.isinf(left.money) else f", {max(left.money, 0):.4g} of money"
    words = f"{max(left.calls, 0):,} requests, {max(left.tokens, 0):,} tokens{money}"
    return Finding("left for today", "ok", f"{words} (until 00:00 UTC)")
