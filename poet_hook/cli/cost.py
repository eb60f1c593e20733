"""A plan -> what it adds to a call of the function, measured now, around an empty body.

The user's function is not run, and nothing of the user's is imported: a function of the same parameters whose body only
returns a constant is enhanced as the plan says, one option more each time, and called with made-up arguments in a
process of its own, which records into a folder that is deleted. What can't be measured so is said.
"""

from __future__ import annotations

import ast
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from poet_hook.cli.output import heading, plain, say, shown, table
from poet_hook.model import Parameter, Plan, Pragma
from poet_hook.transform.nodes import FunctionNode, own_scope
from poet_hook.transform.rewrite import enhance

SECONDS = 0.3  # of measuring
_LONGEST = 30.0  # seconds until the child is given up
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])
_CODE = f"import sys; sys.path.insert(0, {_PACKAGE_PARENT!r}); from poet_hook.cli.stopwatch import main; main()"
_NUMBERS, _WHOLE = [i + 0.5 for i in range(20)], [*range(20)]
# in the order in which they are tried; None is what any unchecked argument may be
_MADE_UP: dict[str, tuple[Any, ...]] = {
    "": (None,),
    "float": (1.5, 0.5, 0.0, 50.0, 1000.0, 1e6, -1.0, -50.0),
    "int": (3, 1, 0, 50, 1000, 1_000_000, -1, -50),
    "bool": (True, False),
    "str": ("text", "a", "TEXT", "12", "2024-01-31", "a@b.c", ""),
    "bytes": (b"text", b""),
    "list": (_NUMBERS, _WHOLE, ["a", "b"], []),
    "list[int]": (_WHOLE, []),
    "dict": ({"a": 1.5, "b": 2.5}, {}),
    "tuple": (tuple(_NUMBERS), tuple(_WHOLE), ()),
    "tuple[int]": (tuple(_WHOLE), ()),
    "set": (set(_NUMBERS), set(_WHOLE)),
    "set[int]": (set(_WHOLE),),
}
# what an expression may call, besides methods: none of these does anything but return
_PURE = frozenset(
    """
    abs all any bool bytes dict divmod enumerate float frozenset int isinstance len list max min range repr reversed
    round set sorted str sum tuple zip
    """.split()
)
# the options that do something at a call
_MEASURED = (
    *(
        "require",
        "retries",
        "fallback",
        "timeout",
        "min_run",
        "hold",
        "cooldown",
        "margin",
        "stream",
        "ensure",
        "domain",
    ),
    *("optimize_for", "key", "group", "canary", "learn"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a plan, and the ns per call that it adds to the parts before it; less than `noise` is not seen."""

    phase: str
    what: str
    ns: float
    noise: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What a plan adds to a plain call of `plain` ns, and how that was measured; `left_out` are sentences."""

    plain: float
    steps: tuple[Step, ...]
    left_out: tuple[str, ...]
    python: str = ""
    calls: int = 0
    rounds: int = 0
    arguments: Mapping[str, str] = field(default_factory=dict)
    result: str = ""

    @property
    def added(self) -> float:
        return sum(step.ns for step in self.steps)

    def document(self) -> dict[str, Any]:
        """The same for a program, ns to a tenth."""
        steps = [{**plain(step), "ns": round(step.ns, 1), "noise": round(step.noise, 1)} for step in self.steps]
        figures = {"added": round(self.added, 1), "plain": round(self.plain, 1)} if steps else {}
        return {"measured": bool(steps), **plain(self), **figures, "steps": steps}


def cost_of(plan: Plan, version: int) -> Cost:
    """Measure for about `SECONDS`, with `version` in use; where `steps` is empty, `left_out` says why."""
    node = ast.parse(plan.source).body[0]
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    left_out = list(_left_out(plan, node))
    cut: dict[str, Any] = dict.fromkeys(_cut(left_out))
    measured = replace(plan, limit=None, pragma=replace(plan.pragma, **cut))
    sentences = tuple(sentence for _, sentence in left_out)
    result = _unused(node, plan)
    steps, texts = _texts(node, measured, version, result)
    if not steps:
        return Cost(0.0, (), sentences)
    try:
        told = _told(_request(node, measured, texts, result))
    except subprocess.TimeoutExpired:
        told = {"problem": f"it took longer than {_LONGEST:g} seconds"}
    except subprocess.CalledProcessError as error:
        told = {"problem": f"the process that measures ended with {error.returncode}"}
    except OSError as error:
        told = {"problem": str(error)}
    if "problem" in told:
        return Cost(0.0, (), (*sentences, f"nothing is measured: {told['problem']}"))
    bare, *rest = told["ns"]
    best = [bare]
    for figure in rest:  # what is added can't make a call faster: less is the noise of the machine
        best.append(max(figure, best[-1]))
    made = dict(zip((parameter.name for parameter in plan.parameters), told["made_up"][:-1], strict=True))
    return Cost(
        plain=max(bare, 0.0),
        steps=tuple(
            Step(phase, what, best[i + 1] - best[i], told["noise"][i] + told["noise"][i + 1])
            for i, (phase, what) in enumerate(steps)
        ),
        left_out=sentences,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        calls=told["calls"],
        rounds=told["rounds"],
        arguments=made,
        result=told["made_up"][-1],
    )


def _generates(node: ast.AST) -> bool:
    return isinstance(node, (ast.Yield, ast.YieldFrom))


# --------------------------------------------------------------------------- what is measured


def _steps(plan: Plan) -> Iterator[tuple[str, str, Plan]]:
    """The plan from nothing on, in the order in which a call meets its parts: phase, part, and the plan so far."""
    wanted = plan.pragma
    nothing = Pragma(0, 0)
    off: dict[str, Any] = {name: getattr(nothing, name) for name in _MEASURED}
    bare = replace(wanted, coerce="off", **off)
    checks = wanted.coerce != "off"
    now = replace(plan, pragma=bare)
    if checks:
        now = replace(now, returns="", parameters=tuple(Parameter(parameter.name) for parameter in plan.parameters))

    def with_options(*names: str) -> Plan:
        return replace(now, pragma=replace(now.pragma, **{name: getattr(wanted, name) for name in names}))

    if checks and any(parameter.kind for parameter in plan.parameters):
        now = replace(with_options("coerce"), parameters=plan.parameters)
        yield "perceive", "types of the arguments", now
    for phase, option in (("perceive", "require"), *(("operate", each) for each in ("retries", "fallback", "timeout"))):
        if getattr(wanted, option):
            now = with_options(option)
            yield phase, f"{option}=", now
    if wanted.steady:
        now = with_options("min_run", "hold", "cooldown", "stream")
        yield "operate", _listed(wanted, "min_run", "hold", "cooldown", "stream"), now
    if checks and plan.returns:
        now = replace(with_options("coerce"), returns=plan.returns)
        yield "enforce", "type of the result", now
    if wanted.ensure:
        now = with_options("ensure")
        yield "enforce", "ensure=", now
    if wanted.domain:
        now = with_options("domain", "coerce")
        yield "perceive, enforce", f"domain={wanted.domain}", now
    if wanted.trains:
        now = with_options("optimize_for")
        yield "train", "optimize_for=", now
        for name in ("key", "stream", "group", "canary"):
            asked = getattr(wanted, name)
            if asked and asked != getattr(now.pragma, name) and (name != "group" or isinstance(asked, str)):
                now = with_options(name)
                yield "train", f"{name}=", now
        if wanted.learn == "shadow":
            now = with_options("learn")
            yield "train", "learn=shadow", now


def _listed(pragma: Pragma, *names: str) -> str:
    return ", ".join(f"{name}=" for name in names if getattr(pragma, name) is not None)


def _left_out(plan: Plan, node: FunctionNode) -> Iterator[tuple[str, str]]:
    """The options that can't be measured without running what is the user's, each with a sentence that says why."""
    pragma = plan.pragma
    names = {parameter.name for parameter in plan.parameters}
    variadic = {each.arg for each in (node.args.vararg, node.args.kwarg) if each}  # these get nothing
    unknown = {parameter.name for parameter in plan.parameters if not parameter.kind} - variadic
    training = ("key", "group") if pragma.trains else ()
    for option in ("require", "ensure", *training, *(("stream",) if pragma.trains or pragma.steady else ())):
        expression = getattr(pragma, option)
        result = {"result"} if option == "ensure" else set()
        if isinstance(expression, str) and (reason := _unsafe(expression, names | result, unknown)):
            yield option, f"{option}= is not measured: {reason}"
    if pragma.margin:
        yield "margin", "margin= is not measured: it moves a number in the body"
    if pragma.trains:
        vague = [
            parameter.name
            for number, parameter in enumerate(plan.parameters)
            if parameter.name in unknown
            and pragma.record_arguments.get(parameter.name, pragma.record) != "none"
            and not _is_self(plan, number)
        ]
        if vague:
            yield "optimize_for", f"recording is not measured: {_unknown_words(vague)}"


def _cut(left_out: Sequence[tuple[str, str]]) -> Iterator[str]:
    for option, _ in left_out:
        yield option
        if option == "optimize_for":  # and what does nothing without it
            yield from ("key", "group", "canary")


def _unsafe(expression: str, names: set[str], unknown: set[str]) -> str:
    """Why an expression can't be evaluated here ("": it can): it must read nothing but what can be made up."""
    nodes = list(ast.walk(ast.parse(expression, mode="eval")))
    bound = {n.arg for n in nodes if isinstance(n, ast.arg)}
    bound |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    read = {n.id for n in nodes if isinstance(n, ast.Name)} - bound
    if others := sorted(read - names - _PURE):
        return f"it reads {', '.join(others)}, and nothing of the module is run for this"
    if any(isinstance(n, ast.Attribute) and n.attr.startswith("_") for n in nodes):
        return "it reads a private attribute"
    return _unknown_words(sorted(read & unknown)) if read & unknown else ""


def _unknown_words(names: Sequence[str]) -> str:
    return f"nothing can be made up for {' and '.join(names)}, of which no built-in type is known"


def _is_self(plan: Plan, number: int) -> bool:
    return number == 0 and "." in plan.qualname and plan.parameters[0].name in ("self", "cls")


# --------------------------------------------------------------------------- the functions that are called


def _texts(node: FunctionNode, plan: Plan, version: int, result: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Each part that changes what runs, and what runs with all parts up to it; before the first, the plain function."""
    steps: list[tuple[str, str]] = []
    texts = [_text(node, result)]
    for phase, what, so_far in _steps(plan):
        text = _text(node, result, so_far, version)
        if text != texts[-1]:
            steps.append((phase, what))
            texts.append(text)
    return steps, texts


def _unused(node: FunctionNode, plan: Plan) -> str:
    """A name for what the empty body returns, which is no other's."""
    result = "made_up"
    while result in {parameter.name for parameter in plan.parameters} | {node.name}:
        result += "_"
    return result


def _request(node: FunctionNode, plan: Plan, texts: Sequence[str], result: str) -> dict[str, Any]:
    pragma = plan.pragma
    # what has to be evaluated, besides being true
    marks = [each for each in (pragma.key, pragma.stream, pragma.group) if isinstance(each, str)]
    require = f"[{', '.join(f'({each})' for each in (*marks, 0))}] and ({pragma.require or True})"
    checks = Pragma(0, 0, pragma.domain, require=require, ensure=pragma.ensure, coerce=pragma.coerce)
    passed, candidates = _arguments(node, plan)
    return {
        "kind": plan.kind,
        "name": node.name,
        "qualname": plan.qualname,
        "source": plan.source,
        "result": result,
        "passed": passed,
        "candidates": candidates,
        "results": [repr(value) for value in _values("bool" if pragma.steady and not plan.returns else plan.returns)],
        "probe": _text(node, result, replace(plan, pragma=checks)),
        "texts": texts,
        "seconds": SECONDS,
    }


def _text(node: FunctionNode, result: str, plan: Plan | None = None, version: int = 1) -> str:
    """The source of a function with these parameters that returns `result`; plain, or enhanced by a plan."""
    args = node.args
    bare = ast.arguments(
        posonlyargs=[ast.arg(each.arg) for each in args.posonlyargs],
        args=[ast.arg(each.arg) for each in args.args],
        vararg=args.vararg and ast.arg(args.vararg.arg),
        kwonlyargs=[ast.arg(each.arg) for each in args.kwonlyargs],
        kw_defaults=[None for _ in args.kwonlyargs],
        kwarg=args.kwarg and ast.arg(args.kwarg.arg),
        defaults=[],
    )
    given = ast.Name(result, ast.Load())
    body: ast.stmt = ast.Expr(ast.Yield(given)) if any(map(_generates, own_scope(node))) else ast.Return(given)
    made = type(node)(node.name, bare, [body], [])
    module = ast.parse(ast.unparse(ast.fix_missing_locations(ast.Module([made], []))))
    function = module.body[0]
    assert isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
    if plan is not None:
        enhance(function, plan, version)
    return ast.unparse(ast.fix_missing_locations(module))


def _arguments(node: FunctionNode, plan: Plan) -> tuple[list[str], list[list[str]]]:
    """How each argument is passed, as `a0` or `name=a1`, and what may be made up for it; all as text."""
    args = node.args
    by_name = {each.arg for each in args.kwonlyargs}
    passed: list[str] = []
    candidates: list[list[str]] = []
    for number, parameter in enumerate(plan.parameters):
        at = f"a{number}"
        if args.vararg and parameter.name == args.vararg.arg:
            passed.append(f"*{at}")
            candidates.append(["()"])
        elif args.kwarg and parameter.name == args.kwarg.arg:
            passed.append(f"**{at}")
            candidates.append(["{}"])
        else:
            passed.append(f"{parameter.name}={at}" if parameter.name in by_name else at)
            found = ["object()"] if _is_self(plan, number) else [repr(value) for value in _values(parameter.kind)]
            candidates.append(found)
    return passed, candidates


def _values(kind: str) -> tuple[Any, ...]:
    return _MADE_UP.get(kind) or _MADE_UP[kind.partition("[")[0]]


def _told(request: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="poet_hook_cost_") as folder:
        done = subprocess.run(
            # -I: nothing of the environment or the working directory decides what is imported
            [sys.executable, "-I", "-c", _CODE],
            input=json.dumps({**request, "home": f"{folder}/.poet"}).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            timeout=_LONGEST,
            check=True,
        )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


# --------------------------------------------------------------------------- in words


def say_cost(cost: Cost) -> None:
    """Print what a call costs, by phase."""
    heading("\nCost of a call")
    if cost.steps:
        say(
            f"about +{_about(cost.added)} ns on a plain call of {_about(cost.plain)} ns, measured now, around an empty "
            f"body: {cost.python}, the best of {cost.rounds} rounds, {cost.calls:,} calls"
        )
        table(("phase", "what is added", "ns"), [(each.phase, each.what, _seen(each)) for each in cost.steps])
        made = ", ".join(f"{name}={_short(text)}" for name, text in cost.arguments.items())
        say(f"made up: {made or 'no arguments'}; the result {_short(cost.result)}")
    elif not cost.left_out:
        say("nothing is added: none of its options does anything at a call")
    for sentence in cost.left_out:
        say(sentence)


def _seen(step: Step) -> str:
    return _about(step.ns) if step.ns > step.noise else f"under {_about(max(step.noise, 1))}"


def _short(text: str) -> str:
    return text if text == "object()" else shown(ast.literal_eval(text))


def _about(ns: float) -> str:
    """A figure to two digits: the third is the machine's."""
    return f"{float(f'{ns:.2g}'):,.0f}"
