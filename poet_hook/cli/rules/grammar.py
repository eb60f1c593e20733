"""PH1: how the text of a pragma is split into options."""

from __future__ import annotations

from poet_hook.cli.rules.base import Rule


class MissingName(Rule):
    """The name of an option is missing.

    What stands there is ignored. Write `name=value`.

    Wrong:
        # poet: =3, timeout=5s
        def fetch(url: str) -> str:
            return url

    Right:
        # poet: retries=3, timeout=5s
        def fetch(url: str) -> str:
            return url
    """

    code = "PH101"
    message = "expected an option name, found '=3'"


class MissingValue(Rule):
    """An option has no value.

    It is ignored. Only `off` stands without one. Write `retries=...`.

    Wrong:
        # poet: retries, timeout=5s
        def fetch(url: str) -> str:
            return url

    Right:
        # poet: retries=3, timeout=5s
        def fetch(url: str) -> str:
            return url
    """

    code = "PH102"
    message = "'retries' has no value"


class UnclosedQuote(Rule):
    """The quote that ends a text is missing.

    The rest of the line is ignored, since nobody knows where the text was meant to end. Close it.

    Wrong:
        # poet: require="len(url) < 200, retries=2
        def fetch(url: str) -> str:
            return url

    Right:
        # poet: require="len(url) < 200", retries=2
        def fetch(url: str) -> str:
            return url
    """

    code = "PH103"
    message = "the quoted text is not closed"


class UnbalancedBrackets(Rule):
    """A bracket of a literal is missing, or of the wrong kind.

    The rest of the line is ignored. Add or correct the bracket.

    Wrong:
        # poet: fallback=[0.0, 1.0
        def bounds(name: str) -> list[float]:
            return [2.0, 3.0]

    Right:
        # poet: fallback=[0.0, 1.0]
        def bounds(name: str) -> list[float]:
            return [2.0, 3.0]
    """

    code = "PH104"
    message = "the brackets are not balanced"


class LineTooLong(Rule):
    """A pragma line is longer than 500 characters.

    It is ignored: so long a line is hardly meant as one. Spread the options over several lines above the function, or
    name a function in the expression.

    Wrong:
        # poet: require="country in ('AT', 'AU', 'BE', 'BG', 'BR', 'CA', 'CH', 'CL', 'CN', 'CO', 'CY', 'CZ', 'DE', 'DK', 'EE', 'EG', 'ES', 'FI', 'FR', 'GB', 'GR', 'HK', 'HR', 'HU', 'ID', 'IE', 'IL', 'IN', 'IS', 'IT', 'JP', 'KE', 'KR', 'LI', 'LT', 'LU', 'LV', 'MA', 'MC', 'MT', 'MX', 'MY', 'NG', 'NL', 'NO', 'NZ', 'PE', 'PH', 'PK', 'PL', 'PT', 'RO', 'RS', 'SA', 'SE', 'SG', 'SI', 'SK', 'SM', 'TH', 'TN', 'TR', 'TW', 'UA', 'US', 'UY', 'VA', 'VN', 'ZA', 'AD', 'AE', 'AL', 'AM', 'AR', 'AZ', 'BA', 'BD', 'BH', 'BO', 'BY', 'CR')"
        def postage(country: str) -> float:
            return 4.5

    Right:
        COUNTRIES = frozenset("AT AU BE BG BR CA CH CL CN CO CY CZ DE DK EE EG ES FI FR GB GR HK HR HU ID IE".split())


        # poet: require="country in COUNTRIES"
        def postage(country: str) -> float:
            return 4.5
    """  # noqa: E501

    code = "PH105"
    message = "a pragma line has at most 500 characters; it is ignored"


class TooManyOptions(Rule):
    """One pragma has more than 32 options.

    Those beyond are ignored. Leave some out: often one option says the same of all arguments.

    Wrong:
        # poet: optimize_for=accuracy
        # poet: record.a=hash, record.b=hash, record.c=hash, record.d=hash, record.e=hash, record.f=hash, record.g=hash
        # poet: record.h=hash, record.i=hash, record.j=hash, record.k=hash, record.l=hash, record.m=hash, record.n=hash
        # poet: record.o=hash, record.p=hash, record.q=hash, record.r=hash, record.s=hash, record.t=hash, record.u=hash
        # poet: record.v=hash, record.w=hash, record.x=hash, record.y=hash, record.z=hash
        # poet: retries=2, timeout=5s, learn=propose, after=20, alpha=0.1, coerce=strict
        def is_fraud(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z) -> bool:
            return a > 5.0

    Right:
        # poet: optimize_for=accuracy, record=hash
        # poet: retries=2, timeout=5s, learn=propose, after=20, alpha=0.1, coerce=strict
        def is_fraud(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z) -> bool:
            return a > 5.0
    """

    code = "PH106"
    message = "more than 32 options; the rest is ignored"
