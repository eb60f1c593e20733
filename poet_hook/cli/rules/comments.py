"""PH0: where a comment stands, and whether it is read at all."""

from __future__ import annotations

from poet_hook.cli.rules.base import Rule


class UnreadableSource(Rule):
    """The file can't be read, decoded, split into tokens or parsed.

    Nothing in it is enhanced. Correct the file; Python says more when it is run.

    Wrong:
        # poet: retries=2
        def fetch(url: str) -> str:
            return url +

    Right:
        # poet: retries=2
        def fetch(url: str) -> str:
            return url + "/"
    """

    code = "PH000"
    message = "syntax error: invalid syntax; nothing in this file is enhanced"


class MisspeltPragma(Rule):
    """A comment looks like a pragma and is spelled otherwise.

    It is a comment like any other, so nothing is done with the function. Write `# poet: `, in lower case and with the
    colon.

    Wrong:
        # POET: retries=2
        def fetch(url: str) -> str:
            return url

    Right:
        # poet: retries=2
        def fetch(url: str) -> str:
            return url
    """

    code = "PH001"
    message = "this is not read as a pragma"
    fix = "writes `# poet:`"


class BlankLineBelow(Rule):
    """A blank line stands between a pragma and its function or class.

    The pragma belongs to nothing, and is ignored. Remove the blank line.

    Wrong:
        # poet: retries=2

        def fetch(url: str) -> str:
            return url

    Right:
        # poet: retries=2
        def fetch(url: str) -> str:
            return url
    """

    code = "PH002"
    message = "a pragma stands directly above its function"
    fix = "removes the blank line"


class NoFunctionFollows(Rule):
    """The statement below the pragma is neither a function nor a class, or a module's pragma comes too late.

    The pragma is ignored. Move it to [where a pragma may stand](pragmas.md#where-a-pragma-may-stand), and
    `# poet: module` to the top of the file.

    Wrong:
        # poet: retries=2
        LIMIT = 3


        def fetch(url: str) -> str:
            return url[:LIMIT]

    Right:
        LIMIT = 3


        # poet: retries=2
        def fetch(url: str) -> str:
            return url[:LIMIT]
    """

    code = "PH003"
    message = "only functions and classes carry pragmas: a statement follows"


class OptionsBehindCode(Rule):
    """Options stand at the end of a line of code.

    They are ignored: only `tune` may stand there. Move them above the function.

    Wrong:
        def fetch(url: str) -> str:  # poet: retries=2
            return url

    Right:
        # poet: retries=2
        def fetch(url: str) -> str:
            return url
    """

    code = "PH004"
    message = "options go above the function, on a line of their own"


class MisplacedTune(Rule):
    """`tune` does not stand at the end of a line that holds a number.

    It stands on a line of its own, among the options, or, with a range, on a line without a number. Nothing is tuned
    by it. Move it to the line of the number.

    Wrong:
        # poet: optimize_for=accuracy
        def is_hot(celsius: float) -> bool:
            # poet: tune 20..60
            return celsius > 45.0

    Right:
        # poet: optimize_for=accuracy
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0  # poet: tune 20..60
    """

    code = "PH005"
    message = "tune belongs at the end of the line of the number that it tunes"
