"""PH4: a pragma held against the function below it and the module around it."""

from __future__ import annotations

from poet_hook.cli.rules.base import Rule


class UnknownArgument(Rule):
    """The option names an argument that the function does not have.

    The argument that was meant is recorded as the others are. Correct the name.

    Wrong:
        # poet: optimize_for=accuracy, record.password=none
        def may_enter(user: str, secret: str) -> bool:
            return len(secret) > 8

    Right:
        # poet: optimize_for=accuracy, record.secret=none
        def may_enter(user: str, secret: str) -> bool:
            return len(secret) > 8
    """

    code = "PH401"
    message = "record.password: may_enter() has no argument 'password'"


class ArgumentNamedResult(Rule):
    """In `ensure`, `result` is what the function returns, and an argument has the same name.

    The option is ignored. Rename the argument.

    Wrong:
        # poet: ensure="result >= 0"
        def rounded(result: float) -> int:
            return int(result)

    Right:
        # poet: ensure="result >= 0"
        def rounded(value: float) -> int:
            return int(value)
    """

    code = "PH402"
    message = "ensure=: rounded() has an argument named result, which hides the result"


class NotAboveFunction(Rule):
    """Python reads the lines below otherwise than as a function that starts there.

    The pragma is ignored. This is rare: it takes a decorator that a backslash moves to the next line. Put `@` and the
    decorator, or `async` and `def`, on one line.

    Wrong:
        from functools import cache


        # poet: retries=2
        @\\
        cache
        def fetch(url: str) -> str:
            return url

    Right:
        from functools import cache


        # poet: retries=2
        @cache
        def fetch(url: str) -> str:
            return url
    """

    code = "PH403"
    message = "this pragma does not stand above a function or a class"


class NothingToTune(Rule):
    """It is not clear which number `tune` means, or there is none that can be tuned.

    With a range an index, an exponent and a keyword argument can't be tuned. Give the number a line of its own.

    Wrong:
        # poet: optimize_for=accuracy
        def is_normal(celsius: float) -> bool:
            return celsius > 5.0 and celsius < 45.0  # poet: tune 20..60

    Right:
        # poet: optimize_for=accuracy
        def is_normal(celsius: float) -> bool:
            limit = 45.0  # poet: tune 20..60
            return celsius > 5.0 and celsius < limit
    """

    code = "PH404"
    message = "2 numbers on this line; put the one to tune on a line of its own"


class OutsideRange(Rule):
    """What stands on the line is not one of the values that `tune` allows.

    Nothing is tuned by it, since learning starts from what is written. A number must lie in the range: widen it. Of
    choices, what stands there must be one, and the others must be like it: texts beside a text, functions of the module
    beside a function.

    Wrong:
        # poet: optimize_for=accuracy
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0  # poet: tune 50..60

    Right:
        # poet: optimize_for=accuracy
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0  # poet: tune 20..60
    """

    code = "PH405"
    message = "the number 45 lies outside the range that it may be tuned in"


class UnknownFallback(Rule):
    """The fallback is a name that the module does not bind, or that the function itself uses for something else.

    There is no fallback then. Correct the name, or quote it if a text is meant: `fallback='nothing'`.

    Wrong:
        # poet: fallback=cached_price
        def price_of(item: str) -> float:
            return {"tea": 3.5}[item]

    Right:
        def cached_price(item: str) -> float:
            return 3.0


        # poet: fallback=cached_price
        def price_of(item: str) -> float:
            return {"tea": 3.5}[item]
    """

    code = "PH406"
    message = "fallback=cached_price: the module has no such function"


class LeftAlone(Rule):
    """The function has a pragma and runs as it is written, since it could not be enhanced correctly.

    The message says why. `check` and `explain` say so, an import does not. Take the pragma away, or move what is to be
    checked into a function of its own.

    Wrong:
        from numba import njit


        # poet: require="celsius > -273.15"
        @njit
        def kelvin(celsius: float) -> float:
            return celsius + 273.15

    Right:
        from numba import njit


        @njit
        def added(celsius: float) -> float:
            return celsius + 273.15


        # poet: require="celsius > -273.15"
        def kelvin(celsius: float) -> float:
            return added(celsius)
    """

    code = "PH409"
    severity = "warning"
    message = "kelvin() is left alone: @njit compiles it elsewhere; the enhanced body would not be understood there"


class UnknownName(Rule):
    """An expression reads a name that nothing binds, or a variable of the body, and can't be evaluated.

    It is about `require`, `ensure`, `key`, `stream` and `group`. They are evaluated before the body runs, or after it,
    beside its own variables: one with the name of a global hides it. Correct the name, or give one of the two
    another. Names that a `from module import *` may bring are not reported.

    Wrong:
        # poet: require="celsius > ABSOLUTE_ZERO"
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0

    Right:
        ABSOLUTE_ZERO = -273.15


        # poet: require="celsius > ABSOLUTE_ZERO"
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0
    """

    code = "PH410"
    message = "require=: ABSOLUTE_ZERO is no argument of is_hot(), and the module does not define it"


class NoYesOrNo(Rule):
    """`margin`, `min_run`, `hold` and `cooldown` change a yes or no, and the function returns something else.

    A yes or no is a `bool`, or one in a dict or an object. The options are ignored. Take them away, or correct the
    annotation.

    Wrong:
        # poet: cooldown=5m
        def heat(celsius: float) -> float:
            return celsius - 45.0

    Right:
        # poet: cooldown=5m
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0
    """

    code = "PH411"
    severity = "warning"
    message = "cooldown= has no effect: float is no yes or no"


class NotOfThisKind(Rule):
    """A generator gives many values and no one result: nothing can be tried again, checked at the end, or recorded.

    The option is ignored; the arguments are checked. Of an async function it is said of `canary` and `learn=shadow`,
    since another version on trial is not async; and of `__init__` and others that return nothing, where a class whose
    methods are all like that says something of results. Remove the option.

    Wrong:
        # poet: retries=2, coerce=strict
        def parts(text: str, size: int):
            yield text[:size]
            yield text[size:]

    Right:
        # poet: coerce=strict
        def parts(text: str, size: int):
            yield text[:size]
            yield text[size:]
    """

    code = "PH416"
    severity = "warning"
    message = "retries= has no effect: parts() is a generator, which gives no one result"


class NoSecondLimit(Rule):
    """`margin` moves the one number that decides, and there is none, or it can't be told which one it is.

    It must stand in the function, alone on one side of `<`, `<=`, `>` or `>=`, and what comes of that must reach what
    is returned. [Which forms are understood](pragmas.md#margin). Of several numbers, mark the one that is meant with
    `# poet: tune`. `margin` is ignored.

    Wrong:
        # poet: margin=2.0
        def is_hot(celsius: float, load: float) -> bool:
            return celsius > 45.0 or load > 0.9

    Right:
        # poet: margin=2.0
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0
    """

    code = "PH417"
    severity = "warning"
    message = "margin= has no effect: 2 numbers decide: 45, 0.9"
