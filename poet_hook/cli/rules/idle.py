"""PH3: options that change nothing beside the others of the same pragma."""

from __future__ import annotations

from poet_hook.cli.rules.base import Rule


class GivenTwice(Rule):
    """An option is given twice.

    The later value is used. Remove the other.

    Wrong:
        # poet: retries=1, timeout=5s
        # poet: retries=3
        def fetch(url: str) -> str:
            return url

    Right:
        # poet: retries=3, timeout=5s
        def fetch(url: str) -> str:
            return url
    """

    code = "PH301"
    severity = "warning"
    message = "retries is given twice; this one counts"


class NoObjective(Rule):
    """The option says how to record or how to learn, and nothing is learned without `optimize_for`.

    Add `optimize_for`, or remove the option. Of a class or a module it is said where no function in it learns.

    Wrong:
        # poet: learn=propose
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0

    Right:
        # poet: optimize_for=accuracy, learn=propose
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0
    """

    code = "PH302"
    severity = "warning"
    message = "learn has no effect without optimize_for"


class BesideOff(Rule):
    """`off` leaves the function alone, so the other options do nothing.

    Remove `off`, or the others.

    Wrong:
        # poet: off, retries=2
        def fetch(url: str) -> str:
            return url

    Right:
        # poet: off
        def fetch(url: str) -> str:
            return url
    """

    code = "PH303"
    severity = "warning"
    message = "retries has no effect beside off"
