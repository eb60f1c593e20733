"""A pragma -> the options in it that learning may change, as tunables.

`min_run=`, `hold=` and `cooldown=` say what is remembered between calls. Where calls have streams, the domain may offer
some, whether the user wrote them or not. Of the others, learning may change those that the user wrote, unless `# poet:
tune` marks what is to be tuned. A duration stays what it is.

`margin=` gives the number that decides a second place while the last result was an alert. Where calls have streams,
and nothing is marked, learning may put it in, as another way to decide.

`retries=`, `backoff=` and `timeout=` say how often and how long is tried. Where the latency or the reliability of live
calls is what counts, learning may change those that the user wrote, unless something is marked. A time limit becomes
only shorter for the one, and only longer, up to four times what the user wrote, for the other.

An option that has the name of something in the body stays what it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from poet_hook.domains.base import load
from poet_hook.model import MARGIN, Limit, Pragma, Tunable
from poet_hook.pragma.options import LIVE_OBJECTIVES, UNSPOKEN

NEUTRAL = {"min_run": 1, "hold": 0, "cooldown": 0}
HIGHEST = {"min_run": 10, "hold": 20, "cooldown": 200}  # calls; twice what the user wrote, where that is more


MOST_RETRIES = 5  # what the user wrote, where that is more
LONGER = 4.0  # times what the user wrote is the longest time limit
REACH = 16.0  # how many times longer, or shorter, a duration may become


def offered(
    pragma: Pragma, returns: str, line: int, taken: Collection[str], limit: Limit | None = None
) -> tuple[Tunable, ...]:
    """The options that learning may change in a function annotated to return `returns`; `line` is that of its `def`.

    `limit` is the number that `margin=` would move.
    """
    second = [] if limit is None or returns not in ("", "bool", "dict") else _margin(pragma, line, taken, limit)
    return (*second, *_remembered(pragma, returns, line, taken), *_attempts(pragma, line, taken))


def _margin(pragma: Pragma, line: int, taken: Collection[str], limit: Limit) -> Iterator[Tunable]:
    written = pragma.margin or 0.0
    upper = max(abs(limit.value), 2 * written)
    replayed = pragma.trains and pragma.optimize_for not in LIVE_OBJECTIVES
    if replayed and not pragma.tunes and upper and MARGIN not in taken:
        yield Tunable(MARGIN, written, pragma.line - line, 0, 0, limit.integer, 0.0, upper, kind="option")


def _attempts(pragma: Pragma, line: int, taken: Collection[str]) -> Iterator[Tunable]:
    if pragma.optimize_for not in UNSPOKEN or not pragma.canary or pragma.tunes:
        return
    ranges: dict[str, tuple[float, float, float]] = {}
    if pragma.retries:
        ranges["retries"] = pragma.retries, 0, max(MOST_RETRIES, pragma.retries)
        ranges["backoff"] = pragma.backoff, pragma.backoff / REACH, pragma.backoff * REACH
    if pragma.timeout:
        if pragma.optimize_for == "latency":
            ranges["timeout"] = pragma.timeout, pragma.timeout / REACH, pragma.timeout
        else:
            ranges["timeout"] = pragma.timeout, pragma.timeout, LONGER * pragma.timeout
    for name, (value, lower, upper) in ranges.items():
        if name not in taken:
            whole = name == "retries"
            yield Tunable(name, value, pragma.line - line, 0, 0, whole, lower, upper, kind="option")


def _remembered(pragma: Pragma, returns: str, line: int, taken: Collection[str]) -> tuple[Tunable, ...]:
    if not pragma.trains or returns.partition("[")[0] not in ("", "bool", "dict"):
        return ()
    by_domain = load(pragma.domain).options if pragma.domain and pragma.stream else ()
    out = []
    for name in NEUTRAL:
        written = getattr(pragma, name)
        if name in taken or isinstance(written, float):
            continue
        if name not in by_domain and (written is None or pragma.tunes):
            continue
        value = NEUTRAL[name] if written is None else written
        out.append(
            Tunable(
                name=name,
                value=value,
                line=pragma.line - line,
                column=0,
                end_column=0,
                integer=True,
                lower=NEUTRAL[name],
                upper=max(HIGHEST[name], 2 * value),
                kind="option",
            )
        )
    return tuple(out)
