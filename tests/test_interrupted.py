"""A learning run that is killed, or that two processes make at once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import Load, environment

import poet_hook
from poet_hook import api
from poet_hook.versions.chain import Chain

HOT = """
    # poet: optimize_for=accuracy, after=100000
    def is_hot(celsius: float) -> bool:
        return celsius > 55.0  # poet: tune 0..100
"""
KILLED = """
import os, signal, sqlite3, sys
import poet_hook
left = int(sys.argv[1])

def counted(real):
    def call(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return call

for name in "replace", "rename", "mkdir", "fsync":
    setattr(os, name, counted(getattr(os, name)))
learned = poet_hook.learn("is_hot")
print(left)
"""


@pytest.fixture
def taught(load: Load, project: Path) -> Path:
    m = load(HOT)
    for number in range(40):
        result = poet_hook.call(m.is_hot, float(number * 7 % 60))
        poet_hook.feedback(result, result.value == (number * 7 % 60 > 30))
    api.store().close()
    return project


def run(code: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(COVERAGE_PROCESS_CONFIG=""),
        check=check,
    )


def test_a_run_killed_at_any_step_can_be_made_again(taught: Path, tmp_path: Path) -> None:
    shutil.copytree(taught / ".poet", tmp_path / "before")
    step = 0
    while True:
        step += 1
        shutil.rmtree(taught / ".poet")
        shutil.copytree(tmp_path / "before", taught / ".poet")
        done = run(KILLED, str(step), check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        # what is there can be read, and runs, whether the promotion was made or not
        seen = run("import poet_hook.auto, m; print(m.is_hot(40.0)); print(poet_hook.status()[0].champion)")
        assert seen.stdout in ("False\n1\n", "True\n2\n"), seen.stdout
        assert seen.stderr == ""
        run("import poet_hook; poet_hook.learn('is_hot')")
        again = run("import json, poet_hook; s, = poet_hook.status(); print(json.dumps([s.champion, s.feedback]))")
        assert json.loads(again.stdout) == [2, 40]
        kept = {path.name for path in (taught / ".poet" / "functions" / "m.is_hot").iterdir()}
        assert {"v1", "v2", "champion.json"} <= kept
        assert all(not name.startswith("v") or name in ("v1", "v2") for name in kept)
    assert step > 8


def test_two_processes_that_learn_at_once_make_one_promotion(taught: Path) -> None:
    code = """
        import sys, poet_hook
        print("ready", flush=True)
        sys.stdin.readline()
        print(poet_hook.learn("is_hot").promoted)
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(COVERAGE_PROCESS_CONFIG=""),
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = sorted(process.communicate(timeout=60)[0] for process in processes)
    assert said == ["False\n", "True\n"]
    assert Chain(api.settings(), "m:is_hot").numbers() == [1, 2]
