"""PH2: which options there are, and what their values may be."""

from __future__ import annotations

from poet_hook.cli.rules.base import Rule


class UnknownOption(Rule):
    """No option has this name.

    It is ignored. If a name, or `module`, is near, it is suggested; all are in [the list](pragmas.md#overview).

    Wrong:
        # poet: retires=2
        def fetch(url: str) -> str:
            return url

    Right:
        # poet: retries=2
        def fetch(url: str) -> str:
            return url
    """

    code = "PH201"
    message = "unknown option 'retires'"
    fix = "writes the name, where only one is near"


class NotAvailable(Rule):
    """The option is planned, and does nothing in this version.

    It is ignored, and refused rather than silently accepted, so that nobody relies on it. Leave it out.

    Wrong:
        # poet: retries=2, sample=10%
        def fetch(url: str) -> str:
            return url

    Right:
        # poet: retries=2
        def fetch(url: str) -> str:
            return url
    """

    code = "PH202"
    message = "sample is not available in this version"


class UnknownChoice(Rule):
    """The value is none of those that the option takes.

    The option is ignored. Take one of those that the message lists.

    Wrong:
        # poet: coerce=loose
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0

    Right:
        # poet: coerce=lax
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0
    """

    code = "PH203"
    message = "coerce can't be 'loose'"


class UnreadableNumber(Rule):
    """A number, a duration, a share or a cost can't be read, or is out of range.

    The option is ignored. Write it as in the hint: `500ms`, `5s`, `canary=5%`, `cost=1:5`.

    Wrong:
        # poet: timeout=soon
        def fetch(url: str) -> str:
            return url

    Right:
        # poet: timeout=500ms
        def fetch(url: str) -> str:
            return url
    """

    code = "PH204"
    message = "timeout takes a duration above 0 and up to 1000000 seconds, not 'soon'"


class UnreadableFallback(Rule):
    """A fallback is neither a literal nor the name of a function.

    There is no fallback then, and what the function raises is raised. Write a literal (`None`, `0.0`, `[]`), a text in
    quotes, or the name of a function of the module.

    Wrong:
        # poet: fallback=none
        def price_of(item: str) -> float | None:
            return {"tea": 3.5}[item]

    Right:
        # poet: fallback=None
        def price_of(item: str) -> float | None:
            return {"tea": 3.5}[item]
    """

    code = "PH205"
    message = "none is not a Python literal"


class UnusableExpression(Rule):
    """An expression is not in quotes, or Python can't compile it.

    Nothing is checked by it. An expression has spaces and commas of its own, so it stands in quotes.

    Wrong:
        # poet: require=celsius>-273.15
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0

    Right:
        # poet: require="celsius > -273.15"
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0
    """

    code = "PH206"
    message = "require takes a quoted expression, not 'celsius>-273.15'"


class ValueOfFlag(Rule):
    """`off` has a value.

    It is ignored, and so the other options count. Write `off` alone to leave the function as it is, or take it away.

    Wrong:
        # poet: off=true
        def fetch(url: str) -> str:
            return url

    Right:
        # poet: off
        def fetch(url: str) -> str:
            return url
    """

    code = "PH207"
    message = "off takes no value"


class UnreadableTune(Rule):
    """What `tune` says can't be read: its range, its choices, or the name after `as`.

    Nothing is tuned by it. Write `tune 1..8`, `tune 1..`, `tune ..8`, `tune ks|psi`, or `tune 1..8 as limit`. Choices
    are 2 to 32 names, numbers or quoted texts, all different.

    Wrong:
        # poet: optimize_for=accuracy
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0  # poet: tune 60..20

    Right:
        # poet: optimize_for=accuracy
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0  # poet: tune 20..60
    """

    code = "PH208"
    message = "the range '60..20' is empty"
