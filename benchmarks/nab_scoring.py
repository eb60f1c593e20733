"""The published scoring of the Numenta Anomaly Benchmark: detections -> 0 (never alert) .. 100 (perfect).

Rules after Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms" (ICMLA 2015), with positions as
NAB's own scorer counts them: it gives the scores that NAB publishes for its detectors, file by file.
Row numbers count from 0 in each file; a window is a pair of row numbers, both inclusive.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

Part = Literal["full", "h2"]

PROBATION_SHARE = 0.15
PROBATION_ROWS = 5000  # rows of a file that count towards its probation
FAR_BEHIND = 3.0  # window widths after which a false positive costs its full weight


@dataclass(frozen=True, slots=True)
class Profile:
    """What one hit, one false positive and one missed window weigh."""

    hit: float
    false_positive: float
    miss: float


STANDARD = Profile(hit=1.0, false_positive=0.11, miss=1.0)


@dataclass(frozen=True, slots=True)
class Series:
    """One file: `name` is its path below NAB's data folder, `windows` are sorted and do not overlap."""

    name: str
    timestamps: tuple[str, ...]
    values: tuple[float, ...]
    windows: tuple[tuple[int, int], ...]

    @property
    def probation(self) -> int:
        """The number of first rows that are not scored: 15 % of the file, at most 750."""
        return int(PROBATION_SHARE * min(len(self.values), PROBATION_ROWS))

    @property
    def half(self) -> int:
        """The first row of the second half."""
        return len(self.values) // 2


def load(data_dir: Path, include: Callable[[str], bool] | None = None) -> list[Series]:
    """A checkout of NAB (`data/`, `labels/combined_windows.json`) -> its series, by name.

    Categories may be absent; `include` chooses by name ("realTweets/Twitter_volume_AAPL.csv"). Raises
    FileNotFoundError where there are no labels or no series, ValueError for a file without labels or a
    window that names no row.
    """
    labels = json.loads((data_dir / "labels" / "combined_windows.json").read_text(encoding="utf-8"))
    found: list[Series] = []
    for path in sorted((data_dir / "data").glob("*/*.csv")):
        name = f"{path.parent.name}/{path.name}"
        if include is not None and not include(name):
            continue
        if name not in labels:
            raise ValueError(f"{name}: no entry in combined_windows.json")
        found.append(_read(path, name, labels[name]))
    if not found:
        raise FileNotFoundError(f"no series in {data_dir / 'data'}")
    return found


def profiles(data_dir: Path) -> dict[str, Profile]:
    """A checkout of NAB -> its scoring profiles by name ("standard", "reward_low_FP_rate", ...)."""
    raw = json.loads((data_dir / "config" / "profiles.json").read_text(encoding="utf-8"))
    return {
        name: Profile(costs["tpWeight"], costs["fpWeight"], costs["fnWeight"])
        for name, costs in ((name, entry["CostMatrix"]) for name, entry in raw.items())
    }


def scored(series: Series, part: Part = "full") -> tuple[range, list[tuple[int, int]]]:
    """The rows that are scored and the windows that can be hit.

    "full": the rows after the probation, and each window with a row among them. "h2": the rows of the second
    half, and each window that *starts* there. The rest of a window that started earlier is not scored at all:
    neither as a hit, which belongs to the first half, nor as a false positive.
    """
    length = len(series.values)
    if part == "full":
        return range(series.probation, length), [w for w in series.windows if w[1] >= series.probation]
    return range(series.half, length), [w for w in series.windows if w[0] >= series.half]


def score_series(detections: Sequence[bool], series: Series, profile: Profile = STANDARD, part: Part = "full") -> float:
    """One detection per row -> the raw score: hits minus false positives minus missed windows.

    Raises ValueError where the lengths differ.
    """
    if len(detections) != len(series.values):
        raise ValueError(f"{series.name}: {len(detections)} detections for {len(series.values)} rows")
    rows, windows = scored(series, part)
    best: dict[tuple[int, int], float] = {}
    total = 0.0
    for row, inside, behind in _placed(rows, series.windows):
        if not detections[row]:
            continue
        if inside is None:
            total += profile.false_positive * _sigmoid(_past(row, behind))
        elif inside in windows:
            best.setdefault(inside, _hit(row, inside) * profile.hit)  # only the earliest counts
    return total + sum(best.values()) - profile.miss * (len(windows) - len(best))


def score(
    detections: Iterable[Sequence[bool]],
    corpus: Sequence[Series],
    profile: Profile = STANDARD,
    part: Part = "full",
) -> float:
    """The detections for each series of the corpus, in its order -> the normalised score."""
    total = sum(score_series(found, series, profile, part) for found, series in zip(detections, corpus, strict=True))
    return normalised(total, corpus, profile, part)


def normalised(total: float, corpus: Sequence[Series], profile: Profile = STANDARD, part: Part = "full") -> float:
    """A sum of raw scores -> 0 for never alerting, 100 for the first row of each window and nothing else.

    Raises ValueError where the corpus has no window to hit.
    """
    windows = sum(len(scored(series, part)[1]) for series in corpus)
    if not windows:
        raise ValueError("the corpus has no window, so a score can't be normalised")
    null, perfect = -profile.miss * windows, profile.hit * windows
    return 100.0 * (total - null) / (perfect - null)


def indices_to_detections(rows: Iterable[int], length: int) -> list[bool]:
    """Row numbers of alerts -> one bool per row; raises IndexError for a row that does not exist."""
    detections = [False] * length
    for row in rows:
        if not 0 <= row < length:
            raise IndexError(f"row {row} of {length}")
        detections[row] = True
    return detections


def _read(path: Path, name: str, spans: Sequence[Sequence[str]]) -> Series:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    timestamps = tuple(row["timestamp"] for row in rows)
    # The first row of a timestamp counts and no order is assumed: in some files the clock was set back.
    first: dict[datetime, int] = {}
    for number, stamp in enumerate(timestamps):
        first.setdefault(datetime.fromisoformat(stamp), number)
    try:
        windows = [(first[datetime.fromisoformat(a)], first[datetime.fromisoformat(b)]) for a, b in spans]
    except KeyError as missing:
        raise ValueError(f"{name}: a window names {missing.args[0]}, which is no row") from None
    return Series(name, timestamps, tuple(float(row["value"]) for row in rows), tuple(sorted(windows)))


def _placed(
    rows: range, windows: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, tuple[int, int] | None, tuple[int, int] | None]]:
    """Each scored row with the window around it and the closest window behind it."""
    behind: tuple[int, int] | None = None
    ahead = list(reversed(windows))
    for row in rows:
        while ahead and ahead[-1][1] < row:
            behind = ahead.pop()
        inside = ahead[-1] if ahead and ahead[-1][0] <= row else None
        yield row, inside, behind


def _hit(row: int, window: tuple[int, int]) -> float:
    """1 at the window's first row, falling to almost 0 at its last one."""
    first, last = window
    return _sigmoid(-(last - row + 1) / (last - first + 1)) / _sigmoid(-1.0)


def _past(row: int, behind: tuple[int, int] | None) -> float:
    """How many window widths the row lies behind the last window; NAB's width here is one row less."""
    if behind is None or behind[0] == behind[1]:
        return FAR_BEHIND
    return (row - behind[1]) / (behind[1] - behind[0])


def _sigmoid(position: float) -> float:
    """NAB's scaled sigmoid: about 1 at -1, 0 at 0, -1 from `FAR_BEHIND` on."""
    if position >= FAR_BEHIND:
        return -1.0
    return 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0
