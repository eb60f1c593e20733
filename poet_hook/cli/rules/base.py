"""What a rule of `check` is: a class whose docstring is its entry in docs/rules.md.

The docstring has four parts: one line that says what is wrong, what that means and what to do, and after `Wrong:` and
`Right:` the same small module, or what else `file` is, with and without the mistake. The tests run `check` over both.
"""

from __future__ import annotations

from inspect import cleandoc
from textwrap import dedent
from typing import ClassVar, Literal

from poet_hook.errors import SITE

# error: what is written can't be carried out; warning: it is understood, and changes nothing
Severity = Literal["error", "warning"]


class Rule:
    """The base of all rules; what it has is read from the subclass."""

    code: ClassVar[str]  # stable: people silence and search for it
    severity: ClassVar[Severity] = "error"
    message: ClassVar[str]  # what `check` says of the wrong example
    file: ClassVar[str] = "shop.py"  # what the examples are the text of
    fix: ClassVar[str] = ""  # what `check --fix` does, where there is one safe correction

    @classmethod
    def name(cls) -> str:
        """The name of the class as words: UnknownOption -> unknown-option."""
        return "".join(f"-{c.lower()}" if c.isupper() else c for c in cls.__name__).lstrip("-")

    @classmethod
    def url(cls) -> str:
        return f"{SITE}/rules.html#{cls.code.lower()}"

    @classmethod
    def summary(cls) -> str:
        return cls._parts()[0].partition("\n")[0]

    @classmethod
    def explanation(cls) -> str:
        """What it means and what to do, as Markdown with links as seen from docs/."""
        return cls._parts()[0].partition("\n")[2].strip()

    @classmethod
    def wrong(cls) -> str:
        return cls._parts()[1]

    @classmethod
    def right(cls) -> str:
        return cls._parts()[2]

    @classmethod
    def _parts(cls) -> tuple[str, str, str]:
        # under -OO there are no docstrings: the page at `url` is left then
        text, _, examples = cleandoc(cls.__doc__ or "").partition("\nWrong:\n")
        wrong, _, right = examples.partition("\nRight:\n")
        return text.strip(), dedent(wrong).strip() + "\n", dedent(right).strip() + "\n"
