"""What an endpoint takes of a request, learned from what it refused and remembered in the store."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from poet_hook.llm.endpoint import OPENAI, Endpoint
from poet_hook.store.database import Store

Shape = Literal["json_schema", "json_object", "text"]
Cap = Literal["max_completion_tokens", "max_tokens", "none"]

_KEPT = 7 * 86400.0  # seconds, after which an endpoint is tried anew: it may have been upgraded
_REFUSALS = (400, 404, 415, 422, 501)


@dataclass(frozen=True, slots=True)
class Ability:
    """`shape` is the strongest form of structured output that it takes, `cap` how it calls the limit of a reply.

    `proven` is whether a request in that shape was answered in that shape.
    """

    shape: Shape = "json_schema"
    cap: Cap = "max_tokens"
    proven: bool = False

    def body(self, model: str, messages: list[dict[str, str]], schema: Any, reply_tokens: int) -> dict[str, Any]:
        """The request."""
        body: dict[str, Any] = {"model": model, "messages": self._asked(messages, schema)}
        if self.cap != "none":
            body[self.cap] = reply_tokens
        if schema is not None and self.shape == "json_schema":
            form = {"name": "reply", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        elif schema is not None and self.shape == "json_object":
            body["response_format"] = {"type": "json_object"}
        return body

    def _asked(self, messages: list[dict[str, str]], schema: Any) -> list[dict[str, str]]:
        if schema is None or self.shape == "json_schema":
            return messages
        words = f"Answer with one JSON object and nothing else. It is valid under this JSON schema:\n{_dumped(schema)}"
        first, *rest = messages
        return [{**first, "content": f"{first['content']}\n\n{words}"}, *rest]

    def without(self, status: int, words: str, model: str, shaped: bool) -> Ability | None:
        """What is left after an endpoint answered so to a request, or None where nothing explains that."""
        low = words.lower()
        if status in _REFUSALS and self.cap != "none" and ("max_tokens" in low or "max_completion_tokens" in low):
            return replace(self, cap="none" if self._other_named(low) else _OTHER[self.cap])
        if model.lower() in low and ("not found" in low or "not exist" in low or "no such" in low):
            return None
        refused = status in _REFUSALS or (status >= 500 and not self.proven)
        return self.weaker() if shaped and refused else None

    def weaker(self) -> Ability | None:
        """The same with the next form of structured output, or None where there is none."""
        if self.shape == "text":
            return None
        return replace(self, shape="json_object" if self.shape == "json_schema" else "text", proven=False)

    def _other_named(self, low: str) -> bool:
        return self.cap == "max_completion_tokens" or "max_completion_tokens" not in low


_OTHER: dict[str, Cap] = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "none"}


def known(store: Store, endpoint: Endpoint) -> Ability:
    """What is known of an endpoint, or what is tried first."""
    first = Ability(cap="max_completion_tokens" if endpoint.base_url == OPENAI else "max_tokens")
    if store.is_absent():  # which looking does not make
        return first
    try:
        kept = json.loads(store.get_meta(_key(endpoint)) or "{}")
        fresh = 0 <= time.time() - kept["made"] < _KEPT
        valid = kept["shape"] in get_args(Shape) and kept["cap"] in get_args(Cap)
    except (ValueError, KeyError, TypeError, RecursionError):
        return first
    return Ability(kept["shape"], kept["cap"], kept.get("proven") is True) if fresh and valid else first


def remember(store: Store, endpoint: Endpoint, ability: Ability) -> None:
    """Keep what an endpoint was found to take."""
    store.set_meta(_key(endpoint), json.dumps({**asdict(ability), "made": time.time()}))


def _key(endpoint: Endpoint) -> str:
    return "llm " + hashlib.sha256(f"{endpoint.base_url}\0{endpoint.model}".encode()).hexdigest()[:32]


def _dumped(schema: Any) -> str:
    return json.dumps(schema, ensure_ascii=False)
