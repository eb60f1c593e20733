"""A question -> a model's reply: within the limits of the day, from what was asked before, or why there is none."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from poet_hook.errors import LlmError, StoreError, VersionError
from poet_hook.llm import ability as abilities
from poet_hook.llm import wire
from poet_hook.llm.ability import Ability
from poet_hook.llm.endpoint import Endpoint
from poet_hook.llm.ledger import Entry, Ledger, not_kept
from poet_hook.llm.redact import Secrets
from poet_hook.llm.reply import MAX_REPLY, NotExtracted, answer, completion, objects, strict_json
from poet_hook.settings import Settings, dotenv
from poet_hook.store.codec import utf8
from poet_hook.store.database import Store
from poet_hook.versions.sign import signature

logger = logging.getLogger("poet_hook")

LONGEST_PAUSE = 5.0  # seconds before the one retry; a server that wants more is not asked again
REST = 60.0  # seconds for which an endpoint that can't be used is left alone
_PAUSE = 0.5
_CEASE = {"timeout", "unreachable"}


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's reply: its text as it came, at most 64 KiB; `finish_reason` is "stop" where it is whole.

    `cached` says that it was asked before and nothing was sent; the tokens are those of then.
    """

    text: str
    finish_reason: str
    tokens_in: int
    tokens_out: int
    cached: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, without the secrets that were in it."""

    purpose: str
    function: str
    messages: list[dict[str, str]]
    schema: Any


class Client:
    """Asks one endpoint. With `dry_run`, that is given what would be sent, and nothing is."""

    def __init__(
        self, endpoint: Endpoint, store: Store, settings: Settings, dry_run: Callable[[str], None] | None = None
    ) -> None:
        self.endpoint = endpoint
        self.store = store
        self.settings = settings
        self.ledger = Ledger(store, endpoint)
        self.dry_run = dry_run
        self.secrets = Secrets([endpoint.key.reveal()] if endpoint.key else [], (os.environ, dotenv(settings.root)))
        self._resting: tuple[float, str, str] | None = None

    @property
    def rests(self) -> bool:
        """Whether the endpoint can't be used, and is left alone for a while."""
        return self._resting is not None and time.monotonic() < self._resting[0]

    def ask(
        self,
        purpose: str,
        system: str,
        user: str,
        schema: Mapping[str, Any] | None = None,
        function: str = "",
        n: int = 1,
        cache: bool = True,
    ) -> Reply:
        """The reply to these two messages; `n` is which of several replies: 2 asks for another one than 1.

        `schema` is a JSON schema; so that a server can keep to it strictly, each object has `additionalProperties:
        false` and requires all of its properties. A server may ignore it: whoever asks checks the reply. Known secrets
        are taken out of what is sent. `purpose` and `function` are for the log.

        Raises `LlmError`, and never anything else, where there is no reply.
        """
        try:
            question = self._question(purpose, function, system, user, schema)
            self._end_dry_run(question)
            key = self._key(question, n) if cache else ""
            kept = self.ledger.reply(key, purpose, function) if key else None
            if kept is not None:
                return Reply(kept[0], "stop", kept[1], kept[2], True, 0.0)
            reply = self._asked(question)
            if key and reply.finish_reason == "stop":
                self.ledger.keep(key, reply.text, reply.tokens_in, reply.tokens_out)
        except StoreError as error:
            raise not_kept(error) from error
        return reply

    def ask_as(self, form: Ability, purpose: str, system: str, user: str, schema: Mapping[str, Any]) -> Reply:
        """The reply to a request in just this form, which is remembered where the reply has an object in it.

        Nothing is taken from what was asked before. Raises as `ask` does.
        """
        try:
            question = self._question(purpose, "", system, user, schema)
            self._end_dry_run(question, form)
            return self._asked(question, form)
        except StoreError as error:
            raise not_kept(error) from error

    def _question(self, purpose: str, function: str, system: str, user: str, schema: Any) -> _Question:
        messages = [{"role": "system", "content": utf8(system)}, {"role": "user", "content": utf8(user)}]
        return _Question(purpose, function, self.secrets.hidden_within(messages), self.secrets.hidden_within(schema))

    def _asked(self, question: _Question, form: Ability | None = None) -> Reply:
        """Ask, with one retry where that may help, and with less where the endpoint does not take all of it."""
        if self.rests and self._resting:
            raise LlmError(*self._resting[1:])
        known = abilities.known(self.store, self.endpoint)
        able = form or known
        retried = False
        while True:
            try:
                reply = self._once(question, able)
            except wire.Failed as failed:
                again = failed.passing and not retried and failed.pause <= LONGEST_PAUSE
                less = able.without(failed.status, failed.words, self.endpoint.model, question.schema is not None)
                if less is not None and ((form and less.shape != form.shape) or (failed.status >= 500 and not again)):
                    less = None
                if less is None and not again:
                    error = self.error(failed)
                    self._rest(failed, error)
                    break
                if failed.passing:
                    retried = True
                    time.sleep(max(failed.pause, _PAUSE))
                able = less or able
            else:
                fits = question.schema is None or is_object(reply.text)
                less = None if fits or able.proven or form else able.weaker()  # who takes a schema may not heed it
                if less is not None:
                    able = less
                    continue
                self._remember(able, known, question.schema is not None, fits)
                return reply
        raise error  # outside, so that it does not hold what was caught

    def _remember(self, able: Ability, known: Ability, shaped: bool, fits: bool) -> None:
        proven = replace(able, proven=able.proven or shaped)
        if fits and proven != known:
            abilities.remember(self.store, self.endpoint, proven)

    def _once(self, question: _Question, able: Ability) -> Reply:
        """One request: entered in the account, sent, read, and corrected in the account."""
        wire.package()
        body = able.body(self.endpoint.model, question.messages, question.schema, self.endpoint.reply_tokens)
        tokens = _tokens(json.dumps(body, ensure_ascii=False))
        entry = self.ledger.enter(question.purpose, question.function, tokens)
        if able.cap in body:
            body[able.cap] = entry.reply_tokens
        started = time.perf_counter()
        try:
            data = wire.chat(self.endpoint, body)
            reply = _read(data, entry, time.perf_counter() - started)
            # it is kept, and whoever answers has the key
            reply = replace(reply, text=self.secrets.hidden_in(reply.text))
        except BaseException as error:
            failed = error if isinstance(error, wire.Failed) else None
            spent = (entry.tokens_in, entry.reply_tokens) if failed is None or failed.sent else (0, 0)
            words = f"failed: {failed.words if failed else type(error).__name__}"
            self._correct(entry, question, words, *spent, time.perf_counter() - started)
            raise
        self._correct(entry, question, "ok", reply.tokens_in, reply.tokens_out, reply.seconds)
        return reply

    def _correct(
        self, entry: Entry, question: _Question, outcome: str, tokens_in: int, tokens_out: int, seconds: float
    ) -> None:
        outcome = self.secrets.hidden_in(outcome)[:200]
        who = (question.purpose, question.function or "-", self.endpoint.model)
        row = (*who, tokens_in, tokens_out, seconds, outcome)
        logger.info("language model: %s for %s by %s, %d + %d tokens, %.2f s: %s", *row)
        try:
            self.ledger.correct(entry, outcome, tokens_in, tokens_out, seconds)
        except StoreError as error:  # it stands in the account as it was entered
            logger.debug("not corrected in the account: %s", error)

    def _rest(self, failed: wire.Failed, error: LlmError) -> None:
        """Leave an endpoint alone for a while that can't be used, so that not each question waits for it anew."""
        if failed.kind in _CEASE or failed.status in (401, 402, 403, 404, 429):
            until = time.monotonic() + REST
            self._resting = until, f"{error} (left alone for a minute)", error.kind

    def error(self, failed: wire.Failed) -> LlmError:
        """What is told of a failure."""
        words = self.secrets.hidden_in(failed.words)
        return LlmError(f"{self.endpoint.base_url}: {words}{_advice(failed, self.endpoint)}", failed.kind)

    def _key(self, question: _Question, n: int) -> str:
        """Under which a reply is kept, "" where none can be: signed, so that no checkout can bring replies along."""
        asked = [self.endpoint.base_url, self.endpoint.model, question.messages, question.schema, n]
        try:
            return signature(b"a reply to " + json.dumps(asked, sort_keys=True).encode(), self.settings)
        except VersionError:
            return ""

    def _end_dry_run(self, question: _Question, form: Ability | None = None) -> None:
        if self.dry_run is None:
            return
        able = form or abilities.known(self.store, self.endpoint)
        body = able.body(self.endpoint.model, question.messages, question.schema, self.endpoint.reply_tokens)
        head = f"POST {self.endpoint.base_url}/chat/completions ({question.purpose})"
        self.dry_run(f"{head}\n{json.dumps(body, indent=2, ensure_ascii=False)}")
        raise LlmError("a dry run: nothing was sent", "dry run")


def is_object(text: str) -> bool:
    """Whether there is an object of JSON in a reply."""
    read = answer(text, "stop")
    return isinstance(read, str) and any(isinstance(strict_json(part), dict) for part in objects(read))


def _read(data: bytes, entry: Entry, seconds: float) -> Reply:
    """The reply in the body of an answer. Raises `Failed` for anything else."""
    read = strict_json(data.decode("utf-8", "replace"))
    found = completion(read)
    if isinstance(found, NotExtracted):
        words = found.message if isinstance(read, dict) else "the server's answer is no JSON object"
        raise wire.Failed("reply", words)
    text, finish_reason = found
    if len(text.encode("utf-8", "surrogatepass")) > MAX_REPLY:
        raise wire.Failed("reply", f"the reply has more than {MAX_REPLY:,} bytes")
    usage = read.get("usage") if isinstance(read, dict) else None
    tokens_in = _count(usage, "prompt_tokens", entry.tokens_in)
    return Reply(text, finish_reason, tokens_in, _count(usage, "completion_tokens", _tokens(text)), False, seconds)


def _count(usage: object, name: str, otherwise: int) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if type(value) is int and 0 <= value < 1 << 40 else otherwise


def _tokens(text: str) -> int:
    """About how many tokens a text has, rather too many."""
    return len(text.encode("utf-8", "surrogatepass")) // 3 + 8


def _advice(failed: wire.Failed, endpoint: Endpoint) -> str:
    if failed.kind == "unreachable" and not failed.sent:
        return "; is the server running there? See OPENAI_BASE_URL"
    if failed.kind == "timeout":
        return "; raise POET_LLM_TIMEOUT, or take a faster model"
    if failed.status in (401, 403):
        return "; check OPENAI_API_KEY" if endpoint.key else "; it wants a key: set OPENAI_API_KEY where the URL is set"
    if failed.status == 404:
        return f"; does the URL end in /v1, and does it have the model {endpoint.model!r}?"
    if failed.status == 429:
        return "; it is asked too often, or your quota is used up"
    if failed.kind == "reply":
        return "; is this an OpenAI-compatible endpoint?"
    return ""
