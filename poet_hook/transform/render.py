"""Plan -> the text of what really runs, for people; nothing that is rendered is ever executed."""

from __future__ import annotations

import ast
import warnings

from poet_hook.model import LATE_PREFIX, SLOT_PREFIX, Plan
from poet_hook.transform.compile import Champion
from poet_hook.transform.plan import plan_module
from poet_hook.transform.rewrite import enhance
from poet_hook.transform.values import set_values

SLOT = "POET"  # how the slot, a constant of the code object, is shown


class _ShowSlot(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if type(node.value) is str and node.value.startswith((SLOT_PREFIX, LATE_PREFIX)):
            return ast.copy_location(ast.Name(SLOT, ast.Load()), node)
        return node


def render(source: str, plan: Plan, champion: Champion) -> str:
    """The function of `plan` as it runs in this module, formatted; raises LookupError where it is not enhanced."""
    planned = plan_module(source, plan.path, plan.module, assume=plan.assume)
    target = next((t for t in planned.targets if t.plan.qualname == plan.qualname), None)
    if target is None:
        raise LookupError(f"{plan.function} is not enhanced")
    set_values(target.node, plan, champion.values)
    enhance(target.node, plan.with_options(champion.values), champion.version)
    shown = ast.fix_missing_locations(_ShowSlot().visit(target.node))
    return _formatted(_to_text(ast.Module([shown], [])))


def _to_text(tree: ast.Module) -> str:
    """Through astor where its text means the same tree, else through `ast.unparse`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astor 0.8.1 names node classes that Python is about to drop
            import astor

            text: str = astor.to_source(tree)
        if ast.dump(ast.parse(text)) == ast.dump(ast.parse(ast.unparse(tree))):
            return text
    except Exception:  # noqa: BLE001 - astor does not know match, except* and type parameters
        pass
    return ast.unparse(tree)


def _formatted(text: str) -> str:
    import black
    from black.parsing import InvalidInput

    try:
        return black.format_str(text, mode=black.Mode(line_length=100))
    except InvalidInput:  # syntax that this black does not know
        return text
