from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import nab_scoring as nab


def series(rows: int, *windows: tuple[int, int], name: str = "a/b.csv") -> nab.Series:
    return nab.Series(name, tuple(str(row) for row in range(rows)), (0.0,) * rows, tuple(windows))


def alerts(rows: int, *at: int) -> list[bool]:
    return nab.indices_to_detections(at, rows)


def sigmoid(position: float) -> float:
    return 2 / (1 + math.exp(5 * position)) - 1


@pytest.mark.parametrize(("rows", "probation"), [(100, 15), (1243, 186), (4999, 749), (5000, 750), (22695, 750)])
def test_probation_is_15_percent_but_at_most_750_rows(rows: int, probation: int) -> None:
    assert series(rows).probation == probation


def test_a_hit_at_the_first_row_of_the_window_is_worth_one() -> None:
    assert nab.score_series(alerts(100, 40), series(100, (40, 49))) == 1.0


def test_a_hit_at_the_last_row_is_still_worth_a_little() -> None:
    expected = sigmoid(-1 / 10) / sigmoid(-1)
    assert nab.score_series(alerts(100, 49), series(100, (40, 49))) == pytest.approx(expected)
    assert 0.2 < expected < 0.3


def test_only_the_earliest_detection_in_a_window_counts() -> None:
    one = nab.score_series(alerts(100, 43), series(100, (40, 49)))
    assert nab.score_series(alerts(100, 43, 44, 48, 49), series(100, (40, 49))) == one


def test_a_false_positive_before_any_window_costs_its_full_weight() -> None:
    assert nab.score_series(alerts(100, 20), series(100, (40, 49))) == pytest.approx(-0.11 - 1)


def test_a_false_positive_costs_less_the_closer_it_follows_a_window() -> None:
    scored = [nab.score_series(alerts(100, 40, row), series(100, (40, 49))) for row in (50, 55, 60, 75, 76, 99)]
    assert scored[0] == pytest.approx(1 + 0.11 * sigmoid(1 / 9))
    assert scored == sorted(scored, reverse=True)
    assert scored[-1] == pytest.approx(1 - 0.11)
    assert scored[3] > scored[4] == scored[5]


def test_a_window_of_one_row_has_no_width_to_measure_by() -> None:
    assert nab.score_series(alerts(100, 41), series(100, (40, 40))) == pytest.approx(-1 - 0.11)
    assert nab.score_series(alerts(100, 40), series(100, (40, 40))) == 1.0


def test_nothing_in_the_probation_counts() -> None:
    assert nab.score_series(alerts(100, *range(15)), series(100, (40, 49))) == -1.0
    assert nab.score_series(alerts(100), series(100, (2, 9))) == 0.0


def test_a_window_that_ends_after_the_probation_can_be_hit_by_its_later_rows() -> None:
    straddling = series(100, (10, 19))
    assert nab.score_series(alerts(100, 14), straddling) == -1.0
    assert nab.score_series(alerts(100, 14, 15), straddling) == pytest.approx(sigmoid(-0.5) / sigmoid(-1))


def test_the_second_half_starts_anew() -> None:
    both = series(100, (30, 39), (70, 79))
    assert nab.score_series(alerts(100, 20, 30), both, part="h2") == -1.0
    assert nab.score_series(alerts(100, 20, 70), both, part="h2") == 1.0


def test_a_window_across_the_middle_is_left_out_of_the_second_half() -> None:
    across = series(100, (45, 54), (70, 79))
    assert nab.score_series(alerts(100, 50, 54, 70), across, part="h2") == 1.0
    after = nab.score_series(alerts(100, 55, 70), across, part="h2")
    assert after == pytest.approx(1 + 0.11 * sigmoid(1 / 9))


def test_profiles_weigh_differently() -> None:
    wary = nab.Profile(hit=1.0, false_positive=0.22, miss=2.0)
    assert nab.score_series(alerts(100, 20), series(100, (40, 49)), wary) == pytest.approx(-2.22)


def test_detections_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="99 detections for 100 rows"):
        nab.score_series(alerts(99), series(100))


def test_a_corpus_without_windows_cannot_be_normalised() -> None:
    with pytest.raises(ValueError, match="no window"):
        nab.normalised(0.0, [series(100)])


@pytest.mark.parametrize("row", [-1, 10])
def test_an_alert_at_a_row_that_does_not_exist_is_refused(row: int) -> None:
    with pytest.raises(IndexError):
        nab.indices_to_detections([row], 10)


WINDOWS = st.sets(st.integers(2, 19), min_size=1, max_size=8).map(
    lambda starts: tuple((start * 10, start * 10 + 7) for start in sorted(starts))
)
PROFILES = st.builds(nab.Profile, st.floats(0.5, 2), st.floats(0.01, 1), st.floats(0.5, 2))
PARTS: st.SearchStrategy[nab.Part] = st.sampled_from(["full", "h2"])


@given(st.lists(WINDOWS, min_size=1, max_size=3), PROFILES, PARTS)
def test_null_is_0_and_perfect_is_100(
    corpus_windows: list[tuple[tuple[int, int], ...]], profile: nab.Profile, part: nab.Part
) -> None:
    corpus = [series(200, *windows) for windows in corpus_windows] + [series(200, (190, 197)), series(200)]
    perfect = [alerts(200, *(w[0] for w in nab.scored(one, part)[1])) for one in corpus]
    assert nab.score([alerts(200)] * len(corpus), corpus, profile, part) == pytest.approx(0)
    # A window that starts in the probation can't be hit at its first row.
    whole = [one for one in corpus if all(w[0] >= one.probation for w in one.windows)]
    found = [hits for hits, one in zip(perfect, corpus, strict=True) if one in whole]
    assert nab.score(found, whole, profile, part) == pytest.approx(100)


@given(WINDOWS, st.sets(st.integers(0, 199)), st.integers(0, 199), PROFILES, PARTS)
def test_one_more_alert_pays_only_inside_a_window(
    windows: tuple[tuple[int, int], ...], at: set[int], row: int, profile: nab.Profile, part: nab.Part
) -> None:
    one = series(200, *windows)
    before = nab.score_series(alerts(200, *(at - {row})), one, profile, part)
    after = nab.score_series(alerts(200, *(at | {row})), one, profile, part)
    if any(first <= row <= last for first, last in windows):
        assert after >= before
    else:
        assert after <= before


def _checkout(folder: Path, labels: dict[str, list[list[str]]]) -> Path:
    for name in ("labels", "config", "data/realTweets", "data/realKnownCause"):
        (folder / name).mkdir(parents=True)
    stamps = [f"2015-03-01 {hour:02d}:00:00" for hour in (0, 1, 2, 1, 2, 3)]  # the clock is set back
    text = "timestamp,value\n" + "".join(f"{stamp},{row}.5\n" for row, stamp in enumerate(stamps))
    (folder / "data/realTweets/a.csv").write_text(text)
    (folder / "data/realKnownCause/b.csv").write_text(text)
    (folder / "labels/combined_windows.json").write_text(json.dumps(labels))
    costs = {"tpWeight": 1.0, "fnWeight": 2.0, "fpWeight": 0.11, "tnWeight": 1.0}
    (folder / "config/profiles.json").write_text(json.dumps({"reward_low_FN_rate": {"CostMatrix": costs}}))
    return folder


def test_load_reads_a_part_of_nab(tmp_path: Path) -> None:
    span = ["2015-03-01 01:00:00.000000", "2015-03-01 03:00:00.000000"]
    labels = {"realTweets/a.csv": [span], "realKnownCause/b.csv": [], "realTraffic/absent.csv": [span]}
    found = nab.load(_checkout(tmp_path, labels))
    assert [one.name for one in found] == ["realKnownCause/b.csv", "realTweets/a.csv"]
    assert found[1].windows == ((1, 5),)
    assert found[1].values == (0.5, 1.5, 2.5, 3.5, 4.5, 5.5)
    assert found[1].timestamps[3] == "2015-03-01 01:00:00"
    assert [one.name for one in nab.load(tmp_path, lambda name: "Tweets" in name)] == ["realTweets/a.csv"]
    assert nab.profiles(tmp_path) == {"reward_low_FN_rate": nab.Profile(1.0, 0.11, 2.0)}


def test_load_refuses_what_it_cannot_place(tmp_path: Path) -> None:
    span = ["2015-03-01 01:30:00.000000", "2015-03-01 03:00:00.000000"]
    _checkout(tmp_path, {"realTweets/a.csv": [span]})
    with pytest.raises(ValueError, match=r"realTweets/a\.csv: a window names .* no row"):
        nab.load(tmp_path, lambda name: "Tweets" in name)
    with pytest.raises(ValueError, match=r"realKnownCause/b\.csv: no entry"):
        nab.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="no series"):
        nab.load(tmp_path, lambda name: False)
    with pytest.raises(FileNotFoundError):
        nab.load(tmp_path / "nowhere")
