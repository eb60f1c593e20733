"""Plan + node -> the same function, which perceives, operates, enforces and trains.

What is added stands in the user's own function, around the user's own statements, and has no line of its own
(`transform.lines`). It reaches the runtime through a string constant (`transform.hygiene.placeholder`) that is
bound to a `runtime.slot.Slot` when the code is loaded, so that no module global appears. With every option the
shape is:

    def f(value: float, history: list[float]) -> bool:
        "docstring"
        if (_poet_type := type(value)) is not float and _poet_type is not int or type(history) is not list:
            value, history = SLOT.perceive_all((0, 1), value, history)
        SLOT.require((value, history), lambda value, history: ...)
        _poet_call = SLOT.begin((value, history), lambda value, history: ...)
        _poet_result = None
        while True:
            try:
                try:
                    SLOT.arm(_poet_call)
                    if SLOT.serves(_poet_call, ...): return (_poet_result := _poet_call.served.answer)
                    <the body, each `return x` as `return (_poet_result := SLOT.steady(_poet_call, x))`>
                except SLOT.BaseException:
                    SLOT.raised(_poet_call)
                    raise
                finally:
                    SLOT.end(_poet_call, _poet_result, lambda result, value, history: ...)
            except SLOT.BaseException:
                if SLOT.retry(_poet_call):
                    (value, history) = _poet_call.arguments
                    continue
                if SLOT.falls_back(_poet_call):
                    (value, history) = _poet_call.arguments
                    return SLOT.fell_back(_poet_call, <fallback>)
                SLOT.failed(_poet_call)
                raise

and what an option does not need is left out. With `margin=`, the number that decides is `near if
SLOT.alerting(_poet_call) else it`. In an async function the pause, the limit and the fallback are awaited; a
generator gets only the checks of its arguments, which run when its first value is asked for.

Where nothing but types is checked, the code holds no slot at all, but imports what it calls (`runtime.late`) once a
type is not the expected one. The result is then looked at before each `return` that is not sure to be of its type; in
a `finally` only where the user's own code may still change it, or would catch the error.
"""

from __future__ import annotations

import ast
import math

from poet_hook.model import Limit, Plan
from poet_hook.transform import hygiene
from poet_hook.transform.nodes import FunctionNode, own_scope, walk
from poet_hook.transform.places import NOWHERE, SEEN, are_on_a_line, first_line, place
from poet_hook.transform.returns import may_be_dropped, sure_type, with_returns
from poet_hook.transform.tails import closed
from poet_hook.transform.variables import bound_in, captured

CALL = "_poet_call"
RESULT = "_poet_result"
TYPE = "_poet_type"
UNSET = "_poet_unset"
_SEQUENCES = frozenset({"list", "tuple", "set"})


def enhance(node: FunctionNode, plan: Plan, version: int) -> bool:
    """Rewrite `node` in place; its line numbers, signature and docstring stay.

    True where what was added gets its lines by `transform.lines`, after it is compiled.
    """
    return not Rewriter(node, plan, version).apply()


class Rewriter:
    """One function being rewritten."""

    def __init__(self, node: FunctionNode, plan: Plan, version: int) -> None:
        self.node = node
        self.plan = plan
        self.pragma = plan.pragma
        self.names = [parameter.name for parameter in plan.parameters]
        self.bound = bound_in(node.body) if plan.pragma.retries else set[str]()
        self.waits = plan.kind == "coroutine"
        self.late = hygiene.unbound(plan, version) if self._needs_no_slot() else ""
        self.slot = "" if self.late else hygiene.placeholder(plan, version)
        self.first = 0  # the line with which the body begins, where what is added can get its lines at once

    def apply(self) -> bool:
        """Do it; whether every line is settled by now."""
        if self.pragma.margin and self.plan.limit:
            self._second_limit(self.plan.limit, self.pragma.margin)
        docstring, body = _split_docstring(self.node)
        if not self.late:
            hygiene.hide_locals(body, self.plan.source, self.slot)
        self.first = first_line(body) if self.late and body else 0
        checks = self._perceive()
        core = self._operate(body)
        self.node.body = [*docstring, *checks, *core]
        for statement in checks:
            self._place(statement, self.first)
        for statement in core:
            place(statement, self.node.lineno)
        return bool(self.first) or (core is body and not checks)

    def _place(self, added: ast.AST, line: int) -> None:
        if self.first:
            place(added, line, NOWHERE)
        else:
            place(added, self.node.lineno)

    def _needs_no_slot(self) -> bool:
        """True where a call that goes well never asks for the slot, so that nothing has to be bound at the import."""
        pragma = self.pragma
        others = self._guarded() or pragma.require or pragma.domain not in (None, "generic")
        return not others and not hygiene.lists_locals(self.node.body, self.plan.source)

    # -- phases

    def _perceive(self) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        tests: list[ast.expr] = []
        tested: list[int] = []
        for index, parameter in enumerate(self.plan.parameters):
            kind = parameter.kind
            if not kind or self.pragma.coerce == "off":
                continue
            test = self._unlike(parameter.name, kind, parameter.optional)
            if test is None:
                out += self._perceived([index])
            else:
                tests.append(test)
                tested.append(index)
        if tests:
            test = tests[0] if len(tests) == 1 else ast.BoolOp(ast.Or(), tests)
            out.insert(0, ast.If(test, self._perceived(tested), []))
        if self.pragma.require:
            out.append(ast.Expr(self._slot("require", self._arguments(), self._function(self.pragma.require))))
        return out

    def _perceived(self, indexes: list[int]) -> list[ast.stmt]:
        names = [self.names[index] for index in indexes]
        values = [_name(name) for name in names]
        if len(names) == 1:
            way, call = self._reach("perceive", ast.Constant(indexes[0]), *values)
            return [*way, ast.Assign([_name(names[0], store=True)], call)]
        which = ast.Tuple([ast.Constant(index) for index in indexes], ast.Load())
        way, call = self._reach("perceive_all", which, *values)
        target = ast.Tuple([_name(name, store=True) for name in names], ast.Store())
        return [*way, ast.Assign([target], call)]

    def _unlike(self, name: str, kind: str, optional: bool) -> ast.expr | None:
        """The quick test that fails where Perceive has work to do; None where it always has."""
        base = kind.split("[")[0]
        if self.pragma.domain not in (None, "generic") and base in _SEQUENCES:
            return None
        found: ast.expr = ast.Call(_name("type"), [_name(name)], [])
        tests: list[ast.expr] = []
        accepted = self._accepted(kind)
        if len(accepted) > 1:
            found = ast.NamedExpr(_name(TYPE, store=True), found)
        for item in accepted:
            tests.append(ast.Compare(found, [ast.IsNot()], [_name(item)]))
            found = _name(TYPE)
        if optional:
            tests.append(ast.Compare(_name(name), [ast.IsNot()], [ast.Constant(None)]))
        return tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests)

    def _accepted(self, kind: str) -> tuple[str, ...]:
        """The types of which a value of this annotation may be, without more ado."""
        base = kind.split("[")[0]
        return (base, "int") if base == "float" and self.pragma.coerce == "lax" else (base,)

    def _operate(self, body: list[ast.stmt]) -> list[ast.stmt]:
        pragma = self.pragma
        guarded = self._guarded()
        enforced = guarded or self._checks_result()
        if not enforced or self.plan.kind.endswith("generator"):
            return body
        body = closed(body, self.node.lineno)
        if pragma.canary and pragma.trains:
            answer = ast.Attribute(ast.Attribute(_name(CALL), "served", ast.Load()), "answer", ast.Load())
            body = [ast.If(self._slot("serves", _name(CALL), *self._ensure()), [ast.Return(answer)], []), *body]
        if not guarded:
            return self._check_only(body)
        self._name_returns(body)
        out: list[ast.stmt] = [
            ast.Assign([_name(CALL, store=True)], self._begin()),
            ast.Assign([_name(RESULT, store=True)], ast.Constant(None)),
        ]
        attempt: list[ast.stmt] = [self._attempt(body)]
        handler = self._on_failure()
        if handler:
            attempt = [ast.Try(attempt, [self._except(handler)], [], [])]
        if pragma.retries:
            attempt = [ast.While(ast.Constant(True), attempt, [])]
        return out + attempt

    def _begin(self) -> ast.expr:
        call = self._slot("begin", self._arguments(), *self._marks())
        again = self.pragma.retries or self.pragma.fallback
        return self._slot("waits", call) if self.waits and again else call

    def _guarded(self) -> bool:
        pragma = self.pragma
        return bool(
            pragma.retries or pragma.timeout or pragma.fallback or pragma.trains or pragma.ensure or pragma.steady
        )

    def _attempt(self, body: list[ast.stmt]) -> ast.stmt:
        if self.pragma.timeout and self.waits:
            body = [ast.AsyncWith([ast.withitem(self._slot("limit", _name(CALL)))], body)]
        elif self.pragma.timeout:
            body = [ast.Expr(self._slot("arm", _name(CALL))), *body]
        raised: list[ast.stmt] = [ast.Expr(self._slot("raised", _name(CALL))), ast.Raise()]
        end = ast.Expr(self._slot("end", _name(CALL), _name(RESULT), *self._ensure()))
        return ast.Try(body, [self._except(raised)], [], [end])

    def _ensure(self) -> list[ast.expr]:
        return [self._function(self.pragma.ensure, "result")] if self.pragma.ensure else []

    def _on_failure(self) -> list[ast.stmt]:
        pragma = self.pragma
        out: list[ast.stmt] = []
        if pragma.retries:
            again: list[ast.stmt] = [*self._restore(), *self._unbind(), ast.Continue()]
            if self.waits:
                again.insert(0, ast.Expr(ast.Await(self._slot("pause", _name(CALL)))))
            out.append(ast.If(self._slot("again" if self.waits else "retry", _name(CALL)), again, []))
        if pragma.fallback:
            stop: ast.stmt = ast.Return(self._slot("fell_back", _name(CALL), self._fallback()))
            place(stop, self.node.lineno, SEEN)
            if pragma.fallback.function and pragma.trains:
                stop = ast.Try([stop], [self._except(self._fail())], [], [])
            out.append(ast.If(self._slot("falls_back", _name(CALL)), [*self._restore(), stop], []))
        if out or pragma.trains:
            out += self._fail()
        return out

    def _fail(self) -> list[ast.stmt]:
        return [ast.Expr(self._slot("failed", _name(CALL))), ast.Raise()]

    def _checked(self, stop: ast.Return) -> list[ast.stmt]:
        """A `return`, with the check of its value before it, unless the value is sure to be of its type."""
        value = stop.value or ast.Constant(None)
        if self._by_type and sure_type(value) in self._accepted(self.plan.returns):
            return [stop]
        stop.value = _name(RESULT)
        made = [ast.Assign([_name(RESULT, store=True)], value), *self._check()]
        for part in (*made, stop.value):
            self._place(part, stop.lineno)
        return [*made, stop]

    def _check(self, *, dropped: bool = False) -> list[ast.stmt]:
        way, call = self._reach("check", _name(RESULT))
        check: list[ast.stmt] = [*way, ast.Expr(call)]
        if dropped and self.late:  # where the program ends, nothing can be imported for what raised
            check = [ast.If(ast.Compare(_name(RESULT), [ast.IsNot()], [_name(UNSET)]), check, [])]
        test = self._unlike(RESULT, self.plan.returns, False) if self._by_type else None
        return check if test is None else [ast.If(test, check, [])]

    def _check_only(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """No retries, no fallback, no record: only the type of the result is looked at, in line."""
        dropped = may_be_dropped(body)
        if dropped or not are_on_a_line(body):
            self.first = 0
        if not dropped:
            return with_returns(body, self._checked)
        self._name_returns(body)
        unset: list[ast.stmt] = [ast.Assign([_name(RESULT, store=True)], self._unset()) for _ in range(2)]
        if self.late:
            unset[0] = ast.Assign([_name(UNSET, store=True), _name(RESULT, store=True)], self._unset())
        # what is about to be returned may still be dropped, but only by an error in a `finally` or an `__exit__`
        handlers = [ast.ExceptHandler(None, None, [unset[1], ast.Raise()])]
        return [unset[0], ast.Try(body, handlers, [], self._check(dropped=True))]

    @property
    def _by_type(self) -> bool:
        """Whether a result of the annotated type needs no further look: a domain has invariants of its own."""
        return bool(self.plan.returns) and self.pragma.domain in (None, "generic")

    def _checks_result(self) -> bool:
        if self.pragma.domain not in (None, "generic"):
            return True
        return bool(self.plan.returns) and self.pragma.coerce != "off"

    def _name_returns(self, body: list[ast.stmt]) -> None:
        """Each `return x` keeps its place and also names x, so that the check at the end sees it."""
        holder = ast.FunctionDef("_", ast.arguments([], [], None, [], [], None, []), body, [])
        for part in own_scope(holder):
            if isinstance(part, ast.Return):
                value = part.value or _at(ast.Constant(None), part)
                if self.pragma.steady or (self.pragma.canary and self.plan.may_remember):
                    value = _at(self._slot("steady", _name(CALL), value), value)
                part.value = _at(ast.NamedExpr(_name(RESULT, store=True), value), part)

    def _second_limit(self, limit: Limit, margin: float) -> None:
        """The number that decides is nearer while the body last said yes: `2.5 if SLOT.alerting(...) else 3.0`."""
        from poet_hook.transform.limits import number_at  # few functions need it, and an import waits for this

        number = number_at(self.node, limit.place)
        assert number is not None, f"{limit} is not where it stood"
        value = ast.literal_eval(number)
        near = type(value)(limit.near(value, margin))
        made = _at(ast.IfExp(self._slot("alerting", _name(CALL)), ast.Constant(near), number), number)
        for part in own_scope(self.node):
            if isinstance(part, ast.Compare):
                part.left = made if part.left is number else part.left
                part.comparators = [made if other is number else other for other in part.comparators]

    # -- pieces

    def _fallback(self) -> ast.expr:
        fallback = self.pragma.fallback
        assert fallback is not None
        if fallback.function is None:
            literal: ast.expr = _Infinite().visit(ast.parse(repr(fallback.value), mode="eval").body)
            return self._here(literal)
        args = self.node.args
        positional: list[ast.expr] = [_name(a.arg) for a in (*args.posonlyargs, *args.args)]
        if args.vararg:
            positional.append(ast.Starred(_name(args.vararg.arg), ast.Load()))
        keywords = [ast.keyword(a.arg, _name(a.arg)) for a in args.kwonlyargs]
        if args.kwarg:
            keywords.append(ast.keyword(None, _name(args.kwarg.arg)))
        call = ast.Call(_name(fallback.function), positional, keywords)
        return ast.Await(self._slot("awaited", call)) if self.waits else call

    def _restore(self) -> list[ast.stmt]:
        if not self.names:
            return []
        target = ast.Tuple([_name(name, store=True) for name in self.names], ast.Store())
        out: list[ast.stmt] = [ast.Assign([target], ast.Attribute(_name(CALL), "arguments", ast.Load()))]
        if self.node.args.kwarg:  # the body may take keywords out of it
            name = self.node.args.kwarg.arg
            out.append(ast.Assign([_name(name, store=True)], _copy(name)))
        return out

    def _unbind(self) -> list[ast.stmt]:
        """The body's own variables begin each attempt unbound; only what is bound can be deleted.

        In an async function, what functions inside it use stays: a task of an earlier attempt may still run.
        """
        kept = captured(self.node) if self.waits else set[str]()
        bound = sorted(self.bound - {*self.names} - kept)
        if not bound:
            return []
        targets: list[ast.expr] = [_name(name, store=True) for name in bound]
        gone: list[ast.expr] = [ast.Name(name, ast.Del()) for name in bound]
        return [ast.Assign(targets, ast.Constant(None)), ast.Delete(gone)]

    def _marks(self) -> list[ast.expr]:
        """The expressions of `key=`, `stream=` and `group=`, up to the last one that there is."""
        pragma = self.pragma
        marks = [
            pragma.key if pragma.trains else None,
            pragma.stream if pragma.trains or pragma.steady else None,
            pragma.group if pragma.trains and isinstance(pragma.group, str) else None,
        ]
        while marks and not marks[-1]:
            marks.pop()
        return [self._function(each) if each else ast.Constant(None) for each in marks]

    def _arguments(self) -> ast.expr:
        kwarg = self.node.args.kwarg
        return ast.Tuple([_copy(n) if kwarg and n == kwarg.arg else _name(n) for n in self.names], ast.Load())

    def _function(self, expression: str, *first: str) -> ast.expr:
        arguments = ast.arguments([], [ast.arg(n) for n in (*first, *self.names)], None, [], [], None, [])
        return ast.Lambda(arguments, self._here(ast.parse(expression.strip(), mode="eval").body))

    def _here(self, expression: ast.expr) -> ast.expr:
        """A parsed expression moved to the `def` line."""
        for part in walk(expression):
            if isinstance(part, ast.expr | ast.arg | ast.keyword):
                part.lineno = part.end_lineno = self.node.lineno
                part.col_offset = part.end_col_offset = 0
        return expression

    def _except(self, handler: list[ast.stmt]) -> ast.ExceptHandler:
        return ast.ExceptHandler(self._attribute("BaseException"), None, handler)

    def _reach(self, method: str, *arguments: ast.expr) -> tuple[list[ast.stmt], ast.expr]:
        """A call of the slot, and what must come before it where the code holds none."""
        if not self.late:
            return [], self._slot(method, *arguments)
        name = f"_poet_{method}"
        way = ast.ImportFrom("poet_hook.runtime.late", [ast.alias(method, name)], 0)
        return [way], ast.Call(_name(name), [ast.Constant(self.late), *arguments], [])

    def _unset(self) -> ast.expr:
        return ast.Constant(self.late) if self.late else self._attribute("unset")

    def _attribute(self, name: str) -> ast.expr:
        return ast.Attribute(ast.Constant(self.slot), name, ast.Load())

    def _slot(self, method: str, *arguments: ast.expr) -> ast.expr:
        return ast.Call(self._attribute(method), list(arguments), [])


def _at(made: ast.expr, origin: ast.AST) -> ast.expr:
    """What was made, where begins what it was made of; where that has no place yet, it gets one together with it."""
    if getattr(origin, "lineno", None) is not None:
        for part in walk(made):
            if getattr(part, "lineno", None) is None and "lineno" in part._attributes:
                ast.copy_location(part, origin)
                part.end_lineno, part.end_col_offset = part.lineno, part.col_offset  # type: ignore[attr-defined]
    return made


def _name(name: str, store: bool = False) -> ast.Name:
    return ast.Name(name, ast.Store() if store else ast.Load())


def _copy(name: str) -> ast.Dict:
    return ast.Dict([None], [_name(name)])


class _Infinite(ast.NodeTransformer):
    """`repr` writes an infinite number as a name."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(math.inf) if node.id == "inf" else node


def _split_docstring(node: FunctionNode) -> tuple[list[ast.stmt], list[ast.stmt]]:
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return [first], node.body[1:]
    return [], node.body
