"""The rules of `check`, by their codes: the one place where a code has its name, its severity and its words."""

from poet_hook.cli.rules import assumed, comments, functions, grammar, idle, objectives, values
from poet_hook.cli.rules.base import Rule

_FOUND = [
    rule
    for module in (comments, grammar, values, idle, functions, objectives, assumed)
    for rule in vars(module).values()
    if isinstance(rule, type) and issubclass(rule, Rule) and rule is not Rule
]
RULES: dict[str, type[Rule]] = {rule.code: rule for rule in sorted(_FOUND, key=lambda rule: rule.code)}

__all__ = ["RULES", "Rule"]
