"""How often a challenger is promoted on live calls, looked at after every call, by what is measured.

python benchmarks/live.py [--after] [--trials N] [--share 0.05] [--calls N] [--json]

Each row is one kind of number: with a challenger that is no better, while the level of both goes up and down by half
("equal"), and with challengers that are 20 % and 50 % lower. The figures are the share of trials that ended in a
promotion at alpha = 0.05 within so many calls, and the median of the challenger's calls that it took.

With --after: how often a version that was promoted is rolled back, or upheld, while what it replaced is held back for
that share of the calls; the version in use is equal, twice as bad ("worse"), or half as bad ("better").
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from collections.abc import Callable, Iterable, Iterator

from poet_hook.learning.contest import Observed, differences, scale_of
from poet_hook.learning.evidence import STAKES

ALPHA = 0.05
Draw = Callable[[random.Random, float], float]
DRAWS: dict[str, Draw] = {
    "latency, normal": lambda rng, level: level * max(0.0, rng.gauss(1.0, 0.2)),
    "latency, lognormal": lambda rng, level: level * rng.lognormvariate(0.0, 1.0),
    "latency, no variance": lambda rng, level: level * rng.paretovariate(1.5),
    "latency, cold starts": lambda rng, level: level * (0.1 if rng.random() < 0.95 else 5.0),
    "cost": lambda rng, level: level * rng.expovariate(1.0),
    "reliability": lambda rng, level: float(rng.random() < 0.3 * level),
    "reward": lambda rng, level: min(1.0, level * rng.betavariate(2.0, 2.0)),
}
BOUNDED = ("reliability", "reward")


def promoted_after(name: str, level: float, drift: float, share: float, calls: int, seed: int) -> int | None:
    """After how many calls of the challenger it is promoted, None where it never is; losses are what is drawn."""
    found = evidence(differences(_observed(name, (1.0, level), drift, share, calls, seed)))
    return next((bets for bets, log in enumerate(found, 1) if log >= -math.log(ALPHA)), None)


def fate(name: str, level: float, drift: float, share: float, calls: int, seed: int) -> str:
    """What becomes of a version in use whose losses are `level` times those of what is held back."""
    found = list(differences(_observed(name, (level, 1.0), drift, share, calls, seed)))
    for worse, better in zip(evidence(found), evidence(-each for each in found), strict=True):
        if worse >= -math.log(ALPHA):
            return "rolled back"
        if better >= -math.log(ALPHA):
            return "upheld"
    return "undecided"


def _observed(
    name: str, levels: tuple[float, float], drift: float, share: float, calls: int, seed: int
) -> list[Observed]:
    """Calls of a champion and a challenger with these levels."""
    rng, draw = random.Random(seed), DRAWS[name]
    scale = 1.0 if name in BOUNDED else scale_of([draw(rng, 1.0) for _ in range(100)])
    assert scale is not None
    observed = []
    for call in range(calls):
        chosen = rng.random() < share
        moment = 1.0 + drift * math.sin(call / 60.0)
        observed.append(Observed(chosen, min(1.0, draw(rng, moment * levels[chosen]) / scale)))
    return observed


def evidence(found: Iterable[float]) -> Iterator[float]:
    """The logarithm of `evidence.e_value` after each difference."""
    logs = [0.0] * len(STAKES)
    for difference in found:
        logs = [log + math.log1p(stake * difference) for log, stake in zip(logs, STAKES, strict=True)]
        largest = max(logs)
        yield largest + math.log(math.fsum(math.exp(log - largest) for log in logs) / len(logs))


def _after(options: argparse.Namespace) -> None:
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for name in DRAWS:
        for title, level, drift in (("equal", 1.0, 0.5), ("worse", 2.0, 0.0), ("better", 0.5, 0.0)):
            trials = options.trials if level == 1.0 else max(1, options.trials // 4)
            ends = [fate(name, level, drift, options.share, options.calls, seed) for seed in range(trials)]
            rows.setdefault(name, {})[title] = {end: ends.count(end) / trials for end in ("rolled back", "upheld")}
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'':22}{'equal':>18}{'worse':>18}{'better':>18}   rolled back / upheld")
    for name, row in rows.items():
        cells = [f"{cell['rolled back']:.1%} / {cell['upheld']:.1%}" for cell in row.values()]
        print(f"{name:22}" + "".join(f"{cell:>18}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--after", action="store_true")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--calls", type=int, default=8_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.after:
        _after(options)
        return
    rows: dict[str, dict[str, tuple[float, float | None]]] = {}
    for name in DRAWS:
        for title, level, drift in (("equal", 1.0, 0.5), ("20 % lower", 0.8, 0.0), ("50 % lower", 0.5, 0.0)):
            trials = options.trials if level == 1.0 else max(1, options.trials // 4)
            ends = [promoted_after(name, level, drift, options.share, options.calls, seed) for seed in range(trials)]
            found = [end for end in ends if end is not None]
            median = statistics.median(found) if found else None
            rows.setdefault(name, {})[title] = (len(found) / trials, median)
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'':22}{'equal':>8}{'20 % lower':>14}{'50 % lower':>14}")
    for name, row in rows.items():
        cells = [f"{share:.1%}" + (f" @{median:.0f}" if median else "") for share, median in list(row.values())[1:]]
        print(f"{name:22}{row['equal'][0]:>8.1%}{cells[0]:>14}{cells[1]:>14}")


if __name__ == "__main__":
    main()
