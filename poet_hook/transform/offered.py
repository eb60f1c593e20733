"""A pragma -> what is remembered between calls, as tunables: `min_run=`, `hold=` and `cooldown=`.

Where calls have streams, the domain offers them, whether the user wrote them or not. Without that, learning may change
those that the user wrote, unless `# poet: tune` marks what is to be tuned. A duration stays what it is, and so does an
option that has the name of something in the body.
"""

from __future__ import annotations

from collections.abc import Collection

from poet_hook.domains.base import load
from poet_hook.model import Pragma, Tunable
from poet_hook.pragma.options import STEADY

NEUTRAL = {"min_run": 1, "hold": 0, "cooldown": 0}
HIGHEST = {"min_run": 10, "hold": 50, "cooldown": 200}  # calls; twice what the user wrote, where that is more


def offered(pragma: Pragma, returns: str, line: int, taken: Collection[str]) -> tuple[Tunable, ...]:
    """The options that learning may change in a function annotated to return `returns`; `line` is that of its `def`."""
    if not pragma.trains or returns.partition("[")[0] not in ("", "bool", "dict"):
        return ()
    by_domain = load(pragma.domain).options if pragma.domain and pragma.stream else ()
    out = []
    for name in STEADY:
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
