"""How often a version that was just put in use is rolled back at once, by how often its calls and the old ones are bad.

python benchmarks/trip.py [--streams N] [--json]

Each row is one rate of bad calls of the version before, of which 1,000 calls are known (or 30). "equal": those of the
newer one are bad as often, so each alarm is false; it is looked at after each bad call of its first 1,000. The others:
it is bad in so much more of its calls; the share that is rolled back, and after how many calls half of those were.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics

from poet_hook.learning.trip import Calls, stands_out
from poet_hook.runtime.early import FIRST

RATES = (0.0, 0.001, 0.01, 0.05, 0.2)
ADDED = (0.0, 0.1, 0.5, 1.0)


def tripped_after(rate: float, added: float, known: int, seed: int, calls: int = FIRST) -> int | None:
    """After how many calls of the newer version it is rolled back; None where it stays."""
    rng = random.Random(seed)
    old = Calls(known, sum(rng.random() < rate for _ in range(known)))
    bad = 0
    for count in range(1, calls + 1):
        if rng.random() < min(1.0, rate + added):
            bad += 1
            if stands_out(Calls(count, bad), old):
                return count
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for known in (1000, 30):
        for rate in RATES:
            cells = []
            for added in ADDED:
                streams = options.streams if not added else max(1, options.streams // 10)
                ends = [tripped_after(rate, added, known, seed) for seed in range(streams)]
                found = [end for end in ends if end is not None]
                cells.append((len(found) / streams, statistics.median(found) if added and found else None))
            rows.append((known, rate, cells))
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'known':>6}{'bad':>8}{'equal':>8}" + "".join(f"{f'+ {added:.0%}':>14}" for added in ADDED[1:]))
    for known, rate, cells in rows:
        shown = [f"{share:.1%}" + (f" @{median:.0f}" if median else "") for share, median in cells]
        print(f"{known:>6}{rate:>8.1%}{shown[0]:>8}" + "".join(f"{cell:>14}" for cell in shown[1:]))


if __name__ == "__main__":
    main()
