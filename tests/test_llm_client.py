from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from conftest import Load, Python, environment
from hypothesis import strategies as st
from llm_server import CERTIFICATE, Answer, LlmServer

from poet_hook import api
from poet_hook import settings as settings_module
from poet_hook.errors import LlmError, SettingsError
from poet_hook.llm import allowed, ledger, wire
from poet_hook.llm import client as client_module
from poet_hook.llm.client import Client
from poet_hook.llm.endpoint import OPENAI, Secret, configured, endpoint, said
from poet_hook.llm.redact import Secrets, shown_arguments, shown_outcome, shown_value
from poet_hook.settings import Settings
from poet_hook.store.database import Store
from poet_hook.transform.plan import plan_module

SCHEMA = {
    "type": "object",
    "properties": {"right": {"type": "boolean"}},
    "required": ["right"],
    "additionalProperties": False,
}
CANARY = "sk-canary-0123456789abcdef"


@pytest.fixture(autouse=True)
def clean(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "POET_LLM", "POET_MODEL")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(client_module, "_PAUSE", 0.01)


@pytest.fixture
def store(project: Path) -> Iterator[Store]:
    made = Store(project / ".poet")
    yield made
    made.close()


def at(server: LlmServer | None = None, **environ: str) -> Client:
    """A client of this server, in a process that has this environment."""
    settings = settings_module.load()
    for name, value in {**(server.environ() if server else {}), **environ}.items():
        os.environ[name] = value
    found = endpoint(settings)
    assert found is not None
    return Client(found, Store(settings.home), settings)


@pytest.fixture(autouse=True)
def environ_put_back() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def ask(client: Client, user: str = "is it right?", **options: Any) -> client_module.Reply:
    return client.ask("read", "you judge", user, **options)


# --------------------------------------------------------------------------- asking


def test_a_question_is_sent_and_its_reply_comes_back() -> None:
    with LlmServer("yes", key=CANARY) as server:
        reply = ask(at(server))
        assert (reply.text, reply.finish_reason, reply.tokens_in, reply.tokens_out) == ("yes", "stop", 11, 7)
        assert not reply.cached
        assert reply.seconds > 0
        (asked,) = server.asked
        assert (asked.system, asked.user, asked.body["model"]) == ("you judge", "is it right?", "test-model")
        assert asked.headers["authorization"] == f"Bearer {CANARY}"
        assert asked.body["max_tokens"] == 4096
        assert "response_format" not in asked.body


def test_what_was_asked_before_is_not_sent_again_but_another_reply_is() -> None:
    with LlmServer("one", "two", '{"right": true}') as server:
        first = at(server)
        assert ask(first).text == "one"
        again = ask(at(server))
        assert (again.text, again.cached, again.tokens_in) == ("one", True, 11)
        assert ask(first, n=2).text == "two"
        assert ask(first, schema=SCHEMA).text == '{"right": true}'
        assert ask(first, n=2).text == "two"
        assert len(server.asked) == 3
        assert ask(first, cache=False).text == '{"right": true}'
        lines = ledger.calls(first.store, 10)
        assert [line.outcome for line in lines] == ["ok", "cached", "ok", "ok", "cached", "ok"]
        assert {(line.purpose, line.function) for line in lines} == {("read", "")}


def test_replies_that_came_with_a_checkout_are_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LlmServer("theirs", "mine") as server:
        assert ask(at(server)).text == "theirs"
        monkeypatch.setenv("POET_USER_DIR", str(tmp_path / "another"))
        assert ask(at(server)).text == "mine"
        (tmp_path / "another" / "signing.key").write_text("broken")
        assert ask(at(server)).text == "mine"  # without a key, nothing is kept and nothing found
        assert ask(at(server)).cached is False
        assert len(server.asked) == 4


def test_a_reply_that_was_cut_off_is_told_and_not_kept() -> None:
    with LlmServer(Answer("ye", finish_reason="length"), "yes") as server:
        client = at(server)
        assert (ask(client).text, ask(client).text) == ("ye", "yes")


@pytest.mark.parametrize(
    ("refuses", "shapes", "caps"),
    [
        ((), ["json_schema"], [True]),
        (("json_schema",), ["json_schema", "json_object"], [True, True]),
        (("json_schema", "json_object"), ["json_schema", "json_object", "text"], [True, True, True]),
        (("max_tokens",), ["json_schema", "json_schema"], [True, False]),
    ],
)
def test_what_a_server_does_not_take_is_left_out_and_remembered(
    refuses: tuple[str, ...], shapes: list[str], caps: list[bool]
) -> None:
    with LlmServer('{"right": true}', refuses=refuses) as server:
        assert ask(at(server), schema=SCHEMA).text == '{"right": true}'
        assert [asked.shape for asked in server.asked] == shapes
        assert ["max_tokens" in asked.body for asked in server.asked] == caps
        last = server.asked[-1]
        if last.shape == "json_schema":
            assert last.body["response_format"]["json_schema"]["schema"] == SCHEMA
        else:
            assert json.dumps(SCHEMA) in last.system  # where the server can't hold the model to it, it is told
        ask(at(server), "another", schema=SCHEMA)  # another process, as it were
        assert [asked.shape for asked in server.asked] == [*shapes, shapes[-1]]


def test_a_server_that_fails_on_a_schema_is_asked_without_it() -> None:
    def reply(asked: Any) -> Answer:
        return Answer("{}") if asked.shape == "json_object" else Answer("grammar error", status=500)

    with LlmServer(reply) as server:
        assert ask(at(server), schema=SCHEMA).text == "{}"
        assert len(server.asked) == 2


def test_a_server_that_takes_a_schema_and_does_not_heed_it_is_told_in_words() -> None:
    def reply(asked: Any) -> str:
        return '{"right": true}' if json.dumps(SCHEMA) in asked.system else "It is right, I think."

    with LlmServer(reply) as server:
        assert ask(at(server), schema=SCHEMA).text == '{"right": true}'
        assert [asked.shape for asked in server.asked] == ["json_schema", "json_object"]
        ask(at(server), "another", schema=SCHEMA)
        assert server.asked[-1].shape == "json_object"
        server.say("It is right, I think.")  # of an endpoint that did it before, that is the model's fault
        assert ask(at(server), "more", schema=SCHEMA).text == "It is right, I think."
        assert len(server.asked) == 4


@pytest.mark.parametrize("status", [429, 500, 503])
def test_one_failure_that_may_pass_is_tried_once_more(status: int) -> None:
    with LlmServer(Answer("busy", status=status), "yes", Answer("busy", status=status)) as server:
        client = at(server)
        assert ask(client).text == "yes"
        server.say(Answer("still busy", status=status))
        with pytest.raises(LlmError, match=f"HTTP {status}: still busy"):
            ask(client, "more")
        assert len(server.asked) == 4
        assert [line.outcome[:12] for line in ledger.calls(client.store, 2)] == ["failed: HTTP"] * 2


def test_a_server_that_wants_a_long_pause_is_not_waited_for() -> None:
    with LlmServer(Answer("slow down", status=429, headers={"Retry-After": "90"})) as server:
        client = at(server)
        with pytest.raises(LlmError, match="slow down; it is asked too often") as error:
            ask(client)
        assert error.value.kind == "refused"
        with pytest.raises(LlmError, match="left alone"):
            ask(client, "more")
        assert len(server.asked) == 1


def test_a_connection_that_breaks_is_tried_once_more() -> None:
    with LlmServer(Answer("yes", hang_up=10), "yes") as server:
        assert ask(at(server)).text == "yes"
        server.say(Answer("yes", hang_up=10))
        with pytest.raises(LlmError, match="the connection broke"):
            ask(at(server), "more")
        assert len(server.asked) == 4


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("answer", [Answer("late", delay=20), Answer("late", drip=0.1)])
def test_time_is_up_however_slowly_bytes_come(answer: Answer, tls: bool) -> None:
    with LlmServer(answer, tls=tls) as server:
        client = at(server, POET_LLM_TIMEOUT="0.4", SSL_CERT_FILE=str(CERTIFICATE))
        started = time.monotonic()
        with pytest.raises(LlmError, match=r"no answer within 0.4 s; raise POET_LLM_TIMEOUT") as error:
            ask(client)
        assert error.value.kind == "timeout"
        with pytest.raises(LlmError, match="left alone"):  # a thousand questions do not wait a thousand times
            ask(client, "more")
        assert time.monotonic() - started < 3
        assert len(server.asked) == 1
        (line,) = ledger.calls(client.store, 5)
        assert (line.outcome, line.tokens_out) == ("failed: no answer within 0.4 s", 4096)  # it may be billed


def test_headers_that_never_end_take_no_longer() -> None:
    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.sendall(b"X: y\r\n")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        started = time.monotonic()
        with pytest.raises(LlmError, match=r"no answer within 0\.4 s"):
            ask(at(OPENAI_BASE_URL=url, POET_MODEL="m", POET_LLM_TIMEOUT="0.4"))
        assert time.monotonic() - started < 3
        thread.join()


def test_a_certificate_that_is_not_trusted_ends_it() -> None:
    with LlmServer("yes", tls=True, key=CANARY) as server:
        with pytest.raises(LlmError, match=r"(?i)certificate verify failed.*is the server running there"):
            ask(at(server))
        assert server.requests == []
        assert ask(at(server, SSL_CERT_FILE=str(CERTIFICATE))).text == "yes"


def test_nobody_there() -> None:
    with LlmServer() as server:
        gone = server.environ()
    client = at(**gone)
    with pytest.raises(LlmError, match=r"is the server running there\? See OPENAI_BASE_URL") as error:
        ask(client)
    assert error.value.kind == "unreachable"
    assert ledger.today(client.store)["tokens"] == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(None), "no text"),
        (Answer(""), "no text"),
        (Answer("x" * (64 * 1024 + 1)), "more than 65,536 bytes"),
        (Answer(body=b"x" * (wire.MAX_BYTES + 1)), "more than 1,048,576 bytes"),
        (Answer("e" * 2_000_000, status=418), "more than 1,048,576 bytes"),
        (Answer(body=b"<html>hello</html>"), "no JSON object"),
        (Answer(body=b"[" * 100_000), "no JSON object"),
        (Answer(body=b'{"choices": []}'), "no message"),
        (Answer(body=b'{"choices": [{"message": null}]}'), "no message"),
        (Answer(body=b""), "no JSON object"),
        (Answer(body=b"\xff\xfe"), "no JSON object"),
        (Answer(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}), "compressed"),
        (Answer(status=302, headers={"Location": "http://127.0.0.1:9/"}), "HTTP 302"),
        (Answer("your context\nis \x1b[31mlong " + "x" * 5000, status=413), "HTTP 413: your context is "),
        (Answer(None, message={"refusal": "I can't"}), "no text"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_odd_answers_are_errors_in_words(answer: Answer, words: str) -> None:
    with LlmServer(answer) as server:
        client = at(server)
        with pytest.raises(LlmError, match=words) as error:
            ask(client)
        assert len(str(error.value)) < 600
        assert str(error.value).isprintable()
        assert len(server.requests) == 1
        assert ledger.calls(client.store, 1)[0].outcome.startswith("failed: ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("choices message content finish_reason usage prompt_tokens error text type".split()), inner
        )
    ),
    max_leaves=12,
)


def test_whatever_a_server_answers_is_a_reply_or_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_PAUSE", 0.0)
    answers = st.builds(
        Answer,
        status=st.sampled_from([200, 200, 200, 204, 302, 400, 404, 429, 500]),
        body=st.binary(max_size=200) | JSON.map(lambda tree: json.dumps(tree).encode()),
        headers=st.dictionaries(
            st.sampled_from(["Retry-After", "Content-Type", "Content-Encoding", "Location"]),
            st.sampled_from(["0", "-1", "nan", "1e400", "text/event-stream", "br", "Wed, 21 Oct 2015 07:28:00 GMT"]),
        ),
    )
    with LlmServer() as server:
        at(server, POET_LLM_CALLS="1000000", POET_LLM_TOKENS="1000000000")

        @hypothesis.settings(max_examples=80, deadline=None, database=None)
        @hypothesis.given(answers, st.booleans())
        def odd(answer: Answer, shaped: bool) -> None:
            server.say(answer)
            told = "fine"
            try:
                reply = ask(at(), "again", schema=SCHEMA if shaped else None, cache=False)
            except LlmError as error:
                told = str(error)
            else:
                assert reply.text.strip()
            assert told.isprintable()

        odd()


def test_odd_numbers_of_tokens_are_not_believed() -> None:
    with LlmServer(Answer("yes", tokens=(-5, 1 << 60)), Answer("yes", tokens=None)) as server:
        for question in ("a", "b"):
            reply = ask(at(server), question)
            assert 0 < reply.tokens_in < 200
            assert 0 < reply.tokens_out < 20


def test_a_wrong_key_and_a_wrong_model_say_what_to_do() -> None:
    with LlmServer(key=CANARY) as server:
        with pytest.raises(LlmError, match="HTTP 401: Incorrect API key provided; check OPENAI_API_KEY"):
            ask(at(server, OPENAI_API_KEY="sk-another"))
        with pytest.raises(LlmError, match="it wants a key: set OPENAI_API_KEY"):
            ask(at(server, OPENAI_API_KEY=""))
        with pytest.raises(LlmError, match="does not exist; does the URL end in /v1, and does it have the model 'no'"):
            ask(at(server, POET_MODEL="no"), schema=SCHEMA)
        assert len(server.asked) == 3


# --------------------------------------------------------------------------- limits


def test_the_calls_of_a_day_are_limited() -> None:
    with LlmServer("yes") as server:
        client = at(server, POET_LLM_CALLS="2")
        ask(client, "a")
        ask(client, "b")
        with pytest.raises(
            LlmError, match=r"today's calls .* are used up \(2 calls\): .* or raise POET_LLM_CALLS"
        ) as e:
            ask(client, "c")
        assert e.value.kind == "budget"
        assert ask(client, "a").cached  # which costs nothing
        assert len(server.asked) == 2
        assert client.ledger.left().calls == 0


def test_the_tokens_of_a_day_limit_the_length_of_a_reply_and_then_end_it() -> None:
    with LlmServer(Answer("yes", tokens=(100, 300))) as server:
        client = at(server, POET_LLM_TOKENS="800")
        ask(client, "a")
        assert 500 < server.asked[0].body["max_tokens"] < 800
        assert client.ledger.left().tokens == 400
        ask(client, "b")
        with pytest.raises(LlmError, match=r"today's tokens .* 0 are left") as error:
            ask(client, "c")
        assert error.value.kind == "budget"
        assert len(server.asked) == 2


def test_the_money_of_a_day_is_limited() -> None:
    prices = {"POET_LLM_PRICE_IN": "10", "POET_LLM_PRICE_OUT": "1000", "POET_LLM_MONEY": "1.5"}
    with LlmServer(Answer("yes", tokens=(100, 1000))) as server:
        client = at(server, **prices)
        ask(client, "a")
        assert 1400 < server.asked[0].body["max_tokens"] < 1500
        assert client.ledger.left().money == pytest.approx(1.5 - 1.001)
        ask(client, "b")
        with pytest.raises(LlmError, match=r"today's money .* raise POET_LLM_MONEY"):
            ask(client, "c")
        assert len(server.asked) == 2


SHARED = """
    import sys
    from poet_hook import api
    from poet_hook.errors import LlmError
    from poet_hook.llm.client import Client
    from poet_hook.llm.endpoint import endpoint

    client = Client(endpoint(api.settings()), api.store(), api.settings())
    for number in range(10):
        try:
            client.ask("read", "s", f"{sys.argv[1]} {number}")
        except LlmError as error:
            print(error.kind)
"""


def test_processes_share_the_limits(project: Path) -> None:
    with LlmServer(Answer("yes", delay=0.02)) as server:
        code = "\n".join(line[4:] for line in SHARED.splitlines())
        env = environment(**server.environ(), POET_LLM_CALLS="7", COVERAGE_PROCESS_CONFIG="")
        started = [
            subprocess.Popen([sys.executable, "-c", code, name], env=env, stdout=subprocess.PIPE, text=True)
            for name in "ab"
        ]
        said = [process.communicate(timeout=60)[0].split() for process in started]
        assert [process.returncode for process in started] == [0, 0]
        assert len(server.asked) == 7
        assert sorted(word for words in said for word in words) == ["budget"] * 13


def test_what_a_killed_process_had_sent_stays_counted(project: Path) -> None:
    with LlmServer(Answer("yes", delay=30)) as server:
        code = "\n".join(line[4:] for line in SHARED.splitlines())
        env = environment(**server.environ(), COVERAGE_PROCESS_CONFIG="")
        process = subprocess.Popen([sys.executable, "-c", code, "a"], env=env)
        deadline = time.monotonic() + 30
        while not server.asked and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        process.wait()
        client = at(server)
        (call,) = ledger.calls(client.store, 5)
        assert (call.outcome, call.tokens_out) == ("open", 4096)
        left = client.ledger.left()
        assert left.calls == 499
        assert left.tokens == 1_000_000 - 4096 - call.tokens_in


def test_a_store_that_came_with_a_checkout_does_not_raise_the_limits(store: Store) -> None:
    with LlmServer("yes") as server:
        client = at(server, POET_LLM_TOKENS="500")
        add = "INSERT INTO llm_calls (day, started, purpose, function, model, outcome, tokens_in, tokens_out, cost, seconds)"
        with store.write() as connection:
            row = (ledger._today(), -1_000_000, -1_000_000, -5.0)
            connection.execute(f"{add} VALUES (?, 0, '', '', '', 'ok', ?, ?, ?, 0)", row)
        assert client.ledger.left().tokens == 500
        ask(client)
        with store.write() as connection:
            connection.execute(f"{add} VALUES (?, 'x', x'ff', 0, 0, 0, 1e999, 'many', 1e999, '')", row[:1])
        with pytest.raises(LlmError, match="are used up"):
            ask(client, "more")
        assert [call.outcome for call in ledger.calls(store, 9)] == ["ok", "ok"]


def test_where_no_account_can_be_kept_nothing_is_sent(project: Path) -> None:
    (project / ".poet").write_text("no folder")
    with LlmServer("yes") as server:
        with pytest.raises(LlmError, match="no account can be kept of what is asked, so nothing was sent"):
            ask(at(server))
        assert server.requests == []


def test_the_package_that_asks_is_imported_when_something_is_sent_and_may_be_missing(python: Python) -> None:
    code = """
        import sys
        from poet_hook import api
        from poet_hook.errors import LlmError
        from poet_hook.llm.client import Client
        from poet_hook.llm.endpoint import endpoint

        client = Client(endpoint(api.settings()), api.store(), api.settings())
        print({"openai", "httpx2", "pydantic"} & set(sys.modules))
        sys.modules["openai"] = None
        try:
            client.ask("read", "s", "u")
        except LlmError as error:
            print(error.kind, error)
        print(client.ledger.left().calls)
    """
    with LlmServer("yes") as server:
        done = python(code, **server.environ())
        assert server.requests == []
    assert done.stdout.splitlines() == [
        "set()",
        "missing the package openai is not installed; say: pip install 'poet_hook[llm]'",
        "500",
    ]


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(project: Path) -> None:
    shown: list[str] = []
    with LlmServer("yes", key=CANARY) as server:
        client = at(server)
        client.dry_run = shown.append
        with pytest.raises(LlmError, match="nothing was sent") as error:
            ask(client, "is 35 hot?", schema=SCHEMA)
        assert error.value.kind == "dry run"
        assert server.requests == []
        (text,) = shown
        assert text.startswith(f"POST {server.url}/chat/completions (read)\n")
        assert json.loads(text.partition("\n")[2])["messages"][1] == {"role": "user", "content": "is 35 hot?"}
        assert CANARY not in text


# --------------------------------------------------------------------------- which endpoint


def seen(root: Path, env: str = "", toml: str = "", **environ: str) -> Settings:
    if env:
        (root / ".env").write_text(env)
    if toml:
        (root / "pyproject.toml").write_text(toml)
    os.environ.update(environ)
    return settings_module.load(root)


def test_nothing_is_configured_by_a_key_alone(project: Path) -> None:
    found = configured(seen(project, OPENAI_API_KEY=CANARY))
    assert found.endpoint is None
    assert found.why_not == "no endpoint is configured (POET_MODEL is not set): nothing is sent"
    assert CANARY not in repr(found)


def test_a_model_and_a_key_mean_the_default_endpoint(project: Path) -> None:
    found = endpoint(seen(project, OPENAI_API_KEY=CANARY, POET_MODEL="gpt-x"))
    assert found is not None
    assert (found.base_url, found.model, found.own) == (OPENAI, "gpt-x", True)
    assert found.key is not None
    assert found.key.reveal() == CANARY
    assert CANARY not in repr(found)
    with pytest.raises(TypeError):
        found.key.__reduce__()
    assert str(Secret("x")) == "set"


@pytest.mark.parametrize(
    "files",
    [
        {"env": "OPENAI_BASE_URL={url}\nPOET_MODEL=test-model\n"},
        {"env": "OPENAI_BASE_URL={url}\nPOET_MODEL=test-model\nOPENAI_API_KEY=theirs\n"},
        {"env": "OPENAI_BASE_URL={url}\n", "own": True},
        {"env": "OPENAI_API_KEY=theirs\n", "own": True, "no_key": True},
        {"env": "POET_LLM_CALLS=100000\n", "own": True},
        {"toml": '[tool.poet_hook.llm]\nbase_url = "{url}"\nmodel = "test-model"\n'},
        {"toml": '[tool.poet_hook.llm]\nbase_url = "{url}"\n', "own": True},
    ],
    ids=str,
)
def test_a_checkout_makes_nothing_be_sent_before_it_is_allowed(project: Path, files: dict[str, Any]) -> None:
    with LlmServer("yes") as server:
        texts = {k: v.replace("{url}", server.url) for k, v in files.items() if isinstance(v, str)}
        own = {"POET_MODEL": "test-model"} if files.get("own") else {}
        key = {} if files.get("no_key") else {"OPENAI_API_KEY": CANARY}
        found = configured(seen(project, **texts, **own, **key))
        assert found.endpoint is None
        assert "python -m poet_hook trust-endpoint" in found.why_not
        assert server.requests == []
        assert CANARY not in repr(found)


def test_what_was_read_and_allowed_counts_until_it_says_something_else(project: Path, python: Python) -> None:
    with LlmServer("yes", key="theirs") as server:
        text = f"OPENAI_BASE_URL={server.url}\nPOET_MODEL=test-model\nOPENAI_API_KEY=theirs\n"
        settings = seen(project, env=text, OPENAI_API_KEY="")
        del os.environ["OPENAI_API_KEY"]
        assert endpoint(settings) is None
        done = python("from poet_hook.cli.main import entry; entry()", "trust-endpoint")
        assert "allowed: api_key = set" in done.stdout
        assert "theirs" not in done.stdout
        found = endpoint(settings)
        assert found is not None
        assert found.own is False
        assert ask(Client(found, Store(settings.home), settings)).text == "yes"
        (project / ".env").write_text(text.replace("127.0.0.1", "127.0.0.2"))
        assert endpoint(settings) is None
        (project / ".env").write_text(f"{text}POET_LLM_CALLS=100000\n")
        assert endpoint(settings) is None
        (project / ".env").write_text(text)
        assert endpoint(settings) is not None
        python("from poet_hook.cli.main import entry; entry()", "trust-endpoint", "--revoke")
        assert endpoint(settings) is None
        kept = (project.parent / "user" / "endpoints.json").read_text()
        assert "theirs" not in kept
        assert (project.parent / "user" / "endpoints.json").stat().st_mode & 0o777 == 0o600


def test_a_copy_of_the_project_elsewhere_is_not_allowed(project: Path) -> None:
    settings = seen(project, env="POET_MODEL=m\n")
    allowed.allow(settings, said(settings))
    assert endpoint(settings) is not None
    other = project.parent / "other"
    other.mkdir()
    (other / "pyproject.toml").touch()
    (other / ".env").write_text("POET_MODEL=m\n")
    assert endpoint(settings_module.load(other)) is None


@pytest.mark.parametrize("place", [".env", "pyproject.toml"])
def test_a_key_of_this_user_is_never_sent_to_an_endpoint_that_a_file_named(project: Path, place: str) -> None:
    with LlmServer("yes") as server:
        table = f'[tool.poet_hook.llm]\nbase_url = "{server.url}"\nmodel = "test-model"\n'
        (project / place).write_text(
            table if place.endswith("toml") else f"OPENAI_BASE_URL={server.url}\nPOET_MODEL=test-model\n"
        )
        names = ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID")
        settings = seen(project, **dict.fromkeys(names, CANARY), OPENAI_CUSTOM_HEADERS=f"X-Mine: {CANARY}")
        allowed.allow(settings, said(settings))
        found = configured(settings)
        assert found.endpoint is not None
        assert "is withheld" in found.notes[0]
        assert CANARY not in repr(found)
        assert ask(Client(found.endpoint, Store(settings.home), settings)).text == "yes"
        (asked,) = server.asked
        assert CANARY not in repr(asked)
        assert "authorization" not in asked.headers
        odd = [name for name in asked.headers if name.startswith(("x-", "openai"))]
        assert odd == ["x-stainless-raw-response"]


def test_what_else_the_environment_says_to_openai_goes_to_an_endpoint_of_ones_own() -> None:
    with LlmServer("yes", key=CANARY) as server:
        ask(at(server, OPENAI_ORG_ID="org-1"))
        assert server.asked[0].headers["openai-organization"] == "org-1"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"POET_LLM_CALLS": "many"}, "POET_LLM_CALLS: 'many' can't be used; it takes a whole number from 0 on"),
        ({"POET_LLM_CALLS": "1.5"}, "a whole number"),
        ({"POET_LLM_CALL": "5"}, "POET_LLM_CALL: there is no such setting; did you mean POET_LLM_CALLS?"),
        ({"POET_LLM_X": "5"}, "there is no such setting; there are POET_LLM_CALLS, POET_LLM_MONEY"),
        ({"POET_LLM_TIMEOUT": "0"}, "a number from 0.1 on"),
        ({"POET_LLM_TIMEOUT": "nan"}, "a number from 0.1 on"),
        ({"POET_LLM_MONEY": "5"}, "needs prices per million tokens"),
        ({"OPENAI_BASE_URL": "localhost:11434"}, "is no URL of an endpoint"),
        ({"OPENAI_BASE_URL": "file:///etc/passwd"}, "is no URL of an endpoint"),
        ({"OPENAI_BASE_URL": f"http://me:{CANARY}@host/v1"}, "without a user, a password"),
        ({"OPENAI_BASE_URL": f"http://host/v1?key={CANARY}"}, "without a user, a password or a query"),
        ({"OPENAI_BASE_URL": "http://[::1/v1"}, "this is no URL"),
        ({"OPENAI_BASE_URL": "http://host:99999/v1"}, "this is no URL"),
        ({"OPENAI_API_KEY": "a\nb"}, "must be a short text"),
        ({"OPENAI_API_KEY": "käse"}, "this can be no key"),
        ({"POET_MODEL": "m" * 501}, "must be a short text"),
        ({"toml": "[tool.poet_hook.llm]\napi_key = 'x'"}, "[tool.poet_hook.llm] has no setting api_key; it takes base_url"),
        ({"toml": "[tool.poet_hook]\nllm = 3"}, "[tool.poet_hook.llm] has no setting 3"),
    ],
)  # fmt: skip
def test_values_that_can_not_be_used(project: Path, given: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as error:
        endpoint(seen(project, **{"POET_MODEL": "m", **given}))
    assert words in str(error.value)
    assert CANARY not in str(error.value)


def test_a_value_of_another_type_in_pyproject_is_refused(project: Path) -> None:
    settings = seen(project, toml='[tool.poet_hook.llm]\nmodel = ["m"]\ncalls = true\n')
    assert endpoint(settings) is None  # what was not allowed is not even called wrong
    allowed.allow(settings, said(settings))
    with pytest.raises(SettingsError, match=r"pyproject\.toml: calls: 'True' can't be used"):
        endpoint(settings)


def test_a_server_on_this_machine_is_never_asked_through_a_proxy() -> None:
    with LlmServer("yes") as server, LlmServer("the proxy") as proxy:
        proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), proxy.url.removesuffix("/v1"))
        assert ask(at(server, **proxies)).text == "yes"
        assert proxy.requests == []
        away = at(**proxies, OPENAI_BASE_URL="http://models.invalid/v1", POET_MODEL="test-model")
        assert ask(away).text == "the proxy"  # as the environment says, for what is elsewhere


# --------------------------------------------------------------------------- what leaves


def test_secrets_are_in_no_message_error_log_file_or_document(
    project: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    hidden = {"MY_API_KEY": CANARY, "DB_PASSWORD": 'p"a\\ss/word', "HF_TOKEN": "hf_abcdefgh"}
    (project / ".env").write_text("DATABASE=postgres://me:opensesame@host/db\nMAIL_PASSWORD=correcthorse\n")
    echo = f"wrong key {CANARY}, {CANARY} and hf_abcdefgh"
    with LlmServer(Answer(echo, status=400), "{}", key="k-of-the-endpoint") as server:
        client = at(server, **hidden, TOKENIZER_PARALLEL="true")
        odd = hidden["DB_PASSWORD"]
        text = f"true: {CANARY} 'hf_abcdefgh' {odd} {odd!r} {json.dumps(odd)} p%22a%5Css%2Fword k-of-the-endpoint"
        text += " opensesame correcthorse"
        with pytest.raises(LlmError) as error:
            ask(client, text)
        with pytest.raises(LlmError):
            Client(client.endpoint, client.store, settings_module.load(), caplog.records.append).ask("x", text, text)  # type: ignore[arg-type]
        ask(client, f"{text} again", schema={"type": "object", "title": CANARY})
        sent = "".join(json.dumps(asked.body, ensure_ascii=False) for asked in server.asked)
        assert sent.count("true: <secret>") == 2
        everything = [sent, str(error.value), repr(error.value.__cause__), repr(error.value.__context__), caplog.text]
        everything += [repr(ledger.calls(client.store, 9)), repr(client.endpoint), repr(client), repr(vars(client))]
        client.store.close()
        everything += [path.read_bytes().decode("latin-1") for path in project.glob(".poet/**/*") if path.is_file()]
        for text in everything:
            for secret in ("canary", "hf_abcdefgh", "p%22a", "ss/word", "k-of-the", "opensesame", "correcthorse"):
                assert secret not in text
        assert "is it" not in caplog.text


def test_a_limit_of_tokens_is_no_secret() -> None:
    secrets = Secrets(
        [], [{"POET_LLM_TOKENS": "1000000", "MAX_TOKENS": "1000000", "MY_TOKENS": "abcdefg", "A_TOKEN": "7654321"}]
    )
    assert secrets.hidden_in("1000000 abcdefg 7654321") == "1000000 <secret> <secret>"
    assert Secrets([], []).hidden_in("as it is") == "as it is"


def test_characters_that_no_server_takes_are_spelled_out() -> None:
    with LlmServer("yes") as server:
        assert ask(at(server), "lone \ud800 \x00 ü").text == "yes"
        assert server.asked[0].user == "lone \\ud800 \x00 ü"


LEARNS = """
    # poet: optimize_for=accuracy{options}
    def may_enter(user: str, pin: str, history: list) -> bool:
        if pin == "raise":
            raise ValueError(f"no {{user}} with {{pin}}")
        return len(pin) > 3
"""


@pytest.mark.parametrize(
    ("options", "arguments", "outcome", "raised"),
    [
        ("", {"user": "'ann'", "pin": "'0815'"}, "True", "raised ValueError: no ann with raise"),
        (", record.pin=none", {"user": "'ann'", "pin": "<not recorded>"}, "True", "raised ValueError"),
        (", record.pin=hash", {"user": "'ann'", "pin": "<not recorded>"}, "True", "raised ValueError"),
        (", record.pin=shape", {"user": "'ann'", "pin": "<not recorded>"}, "True", "raised ValueError"),
        (", record=hash", {"user": "<not recorded>", "pin": "<not recorded>"}, "<not recorded>", "raised ValueError"),
    ],
)
@pytest.mark.parametrize("hidden_later", [False, True])
def test_what_record_hides_is_in_no_prompt(
    load: Load, options: str, arguments: dict[str, str], outcome: str, raised: str, hidden_later: bool
) -> None:
    module = load(LEARNS.format(options="" if hidden_later else options))
    module.may_enter("ann", "0815", list(range(5000)))
    with pytest.raises(ValueError):
        module.may_enter("ann", "raise", [])
    first, second = api.store().executions("m:may_enter")
    source = textwrap.dedent(LEARNS.format(options=options))
    (plan,) = [target.plan for target in plan_module(source, "m.py", "m").targets]
    shown = shown_arguments(plan, first)
    assert {name: shown[name] for name in arguments} == arguments
    assert len(shown["history"]) < 700
    if options != ", record=hash":
        assert shown["history"].startswith("[0, 1, 2, ")
        assert shown["history"].endswith(" 4998, 4999]")
    assert (shown_outcome(plan, first), shown_outcome(plan, second)) == (outcome, raised)


def test_odd_values_are_shown_in_one_line() -> None:
    assert shown_value("a\nb") == r"'a\nb'"
    assert shown_value(10**5000) == "<not recorded>"
    assert "\n" not in shown_value({"a": [1.0] * 1000})
