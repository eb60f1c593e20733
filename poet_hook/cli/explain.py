"""`explain`: what is done to one function, and why, or why nothing is."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from poet_hook import api
from poet_hook.cli.cost import Cost, cost_of, say_cost
from poet_hook.cli.names import Found, find, nothing_recorded
from poet_hook.cli.output import heading, plain, say, say_json, table
from poet_hook.isolation.slice import slice_function
from poet_hook.learning.aims import described
from poet_hook.learning.scale import range_of
from poet_hook.model import (
    CODE,
    Diagnostic,
    Fallback,
    LeftAlone,
    Origin,
    Parameter,
    Plan,
    Pragma,
    Tunable,
    Value,
    Version,
)
from poet_hook.pragma.diagnose import render
from poet_hook.pragma.options import ATTEMPTS, as_duration, judged_live
from poet_hook.transform.constants import GAP
from poet_hook.transform.values import as_text
from poet_hook.versions.chain import Chain

_PLACES = frozenset({"line", "target_line", "tunes", "origins"})
_TRAINING = frozenset({"record", "learn", "after", "cost", "alpha"})
_READ = {
    "float": 'text that is a number ("65,000", "25%") becomes one, other text is refused',
    "int": 'text that is a whole number ("65,000") becomes one, other text is refused',
    "bool": 'text that is a truth value ("yes", "off") becomes one, other text is refused',
}


def explain(options: argparse.Namespace) -> int:
    """Print the plan of a function: pragma, checks, tunables, version in use."""
    found = find(options.function)
    if isinstance(found.what, LeftAlone):
        left = found.what
        if options.json:
            say_json({"enhanced": False, **plain(left)})
        else:
            heading(left.function)
            say(f"{left.path}:{left.line}")
            say(f"left alone, it runs as it is written: {left.reason}")
        return 0
    plan = found.what
    if options.json:
        say_json({**_document(plan, found), "cost": _cost(plan).document()})
    else:
        _say_plan(plan, found)
        say_cost(_cost(plan))
    return 0


# --------------------------------------------------------------------------- in words


def _say_plan(plan: Plan, found: Found) -> None:
    heading(plan.function)
    say(f"{plan.path}:{plan.line}")
    for item in _problems(plan, found):
        say(render(item, plan.path))
    heading(f"\nPragma (line {plan.pragma.line})" if plan.own else "\nPragma (none above it)")
    table(("option", "value", "from"), list(_options(plan.pragma)))
    heading("\nChecks")
    rows = [(item.name, item.kind or "-", _check(item, plan.pragma)) for item in plan.parameters]
    table(("argument", "type", "what is done"), [*rows, ("result", plan.returns or "-", _result_check(plan))])
    heading("\nLearning")
    if not plan.pragma.trains:
        say("no optimize_for=: nothing is recorded, nothing is learned, the version is always v1")
        return
    say(f"objective: {described(plan.pragma.optimize_for or '')}")
    if reason := _why_not_learned(plan, found):
        say(f"its calls are recorded, and nothing is learned from them: {reason}")
    champion, version = _champion(plan)
    _say_tunables(plan, dict(version.values) if version else {})
    other = f", other code: {Chain(api.settings(), plan.function).text_path(champion)}" if _code(version) else ""
    say(f"in use: v{champion}{_level(version)}{other}")
    for reason in version.verdict.reasons if version and version.verdict else ():
        say(f"  {reason}")
    for model, count in _readers(plan).items():
        say(f"{count} of its feedbacks {'was' if count == 1 else 'were'} read by {model}")


_FOUND = {False: "found in a comparison or in arithmetic", True: "another way to decide"}


def _code(version: Version | None) -> bool:
    return version is not None and CODE in version.values


def _say_tunables(plan: Plan, values: dict[str, Value]) -> None:
    if CODE in values:
        return  # it has numbers of its own
    if not plan.tunables:
        say("no number in it is tuned; mark one with: # poet: tune LOW..HIGH")
        return
    rows = []
    for item in plan.tunables:
        found = "marked with tune" if item.declared else _FOUND[item.structural]
        if item.kind == "option":
            found = "how often and how long is tried" if item.name in ATTEMPTS else "remembered between calls"
        found = f"default of {item.parameter}, {found}" if item.parameter else found
        found = f"the module's {item.constant}, {found}" if item.constant else found
        now = as_text(values.get(item.name, item.value))
        rows.append((item.name, as_text(item.value), now, _range(item), str(plan.line_of(item)), found))
    table(("tunable", "written", "in use", "range", "line", "why"), rows, flexible={5})


def _range(item: Tunable) -> str:
    if item.kind == "guard":
        return "and ..., or ..."
    lower, upper = range_of(item)
    return " | ".join(item.choices) or f"{lower:g}..{upper:g}"


def _level(version: Version | None) -> str:
    if version is None or version.number == 1:
        return ", the original"
    return f" ({version.level})" if version.level else ""


def _options(pragma: Pragma) -> Iterator[tuple[str, str, str]]:
    """The options in effect as (name, value, who says so); those that matter count also by default."""
    for field in fields(Pragma):
        if field.name in _PLACES:
            continue
        if field.name == "record_arguments":
            for argument, mode in pragma.record_arguments.items():
                yield f"record.{argument}", mode, _said_by(pragma.origins.get(f"record.{argument}"))
            continue
        origin = pragma.origins.get(field.name)
        if origin or field.name == "coerce" or (pragma.trains and field.name in _TRAINING):
            yield field.name, _option_value(field.name, getattr(pragma, field.name)), _said_by(origin)


def _said_by(origin: Origin | None) -> str:
    if origin is None:
        return "default"
    if origin.scope == "assume":
        return origin.said_in
    return f"line {origin.line}" if origin.scope == "function" else f"{origin.scope}, line {origin.line}"


def _option_value(name: str, value: Any) -> str:
    if isinstance(value, Fallback):
        return f"{value.function}()" if value.function else repr(value.value)
    if name in ("timeout", "backoff") or (name == "cooldown" and isinstance(value, float)):
        return f"{value:g} s"
    if name == "cooldown":
        return f"{value} calls"
    if name == "cost":
        return f"{value[0]:g}:{value[1]:g}"
    if name == "group" and not isinstance(value, str):
        return f"{value} calls" if isinstance(value, int) else as_duration(value)
    if name == "canary":
        return f"{value:.0%} of the calls"
    if name == "half_life":
        return f"{value} feedbacks" if isinstance(value, int) else as_duration(value)
    if name == "assume_ok_after":
        return as_duration(value)
    return str(value)


def _check(parameter: Parameter, pragma: Pragma) -> str:
    """What Perceive does with an argument."""
    base = parameter.kind.partition("[")[0]
    if not base:
        return "not checked"
    if pragma.coerce == "off":
        return "not checked (coerce=off)"
    if pragma.coerce == "strict":
        return f"refused unless it is {parameter.kind}{' or None' if parameter.optional else ''}"
    words = _READ.get(base, "passed on as it is")
    return words if pragma.domain in (None, "generic") else f"{words}; then normalised by {pragma.domain}"


def _result_check(plan: Plan) -> str:
    words = []
    if plan.returns and plan.pragma.coerce != "off":
        words.append(f"refused unless it is {plan.returns}")
    if plan.pragma.domain not in (None, "generic"):
        words.append(f"invariants of {plan.pragma.domain}")
    if plan.pragma.ensure:
        words.append("ensure=")
    return "; ".join(words) or "not checked"


# --------------------------------------------------------------------------- what is known


def _problems(plan: Plan, found: Found) -> list[Diagnostic]:
    behind = len(plan.constants) and len(plan.constants) + GAP
    end = plan.line + plan.source.count("\n") - behind
    return [item for item in found.diagnostics if plan.pragma.line <= item.line < end]


def _why_not_learned(plan: Plan, found: Found) -> str | None:
    """Why the function can't be replayed; live calls may tell all the same."""
    if not plan.pragma.trains or judged_live(plan.pragma):
        return None
    return slice_function(found.source, plan.qualname, plan.line, api.settings().replay_modules).reason


def _champion(plan: Plan) -> tuple[int, Version | None]:
    """What runs, which is the original where the stored version can't be used (a warning says why)."""
    chain = Chain(api.settings(), plan.function)
    number = chain.champion(plan).version
    return number, None if number == 1 else chain.read(number)


def _readers(plan: Plan) -> dict[str, int]:
    """How many feedbacks each language model read."""
    return {} if nothing_recorded() else api.store().readers(plan.function)


def _cost(plan: Plan) -> Cost:
    """What a call costs with the version in use, which may have other options than the pragma says."""
    number, version = _champion(plan) if plan.pragma.trains else (1, None)
    return cost_of(plan.with_options(version.values) if version else plan, number)


def _document(plan: Plan, found: Found) -> dict[str, Any]:
    champion, version = _champion(plan)
    tunables = []
    for item in plan.tunables:
        lower, upper = range_of(item) if item.kind in ("number", "option") else (None, None)
        in_use = version.values.get(item.name, item.value) if version else item.value
        row: dict[str, Any] = {"name": item.name, "value": item.value, "in_use": in_use, "lower": lower, "upper": upper}
        row |= {"kind": item.kind, "choices": item.choices}
        tunables.append({**row, "line": plan.line_of(item), "declared": item.declared})
    checks = [
        {"name": item.name, "kind": item.kind, "optional": item.optional, "check": _check(item, plan.pragma)}
        for item in plan.parameters
    ]
    return {
        "enhanced": True,
        "function": plan.function,
        "path": plan.path,
        "line": plan.line,
        "pragma": plan.pragma,
        "objective": described(plan.pragma.optimize_for) if plan.pragma.optimize_for else None,
        "not_learned": _why_not_learned(plan, found),
        "parameters": checks,
        "returns": {"kind": plan.returns, "check": _result_check(plan)},
        "tunables": tunables,
        "champion": champion,
        "other_code": _code(version),
        "level": version.level if version else None,
        "reasons": version.verdict.reasons if version and version.verdict else (),
        "read_by": _readers(plan),
        "diagnostics": [
            {"code": item.code, "line": item.line, "message": item.message} for item in _problems(plan, found)
        ],
    }
