from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

from benchmarks import learning, learning_big
from benchmarks.learning_report import Point, refinements
from benchmarks.learning_streams import INCUMBENT, NAMES, split

ROOT = Path(__file__).parents[1]
OURS = (learning.PROVEN, learning.AUTO)


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVERAGE_PROCESS_CONFIG", "")


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "learning.py"), *options],
        capture_output=True, text=True, check=True, timeout=500, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_quick_prints_every_method_at_every_count_and_draws_it(tmp_path: Path) -> None:
    done = run("--quick", "--json", "--out", str(tmp_path))
    assert done.stderr == ""  # nobody looks: no progress
    cells: list[dict[str, Any]] = json.loads(done.stdout)
    assert (tmp_path / "learning.png").read_bytes().startswith(b"\x89PNG")
    kinds = {(c["metric"], c["kind"]) for c in cells}
    assert kinds == {(metric, kind) for metric in learning.METRICS for kind in learning.KINDS}
    for metric, kind in kinds:
        rows = [c for c in cells if (c["metric"], c["kind"]) == (metric, kind)]
        methods = {learning.NOTHING, learning.UNGATED, *OURS}
        methods |= {learning.SKLEARN, learning.SAME_RUNS, learning.ASKED} if kind == "random" else set()
        assert {c["method"] for c in rows} == methods
        for method in methods:
            assert [c["feedbacks"] for c in rows if c["method"] == method] == list(learning.counts_of(kind))
        none = [c for c in rows if c["method"] == learning.NOTHING]
        assert len({c["regret"] for c in none}) == 1
        assert {c["worse"] for c in none} == {0.0}
    assert all(c["regret"] >= -1e-3 for c in cells)
    assert sum(c["worse"] for c in cells if c["method"] in OURS) <= 0.05 * sum(c["method"] in OURS for c in cells)


@pytest.mark.parametrize("name", NAMES)
def test_no_constant_is_better_than_the_best_of_a_stream(name: str) -> None:
    source = split(name, 3)
    for metric in learning.METRICS:
        values = [i / 97 for i in range(98)]
        assert max(source.score(metric, t) for t in values) <= source.best(metric) + 0.01
    drawn = [source.draw(random.Random(i)) for i in range(50)]
    assert drawn == [split(name, 3).draw(random.Random(i)) for i in range(50)]


def test_complaints_are_of_the_version_in_use_and_a_tenth_of_the_wrong_labels_is_wrong() -> None:
    source = split("bells 2 apart, 20%", 0)
    for item in learning.executions(source, "complaints", random.Random(1), lambda: INCUMBENT):
        assert item.said == (item.deserves if (item.score > INCUMBENT) != item.deserves else None)
    noisy = list(learning.executions(source, "wrong", random.Random(1), lambda: INCUMBENT))
    assert 0.07 < sum(item.said != item.deserves for item in noisy) / len(noisy) < 0.13


def test_a_loop_goes_back_to_its_parent_once_feedback_speaks_for_it() -> None:
    loop = learning.Loop("accuracy", ("proven",), champion=0.9, history=[INCUMBENT])
    source = split("bells 3 apart, 50%", 0)
    said = learning.executions(source, "random", random.Random(1), lambda: 0.9)
    loop.look([next(said) for _ in range(40)], [])
    assert (loop.champion, loop.history, loop.since) == (INCUMBENT, [], 40)


@pytest.mark.parametrize("number", [0, 1, 6])
def test_answers_about_rare_alerts_do_not_lower_f1(number: int) -> None:
    """A twentieth deserves an alert, and F1 is 0.18: saving most of the alerts looked good while it was taken for 0.5."""
    source = split("bells 1 apart, 5%", number)
    loop = learning.Loop("f1", ("proven", "provisional"))
    for _count, value, _seconds in learning.asked(source, f"bells 1 apart, 5% random {number}", loop, 10):
        assert source.score("f1", value) > source.score("f1", INCUMBENT) - 1


def test_a_proven_constant_is_refined_as_the_library_does_it() -> None:
    loop = learning.Loop("accuracy", ("proven", "provisional"))
    source = split("bells 3 apart, 50%", 0)
    said = list(itertools.islice(learning.executions(source, "random", random.Random(1), lambda: INCUMBENT), 40))
    loop.history, loop.champion, loop.turns, loop.began = [0.9], 0.7, [(0, 0.7)], 20.0  # 0.9 was replaced by 0.7
    loop.since = 25
    loop.look(said, [])
    (step,) = loop.refined
    assert step[0] == 0.7
    assert abs(step[1] - INCUMBENT) < 0.1
    assert (loop.history, loop.turns) == ([0.9], [(0, 0.7), (40, step[1])])
    loop.began = 1e-30
    loop.champion = 0.7
    loop.look(said, [])
    assert len(loop.refined) == 1


def test_refinements_are_counted_with_what_they_gained() -> None:
    points = [
        Point(learning.AUTO, "accuracy", "random", "a", count, 1.0, 1.0, 0.0, steps)
        for count, steps in ((5, ()), (10, (2.0, -1.5)), (20, (-0.5, 4.0)))
    ]
    told = refinements(points, "accuracy", "random")
    assert told.startswith("accuracy, random: 4 refinements in 1 runs, +1.00 points each; 50 % worse")
    assert "25 % by over 1 point" in told
    assert refinements(points, "f1", "random") == "f1, random: no refinement in 0 runs"


def test_a_thousand_random_labels_of_very_many_executions_lead_near_the_best_constants(tmp_path: Path) -> None:
    program = (
        "import dataclasses, json; from benchmarks.learning_big import measure;"
        "print(json.dumps(dataclasses.asdict(measure(2500, 250))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=500, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stderr == ""
    big = json.loads(done.stdout)
    assert big["promoted"]
    assert big["before"] < 0.5
    assert big["best"] - big["after"] < 0.06
    assert set(big["values"]) == set(learning_big.LIMITS)
