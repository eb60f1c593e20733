"""`rule`: the code of a problem -> what is wrong, what that means, and the same without it."""

from __future__ import annotations

import argparse
from typing import Any

from poet_hook.cli.output import say, say_json
from poet_hook.cli.rules import RULES, Rule

_TOP = """\
<!-- Made from poet_hook/cli/rules by `make rules`: change it there. -->

# The rules of `check`

What [`check`](cli.md#check) reports, and what an import warns of. Each mistake costs its own option only. An **error**
can't be carried out as it is written; a **warning** is understood, and changes nothing. Codes never change their
meaning. `python -m poet_hook rule PH203` prints an entry of this page, `python -m poet_hook rule` all of it.
"""


def rule(options: argparse.Namespace) -> int:
    """Print the entry of one rule, or the page of all of them, as Markdown."""
    if options.json:
        say_json(_document(options.rule) if options.rule else {"rules": [_document(each) for each in RULES.values()]})
    else:
        say((entry(options.rule) if options.rule else page()).rstrip("\n"))
    return 0


def known(text: str) -> type[Rule]:
    """A code, in any case -> its rule; ValueError where there is none."""
    found = RULES.get(text.upper())
    if found is None:
        raise argparse.ArgumentTypeError(f"no rule is called {text!r}; python -m poet_hook rule lists them")
    return found


def page() -> str:
    """docs/rules.md: the table of the rules, and an entry for each."""
    rows = [
        f"| [{rule.code}](#{rule.code.lower()}) | {rule.severity} | {rule.summary()} | {'yes' if rule.fix else ''} |\n"
        for rule in RULES.values()
    ]
    table = "| code | | what is wrong | `--fix` |\n|---|---|---|---|\n" + "".join(rows)
    return "\n".join([_TOP, table, *(entry(rule, "###", mark=True) for rule in RULES.values())])


def entry(rule: type[Rule], level: str = "#", mark: bool = False) -> str:
    """One rule as Markdown; with `mark` each example says above it, unseen, what `check` finds in it."""
    parts = [f"{level} {rule.code}", f"**{rule.name()}** ({rule.severity}): `{rule.message}`"]
    parts += [rule.summary() or f"See {rule.url()}"]
    parts += [rule.explanation()] if rule.explanation() else []
    parts += [f"`check --fix` {rule.fix}."] if rule.fix else []
    if rule.wrong().strip():
        parts += [_example(rule, rule.wrong(), f"check: {rule.code}", mark), "Right:"]
        parts += [_example(rule, rule.right(), "check: nothing", mark)]
    return "\n\n".join(parts) + "\n"


def _example(rule: type[Rule], text: str, found: str, mark: bool) -> str:
    language = "python" if rule.file.endswith(".py") else "toml"
    return (f"<!-- {found} -->\n" if mark else "") + f"```{language}\n{text}```"


def _document(rule: type[Rule]) -> dict[str, Any]:
    return {
        "code": rule.code,
        "name": rule.name(),
        "severity": rule.severity,
        "summary": rule.summary(),
        "message": rule.message,
        "explanation": rule.explanation(),
        "wrong": rule.wrong(),
        "right": rule.right(),
        "fix": rule.fix or None,
        "url": rule.url(),
    }
