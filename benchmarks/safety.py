"""What is refused of hostile code, accepted of harmless code, and survived of bad replies, with the time of each; and
what it costs to judge code that is locked away.

    python benchmarks/safety.py [--corpora DIR] [--json]

Without `--corpora`, the samples of the tests are taken. DIR has `corpus_context.json` (`source` of a module and the
`function` in it), `escape_corpus.json` and `benign_corpus.json` (lists of `id` and `snippet`) and
`bad_llm_replies.json` (lists of `id`, `reply`, `expect`, and `expand` where `@@` in the reply stands for something
repeated). A check is timed as the fastest of five, beside `ast.parse` of the same text. Memory is what one process has
grown by at its peak while it read all replies.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import resource
import statistics
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import isolated
import msgspec

from poet_hook.isolation.policy import Original, vet
from poet_hook.llm.extract import Extracted, NotExtracted, extract_code, extract_object
from poet_hook.llm.reply import content_of

TESTS = Path(__file__).resolve().parent.parent / "tests"


class Label(msgspec.Struct, forbid_unknown_fields=True):
    """The object that the replies with JSON should have been."""

    label: str
    expected: bool | None
    confidence: float
    reason: str


@dataclass(frozen=True)
class Samples:
    """A function, what may not and what may take its place, and bad replies."""

    original: Original
    hostile: list[tuple[str, str]]
    benign: list[tuple[str, str]]
    replies: list[tuple[str, str, str]]


def of_tests() -> Samples:
    sys.path.insert(0, str(TESTS))
    import test_extract
    import test_policy

    def bodies(name: str) -> list[tuple[str, str]]:
        texts = [s.partition("\n")[2] if s.startswith("#: ") else s for s in test_policy.samples(name)]
        return [(textwrap.shorten(text, 50), test_policy.candidate(text)) for text in texts]

    replies = [(repr(reply[:40]), reply, "reject") for reply in test_extract.BAD]
    return Samples(test_policy.ORIGINAL, bodies("refused.txt"), bodies("accepted.txt"), replies)


def of_folder(folder: Path) -> Samples:
    def read(name: str) -> Any:
        return json.loads((folder / name).read_text(encoding="utf-8"))

    context = read("corpus_context.json")
    snippets = [[(i["id"], i["snippet"]) for i in read(f"{kind}_corpus.json")] for kind in ("escape", "benign")]
    replies = []
    for item in read("bad_llm_replies.json"):
        expand = item.get("expand", {"unit": "", "times": 0})
        replies.append((item["id"], item["reply"].replace("@@", expand["unit"] * expand["times"]), item["expect"]))
    return Samples(Original(context["source"], context["function"]), snippets[0], snippets[1], replies)


def fastest(work: Callable[[], object], runs: int = 5) -> float:
    """Milliseconds."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) * 1000


def judged(samples: Samples) -> dict[str, Any]:
    """How many of both kinds were judged rightly, and how long the accepted ones took."""
    hostile = [name for name, text in samples.hostile if not vet(text, samples.original).refusals]
    benign = [name for name, text in samples.benign if vet(text, samples.original).refusals]
    times = [fastest(lambda text=text: vet(text, samples.original)) for _, text in samples.benign]  # type: ignore[misc]
    parse = [fastest(lambda text=text: ast.parse(text)) for _, text in samples.benign]  # type: ignore[misc]
    return {
        "hostile": len(samples.hostile),
        "hostile_accepted": hostile,
        "benign": len(samples.benign),
        "benign_refused": benign,
        "check_ms_median": statistics.median(times),
        "check_ms_worst": max(times),
        "parse_ms_median": statistics.median(parse),
    }


def survived(samples: Samples) -> dict[str, Any]:
    """What came of the replies: none may raise, and what had to be rejected must be."""
    name = samples.original.function.name
    counts = {"rejected": 0, "refused by the policy": 0, "candidates": 0, "objects": 0}
    wrong, raised, slowest = [], [], 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for label, reply, expect in samples.replies:
        start = time.perf_counter()
        outcome = "rejected"
        try:
            outcome = _outcome(label, reply, name, samples.original)
        except Exception:  # noqa: BLE001 - that is what is counted
            raised.append(label)
        slowest = max(slowest, time.perf_counter() - start)
        counts[outcome] += 1
        if expect == "reject" and outcome in ("candidates", "objects"):
            wrong.append(label)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024)
    return {
        "replies": len(samples.replies),
        **counts,
        "raised": raised,
        "wrongly_taken": wrong,
        "slowest_ms": slowest * 1000,
        "memory_bytes": grown,
    }


def _outcome(label: str, reply: str, name: str, original: Original) -> str:
    if label.startswith("json"):
        return "objects" if isinstance(extract_object(reply, Label), Label) else "rejected"
    read = content_of(reply)
    found = read if isinstance(read, NotExtracted) else extract_code(read[0], name, read[1], original.source)
    if not isinstance(found, Extracted):
        return "rejected"
    return "refused by the policy" if vet(found.source, original).refusals else "candidates"


def told(policy: dict[str, Any], replies: dict[str, Any]) -> None:
    refused = policy["hostile"] - len(policy["hostile_accepted"])
    accepted = policy["benign"] - len(policy["benign_refused"])
    print(f"hostile code refused   {refused} of {policy['hostile']}", *policy["hostile_accepted"])
    print(f"harmless code accepted {accepted} of {policy['benign']}", *policy["benign_refused"])
    print(f"one check              median {policy['check_ms_median']:.2f} ms, worst {policy['check_ms_worst']:.2f} ms")
    print(f"ast.parse of the same  median {policy['parse_ms_median']:.2f} ms")
    print(
        f"bad replies survived   {replies['replies'] - len(replies['raised'])} of {replies['replies']}",
        *replies["raised"],
    )
    for outcome in ("rejected", "refused by the policy", "candidates", "objects"):
        print(f"  {outcome:21}{replies[outcome]}")
    print(f"  wrongly taken        {len(replies['wrongly_taken'])}", *replies["wrongly_taken"])
    print(f"  slowest              {replies['slowest_ms']:.1f} ms")
    print(f"  memory               {replies['memory_bytes'] / 2**20:.1f} MiB")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--corpora", type=Path, metavar="DIR", help="default: the samples of the tests")
    arguments.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    options = arguments.parse_args()
    with contextlib.redirect_stdout(sys.stderr):
        samples = of_folder(options.corpora) if options.corpora else of_tests()
    replies = survived(samples)
    policy = judged(samples)
    isolation = isolated.costs()
    if options.json:
        print(json.dumps({"policy": policy, "replies": replies, "isolation": isolation}, indent=2))
    else:
        told(policy, replies)
        isolated.told(isolation)
    failures = policy["hostile_accepted"], policy["benign_refused"], replies["raised"], replies["wrongly_taken"]
    return 1 if any(failures) else 0


if __name__ == "__main__":
    sys.exit(main())
