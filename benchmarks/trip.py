"""How often a version that was just put in use is rolled back at once, by how often its calls and the old ones are bad.

python benchmarks/trip.py [--trial] [--streams N] [--json]

Each row is one rate of bad calls of the version before, of which 1,000 calls are known (or 30). "equal": those of the
newer one are bad as often, so each alarm is false; it is looked at after each bad call of its first 1,000. The others:
it is bad in so much more of its calls; the share that is rolled back, and after how many calls half of those were.

With --trial: how often a challenger is withdrawn for its failures within 2,000 calls of one process, by how often the
version in use fails, and after how many of its failures half of those were.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics

from poet_hook.learning.trip import CHANCE
from poet_hook.runtime.early import FIRST, Calls, stands_out
from poet_hook.runtime.trial import CHANCE as OF_A_TRIAL

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
            if stands_out(Calls(count, bad), old, CHANCE):
                return count
    return None


def withdrawn_after(usual: float, rate: float, share: float, seed: int, calls: int = 2000) -> int | None:
    """After how many of its failures a challenger is withdrawn, where the version in use fails `usual`ly so often."""
    rng = random.Random(seed)
    own = own_bad = chosen = bad = 0
    for _ in range(calls):
        if rng.random() >= share:
            own, own_bad = own + 1, own_bad + (rng.random() < usual)
            continue
        chosen += 1
        if rng.random() < rate and rng.random() >= usual:  # what both fail is no fault of its own
            bad += 1
            if stands_out(Calls(chosen, bad), Calls(own, own_bad), OF_A_TRIAL):
                return bad
    return None


def _trials(streams: int) -> None:
    print(f"{'share':>6}{'usual':>8}{'equal':>8}{'+ 50%':>14}{'+ 100%':>14}")
    for share in (0.05, 0.5):
        for usual in RATES:
            cells = []
            for added in (0.0, 0.5, 1.0):
                count = streams if not added else max(1, streams // 10)
                ends = [withdrawn_after(usual, min(1.0, usual + added), share, seed) for seed in range(count)]
                found = [end for end in ends if end is not None]
                cells.append(f"{len(found) / count:.1%}" + (f" @{statistics.median(found):.0f}" if added else ""))
            print(f"{share:>6.0%}{usual:>8.1%}{cells[0]:>8}{cells[1]:>14}{cells[2]:>14}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--trial", action="store_true")
    options = parser.parse_args()
    if options.trial:
        _trials(options.streams)
        return
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
