"""Source text + champions -> the module's code, enhanced; one owner for import, swap and display."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import CodeType

from poet_hook.model import CODE, Diagnostic, LeftAlone, Plan, Value
from poet_hook.settings import Assumption
from poet_hook.transform.hygiene import give_attribute
from poet_hook.transform.lines import own_lines
from poet_hook.transform.nodes import FunctionNode, walk
from poet_hook.transform.plan import Target, plan_module
from poet_hook.transform.rewrite import enhance
from poet_hook.transform.values import option_line, set_values


@dataclass(frozen=True, slots=True)
class Champion:
    """The version in use: its number, what it puts in place of the original's, and the file that holds its text."""

    version: int
    values: Mapping[str, Value]
    path: str = field(default="", compare=False)

    def moved(self, code: CodeType, plan: Plan) -> CodeType:
        """The module's code, in which the function's own leads to that file, where the version is other code."""
        if CODE not in self.values or not self.path:
            return code
        from poet_hook.transform.lines import moved  # few versions are

        first = 1 + bool(option_line(plan.tunables, self.values))
        found = function_code(code, plan.qualname, plan.line)
        return code if found is None else moved(code, found, plan.line - first, self.path)


ORIGINAL = Champion(1, {})
FindChampion = Callable[[Plan], Champion]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A module's code, what was done to each function, and what is wrong."""

    code: CodeType
    tree: ast.Module
    plans: tuple[Plan, ...]
    left_alone: tuple[LeftAlone, ...]
    diagnostics: tuple[Diagnostic, ...]


def compile_module(
    source: str,
    path: str,
    module: str,
    champion: FindChampion = lambda _: ORIGINAL,
    optimize: int = -1,
    kept_as: str = "",
    assume: tuple[Assumption, ...] = (),
) -> Compiled:
    """Compile `source` with its pragmas carried out; slots are still string constants (`runtime.slot.bind`).

    Raises what `ast.parse` and `compile` raise.
    """
    planned = plan_module(source, path, module, kept_as, assume)
    unsettled: list[tuple[str, FunctionNode]] = []
    others: list[tuple[Champion, Plan]] = []
    for number, target in enumerate(planned.targets):
        chosen = champion(target.plan)
        if chosen.values:
            set_values(target.node, target.plan, chosen.values)
            _find_again(target, planned.targets[number + 1 :])
            others.append((chosen, target.plan))
        if enhance(target.node, target.plan.with_options(chosen.values), chosen.version):
            unsettled.append((target.plan.qualname, target.node))
        if target.plan.pragma.trains or (target.plan.own and not target.plan.nested):
            give_attribute(target.node, target.plan)
    code = compile(planned.tree, path, "exec", dont_inherit=True, optimize=optimize)
    code = own_lines(code, unsettled) if unsettled else code
    for chosen, plan in others:
        code = chosen.moved(code, plan)
    return Compiled(
        code=code,
        tree=planned.tree,
        plans=tuple(target.plan for target in planned.targets),
        left_alone=tuple(planned.left_alone),
        diagnostics=tuple(planned.diagnostics),
    )


def _find_again(outer: Target, targets: Iterable[Target]) -> None:
    """The functions inside one whose body was just parsed anew are other nodes now."""
    new = {(n.name, n.lineno): n for n in walk(*outer.node.body) if isinstance(n, FunctionNode)}
    for target in targets:
        if target.plan.qualname.startswith(f"{outer.plan.qualname}.<locals>."):
            target.node = new.get((target.node.name, target.node.lineno), target.node)


def body_code(source: str, kept_as: str, plan: Plan, chosen: Champion) -> CodeType:
    """The code of one function as the user wrote it, with the values of `chosen` in place, and nothing of ours in it.

    Raises what `compile_module` raises, and LookupError where the source has no such function any more.
    """
    planned = plan_module(source, plan.path, plan.module, kept_as, plan.assume)
    for target in planned.targets:
        if (target.plan.function, target.plan.source_hash) == (plan.function, plan.source_hash):
            set_values(target.node, target.plan, chosen.values)
            target.node.decorator_list = []
            whole = chosen.moved(compile(planned.tree, plan.path, "exec", dont_inherit=True), target.plan)
            found = function_code(whole, plan.qualname, target.plan.line)
            if found is not None:
                return found
    raise LookupError(f"{plan.path} has no function {plan.qualname} like that")


def function_code(module_code: CodeType, qualname: str, line: int) -> CodeType | None:
    """The code of one function inside its module's code; `line` is where its `def` or first decorator stands.

    Of several of that name, the last up to there; but what leads to a file of its own is what is in use (`moved`).
    """
    stack = [module_code]
    best: CodeType | None = None
    rank = False, 0
    while stack:
        for constant in stack.pop().co_consts:
            if isinstance(constant, CodeType):
                stack.append(constant)
                found = constant.co_filename != module_code.co_filename, constant.co_firstlineno
                if constant.co_qualname == qualname and constant.co_firstlineno <= line and found > rank:
                    best, rank = constant, found
    return best
