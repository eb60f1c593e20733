from __future__ import annotations

import csv
import json
import os
import random
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import nab, nab_scoring
from poet_hook.store.database import Store
from poet_hook.transform.plan import plan_module

FILES, ROWS, HALF = 10, 800, 400
NAIVE = 3.0


def series(seed: int, other: bool) -> list[float]:
    """Noise with bumps that are nothing, and a large one in each window; `other`: it is the bumps that are large."""
    first, second = random.Random(seed), random.Random(seed + (100 if other else 50))
    values = [(first if row < HALF else second).gauss(0, 1) for row in range(ROWS)]
    for row in (130, 142, 154, 210, 222, 234):
        values[row] = 6.0 + first.random()
    values[420] = values[530] = 60.0 if other else 6.0
    values[315], values[605] = 60.0, 6.0 if other else 60.0
    return values


def write(folder: Path, other: bool = False) -> Path:
    labels = {}
    for number in range(FILES):
        name = f"real{number % 2}/metric_{number}.csv"
        stamps = [str(datetime(2024, 1, 1) + timedelta(minutes=5 * row)) for row in range(ROWS)]
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["timestamp", "value"])
            rows.writerows(zip(stamps, series(number, other), strict=True))
        labels[name] = [[stamps[300], stamps[330]], [stamps[600], stamps[630]]]
    (folder / "labels").mkdir()
    (folder / "labels" / "combined_windows.json").write_text(json.dumps(labels), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVERAGE_PROCESS_CONFIG", "")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("nab"))


@pytest.fixture(scope="module")
def streams(data: Path) -> list[nab.Stream]:
    return nab.load(data)


@pytest.fixture(scope="module")
def project(streams: list[nab.Stream], tmp_path_factory: pytest.TempPathFactory) -> nab.Project:
    return nab.record(streams, tmp_path_factory.mktemp("project"))


def stream(strength: Sequence[float], *windows: tuple[int, int]) -> nab.Stream:
    stamps = tuple(str(row) for row in range(len(strength)))
    known = tuple(nab.Before(0.0, 1.0, 0.0, 1.0) for _ in strength)
    return nab.Stream(nab_scoring.Series("a/b.csv", stamps, tuple(strength), windows), known, tuple(strength))


def strengths(rows: int, **at: float) -> list[float]:
    found = [0.0] * rows
    for name, strength in at.items():
        found[int(name[1:])] = strength
    return found


def test_what_is_learned_of_the_monitor() -> None:
    plan = nab.monitored()
    assert plan_module(nab.MONITOR, "monitor.py", "monitor").diagnostics == []
    assert {t.name: (t.value, t.lower, t.upper) for t in plan.tunables} == {
        "value_limit": (NAIVE, 1.0, 100.0),
        "beyond_limit": (-0.6, -0.6, 1.0),
        "cooldown": (0, 0, 200),
    }


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 3)), min_size=101, max_size=110),
    st.sampled_from([0.0, 0.1, 1e6]),
)
def test_what_came_before_is_what_it_says(values: list[float], offset: float) -> None:
    values = [value + offset for value in values]
    found = nab.before(values)
    assert len(found) == len(values)
    assert found[:100] == ((0.0, 0.0, 0.0, 0.0),) * 100
    for row in range(100, len(values)):
        history = values[row - 100 : row]
        spread = statistics.stdev(history)
        if spread > 1e-6:
            assert found[row].middle == pytest.approx(statistics.mean(history), rel=1e-9, abs=1e-9)
            assert found[row].spread == pytest.approx(spread, rel=1e-6, abs=1e-9)
        assert (found[row].lowest, found[row].highest) == (min(values[:row]), max(values[:row]))


def test_the_range_is_that_of_the_last_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nab, "RANGE", 30)
    rng = random.Random(0)
    values = [rng.random() for _ in range(300)]
    for row, known in enumerate(nab.before(values)[100:], 100):
        assert (known.lowest, known.highest) == (min(values[row - 30 : row]), max(values[row - 30 : row]))


def test_a_flat_history_raises_no_alert() -> None:
    (known,) = nab.before([0.1] * 100 + [7.0])[100:]
    assert known.spread == 0.0
    assert nab.distance(7.0, known) == 0.0


def test_alerts_closer_than_one_percent_of_the_file_are_one_incident() -> None:
    found = nab.events([stream(strengths(1000, r200=4, r210=5, r221=4, r300=3))], NAIVE)
    assert found == [nab.Event("false alarm", ((0, 200), (0, 210))), nab.Event("false alarm", ((0, 221),))]


def test_a_window_is_one_event_at_its_strongest_row_before_the_half() -> None:
    caught = stream(strengths(1000, r200=4, r205=9, r211=4), (195, 210))
    missed = stream(strengths(1000, r480=1, r499=2, r505=50), (470, 520))
    assert nab.events([caught, missed], NAIVE) == [
        nab.Event("good catch", ((0, 205),)),
        nab.Event("false alarm", ((0, 211),)),
        nab.Event("you missed this", ((1, 499),)),
    ]


def test_nothing_is_said_of_the_probation_or_the_second_half() -> None:
    silent = stream(strengths(1000, r149=9, r500=9, r600=9), (120, 148), (550, 650))
    assert nab.events([silent], NAIVE) == []


def test_recorded_are_all_rows_that_are_watched_in_order_of_relative_time() -> None:
    pair = [stream(strengths(1000, r200=4, r201=5, r700=9)), stream(strengths(2000, r900=1), (890, 910))]
    rows = nab.recorded_rows(pair)
    assert len(set(rows)) == len(rows) == sum(len(one.watched) for one in pair)
    shares = [row / (1000, 2000)[number] for number, row in rows]
    assert shares == sorted(shares)
    assert max(after - before for before, after in pairwise(shares)) < 0.05


def test_recorded_executions_are_real_calls(streams: list[nab.Stream], project: nab.Project) -> None:
    alerts = [row for row, (_, alert) in project.executions.items() if alert]
    assert len(alerts) >= FILES * 5
    assert all(streams[number].distances[row] > NAIVE for number, row in alerts)
    store = Store(project.folder / ".poet")
    assert store.count("monitor:is_anomaly") == len(project.executions)
    assert {(e.id, e.stream) for e in store.executions()} == {
        (name, streams[number].series.name) for (number, _), (name, _) in project.executions.items()
    }
    store.close()


def test_a_monitor_that_answers_otherwise_is_noticed(streams: list[nab.Stream], tmp_path: Path) -> None:
    wrong = replace(streams[0], distances=(0.0,) * ROWS)
    with pytest.raises(RuntimeError, match="the monitor says True"):
        nab.record([wrong], tmp_path)


def test_learning_drops_false_alarms_and_keeps_what_was_caught(streams: list[nab.Stream], project: nab.Project) -> None:
    found = nab.events(streams, NAIVE)
    kinds = Counter(event.words for event in found)
    assert kinds["good catch"] == FILES
    order = random.Random(0).sample(found, len(found))
    one = nab.draw(project, order, [False] * len(order))
    assert one.promoted
    alerts = nab.Scorer(streams).alerts(one.values)
    rows = {event.words: [(n, r) for e in found if e.words == event.words for n, r in e.rows] for event in found}
    assert not any(alerts[number][row] for number, row in rows["false alarm"])
    assert all(alerts[number][row] for number, row in rows["good catch"])
    assert nab.draw(project, order, [False] * len(order)) == one  # the project's own store is as it was
    assert nab.draw(project, [], []) == nab.Draw((), promoted=False)


def test_a_wrong_comment_says_the_opposite(project: nab.Project, streams: list[nab.Stream]) -> None:
    found = nab.events(streams, NAIVE)
    values = nab.draw(project, found, [True] * len(found)).values
    alerts = nab.Scorer(streams).alerts(values)
    caught = [alerts[n][row] for event in found if event.words == "good catch" for n, row in event.rows]
    assert sum(caught) < len(caught) / 2


def test_the_second_halves_teach_nothing(
    streams: list[nab.Stream], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nab, "COMMENTS", {"all": None})
    other = nab.load(write(tmp_path / "other", other=True))
    assert [s.series.values[:HALF] for s in streams] == [s.series.values[:HALF] for s in other]
    assert all(a.series.values[HALF:] != b.series.values[HALF:] for a, b in zip(streams, other, strict=True))
    (lines, drawn), (changed, again) = nab.measure(streams, 1, 0.0), nab.measure(other, 1, 0.0)
    assert drawn == again
    assert drawn["all"][0].values  # something was learned, so that they might differ
    assert lines[-1].h2 != changed[-1].h2


def test_scores_are_those_of_the_scorer(streams: list[nab.Stream]) -> None:
    scorer = nab.Scorer(streams)
    corpus = [one.series for one in streams]
    for limit in (1.5, NAIVE, 3.01, 8.0, 99.0):
        alerts = [[distance > limit for distance in one.distances] for one in streams]
        values = () if limit == NAIVE else (("value_limit", limit),)
        assert scorer(values, "h2") == pytest.approx(nab_scoring.score(alerts, corpus, part="h2"))
        assert scorer(values, "full") == pytest.approx(nab_scoring.score(alerts, corpus))


def test_a_cooldown_counts_in_the_scores(streams: list[nab.Stream]) -> None:
    scorer = nab.Scorer(streams)
    for one, quiet in zip(scorer.alerts(()), scorer.alerts((("cooldown", 20.0),)), strict=True):
        last, expected = -100, []
        for row, alert in enumerate(one):
            expected.append(alert and row - last > 20)
            last = row if expected[-1] else last
        assert quiet == expected


def test_silent_means_less_than_one_alert_in_ten_thousand_rows() -> None:
    scorer = nab.Scorer([stream(strengths(21_000, r100=9, r6000=4, r7000=5, r8000=6))])
    assert [scorer.is_silent((("value_limit", limit),)) for limit in (3.5, 4.5, 5.5)] == [False, True, True]


def test_the_line_of_the_table() -> None:
    scorer = nab.Scorer([stream(strengths(1000, r700=9, r800=4), (690, 710))])
    draws = [nab.Draw((), False), nab.Draw((("value_limit", 5.0),), True), nab.Draw((("value_limit", 50.0),), True)]
    one = nab.line("20", draws, scorer)
    assert [one.unchanged, one.silent, one.worse] == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert one.h2[2] == 0.0 < one.h2[0] < one.h2[1]
    assert nab.twentieth([4.0]) == 4.0
    assert nab.twentieth([float(i) for i in range(41)]) == pytest.approx(2.0)


def test_the_columns_of_the_table() -> None:
    h2, full = (1.0, 2.0, 9.0), (5.0, 6.0, 10.0)
    lines = [nab.Line(name, h2, full, 0.25, 0.5, 0.1) for name in ("naive", "20", "all")]
    printed = nab.table(lines, 3, 0.1).splitlines()
    columns = ["2.0", "4.0", "1.1", "7.0", "25%", "10%", "50%"]  # median, mean, 5 %, full, unchanged, worse, silent
    assert [line.split() for line in printed if line.startswith(("naive", "learned"))] == [
        ["naive", *columns],
        ["learned,", "N", "=", "20", *columns],
        ["learned,", "N", "=", "all", *columns],
    ]


def test_the_program_prints_mean_scores(
    data: Path, streams: list[nab.Stream], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nab, "COMMENTS", {"20": 20, "all": None})
    assert nab.main(["--data", str(data), "--draws", "1", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert list(printed["scores"]) == list(printed["values"]) == ["naive", "20", "all"]
    scorer = nab.Scorer(streams)
    assert printed["scores"]["naive"] == {"full": scorer((), "full"), "h2": scorer((), "h2")}
    assert printed["scores"]["all"]["h2"] > printed["scores"]["naive"]["h2"]


def test_bad_arguments_are_explained(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "combined_windows.json").write_text("{}", encoding="utf-8")
    for arguments, words in (
        (["--data", str(tmp_path)], "no series in"),
        (["--data", str(tmp_path / "none")], "combined_windows.json"),
        (["--data", str(data), "--draws", "0"], "at least 1"),
    ):
        with pytest.raises(SystemExit) as exit_:
            nab.main(arguments)
        assert exit_.value.code == 2
        assert words in capsys.readouterr().err


@pytest.mark.skipif("POET_NAB_DATA" not in os.environ, reason="POET_NAB_DATA names no checkout of NAB")
def test_the_numenta_series(tmp_path: Path) -> None:
    streams = nab.load(Path(os.environ["POET_NAB_DATA"]))
    scorer = nab.Scorer(streams)
    assert scorer((), "h2") == pytest.approx(-421.1, abs=0.05)
    assert scorer((), "full") == pytest.approx(-369.9, abs=0.05)
    found = nab.events(streams, NAIVE)
    assert Counter(event.words for event in found) == {"false alarm": 329, "good catch": 38, "you missed this": 3}
    one = nab.draw(nab.record(streams, tmp_path), random.Random(0).sample(found, len(found))[:80], [False] * 80)
    assert scorer(one.values, "h2") > 0.0
