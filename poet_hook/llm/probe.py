"""An endpoint -> what it can do: whether it is there, has the model, and keeps to a form, and how fast it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from poet_hook.errors import LlmError
from poet_hook.llm import ability as abilities
from poet_hook.llm import wire
from poet_hook.llm.ability import Shape
from poet_hook.llm.client import Client, Reply
from poet_hook.llm.extract import extract_object
from poet_hook.llm.reply import NotExtracted, strict_json

SYSTEM = "You answer questions about numbers."
USER = "Is 45 more than 30? Answer as you were told to; if you were not told how, answer in one sentence."
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": ["yes", "no"]}},
    "required": ["answer"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Tried:
    """How one form of structured output went: `problem` is "" where the reply was in it."""

    shape: Shape
    reply: Reply | None
    problem: str


def models(client: Client) -> tuple[str, ...] | str:
    """The names of the models that an endpoint has, or why it does not say. Raises `LlmError` where it is not there."""
    try:
        read = strict_json(wire.models(client.endpoint).decode("utf-8", "replace"))
    except wire.Failed as failed:
        if failed.status in (0, 401, 403) and failed.kind != "reply":
            error = client.error(failed)
        else:
            return client.secrets.hidden_in(failed.words)
    else:
        listed = read.get("data") if isinstance(read, dict) else None
        names = [item.get("id") for item in listed if isinstance(item, dict)] if isinstance(listed, list) else None
        return "it has no list of them" if names is None else tuple(name for name in names if isinstance(name, str))
    raise error


def forms(client: Client) -> list[Tried]:
    """Try the forms of structured output, the strongest first, until one works, and remember that one.

    Raises `LlmError` where nothing can be asked.
    """
    tried: list[Tried] = []
    able = abilities.known(client.store, client.endpoint)
    shapes = get_args(Shape)
    for shape in shapes:
        able = replace(able, shape=shape, proven=False)
        try:
            reply = client.ask_as(able, "doctor", SYSTEM, USER, SCHEMA)
        except LlmError as error:
            if error.kind not in ("refused", "reply") or client.rests:
                raise
            tried.append(Tried(shape, None, str(error)))
            continue
        problem = _problem(reply)
        tried.append(Tried(shape, reply, problem))
        if not problem:
            break
    return tried


def _problem(reply: Reply) -> str:
    found = extract_object(reply.text, dict[str, str], reply.finish_reason)
    if isinstance(found, NotExtracted):
        return found.message
    return "" if found.get("answer") in ("yes", "no") else "the reply is an object of another form"
