"""What looks for canaries finds them: the rest of the suite says that there are none."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path

import canary
import pytest
from conftest import PACKAGE, environment
from llm_server import LlmServer

PLANTED = canary.KEY[::-1]  # stands for the key, so that the session does not find what is planted here


@pytest.fixture(autouse=True)
def other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "_KNOWN", {"the key": PLANTED.encode()})
    monkeypatch.setattr(canary, "leaks", [])


def test_it_is_found_in_files_of_all_kinds(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "log.txt").write_text(f"key: {PLANTED}\n")
    (tmp_path / "large").write_bytes(b"\0" * ((1 << 20) - 9) + PLANTED.encode())  # across two parts
    (tmp_path / PLANTED).touch()
    with sqlite3.connect(tmp_path / "store.db") as store:
        store.execute("create table t (x)")
        store.execute("insert into t values (?)", (f"a prompt with {PLANTED}",))
    store.close()
    (tmp_path / "nothing").write_text("nothing")
    os.symlink(tmp_path / "large", tmp_path / "link")
    found = sorted(canary.scan(tmp_path))
    places = ["deep/er/log.txt", "large", "store.db"]
    assert found == sorted(
        [*(f"the key in {tmp_path / place}" for place in places), f"the key in the name of {tmp_path / PLANTED}"]
    )


def test_it_is_found_in_what_a_server_is_sent() -> None:
    with LlmServer("ok") as server:
        for key, content in ((PLANTED, "nothing"), ("x", PLANTED)):
            body = f'{{"model": "test-model", "messages": [{{"role": "user", "content": "{content}"}}]}}'.encode()
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            request = urllib.request.Request(f"{server.url}/chat/completions", body, headers)
            with urllib.request.urlopen(request) as reply:
                assert reply.status == 200
    assert canary.leaks == ["the key in a request to /v1/chat/completions"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ("(tmp_path / 'left.txt').write_text(os.environ['OPENAI_API_KEY'])", "left.txt"),
        ("(tmp_path / 'left.txt').write_text(canary.PERSON)", "left.txt"),
        ("print(canary.KEY)", "Captured stdout call of"),
        ("logging.getLogger('poet_hook').warning(canary.PERSON)", "Captured log call of"),
        ("(tmp_path / 'left.txt').write_text('nothing')", None),
    ],
)
def test_a_session_that_leaves_it_behind_fails(tmp_path: Path, body: str, where: str | None) -> None:
    file = tmp_path / "test_leak.py"
    file.write_text(f"import logging, os\nimport canary\n\ndef test_leak(tmp_path):\n    {body}\n")
    tests = str(PACKAGE / "tests")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "inner"), str(file)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(PYTHONPATH=os.pathsep.join([str(PACKAGE), tests]), COVERAGE_PROCESS_CONFIG=""),
        check=False,
    )  # fmt: skip
    assert (done.returncode == 0) is (where is None), done.stdout + done.stderr
    assert where is None or ("the tests left behind" in done.stdout and where in done.stdout)
