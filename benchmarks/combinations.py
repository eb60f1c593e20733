"""Several numbers at once: our descent against Optuna's TPE, on the same replays and in the same time.

    python benchmarks/combinations.py [--runs 3] [--labelled 200] [--json] [PROBLEM ...]

Each problem is a function with several numbers, the labels are what the same function says with other numbers, and
what is compared is the share of labelled executions that the numbers found get wrong, and of 2,000 new inputs:

- descent: what a learning run does for all labelled executions without Optuna (`descent.thorough`): each number traced
  exactly and fitted in turn, from every number as a start, within its clock (30 s);
- with Optuna: the same where the extra is there: where six numbers or more leave something lost, TPE after the descent,
  which then has half of the clock, for at most 200 trials;
- TPE, same time: Optuna's sampler over the same ranges on whole replays, the numbers in use tried first, for as long
  as ours took (at least one trial);
- TPE, 200 trials: the same with 200 trials, and how many times as long that took.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

TRIALS = 200
HELD_OUT = 2_000
MOST_SECONDS = 60.0  # for the 200 trials of one run
_BUSY = "    for _ in range(20_000): pass\n"


def _either(count: int) -> str:
    arguments = ", ".join(f"x{i}: float" for i in range(count))
    return (
        f"def f({arguments}) -> bool:\n"
        + "    return (\n        x0 > NUMBER\n"
        + "".join(f"        or x{i} > NUMBER\n" for i in range(1, count))
        + "    )\n"
    )


def _sum(count: int) -> str:
    arguments = ", ".join(f"x{i}: float" for i in range(count))
    terms = "\n        + ".join(f"NUMBER * x{i}" for i in range(count))
    return f"def f({arguments}) -> bool:\n    score = (\n        {terms}\n    )\n    return score > NUMBER\n"


_SMOOTH = """\
def f(x0: float, x1: float, x2: float) -> bool:
    z = (
        NUMBER * x0
        + NUMBER * x1
        - NUMBER * x2
    )
    return 1 / (1 + math.exp(-z)) > NUMBER
"""


def _slow(text: str) -> str:
    head, _, rest = text.partition(":\n")
    return f"{head}:\n{_BUSY}{rest}"


PROBLEMS: Mapping[str, str] = {
    "6 limits, any of them": _either(6),
    "12 limits, any of them": _either(12),
    "sum of 4 weights, and a limit": _sum(4),
    "sum of 8 weights, and a limit": _sum(8),
    "3 weights in exp(), and a limit": _SMOOTH,
    "6 limits, 0.3 ms a call": _slow(_either(6)),
    "3 weights in exp(), 0.3 ms a call": _slow(_SMOOTH),
    "sum of 8 weights, 0.3 ms a call": _slow(_sum(8)),
}


def _module(text: str, numbers: Sequence[float]) -> str:
    """The function with numbers in place, each marked on a line of its own."""
    rows, left = [], list(numbers)
    for row in text.splitlines():
        while "NUMBER" in row:
            number = left.pop(0)
            row = row.replace("NUMBER", f"{number:.4g}", 1) + f"  # poet: tune 0..{4.0 if number < 4 else 40.0}"
        rows.append(row)
    return "import math\n\n# poet: optimize_for=accuracy, after=100000\n" + "\n".join(rows) + "\n"


def _inputs(text: str, rng: random.Random) -> list[float]:
    return [rng.gauss(1.0, 1.0) for _ in range(text.partition(")")[0].count("float"))]


def run(name: str, seed: int, labelled: int) -> dict[str, Any]:
    """One run, in the working directory, which becomes a project."""
    import poet_hook
    from poet_hook import api
    from poet_hook.isolation.slice import slice_function
    from poet_hook.learning.descent import thorough
    from poet_hook.learning.search import SECONDS, Search
    from poet_hook.learning.streams import replayed
    from poet_hook.learning.study import keep_reproduced, study_of
    from poet_hook.learning.verdict import objectives_of
    from poet_hook.versions.chain import Chain
    from poet_hook.versions.current import plan_of

    rng, text = random.Random(seed), PROBLEMS[name]
    count = text.count("NUMBER")
    true = [rng.uniform(0.6, 2.4) for _ in range(count)]
    if "or x1" in text:  # so that about half of them are alerts
        true = [1.0 + statistics.NormalDist().inv_cdf(0.5 ** (1 / count)) + rng.gauss(0, 0.2) for _ in range(count)]
    elif "math.exp" in text:
        true[-1] = rng.uniform(0.4, 0.6)
        true[2] = true[0] + true[1]
    else:
        true[-1] = sum(true[:-1])
    written = [number * rng.choice((0.5, 0.7, 1.4, 1.9)) for number in true]
    Path("pyproject.toml").write_text('[project]\nname = "x"\n')
    Path("m.py").write_text(_module(text, written))
    Path("oracle.py").write_text(_module(text.replace(_BUSY, ""), true))
    sys.path.insert(0, os.getcwd())
    truth = importlib.import_module("oracle").f
    poet_hook.activate()
    function = importlib.import_module("m").f
    for _ in range(labelled):
        values = _inputs(text, rng)
        poet_hook.feedback(poet_hook.call(function, *values), {"expected": truth(*values)})
    store, settings = api.store(), api.settings()
    plan, source = plan_of("m:f", store, settings)
    study = study_of(plan, source, Chain(settings, "m:f"), store)
    part = slice_function(source, plan.qualname, plan.line, settings.replay_modules)
    fresh = [_inputs(text, rng) for _ in range(HELD_OUT)]
    right = [truth(*values) for values in fresh]

    def held_out(values: Mapping[str, Any]) -> float:
        from poet_hook.transform.values import with_values

        space: dict[str, Any] = {}
        exec("import math\n" + with_values(plan.source, plan.tunables, values).replace(_BUSY, ""), space)
        return sum(space["f"](*each) != expected for each, expected in zip(fresh, right, strict=True)) / HELD_OUT

    with replayed(study, part) as replay:
        champion = keep_reproduced(study, replay)
        search = Search(study, replay, champion, objectives_of(study, champion, None)[0], lambda *_: None)
        labels = list(search.labels)

        def loss(values: Mapping[str, Any]) -> float:
            outcomes = replay.run(values)
            return sum(search.loss(number, outcomes) for number in labels) / len(labels)

        made: dict[str, Any] = {"written": (loss({}), held_out({}))}
        for key, samples in (("ours", False), ("both", True)):
            start = time.monotonic()
            search.deadline, search.samples = start + SECONDS, samples
            ours, _ = thorough(search, search.weights(labels), lambda *_: None)
            made[key] = (loss(ours), held_out(ours), time.monotonic() - start)
        took = made["ours"][2]
        made["same"] = _tpe(loss, held_out, search.tunables, seed, 100_000, took)
        made["trials"] = _tpe(loss, held_out, search.tunables, seed, TRIALS, MOST_SECONDS)
    return made


def _tpe(
    loss: Callable[[Mapping[str, Any]], float],
    held_out: Callable[[Mapping[str, Any]], float],
    tunables: Sequence[Any],
    seed: int,
    trials: int,
    seconds: float,
) -> tuple[float, float, float, int]:
    import optuna

    from poet_hook.learning.scale import range_of

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, multivariate=False))
    study.enqueue_trial({tunable.name: tunable.value for tunable in tunables})
    start = time.monotonic()

    def objective(trial: Any) -> float:
        values = {
            tunable.name: trial.suggest_int(tunable.name, *map(round, range_of(tunable)))
            if tunable.integer
            else trial.suggest_float(tunable.name, *range_of(tunable))
            for tunable in tunables
        }
        return loss(values)

    while not study.trials or (len(study.trials) < trials and time.monotonic() - start < seconds):
        study.optimize(objective, n_trials=1)
    took = time.monotonic() - start
    best = min(study.trials, key=lambda trial: trial.value)
    return best.value, held_out(best.params), took, len(study.trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=textwrap.dedent(__doc__ or "").partition("\n")[0])
    parser.add_argument("problems", nargs="*", metavar="PROBLEM", help="the beginning of its name (all)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--labelled", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run(options.one[0], int(options.one[1]), options.labelled)))
        return
    chosen = [n for n in PROBLEMS if not options.problems or any(n.startswith(p) for p in options.problems)]
    everything = {name: [_apart(name, seed, options.labelled) for seed in range(options.runs)] for name in chosen}
    if options.json:
        print(json.dumps(everything, indent=2))
        return
    print(f"mistakes among {options.labelled} labelled / {HELD_OUT:,} new, in %; mean of {options.runs} runs")
    head = ["written", "descent", "seconds", "with Optuna", "seconds", "TPE, same time", "trials"]
    head += [f"TPE, {TRIALS} trials", "times as long"]
    print(f"{'':34}" + "".join(f"{word:>18}" for word in head))
    for name, runs in everything.items():
        print(f"{name:34}" + "".join(f"{cell:>18}" for cell in _row(runs)))


def _row(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    def mean(key: str, place: int) -> float:
        return statistics.fmean(each[key][place] for each in runs)

    def errors(key: str) -> str:
        return f"{100 * mean(key, 0):.1f} / {100 * mean(key, 1):.1f}"

    seconds, longer = mean("ours", 2), mean("trials", 2) / mean("ours", 2)
    trials = f"{mean('same', 3):.0f}"
    return [
        errors("written"),
        errors("ours"),
        f"{seconds:.2f}",
        errors("both"),
        f"{mean('both', 2):.2f}",
        errors("same"),
        trials,
        errors("trials"),
        f"{longer:.1f}",
    ]


def _apart(name: str, seed: int, labelled: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(Path(__file__).resolve()), "--one", name, str(seed), "--labelled", str(labelled)]
        env = {**os.environ, "POET_USER_DIR": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return made


if __name__ == "__main__":
    main()
