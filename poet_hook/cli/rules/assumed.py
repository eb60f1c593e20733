"""PH5: what the settings say of code that has no pragma of its own."""

from __future__ import annotations

from poet_hook.cli.rules.base import Rule


class NothingAssumed(Rule):
    """An entry of `assume` names nothing that could be enhanced.

    The project has no such module, or the module no such function; an import does not say so, since what was named may
    come later. `pyproject.toml` speaks of the project's own modules only. What `POET_ASSUME` names is looked for where
    Python finds modules, and nothing is imported; the standard library and modules without source stay as they are.
    Correct the name. See [`assume`](configuration.md#assume).

    Wrong:
        [tool.poet_hook.assume]
        "shop:totl" = "retries=2"

    Right:
        [tool.poet_hook.assume]
        "shop:total" = "retries=2"
    """

    code = "PH501"
    message = "there is no function totl in shop"
    file = "pyproject.toml"
