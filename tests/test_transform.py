from __future__ import annotations

import ast
import hashlib
from types import CodeType

import pytest
from conftest import numbers_of
from hypothesis import given
from hypothesis import strategies as st

from poet_hook.model import Plan, Tunable
from poet_hook.transform.compile import ORIGINAL, Champion, compile_module, function_code
from poet_hook.transform.plan import Planned, function_source, plan_module
from poet_hook.transform.render import render
from poet_hook.transform.tunables import find_tunables
from poet_hook.transform.values import set_values, with_values

OPTIONS = [
    "",
    "coerce=off",
    "coerce=strict",
    "require='x > 0'",
    "ensure='result or x'",
    "retries=2",
    "timeout=5s",
    "fallback=None",
    "fallback=safe",
    "optimize_for=accuracy",
    "optimize_for=accuracy key=x record=hash record.y=none",
    "domain=ml_monitoring",
    "domain=ml_monitoring, optimize_for=f1, retries=1, timeout=5s, fallback=safe, ensure='result', require='x', key=y",
]


def planned(source: str) -> Planned:
    return plan_module(source, "m.py", "m")


def plan_of(source: str, qualname: str | None = None) -> Plan:
    (plan,) = (t.plan for t in planned(source).targets if qualname in (None, t.plan.qualname))
    return plan


def plain_code(source: str | ast.Module) -> CodeType:
    return compile(source, "m.py", "exec", dont_inherit=True)


def shown(source: str, qualname: str = "f", values: dict[str, float] | None = None) -> str:
    return render(source, plan_of(source, qualname), Champion(2, values) if values else ORIGINAL)


def plainly(text: str) -> str:
    """The text without the taste of its formatter."""
    return ast.unparse(ast.parse(text))


def with_options(options: str) -> str:
    return f"# poet: {options}\ndef f(x: float, y=1):\n    return x > y\n\ndef safe(x, y): ...\n"


# --------------------------------------------------------------------------- text -> text

PERCEIVED = """\
def f(x: float, y=1):
    if (_poet_type := type(x)) is not float and _poet_type is not int:
        x = POET.perceive(0, x)
"""
LATE = """\
def f(x: float, y=1):
    if (_poet_type := type(x)) is not float and _poet_type is not int:
        from poet_hook.runtime.late import perceive as _poet_perceive
        x = _poet_perceive(POET, 0, x)
    return x > y
"""
ATTEMPT = """\
    _poet_call = POET.begin((x, y))
    _poet_result = None
    try:
        return (_poet_result := x > y)
    except POET.BaseException:
        POET.raised(_poet_call)
        raise
    finally:
        POET.end(_poet_call, _poet_result)
"""
RECORDED = """\
    _poet_call = POET.begin((x, y))
    _poet_result = None
    try:
        try:
            return (_poet_result := x > y)
        except POET.BaseException:
            POET.raised(_poet_call)
            raise
        finally:
            POET.end(_poet_call, _poet_result)
    except POET.BaseException:
        POET.failed(_poet_call)
        raise
"""


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("coerce=off", "def f(x: float, y=1):\n    return x > y\n"),
        ("", LATE),
        ("domain=generic", LATE),
        (
            "coerce=strict",
            LATE.replace("(_poet_type := type(x)) is not float and _poet_type is not int", "type(x) is not float"),
        ),
        (
            "require='x > 0'",
            PERCEIVED + "    POET.require((x, y), lambda x, y: x > 0)\n    return x > y\n",
        ),
        (
            "ensure='result or x'",
            PERCEIVED + ATTEMPT.replace("_poet_result)\n", "_poet_result, lambda result, x, y: result or x)\n"),
        ),
        ("timeout=5s", PERCEIVED + ATTEMPT.replace("        return", "        POET.arm(_poet_call)\n        return")),
        ("optimize_for=accuracy", PERCEIVED + RECORDED),
        ("optimize_for=accuracy, key=y", PERCEIVED + RECORDED.replace("(x, y))", "(x, y), lambda x, y: y)")),
        (
            "domain=ml_monitoring",
            PERCEIVED + "    _poet_result = x > y\n    POET.check(_poet_result)\n    return _poet_result\n",
        ),
    ],
)
def test_each_option_shows_in_the_text(options: str, text: str) -> None:
    assert plainly(shown(with_options(options))) == plainly(text)


def test_all_phases_at_once() -> None:
    source = (
        "# poet: domain=ml_monitoring, optimize_for=alert_quality, retries=2, timeout=5s, fallback=safe,\n"
        "# poet: ensure='result != x', require='x > 0', key=y\n"
        "def f(x: float, y: list[float], *more, flag: bool = True, **rest) -> bool:\n"
        '    """Doc."""\n'
        "    if x:\n"
        "        return\n"
        "    print(y)\n"
        "\n"
        "def safe(*args, **kwargs): ...\n"
    )
    expected = '''\
def f(x: float, y: list[float], *more, flag: bool = True, **rest) -> bool:
    """Doc."""
    if (_poet_type := type(x)) is not float and _poet_type is not int or type(flag) is not bool:
        x, flag = POET.perceive_all((0, 3), x, flag)
    y = POET.perceive(1, y)
    POET.require((x, y, more, flag, {**rest}), lambda x, y, more, flag, rest: x > 0)
    _poet_call = POET.begin((x, y, more, flag, {**rest}), lambda x, y, more, flag, rest: y)
    _poet_result = None
    while True:
        try:
            try:
                POET.arm(_poet_call)
                if x:
                    return (_poet_result := None)
                print(y)
                return (_poet_result := None)
            except POET.BaseException:
                POET.raised(_poet_call)
                raise
            finally:
                POET.end(
                    _poet_call,
                    _poet_result,
                    lambda result, x, y, more, flag, rest: result != x,
                )
        except POET.BaseException:
            if POET.retry(_poet_call):
                x, y, more, flag, rest = _poet_call.arguments
                rest = {**rest}
                continue
            if POET.falls_back(_poet_call):
                x, y, more, flag, rest = _poet_call.arguments
                rest = {**rest}
                try:
                    return POET.fell_back(_poet_call, safe(x, y, *more, flag=flag, **rest))
                except POET.BaseException:
                    POET.failed(_poet_call)
                    raise
            POET.failed(_poet_call)
            raise
'''
    assert plainly(shown(source)) == plainly(expected)


def test_the_text_is_formatted() -> None:
    assert shown("# poet: require='x'\ndef f(  x  ):\n  return {  'a':x  }\n") == (
        'def f(x):\n    POET.require((x,), lambda x: x)\n    return {"a": x}\n'
    )


def test_returns_of_inner_functions_are_their_own() -> None:
    text = shown(
        "# poet: ensure='result'\n"
        "def f(x):\n"
        "    def g():\n"
        "        return 1\n"
        "    class C:\n"
        "        def h(self):\n"
        "            return 2\n"
        "    for i in x:\n"
        "        with i:\n"
        "            match i:\n"
        "                case 1:\n"
        "                    return 3\n"
        "    return lambda: 4\n"
    )
    assert [line.strip() for line in plainly(text).splitlines() if "return " in line] == [
        "return 1",
        "return 2",
        "return (_poet_result := 3)",
        "return (_poet_result := (lambda: 4))",
    ]


def test_lists_of_names_are_shown_without_ours() -> None:
    text = shown("# poet:\ndef f(x):\n    return locals(), [dir() for _ in 'a'], vars(), vars(x)\n")
    assert 'return POET.visible(locals()), [POET.visible(dir()) for _ in "a"], POET.visible(vars()), vars(x)' in text


@pytest.mark.parametrize(
    "fallback", ["None", "-1.5", "[1, {'a': (2,)}]", "'text'", "{1, 2}", "b'x'", "1e999", "-1e999"]
)
def test_fallback_literals_mean_the_same_in_the_text(fallback: str) -> None:
    tree = compile_module(f"# poet: fallback={fallback}\ndef f(): raise KeyError\n", "m.py", "m").tree
    (call,) = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func).endswith("fell_back")]
    value = eval(compile(ast.fix_missing_locations(ast.Expression(call.args[1])), "m.py", "eval"), {})
    assert value == ast.literal_eval(fallback)


def test_the_champion_is_in_the_text() -> None:
    source = "# poet: optimize_for=f1\ndef f(x):\n    return x > 2.5\n"
    assert "x > 3.25" in shown(source, values={"x_limit": 3.25})
    assert "x > 2.5" in shown(source)


def test_a_method_and_its_decorators_are_shown() -> None:
    source = "class C:\n    # poet: require='x'\n    @staticmethod\n    def f(x):\n        return x\n"
    assert shown(source, "C.f") == ("@staticmethod\ndef f(x):\n    POET.require((x,), lambda x: x)\n    return x\n")


def test_syntax_that_astor_does_not_know_is_shown_too() -> None:
    source = "# poet: require='x'\ndef f(x):\n    match x:\n        case [1, *rest]:\n            return rest\n"
    text = shown(source)
    assert "match x:" in text
    assert "case [1, *rest]:" in text


def test_what_is_not_enhanced_is_not_shown() -> None:
    with pytest.raises(LookupError, match="m:f is not enhanced"):
        render("def f(): ...\n", plan_of("# poet:\ndef f(): ...\n"), ORIGINAL)


def codes(code: CodeType) -> dict[tuple[str, int], CodeType]:
    found = {(code.co_qualname, code.co_firstlineno): code}
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and not constant.co_qualname.endswith("f.<locals>.<lambda>"):
            found.update(codes(constant))
    return found


def lines_in(code: CodeType) -> set[int]:
    return {line for _, _, line in code.co_lines() if line is not None}


BODY = '''\
def safe(x, y): ...

# poet: {options}
@staticmethod
def f(
    x: float,
    y=1,
) -> bool:
    """Doc."""
    try:
        for i in range(3):
            if i == x:
                return i
    finally:
        print(
            y
        )
    def g(z):
        return z
    with g:
        pass
'''


@pytest.mark.parametrize("options", OPTIONS)
def test_no_line_comes_or_goes(options: str) -> None:
    source = BODY.format(options=options)
    plain, ours = (codes(c) for c in (plain_code(source), compile_module(source, "m.py", "m").code))
    assert plain.keys() == ours.keys()
    assert set().union(*map(lines_in, plain.values())) == set().union(*map(lines_in, ours.values()))
    for name, code in plain.items():
        assert lines_in(ours[name]) - lines_in(code) <= {5}  # the line of `def` below its decorators
        assert lines_in(code) <= lines_in(ours[name])
        same = ("co_name", "co_qualname", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags")
        assert [getattr(code, s) for s in same] == [getattr(ours[name], s) for s in same]
        assert code.co_freevars == ours[name].co_freevars
        assert code.co_cellvars == ours[name].co_cellvars
        assert code.co_varnames[: code.co_argcount] == ours[name].co_varnames[: code.co_argcount]


# --------------------------------------------------------------------------- plans


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("from typing import overload\n# poet:\n@overload\ndef f(): ...\n", "@overload"),
        ("import typing\n# poet:\n@typing.overload\ndef f(): ...\n", "@overload"),
        ("# poet:\n@numba.njit(cache=True)\ndef f(): ...\n", "@njit"),
        ("# poet:\n@torch.compile\ndef f(): ...\n", "@compile"),
        ("from numba import njit as fast\n# poet:\n@fast\ndef f(): ...\n", "@fast compiles it"),
        ("fast = numba.njit(cache=True)\n# poet:\n@fast\ndef f(): ...\n", "@fast compiles it"),
        ("fast = partial(jax.jit, static_argnums=0)\n# poet:\n@fast\ndef f(): ...\n", "@fast compiles it"),
        ("# poet:\n@partial(jax.jit, static_argnums=0)\ndef f(): ...\n", "@partial compiles it"),
        ("# poet:\ndef f(): ...\ng = njit(f)\n", "njit() at line 3 compiles it"),
        ("# poet:\ndef f(): ...\ng = nb.njit('f8(f8)', cache=True)(f)\n", "njit() at line 3 compiles it"),
        ("# poet:\ndef f(): ...\ng = jax.jit(jax.vmap(f))\n", "jit() at line 3 compiles it"),
        ("# poet:\ndef f(): ...\ng = torch.compile(f)\n", "compile() at line 3 compiles it"),
        ("def g():\n    # poet:\n    def f(): ...\n    return njit(f)\n", "njit() at line 4 compiles it"),
        ("@jitclass([])\nclass C:\n    # poet:\n    def f(self): ...\n", "@jitclass compiles it"),
        ("# poet:\ndef f(): ...\njit_module(nopython=True)\n", "jit_module() at line 3 compiles it"),
        ("# poet:\ndef f():\n    if 1:\n        for i in 'a': pass\n        else: break\n", "break or continue"),
        ("# poet:\ndef f():\n    _poet_call = 1\n", "_poet_call"),
        ("# poet:\ndef f(_poet_result): ...\n", "_poet_result"),
        ("# poet:\ndef f():\n    return lambda: _poet_call\n", "_poet_call"),
    ],
)
def test_left_alone_with_the_reason(source: str, reason: str) -> None:
    found = planned(source)
    assert not found.targets
    (left,) = found.left_alone
    assert reason in left.reason
    assert left.function.startswith("m:")
    if "break" not in source:  # which is no Python
        assert compile_module(source, "m.py", "m").code.co_consts == plain_code(source).co_consts


@pytest.mark.parametrize(
    "source",
    [
        "# poet:\n@np.vectorize\ndef f(x): return x\n",  # which calls it
        "from numpy import vectorize\n# poet:\n@vectorize\ndef f(x): return x\n",
        "# poet:\ndef f(x): return x\ng = np.vectorize(f)\n",
        "# poet:\ndef f(x): return x\np = re.compile('|'.join(map(f, WORDS)))\n",
        "# poet:\ndef f(x): return x\np = re.compile(f('x'))\nq = compile(f)\n",
        "p = re.compile(PATTERN)\n# poet:\n@p\ndef f(x): return x\n",
        "class C:\n    # poet:\n    def f(self): return 1\ng = njit(f)\n",  # another f
        "# poet:\ndef f(x): return njit(other)(x)\n",
    ],
)
def test_what_is_not_compiled_is_enhanced(source: str) -> None:
    found = planned(source)
    assert [target.plan.qualname.rpartition(".")[2] for target in found.targets] == ["f"]


def test_a_generator_inside_does_not_make_one() -> None:
    source = "# poet:\ndef f():\n    def g():\n        yield 1\n    return list(g()), [lambda: (yield)]\n"
    assert plan_of(source).function == "m:f"


def test_the_second_function_of_a_name_that_learns_is_left_alone() -> None:
    source = (
        "class C:\n    # poet:\n    @property\n    def f(s): ...\n    # poet:\n    @f.setter\n    def f(s, x): ...\n"
    )
    assert [t.plan.line for t in planned(source).targets] == [4, 7]
    found = planned(source.replace("poet:", "poet: optimize_for=accuracy"))
    assert [t.plan.line for t in found.targets] == [4]
    assert [left.reason for left in found.left_alone] == [
        "another function of the same name, at line 4, learns already"
    ]


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_pragma_stands_above_or_below_decorators(place: int) -> None:
    lines = ["import functools", "@functools.cache", "@functools.wraps(print)", "def f(): ...", ""]
    lines.insert(place, "# poet: retries=1")
    plan = plan_of("\n".join(lines))
    assert (plan.line, plan.pragma.retries) == (5, 1)


@pytest.mark.parametrize(
    ("options", "code", "pointed"),
    [
        ("optimize_for=f1, record.z=none", "PH401", "z"),
        ("require='x > limti'", "PH410", "limti"),
        ("optimize_for=f1, key='x + other'", "PH410", "other"),
        ("ensure='result'", "PH402", "ensure"),
        ("fallback=missing", "PH406", "missing"),
        ("fallback=x", "PH406", "x"),
    ],
)
def test_options_that_name_what_is_not_there(options: str, code: str, pointed: str) -> None:
    found = planned(f"# poet: {options}\ndef f(x, result): return x\n")
    (diagnostic,) = found.diagnostics
    assert diagnostic.code == code
    assert diagnostic.source_line[diagnostic.column : diagnostic.end_column].endswith(pointed)
    if code == "PH406":
        assert found.targets[0].plan.pragma.fallback is None


@pytest.mark.parametrize(
    "expression",
    ["x > LIMIT", "all(y > 0 for y in x)", "(lambda z: z)(x)", "math.isfinite(x)", "len(x) and result", "sorted(x)[0]"],
)
def test_names_that_an_expression_may_read(expression: str) -> None:
    head = "import math\nLIMIT = 1\n"
    assert planned(f"{head}# poet: ensure={expression!r}\ndef f(x): return x\n").diagnostics == []
    if "LIMIT" in expression:
        anything = f"from limits import *\n# poet: require={expression!r}\ndef f(x): return x\n"
        assert planned(anything).diagnostics == []


HIDING = [
    "limit = 10",
    "for limit in x: ...",
    "import limit",
    "del limit",
    "def limit(): ...",
    "try: ...\n    except E as limit: ...",
]
NOT_HIDING = [
    "[limit for limit in x]",
    "lambda limit: 1",
    "global limit; limit = 2",
    "def g(): limit = 1",
    "limit.a = 1",
]


@pytest.mark.parametrize("statement", HIDING)
@pytest.mark.parametrize("option", ["require='x > limit'", "ensure='limit'", "optimize_for=f1, key='limit(x)'"])
def test_names_that_the_body_hides_from_an_expression(statement: str, option: str) -> None:
    found = planned(f"limit = 3\n# poet: {option}\ndef f(x):\n    {statement}\n    return x\n")
    assert [(d.code, d.source_line[d.column : d.end_column]) for d in found.diagnostics] == [("PH410", "limit")]


@pytest.mark.parametrize("statement", NOT_HIDING)
def test_names_that_the_body_only_seems_to_hide(statement: str) -> None:
    source = f"limit = 3\n# poet: require='x > limit', ensure='result'\ndef f(x):\n    {statement}\n    result = x\n    return result\n"
    assert planned(source).diagnostics == []


@pytest.mark.parametrize(
    "definition", ["def safe(): ...", "safe = print", "from os import getcwd as safe", "from os.path import *"]
)
def test_a_fallback_function_may_be_bound_in_any_way(definition: str) -> None:
    found = planned(f"# poet: fallback=safe\ndef f(): ...\n{definition}\n")
    assert found.diagnostics == []
    assert found.targets[0].plan.pragma.fallback is not None


def test_a_fallback_may_be_a_builtin() -> None:
    assert planned("# poet: fallback=list\ndef f(): ...\n").diagnostics == []


def test_a_fallback_that_the_body_hides_is_refused() -> None:
    found = planned("def safe(): ...\n# poet: fallback=safe\ndef f():\n    safe = 1\n    return safe\n")
    assert [d.code for d in found.diagnostics] == ["PH406"]


@pytest.mark.parametrize(
    ("head", "annotation", "kind", "optional"),
    [
        ("", "float", "float", False),
        ("", "bool | None", "bool", True),
        ("", "list[float]", "list[float]", False),
        ("", "dict[str, int]", "dict", False),
        ("", "list[float] | None", "list[float]", True),
        ("", "'float'", "", False),
        ("", "float | str", "", False),
        ("", "Sequence[float]", "", False),
        ("class float: ...", "float", "", False),
        ("from numpy import *", "float", "", False),
        ("type = 3", "float", "", False),
        ("import x as list", "list[float]", "", False),
        ("float = 3", "list[float]", "list", False),
    ],
)
def test_annotations_that_perceive_checks(head: str, annotation: str, kind: str, optional: bool) -> None:
    plan = plan_of(f"{head}\n# poet:\ndef f(x: {annotation}): ...\n")
    assert [(p.kind, p.optional) for p in plan.parameters] == [(kind, optional)]


# --------------------------------------------------------------------------- the function's own text


def source_of(module: str) -> str:
    plan = plan_of(module)
    assert plan.source_hash == hashlib.sha256(plan.source.encode()).hexdigest()
    return plan.source


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("# poet:\ndef f(x):\n    return x  # why\n", "def f(x):\n    return x  # why\n"),
        ("# poet:\ndef f(x): return x", "def f(x): return x\n"),
        ("# poet:\n@a\n@b(1)\ndef f(x):\n    return x\n\n\nz = 1\n", "def f(x):\n    return x\n"),
        ("class C:\n    # poet:\n    @a\n    def f(x):\n\n        return x\n", "def f(x):\n\n    return x\n"),
        ("if 1:\n\tclass C:\n\t\t# poet:\n\t\tdef f(x):\n\t\t\treturn x\n", "def f(x):\n\treturn x\n"),
        ("# poet:\r\ndef f(x):\r\n    return x\r\n", "def f(x):\n    return x\n"),
        ("# poet:\rdef f(x):\r    return x\r", "def f(x):\n    return x\n"),
        (
            'class C:\n    # poet:\n    def f(x):\n        """Doc\n        more\n    """\n        return x\n',
            'def f(x):\n    """Doc\n        more\n    """\n    return x\n',
        ),
        (
            "class C:\n    # poet:\n    def f(x):\n        return f'''{x}\n        b'''\n",
            "def f(x):\n    return f'''{x}\n        b'''\n",
        ),
        (
            "class C:\n    # poet:\n    def f(x):\n        return (x,\n # left\n  1)\n",
            "def f(x):\n    return (x,\n # left\n  1)\n",
        ),
        ("a = '\x0c\u2028'\n# poet:\ndef f(x):\n    return '\x0c\x1c\x85\u2028', x\n",
         "def f(x):\n    return '\x0c\x1c\x85\u2028', x\n"),
        ("class Ä:\n    # poet:\n    def f(ä):\n        return 'ö', ä\n", "def f(ä):\n    return 'ö', ä\n"),
    ],
)  # fmt: skip
def test_function_source(module: str, text: str) -> None:
    assert source_of(module) == text
    ast.parse(text)


def test_only_the_functions_own_text_counts() -> None:
    one = "x = 1\n# poet: retries=1\ndef f(x):\n    return x\n"
    two = "import os\n\nclass C:\n    # poet: retries=2\n    @os.path\n    def f(x):\n        return x\n"
    assert plan_of(one).source_hash == plan_of(two).source_hash
    assert plan_of(one).source_hash != plan_of(one.replace("return x", "return  x")).source_hash


# --------------------------------------------------------------------------- tunables


def found(body: str, head: str = "def f(x, y, z):") -> list[tuple[str, float, str]]:
    """Name, value and text of each tunable."""
    plan = plan_of(f"# poet: optimize_for=f1\n{head}\n    {body}\n")
    return [(t.name, t.value, text_of(plan, t)) for t in numbers_of(plan)]


def text_of(plan: Plan, tunable: Tunable) -> str:
    row = plan.source.split("\n")[tunable.line].encode()
    return row[tunable.column : tunable.end_column].decode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return x > 2.5", [("x_limit", 2.5, "2.5")]),
        ("return 2.5 < x", [("x_limit", 2.5, "2.5")]),
        ("return x > 3", [("x_limit", 3, "3")]),
        ("return x > -3", [("x_limit", -3, "-3")]),
        ("return abs(x) > 1_000", [("value_limit", 1000, "1_000")]),
        ("return x > 0x10", [("x_limit", 16, "0x10")]),
        ("return x > y + 3.0 * z", [("x_limit", 3.0, "3.0")]),
        ("return 1.5 < x < 2.5", [("x_limit", 1.5, "1.5"), ("x_limit_2", 2.5, "2.5")]),
        ("limit = 2.5; return x > limit", [("limit", 2.5, "2.5")]),
        ("limit: float = 2.5; return x > limit", [("limit", 2.5, "2.5")]),
        ("return 0.5 * x", [("constant", 0.5, "0.5")]),
        ("return 'ö', x > 2.5", [("x_limit", 2.5, "2.5")]),
        ("return x > 1.0 or x > 0.0", [("x_limit", 1.0, "1.0"), ("x_limit_2", 0.0, "0.0")]),
        ("return x > 0 or x == 1 or x > -1", []),
        ("return 1.0 * x + 0.0", []),
        ("return x + 3", []),
        ("return x[2] + x[1:3.5]", []),
        ("return x ** 2.5", []),
        ("return sum(range(5))", []),
        ("return x.f(limit=2.5)", []),
        ("return f'{x:>2}{2.5}'", []),
        ("return lambda: x > 2.5", []),
        ("return True, None, 'a', 2j, x > True", []),
        ("return x > 1e999", []),
        (f"return x > {10**400}", []),
    ],
)
def test_numbers_that_decide(body: str, expected: list[tuple[str, float, str]]) -> None:
    assert found(body) == expected


def test_nothing_is_tunable_without_an_objective() -> None:
    assert plan_of("# poet:\ndef f(x):\n    return x > 2.5\n").tunables == ()


def test_defaults_decorators_and_inner_functions_are_not_tuned() -> None:
    source = "# poet: optimize_for=f1\n@d(2.5)\ndef f(x=2.5):\n    def g():\n        return x > 2.5\n    return g\n"
    assert plan_of(source).tunables == ()


def test_marked_numbers_only() -> None:
    source = (
        "# poet: optimize_for=f1\n"
        "def f(x, y):\n"
        "    a = x * 2.5\n"
        "    window = 20  # poet: tune 5..50\n"
        "    return y[0] + a > 3.5 * 1.5 - 2  # other\n"
    )
    (tunable,) = plan_of(source).tunables
    assert tunable == Tunable("window", 20, 2, 13, 15, integer=True, lower=5, upper=50, declared=True)


def test_a_tune_may_name_its_number() -> None:
    source = "# poet: optimize_for=f1\ndef f(x):\n    return x > 2.5  # poet: tune ..8 as limit\n"
    (tunable,) = plan_of(source).tunables
    assert (tunable.name, tunable.lower, tunable.upper) == ("limit", None, 8)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("return x > 2.5 * y > 3.5  # poet: tune 1..9", "PH404"),
        ("return x[3]  # poet: tune 1..9", "PH404"),
        ("return x > 2.5  # poet: tune 3..9", "PH405"),
    ],
)
def test_tunes_that_fit_no_number(line: str, code: str) -> None:
    result = planned(f"# poet: optimize_for=f1\ndef f(x, y):\n    {line}\n")
    assert [d.code for d in result.diagnostics] == [code]
    assert result.targets[0].plan.tunables == ()
    assert result.diagnostics[0].source_line.strip() == line


SHIFTED = [
    "class C:\n    # poet: optimize_for=f1\n    def f(self, x):\n        return x > 2.5\n",
    "class C:\n\t# poet: optimize_for=f1\n\tdef f(self, x):\n\t\treturn x > 2.5\n",
    "class C:\n    # poet: optimize_for=f1\n    def f(self, x):\n        return '''\n  ''' and x > 2.5\n",
    "class C:\n    # poet: optimize_for=f1\n    def f(self, x):\n        return (\n  x > 2.5)\n",
    "class C:\n    # poet: optimize_for=f1\n    def f(self, x):\n        return (x >\n  2.5)\n",
    "class C:\n    # poet: optimize_for=f1\n    def f(self, x):\n        return 'öü\u2028' if x > 2.5 else 'ä'\n",
    "s = '\x0c'\n# poet: optimize_for=f1\ndef f(x):\n    return '\x0c' if x > 2.5 else 1\n",
    "# poet: optimize_for=f1\r\ndef f(x):\r\n    '''\r\n    ''' ; return x > 2.5\r\n",
    "# poet: optimize_for=f1\ndef f(x):\n    return (x\n> 2.5)\n",
    "# poet: optimize_for=f1\ndef f(x):\n    return x>-2.5 and(x<-3.5)or 2.5**x\n",
    "# poet: optimize_for=f1\ndef f(x):\n    return-2.5 if x else-3\n",
    "# poet: optimize_for=f1\ndef f(x):\n    return 2.5.__add__(x)\n",
    "# poet: optimize_for=f1\ndef f(x):\n    match x:\n        case -2.5: return 1\n        case 3.5: return 2\n",
]


@pytest.mark.parametrize("source", SHIFTED)
@pytest.mark.parametrize("value", [7.25, -7.25, 0.0, -0.0, 1e300])
def test_text_and_tree_get_the_same_numbers(source: str, value: float) -> None:
    module = planned(source)
    (target,) = module.targets
    plan = target.plan
    for tunable in numbers_of(plan):
        assert ast.literal_eval(text_of(plan, tunable)) == tunable.value
    values = {t.name: value for t in numbers_of(plan)}
    text = with_values(plan.source, plan.tunables, values)
    set_values(target.node, plan, values)
    from_text = function_code(plain_code(text), "f", 1)
    from_tree = function_code(plain_code(module.tree), plan.qualname, plan.line)
    assert from_text
    assert from_tree
    assert repr(from_text.co_consts) == repr(from_tree.co_consts)
    assert from_text.co_code == from_tree.co_code


ROWS = ["{} < x", "x * {} > y", "x > y - {}", "max(x, {}) > y", "'é' and x > {}"]
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.lists(st.sampled_from(ROWS), min_size=1, max_size=4),
    st.lists(FINITE, min_size=4, max_size=4),
    st.sampled_from(["", "    ", "\t"]),
)
def test_values_come_back(template: list[str], numbers: list[float], indent: str) -> None:
    head = f"class C:\n{indent}# poet: optimize_for=f1\n" if indent else "# poet: optimize_for=f1\n"
    rows = [f"{indent}    a = {row.format('2.5')}\n" for row in template]
    plan = plan_of(head + f"{indent}def f(x, y):\n" + "".join(rows))
    assert len(plan.tunables) == len(template)
    values = dict(zip([t.name for t in plan.tunables], numbers, strict=False))
    text = with_values(plan.source, plan.tunables, values)
    (node,) = ast.parse(text).body
    assert isinstance(node, ast.FunctionDef)
    again, problems = find_tunables(node, (), text.splitlines(keepends=True))
    assert problems == []
    kept = {t.name: values.get(t.name) for t in again}
    assert {t.name: t.value for t in again} == kept
    assert with_values(text, again, {t.name: 2.5 for t in again}) == plan.source.replace("(2.5)", "2.5")


def test_an_integer_stays_one() -> None:
    plan = plan_of("# poet: optimize_for=f1\ndef f(x):\n    return x > 3\n")
    assert with_values(plan.source, plan.tunables, {"x_limit": 4.0}) == "def f(x):\n    return x > 4\n"


def test_a_name_can_stand_for_a_number() -> None:
    plan = plan_of("# poet: optimize_for=f1\ndef f(x):\n    return-2.5 < x < 3\n")
    text = with_values(plan.source, plan.tunables, {"x_limit": 1.0, "x_limit_2": 7.0}, ("x_limit", "t"))
    assert text == "def f(x):\n    return t < x < 7\n"


# --------------------------------------------------------------------------- code of one function


def test_the_code_of_a_function_is_found_among_namesakes() -> None:
    source = (
        "if x:\n    def f(): return 1\nelse:\n    @d\n\n    def f(): return 2\nclass C:\n    def f(self): return 3\n"
    )
    code = compile(source, "m.py", "exec")
    lines = [function_code(code, *at) for at in [("f", 2), ("f", 6), ("C.f", 8)]]
    assert [c and c.co_firstlineno for c in lines] == [2, 4, 8]
    assert function_code(code, "g", 9) is None


def test_function_source_takes_raw_lines() -> None:
    text = "class C:\n    def f(x):\n        return x\n"
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.ClassDef)
    method = node.body[0]
    assert isinstance(method, ast.FunctionDef)
    assert function_source(method, text.splitlines(keepends=True)) == "def f(x):\n    return x\n"
