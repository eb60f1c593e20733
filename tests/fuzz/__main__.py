"""`PYTHONPATH=tests python -m fuzz --seconds 60 [NAME ...]`: each target for so long, and a table of what was found.

A target runs in a process of its own, so that what ends the process is found, too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from fuzz import Target
from fuzz.targets import TARGETS

_ROUND = 200  # cases between two looks at the clock
_MOST = 5  # different failures: then a target is given up


def main() -> int:
    """Run the targets; 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a target (all of them)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target (60)")
    parser.add_argument("--seed", type=int, default=None, help="of the first round (the time of day)")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given_ = parser.parse_args()
    chosen = [target for target in TARGETS if not given_.names or target.name in given_.names]
    first = given_.seed if given_.seed is not None else int(time.time())
    if given_.here:
        _run(chosen[0], given_.seconds, first)
        return 0
    rows = [("target", "seconds", "cases", "found")]
    found = 0
    for target in chosen:
        report = _apart(target, given_.seconds, first)
        for each in report["found"]:
            print(f"--- {target.name}, seed {each['seed']}\n{each['what']}\n", flush=True)
        found += len(report["found"])
        rows.append((target.name, f"{report['seconds']:.0f}", f"{report['cases']:,}", str(len(report["found"]))))
    for row in rows:
        print(f"{row[0]:<16}{row[1]:>8}{row[2]:>10}{row[3]:>7}")
    return int(found > 0)


def _apart(target: Target, seconds: float, first: int) -> dict[str, Any]:
    """What a process of its own says of a target; what it said last, where it ended before it was done."""
    command = [sys.executable, "-m", "fuzz", target.name, "--here", "--seconds", str(seconds), "--seed", str(first)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    report = json.loads(done.stdout.splitlines()[-1])
    if done.returncode:
        what = f"it ended its process ({done.returncode})"
        report["found"].append({"seed": report["seed"], "what": what})
    return report  # type: ignore[no-any-return]


def _run(target: Target, seconds: float, first: int) -> None:
    started = time.monotonic()
    report: dict[str, Any] = {"seed": first, "seconds": 0.0, "cases": 0, "found": []}
    known = set()
    with tempfile.TemporaryDirectory() as folder, target.opened(Path(folder)) as check:
        while report["seconds"] < seconds and len(known) < _MOST:
            print(json.dumps(report), flush=True)

            @seed(report["seed"])
            @settings(
                max_examples=_ROUND,
                deadline=None,
                database=None,
                phases=[Phase.generate, Phase.shrink],
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            )
            @given(target.cases)
            def round_(case: Any) -> None:
                report["cases"] += 1
                check(case)

            try:
                round_()
            except Exception as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                if (place := (type(error).__name__, last.filename, last.lineno, str(error)[:60])) not in known:
                    known.add(place)
                    what = "".join([*traceback.format_exception(error, chain=False), *getattr(error, "__notes__", ())])
                    report["found"].append({"seed": report["seed"], "what": what[-6_000:]})
            report["seed"] += 1
            report["seconds"] = time.monotonic() - started
    print(json.dumps(report), flush=True)


sys.exit(main())
