"""How long one learning run takes, with a language model and without: our own time, the model's left out.

    python benchmarks/rounds.py [EXECUTIONS]

A project of its own records so many executions (1,000 by default), of which 200 have feedback; then it learns. The
language model is a server on loopback that answers at once with code which does better, so all time is ours.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAID = 200
PROGRAM = """
import random, sys, time
sys.path[:0] = [{root!r}, {tests!r}]
import poet_hook
poet_hook.activate()
import shop

chance = random.Random(1)
count = int(sys.argv[1])
began = time.perf_counter()
for number in range(count):
    level = chance.uniform(0, 500)
    history = [chance.gauss(level, 2) for _ in range(9)]
    history[3] += 300.0 * (chance.random() < 0.5)
    value = chance.gauss(level + 25 * (chance.random() < 0.4), 2)
    result = poet_hook.call(shop.spike, value, history)
    if number % (count // {said}) == 0:
        poet_hook.feedback(result, {{"expected": abs(value - sorted(history)[4]) > 12}})
print(f"{{count:,}} calls and {said} feedbacks  {{time.perf_counter() - began:8.2f}} s")
for name in ("learn", "learn again"):
    began = time.perf_counter()
    learned = poet_hook.learn("shop:spike")
    what = "other code" if learned.candidate and "def" in learned.candidate.values else "no other code"
    print(f"{{name:32}} {{time.perf_counter() - began:8.2f}} s  {{what}}, promoted: {{learned.promoted}}")
"""
SHOP = """\
import statistics

# poet: optimize_for=accuracy, after=1000000
def spike(value: float, history: list[float]) -> bool:
    return abs(value - sum(history) / len(history)) > 8.0
"""
REPLY = """\
```python
def spike(value: float, history: list[float]) -> bool:
    return abs(value - statistics.median(history)) > 12.0
```
"""


def run(count: int, environ: dict[str, str]) -> None:
    """One project, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pyproject.toml").write_text("", encoding="utf-8")
        Path(folder, "shop.py").write_text(SHOP, encoding="utf-8")
        text = PROGRAM.format(root=str(ROOT), tests=str(ROOT / "tests"), said=SAID)
        Path(folder, "run.py").write_text(text, encoding="utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("POET_", "OPENAI_"))}
        kept |= {"POET_USER_DIR": str(Path(folder, "user")), "XDG_CACHE_HOME": str(Path(folder, "cache"))}
        subprocess.run([sys.executable, "run.py", str(count)], cwd=folder, env=kept | environ, check=True)


def main() -> None:
    """The figures."""
    sys.path.insert(0, str(ROOT / "tests"))
    from llm_server import LlmServer

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    print("without a language model")
    run(count, {})
    print("with one, which answers at once")
    with LlmServer(REPLY) as server:
        run(count, server.environ())
        print(f"{'asked':32} {len(server.asked):8} times")


if __name__ == "__main__":
    main()
