"""What it costs to give feedback, to have it read by a language model, and how well a model reads it.

python benchmarks/reading.py [--json]
python benchmarks/reading.py --sentences N [--held-out] [--json]

The first: microseconds of `feedback()` that the rules read, and that nobody reads, without a model and with one; and
the milliseconds of one reading by a server on this machine that answers at once, beside what the server took. With
--sentences: N of those sentences of tests/operators.txt (spread evenly; of the half that rules were made by, or of the
other one) that the rules can't read, read by the model that POET_MODEL and OPENAI_BASE_URL name.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

from llm_server import Asked, LlmServer  # noqa: E402
from operators import Sentence, meaning_of, sentences  # noqa: E402

import poet_hook  # noqa: E402
from poet_hook import activation, api  # noqa: E402
from poet_hook.domains.base import load  # noqa: E402
from poet_hook.signals.rules import read  # noqa: E402

FINE = "Ann looked: the pump was fine"
MODULE = """\
# poet: domain=ml_monitoring, optimize_for=accuracy, learn=off
def is_anomaly(value: float, usual: float) -> bool:
    \"\"\"Whether the value of a metric is far from what is usual.\"\"\"
    return abs(value - usual) > 3.0
"""


def answered(_request: Asked) -> str:
    """What a model says that reads it well."""
    fields = {"field": None, "expected": None, "suggestion": None}
    return json.dumps({"quote": "was fine", "judgement": "wrong", "sure": True, **fields})


def project() -> Any:
    """A function that learns, in a project of its own."""
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.environ["POET_USER_DIR"] = f"{folder}/user"
    Path("pyproject.toml").write_text('[project]\nname = "bench"\n', encoding="utf-8")
    Path("watched.py").write_text(MODULE, encoding="utf-8")
    sys.path.insert(0, folder)
    api.belong_to([Path(folder)])
    with api.activated():
        import watched
    return watched.is_anomaly


def given(function: Any, said: str, times: int = 300) -> float:
    """The median time of one feedback, in microseconds."""
    results = [poet_hook.call(function, 9.0, 1.0) for _ in range(times)]
    taken = []
    for result in results:
        started = time.perf_counter()
        poet_hook.feedback(result, said)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1e6


def costs() -> dict[str, float]:
    """The figures of the first kind."""
    function = project()
    given(function, "false alarm", 50)
    found = {"feedback that the rules read, us": given(function, "false alarm")}
    found["feedback that is unread, us"] = given(function, FINE)
    with LlmServer(answered) as server:
        os.environ.update(server.environ())
        activation.language_model.cache_clear()
        found["the same where a model may read it, us"] = given(function, FINE)
        name = api.name_of(function)
        again = api.read_feedback(name)  # the same over and over, of which one is asked
        for number in range(100):
            poet_hook.feedback(poet_hook.call(function, 10.0 + number, 1.0), FINE)
        started = time.perf_counter()
        items = api.read_feedback(name).items
        whole = (time.perf_counter() - started) / len(items)
        rows = api.store().query("SELECT seconds FROM llm_calls ORDER BY id DESC LIMIT 100")
    assert (len(items), len(server.asked)) == (100, 101), (len(items), len(server.asked), again.reason)
    waited = sum(seconds for (seconds,) in rows) / len(items)
    return found | {"one reading, ms": whole * 1e3, "of which the server, ms": waited * 1e3}


def chosen(count: int, held_out: bool) -> list[Sentence]:
    """Sentences that the rules can't read, spread evenly over the list."""
    domain = load("ml_monitoring")
    unread = [
        one
        for one in sentences()
        if one.held_out is held_out and read(one.said, outcome=one.alert, domain=domain).kind == "unread"
    ]
    return unread[:: max(1, len(unread) // count)][:count]


def read_by_model(count: int, held_out: bool) -> dict[str, Any]:
    """How the model reads sentences that the rules can't."""
    function = project()
    told = {}
    for one in chosen(count, held_out):
        result = poet_hook.call(function, 9.0 if one.alert else 2.0, 1.0)
        poet_hook.feedback(result, one.said)
        told[result.execution_id] = one
    started = time.perf_counter()
    found = api.read_feedback(api.name_of(function))
    score: Counter[str] = Counter()
    rows = []
    for item in found.items:
        one = told[item.execution_id]
        meaning = meaning_of(item.signal, one.alert)
        how = "correct" if meaning == one.meaning else "unread" if meaning == "unclear" else "wrong"
        score[how] += 1
        rows.append({"said": one.said, "meant": one.meaning, "read": meaning, "how": how, "reason": item.signal.reason})
    seconds = (time.perf_counter() - started) / max(1, len(found.items))
    never = len(told) - len(found.items)  # what contradicts the result is never asked, and where it failed nothing is
    return {**score, "not asked": never, "reason": found.reason, "seconds each": seconds, "sentences": rows}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--sentences", type=int, default=0)
    options.add_argument("--held-out", action="store_true")
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()
    found = read_by_model(asked.sentences, asked.held_out) if asked.sentences else costs()
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    for row in found.pop("sentences", []):
        print(f"{row['how']:8} meant {row['meant']:8} read {row['read']:8} {row['said'][:70]!r}")
    for name, value in found.items():
        print(f"{name:42} {value:,.1f}" if isinstance(value, float) else f"{name:42} {value}")


if __name__ == "__main__":
    main()
