"""What keeps the added code out of the user's sight: no globals, no visible locals."""

from __future__ import annotations

import ast
import json
from typing import Any

from poet_hook.model import LATE_PREFIX, SLOT_PREFIX, UNSAID, Plan
from poet_hook.transform.nodes import FunctionNode, walk
from poet_hook.transform.places import place

_KNOWN_BY_CODE = ("function", "qualname", "path", "line")
_LISTERS = frozenset({"locals", "vars", "dir"})


def placeholder(plan: Plan, version: int) -> str:
    """The string constant that stands for the slot: what the runtime needs to know, as JSON."""
    return SLOT_PREFIX + _text(_spec(plan, version))


def unbound(plan: Plan, version: int) -> str:
    """The constant of code that holds no slot, and has one made by `runtime.late` when it needs it.

    It does not name the function, so that those of a module that look alike share one.
    """
    spec = _spec(plan, version) | {"module": plan.function.rpartition(":")[0]}
    return LATE_PREFIX + _text({name: value for name, value in spec.items() if name not in _KNOWN_BY_CODE})


def _text(spec: dict[str, Any]) -> str:
    said = {name: value for name, value in spec.items() if value != UNSAID.get(name)}
    return json.dumps(said, separators=(",", ":"))


def _spec(plan: Plan, version: int) -> dict[str, Any]:
    pragma, steady = plan.pragma, plan.pragma.steady
    spec: dict[str, Any] = {
        "function": plan.function,
        "module": plan.module,
        "qualname": plan.qualname,
        "path": plan.path,
        "line": plan.line,
        "version": version,
        "source_hash": plan.source_hash if pragma.trains else "",
        "parameters": [[p.name, p.kind, p.optional] for p in plan.parameters],
        "returns": plan.returns,
        "domain_name": pragma.domain,
        "optimize_for": pragma.optimize_for,
        "retries": pragma.retries,
        "backoff": pragma.backoff,
        "timeout": pragma.timeout,
        "has_fallback": pragma.fallback is not None,
        "rule": pragma.require,
        "promise": pragma.ensure,
        "coerce": pragma.coerce,
        "record": pragma.record,
        "record_arguments": dict(pragma.record_arguments),
        "steadies": [steady.min_run, steady.hold, steady.cooldown, steady.margin],
        "has_streams": pragma.stream is not None,
    }
    if pragma.learn == "shadow" and pragma.trains:
        spec["shadow"] = True
    elif pragma.canary and pragma.trains:
        spec["canary"] = pragma.canary
    return spec


def lists_locals(body: list[ast.stmt], text: str) -> bool:
    """True where a function of this text, or one inside it, may look at its variables by `locals()` and its like."""
    return any(word in text for word in _LISTERS) and any(
        isinstance(node, ast.Name) and node.id in _LISTERS for node in walk(*body)
    )


def give_attribute(node: FunctionNode, plan: Plan) -> None:
    """Add the innermost decorator, which gives the function its `poet` when the `def` statement is carried out.

    Then it is there for the script that defines the function too, and decorators that copy `__dict__` pass it on.
    It stands for no slot: the module's code lives as long as a script runs, and a slot only as long as its version.
    """
    learns = plan.pragma.trains  # those that don't share one, which is made faster than one for each of them
    spec = [plan.function if learns else "", f"{plan.path}:{plan.line}" if learns else plan.path, learns]
    constant = ast.Constant(SLOT_PREFIX + json.dumps(spec, separators=(",", ":")))
    decorator = ast.Attribute(constant, "_given_to", ast.Load())
    place(decorator, node.lineno)
    node.decorator_list.append(decorator)


def hide_locals(body: list[ast.stmt], text: str, slot: str) -> None:
    """`locals()`, `vars()` and `dir()` in the body answer without ours."""
    if not lists_locals(body, text):
        return
    for statement in body:
        for part in walk(statement):
            for name, value in ast.iter_fields(part):
                if isinstance(value, list):
                    value[:] = [_wrapped(item, slot) for item in value]
                elif isinstance(value, ast.AST):
                    setattr(part, name, _wrapped(value, slot))


def _wrapped(node: Any, slot: str) -> Any:
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _LISTERS
        and not node.args
        and not node.keywords
        and not getattr(node, "_poet_wrapped", False)
    ):
        node._poet_wrapped = True  # type: ignore[attr-defined]
        function = ast.copy_location(ast.Attribute(ast.Constant(slot), "visible", ast.Load()), node)
        ast.copy_location(function.value, node)
        return ast.copy_location(ast.Call(function, [node], []), node)
    return node
