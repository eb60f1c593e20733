from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Load, Python
from llm_server import Answer, LlmServer

from poet_hook import api
from poet_hook.cli.main import main
from poet_hook.isolation.level import Tried, tried

CANARY = "sk-canary-0123456789abcdef"


@pytest.fixture(autouse=True)
def clean(project: Path) -> Iterator[None]:
    before = dict(os.environ)
    for name in before:
        if name.startswith(("OPENAI_", "POET_LLM")):
            del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(words) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    assert CANARY not in captured.out
    return captured.out


def findings(capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, list[tuple[str, str]]]:
    document = json.loads(said(capsys, "doctor", "--json", code=code))
    assert document["well"] == (code == 0)
    found: dict[str, list[tuple[str, str]]] = {}
    for item in document["findings"]:
        found.setdefault(item["about"], []).append((item["state"], item["words"]))
    return found


def test_without_an_endpoint_it_says_that_nothing_is_sent(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    os.environ["OPENAI_API_KEY"] = CANARY
    found = findings(capsys)
    assert found["language model"] == [("note", "no endpoint is configured (POET_MODEL is not set): nothing is sent")]
    assert found["store"] == [("ok", f"{project / '.poet'}: nothing is recorded yet")]
    assert not (project / ".poet").exists()
    assert "reachable" not in found


def test_an_endpoint_that_can_do_all(capsys: pytest.CaptureFixture[str]) -> None:
    with LlmServer('{"answer": "yes"}', key=CANARY) as server:
        os.environ.update(server.environ())
        found = findings(capsys)
    assert found["base_url"] == [("ok", f"{server.url} (environment variable OPENAI_BASE_URL)")]
    assert found["api_key"] == [("ok", "set (environment variable OPENAI_API_KEY)")]
    assert found["reachable"] == [("ok", server.url)]
    assert found["models"] == [("ok", "test-model is one of 1")]
    ((state, words),) = found["form"]
    assert state == "ok"
    assert words.startswith("keeps to a JSON schema (11 + 7 tokens in ")
    assert found["left for today"] == [("ok", "499 requests, 999,982 tokens (until 00:00 UTC)")]


@pytest.mark.parametrize(
    ("heeds", "forms"),
    [
        ("json_object", ["note", "ok"]),
        ("text", ["note", "note", "ok"]),
        ("nothing", ["note", "note", "note", "problem"]),
    ],
)
def test_a_form_counts_only_where_the_reply_keeps_to_it(
    capsys: pytest.CaptureFixture[str], heeds: str, forms: list[str]
) -> None:
    def reply(asked: Any) -> str:
        return '{"answer": "yes"}' if asked.shape == heeds else "Yes, it is."

    with LlmServer(reply) as server:
        os.environ.update(server.environ())
        found = findings(capsys, code=1 if heeds == "nothing" else 0)
        assert [state for state, _ in found["form"]] == forms


@pytest.mark.parametrize(
    ("change", "about", "words"),
    [
        ({"OPENAI_API_KEY": "sk-wrong"}, "language model", "HTTP 401: Incorrect API key provided; check OPENAI_API_KEY"),
        ({"POET_MODEL": "other"}, "language model", "The model `other` does not exist; does the URL end in /v1"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, "language model", "is the server running there?"),
        ({"POET_LLM_CALLS": "0"}, "language model", "today's calls for the language model are used up"),
        ({"POET_LLM_CALLS": "few"}, "language model", "POET_LLM_CALLS: 'few' can't be used"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    capsys: pytest.CaptureFixture[str], change: dict[str, str], about: str, words: str
) -> None:
    with LlmServer('{"answer": "yes"}', key=CANARY) as server:
        os.environ.update(server.environ() | change)
        found = findings(capsys, code=1)
    assert any(state == "problem" and words in text for state, text in found[about])


def test_a_server_without_a_list_of_models_is_asked_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    with LlmServer('{"answer": "no"}') as server:
        server.models = None
        os.environ.update(server.environ())
        assert findings(capsys)["models"] == [("note", "not told: HTTP 404: not found")]


def test_an_endpoint_that_a_file_names_is_told_and_not_asked(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    with LlmServer("yes") as server:
        (project / ".env").write_text(f"OPENAI_BASE_URL={server.url}\nPOET_MODEL=test-model\n")
        os.environ["OPENAI_API_KEY"] = CANARY
        found = findings(capsys)
        ((state, words),) = found["language model"]
        assert state == "note"
        assert words.endswith("nothing is sent; read it, then say: python -m poet_hook trust-endpoint")
        assert found["base_url"] == [("ok", f"{server.url} ({project / '.env'}: OPENAI_BASE_URL)")]
        assert server.requests == []


def test_a_dry_run_sends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with LlmServer("yes", key=CANARY) as server:
        os.environ.update(server.environ())
        text = said(capsys, "doctor", "--dry-run")
        assert f"POST {server.url}/chat/completions (doctor)" in text
        assert '"model": "test-model"' in text
        assert server.requests == []
        assert not api.settings().home.exists()


def test_the_log_shows_each_request_without_its_words(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    assert said(capsys, "llm-log") == "No language model was asked anything yet\n"
    assert not (project / ".poet").exists()
    with LlmServer(Answer("no schema here", status=400), '{"answer": "yes"}') as server:
        os.environ.update(server.environ() | {"POET_LLM_PRICE_IN": "1000", "POET_LLM_PRICE_OUT": "0"})
        assert "tokens/s, 0.011 of money)" in findings(capsys)["form"][1][1]
    lines = said(capsys, "llm-log").splitlines()
    assert lines[0].split() == ["time", "for", "function", "model", "tokens", "took", "outcome"]
    assert [line.split()[1] for line in lines[1:3]] == ["doctor", "doctor"]
    assert lines[1].endswith("ok")
    assert lines[2].endswith("failed: HTTP 400: no schema here")
    assert lines[3] == "today (UTC): 2 requests, 18 tokens, 0.011 of money"
    document = json.loads(said(capsys, "llm-log", "--json", "--limit", "1"))
    assert document["today"] == {"calls": 2, "tokens": 18, "money": 0.011}
    assert [call["outcome"] for call in document["calls"]] == ["ok"]


def test_a_damaged_store_is_a_problem(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    (project / ".poet").mkdir(mode=0o700)
    (project / ".poet" / "poet.db").write_text("no database")
    ((state, words),) = findings(capsys, code=1)["store"]
    assert state == "problem"
    assert "move it away" in words


def test_nothing_to_allow(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    assert said(capsys, "trust-endpoint", code=1) == f"{project}: no file of it says anything of an endpoint\n"
    assert said(capsys, "trust-endpoint", "--revoke") == f"{project}: nothing was allowed\n"


def test_how_well_other_code_is_locked_away(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tried()
    ((state, words),) = findings(capsys)["isolation"]
    assert words.startswith(found.level)
    assert state == ("ok" if found.level == "closed" else "note")
    monkeypatch.setattr("poet_hook.isolation.level.tried", lambda: Tried("limits", "it can delete a file"))
    assert findings(capsys)["isolation"] == [
        (
            "note",
            "limits: while it is judged, it can delete a file; what a model writes is proposed, and never goes live by itself",
        )
    ]


def test_no_command_sends_anything_because_of_a_checkout(
    capsys: pytest.CaptureFixture[str], project: Path, load: Load, python: Python
) -> None:
    source = (
        "# poet: optimize_for=accuracy, after=1000\ndef is_hot(celsius: float) -> bool:\n    return celsius > 45.0\n"
    )
    with LlmServer("yes") as server:
        theirs = f"OPENAI_BASE_URL={server.url}\nPOET_MODEL=test-model\nOPENAI_API_KEY=theirs\n"
        (project / ".env").write_text(theirs)
        (project / "pyproject.toml").write_text(f'[tool.poet_hook.llm]\nbase_url = "{server.url}"\nmodel = "m"\n')
        os.environ["OPENAI_API_KEY"] = CANARY
        is_hot = load(source).is_hot
        for celsius in range(40):
            result = api.call(is_hot, float(celsius))
            api.feedback(result, "hm, let me see what Ann thinks" if celsius % 5 else result.value == (celsius > 30))
        for words in (["read"], ["learn"], ["learn", "--dry-run"], ["doctor"], ["status"], ["ask"], ["llm-log"]):
            main(words)
        assert server.requests == []
        main(["trust-endpoint"])
        api.store().close()
        python("from poet_hook.cli.main import entry; entry()", "read", check=False)
        assert server.asked != []  # which shows that nothing but this was in the way
        assert CANARY not in repr(server.requests)
        captured = capsys.readouterr()
        assert CANARY not in captured.out + captured.err
    api.store().close()
    for path in project.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes()
