"""Whatever is recorded how, and whatever is said when: what a model is shown, and what it never is."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Iterator

import pytest
from conftest import Load
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from llm_server import Asked, LlmServer

import poet_hook
from poet_hook import api
from poet_hook.learning.search import FIRST_OFFER

SOURCE = """\
# poet: optimize_for=accuracy, after=1000{modes}
def is_long(text: str, name: str, names: list[str], known: dict[str, str], whole: object) -> bool:
    return len(text) > 45
"""
HIDDEN = ("name", "names", "known", "whole")
MODES = st.fixed_dictionaries({each: st.sampled_from(["full", "hash", "shape", "none"]) for each in HIDDEN})
_modules = itertools.count()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LlmServer]:
    with LlmServer(replied) as server:
        for name, value in {**server.environ(), "POET_LLM_CALLS": "100000"}.items():
            monkeypatch.setenv(name, value)
        yield server


def replied(request: Asked) -> str:
    """All feedback says wrong, and suggests something; the code does as well as the function that it replaces."""
    if request.system.startswith("You improve"):
        return "I don't know."
    (text,) = set(re.findall(r"once in a blue moon \w+", request.user)) or {""}
    quote = "once in a blue moon"
    said = {"judgement": "wrong", "sure": True, "quote": quote, "field": None, "expected": None, "suggestion": text}
    return json.dumps(said)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(modes=MODES, seed=st.integers(0, 1 << 32), count=st.integers(30, 60))
def test_what_is_hidden_and_what_comes_later_is_in_no_prompt(
    load: Load, server: LlmServer, modes: dict[str, str], seed: int, count: int
) -> None:
    chance, module = random.Random(seed), f"m{next(_modules)}"
    written = ", ".join(f"record.{name}={mode}" for name, mode in modes.items())
    function = load(SOURCE.format(modes=f", {written}"), module).is_long
    server.requests.clear()
    tokens = {(name, i): f"{name}{chance.getrandbits(64):016x}" for name in ("text", *HIDDEN) for i in range(count)}
    calls = []
    for i in range(count):
        own = {name: tokens[name, i] for name in ("text", *HIDDEN)}
        text = own["text"] + chance.choice(["", "." * 40])
        whole = chance.choice([own["whole"], (own["whole"],), {"a": [own["whole"]]}, own["whole"].encode()])
        call = poet_hook.call(
            function, text, own["name"], [own["name"], own["names"]][1:], {own["known"]: own["known"]}, whole
        )
        calls.append(call)
    suggested = {i: f"{chance.getrandbits(64):016x}" for i in range(count)}
    known: list[int] = []  # of which executions, and when: what a model reads is known when it was read
    spoken = chance.sample(range(count), count)
    for part in (spoken[: count // 3], spoken[count // 3 :]):
        read = [i for i in part if chance.random() < 0.3]
        for i in part:
            if i in read:
                poet_hook.feedback(calls[i], f"hm hm, once in a blue moon {suggested[i]}")
            else:
                poet_hook.feedback(calls[i], {"expected": calls[i].value is not (chance.random() < 0.5)})
        api.read_feedback(function)
        known += [*(i for i in part if i not in read), *read]
    poet_hook.learn(function)
    sent = json.dumps([request.body for request in server.asked], ensure_ascii=False)
    hidden = [name for name, mode in modes.items() if mode != "full"]
    assert [token for (name, _), token in tokens.items() if name in hidden and token in sent] == []
    asked = [request.user for request in server.asked if request.system.startswith("You improve")]
    shown, later = known[: max(FIRST_OFFER, count // 2)], known[max(FIRST_OFFER, count // 2) :]
    for i in later:
        assert not any(tokens[name, i] in user for name in ("text", *HIDDEN) for user in asked)
        assert not any(suggested[i] in user for user in asked)
    assert not asked or any(tokens["text", i] in user for i in shown for user in asked)
    event("asked" if asked else "not asked")
    event("suggested" if any(text in user for text in suggested.values() for user in asked) else "not suggested")
