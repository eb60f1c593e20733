"""Statlog (Shuttle): readings of nine sensors with anomaly labels, from the copy inside River's wheel.

NASA's data, published as "Statlog (Shuttle)" by the UCI repository with seven classes; the ODDS collection made
class 1 "normal" and the rare classes "anomalous" (49,097 rows, 7 % anomalies). The rows are in no order of time.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import statistics
from pathlib import Path

SENSORS = 9


def load(rows: int) -> tuple[list[list[float]], list[bool]]:
    """The first `rows` readings, and which of them are anomalies."""
    spec = importlib.util.find_spec("river")
    if spec is None or spec.origin is None:
        raise SystemExit("this example reads data from the package river: pip install 'poet_hook[examples]'")
    path = Path(spec.origin).parent / "datasets" / "shuttle.csv.gz"
    if not path.exists():
        raise SystemExit(f"{path} is missing: this example needs river 0.26 or newer")
    readings, anomalies = [], []
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            try:
                values = [float(cell) for cell in row]
            except ValueError:
                continue  # the header
            readings.append(values[:SENSORS])
            anomalies.append(bool(values[SENSORS]))
            if len(readings) == rows:
                break
    return readings, anomalies


def baseline(readings: list[list[float]]) -> tuple[list[float], list[float]]:
    """Each sensor's median and robust spread (1.4826 MAD, at least the sensor's resolution of 1), without labels."""
    usual, spread = [], []
    for column in zip(*readings, strict=True):
        middle = statistics.median(column)
        usual.append(middle)
        spread.append(max(1.4826 * statistics.median(abs(value - middle) for value in column), 1.0))
    return usual, spread
