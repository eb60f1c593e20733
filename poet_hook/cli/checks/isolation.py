"""How well this system can lock other code away while it is judged."""

from __future__ import annotations

from collections.abc import Iterator

from poet_hook.cli.checks.base import Finding, Patient


def isolation(_: Patient) -> Iterator[Finding]:
    """The level that was found by trying, and what follows from it."""
    from poet_hook.isolation.level import tried  # which is needed by few commands

    found = tried()
    if found.level == "closed":
        by = f"seccomp, Landlock {found.landlock}" if found.landlock else "seccomp"
        yield Finding("isolation", "ok", f"closed: code that is judged reaches no file, network or process ({by})")
    else:
        follows = "what a model writes is proposed, and never goes live by itself"
        yield Finding("isolation", "note", f"{found.level}: while it is judged, {found.told}; {follows}")
