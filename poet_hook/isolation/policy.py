"""A candidate's text and the original function -> the function that may run, or which rule it breaks and where.

What is allowed is listed; everything else is refused. What the original does itself, a candidate may do in the same
words. Nothing is run or imported here. The rules stand in `rules`, `ends`, `bounds`, `growth` and `texts`.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import unicodedata
import warnings
import weakref
from dataclasses import dataclass
from typing import TypeGuard

from poet_hook.isolation import bounds, ends, growth, rules, texts
from poet_hook.isolation.code import MAX_DEPTH, MAX_NODES, Code, Intricate
from poet_hook.isolation.original import Function, Original, imports
from poet_hook.isolation.rule import ADVICE, BY_NODE, Refusal, refusal, say

__all__ = ["ADVICE", "Original", "Refusal", "Vetted", "vet"]

MAX_BYTES = 20_000
_REGISTERED = (rules, ends, bounds, growth, texts)  # importing them fills BY_NODE
_MISREAD = (SyntaxError, ValueError, RecursionError, MemoryError)
_COOKIE = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_ADDRESSED = re.compile(
    r"\b(?:system (?:note|prompt|message|instruction)"
    r"|(?:ignore|disregard|forget) (?:(?:all|any|every) )?(?:the )?(?:previous|prior|above|earlier) "
    r"(?:instruction|limit|message|policy|prompt|rule)"
    r"|without (?:replay|review|verification|judgement)|skip (?:the )?(?:replay|review|verification)"
    r"|(?:reviewer|verifier|grader|assistant|language model|llm)s? (?:must|should|shall|may|will|can)\b)",
    re.IGNORECASE,
)
_PRAGMA = re.compile(r"#[ \t]*poet\b", re.IGNORECASE)
_OF_ROOT = frozenset({"private-attribute"})  # the same words mean the same only of the same thing

_SIZE = say("size", f"Write at most {MAX_BYTES:,} bytes, {MAX_NODES:,} nodes of syntax, {MAX_DEPTH} levels of nesting.")
_CHARACTERS = say("characters", "Write plain text: no control characters, no marks that change the direction of text.")
_ENCODING = say("encoding", "Leave the coding comment away; it is UTF-8.")
_SYNTAX = say("syntax", "Write a whole function that this Python can parse.")
_PRAGMAS = say("pragma", "Leave `# poet:` comments away, or keep those of the original as they are.")
_INSTRUCTIONS = say(
    "instructions", "Say what the function computes; write nothing to reviewers, models or later versions."
)
_DEFINITION = say("one-definition", "Define the function once, under its own name.")
_TOP = say("top-level", "Write the function alone, after the imports that it needs; put all else into its body.")
_SIGNATURE = say("signature", "Keep name, arguments, defaults, annotations and decorators of the original.")
_KIND = say("kind", "Keep it what it is: a function, a generator, async or not.")
_ARGUMENTS = say("ignored-arguments", "Compute the result from the arguments.")


@dataclass(frozen=True, slots=True)
class Vetted:
    """What came of a candidate: `function` is the node that may run (None where it may not), `refusals` say why not.

    Only the function is taken over: what else stood in the text was compared with the original and is left behind. Its
    docstring is that of the original, since a model may have written there what the next reader is to believe.
    """

    function: Function | None
    refusals: tuple[Refusal, ...]


def vet(candidate: str, original: Original) -> Vetted:
    """Judge the text of a candidate; any text at all, and nothing is raised. Refusals come in the order of lines."""
    with warnings.catch_warnings():  # of a number that touches a word, and of escapes that are none
        warnings.simplefilter("ignore")
        return _vetted(candidate, original)


def _vetted(candidate: str, original: Original) -> Vetted:
    found = _text(candidate)
    if found is None:
        tree, found = _parsed(candidate)
        found = found or _comments(candidate, original)
        if tree is not None and found is None:
            function, refusals = _shape(tree, original)
            if function is not None and not refusals:
                refusals = _body(function, original) or _compiled(function)
            refusals.sort(key=lambda r: r.line)
            if function is None or refusals:
                return Vetted(None, tuple(refusals))
            return Vetted(_without_words(function, original.function), ())
    return Vetted(None, (found,) if found is not None else ())


# --------------------------------------------------------------------------- text


def _text(source: str) -> Refusal | None:
    if len(source) > MAX_BYTES or len(source.encode("utf-8", "replace")) > MAX_BYTES:
        return refusal(_SIZE, 1, f"it has more than {MAX_BYTES:,} bytes")
    if _UNUSUAL.search(source):
        for number, line in enumerate(source.replace("\r\n", "\n").split("\n"), 1):
            bad = next((c for c in line if c != "\t" and unicodedata.category(c) in _UNWANTED), None)
            if bad is not None:
                return refusal(_CHARACTERS, number, f"it has the character {bad!a}")
    depth = deepest = 0
    for place in _BRACKETS.finditer(source):
        depth = depth + 1 if place[0] in "([{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        return refusal(_SIZE, 1, f"its brackets are nested over {MAX_DEPTH} deep")
    return None


_UNWANTED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_UNUSUAL = re.compile(r"[^\t\n -~]")
_BRACKETS = re.compile(r"[(\[{}\])]")


def _parsed(source: str) -> tuple[ast.Module | None, Refusal | None]:
    try:
        return ast.parse(source), None
    except _MISREAD as error:
        line = getattr(error, "lineno", None) or 1
        return None, refusal(_SYNTAX, line, getattr(error, "msg", None) or str(error) or type(error).__name__)


def _comments(source: str, original: Original) -> Refusal | None:
    for number, line in enumerate(source.split("\n")[:2], 1):
        cookie = _COOKIE.match(line)
        if cookie is not None and cookie[1].lower().replace("_", "-") not in ("utf-8", "utf8", "ascii", "us-ascii"):
            return refusal(_ENCODING, number, f"it asks to be decoded as {cookie[1]}")
    addressed = _ADDRESSED.search(source)
    if addressed is not None and addressed[0] not in original.source:
        place = source.count("\n", 0, addressed.start()) + 1
        return refusal(_INSTRUCTIONS, place, f"it tells a reader what to do: {addressed[0]!r}")
    if source.isascii() and _PRAGMA.search(source) is None:
        return None
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
        own = {" ".join(m.split()) for m in re.findall(r"#.*", original.source)}
    except (*_MISREAD, tokenize.TokenError) as error:
        return refusal(_SYNTAX, 1, str(error))
    for token in tokens:
        if token.type == tokenize.NAME and not token.string.isascii():
            return refusal(
                "ascii-name", token.start[0], f"the name {token.string!a} has other letters than those of ASCII"
            )
        if token.type == tokenize.COMMENT and _PRAGMA.match(token.string) and " ".join(token.string.split()) not in own:
            return refusal(_PRAGMAS, token.start[0], "it has a pragma that the original has not")
    return None


# --------------------------------------------------------------------------- shape


def _shape(tree: ast.Module, original: Original) -> tuple[Function | None, list[Refusal]]:
    name = original.function.name
    found: list[Refusal] = []
    functions: list[Function] = []
    for position, statement in enumerate(tree.body):
        if isinstance(statement, Function) and statement.name == name:
            functions.append(statement)
        elif not (position == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            reason = _beside(statement, original)
            found += [reason] if reason else []
    if len(functions) != 1:
        place = functions[1] if functions else 1
        found.append(refusal(_DEFINITION, place, f"it defines {name} {len(functions)} times"))
        return None, found
    return functions[0], found + _signature(functions[0], original.function)


def _beside(statement: ast.stmt, original: Original) -> Refusal | None:
    """Why a statement may not stand beside the function; those of the original's module may, they are left behind."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        for name, target, _ in imports(statement):
            known = original.names.get(name)
            if known is None or known.target != target:
                return refusal("new-import", statement, f"it imports {target} as {name}, which the module does not")
        return None
    if ast.dump(statement) in original.statements:
        return None
    what = getattr(statement, "name", None)
    return refusal(_TOP, statement, f"it defines {what} too" if what else "a statement stands beside the function")


def _signature(function: Function, own: Function) -> list[Refusal]:
    if type(function) is not type(own):
        return [refusal(_KIND, function, "one of the two is async")]
    differing = [w for w, field in _FIELDS if not _equal(getattr(function, field, None), getattr(own, field, None))]
    return [refusal(_SIGNATURE, function, f"its {' and '.join(differing)} changed")] if differing else []


_FIELDS = (
    ("arguments", "args"),
    ("return annotation", "returns"),
    ("decorators", "decorator_list"),
    ("type parameters", "type_params"),
)


def _equal(one: object, other: object) -> bool:
    """True for the same syntax, wherever it stands."""
    if isinstance(one, ast.AST):
        fields = one._fields
        return type(one) is type(other) and all(_equal(getattr(one, f, None), getattr(other, f, None)) for f in fields)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(_equal, one, other))
    return type(one) is type(other) and (one == other or one != one)


# --------------------------------------------------------------------------- body


def _body(function: Function, original: Original) -> list[Refusal]:
    try:
        code = Code(function, original)
        if code.too_large:
            return [refusal(_SIZE, function, f"it is {code.too_large}")]
        own = _own(original)
        broken = [b for b in _broken(code) if not _same_words(b, code, own.words)]
    except (RecursionError, Intricate):
        return [refusal(_SIZE, function, "what its names stand for is too intricate")]
    if code.yields() != own.yields:
        broken.append((_KIND, function, "one of the two is a generator"))
    elif own.reads_arguments and not broken and not code.reads_arguments():
        broken.append((_ARGUMENTS, function, "its result does not depend on its arguments"))
    return [refusal(name, node, what) for name, node, what in broken]


def _without_words(function: Function, own: Function) -> Function:
    for node in ast.walk(function):
        if isinstance(node, ast.stmt):
            for field in ("body", "orelse", "finalbody"):
                statements = getattr(node, field, None)
                if statements:
                    setattr(node, field, [ast.copy_location(ast.Pass(), s) if _is_words(s) else s for s in statements])
    kept = [s for s in function.body if not isinstance(s, ast.Pass)]
    first = own.body[0]
    function.body = [ast.copy_location(ast.Expr(first.value), function.body[0]), *kept] if _is_words(first) else kept
    return function


def _is_words(statement: ast.stmt) -> TypeGuard[ast.Expr]:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _compiled(function: Function) -> list[Refusal]:
    """What only the compiler finds, such as a `break` outside a loop."""
    try:
        compile(ast.Module([function], []), "<candidate>", "exec", dont_inherit=True)
    except _MISREAD as error:
        line = getattr(error, "lineno", None) or function.lineno
        return [refusal(_SYNTAX, line, getattr(error, "msg", None) or type(error).__name__)]
    return []


_Broken = tuple[str, ast.AST, str]


@dataclass(frozen=True, slots=True)
class _Own:
    """The original by its own rules: `words` has the rules that it breaks, and in which words."""

    words: frozenset[tuple[str, str]]
    yields: bool
    reads_arguments: bool


def _own(original: Original) -> _Own:
    own = _owns.get(original)
    if own is None:
        code = Code(original.function, original)
        words = frozenset((name, _words(node, code)) for name, node, _ in _broken(code))
        own = _owns[original] = _Own(words, code.yields(), code.reads_arguments())
    return own


_owns: weakref.WeakKeyDictionary[Original, _Own] = weakref.WeakKeyDictionary()


def _broken(code: Code) -> list[_Broken]:
    found: list[_Broken] = []
    for node in code.nodes:
        for name, test in BY_NODE.get(type(node), ()):
            what = test(code, node)
            if what is not None:
                found.append((name, node, what))
    return found


def _same_words(broken: _Broken, code: Code, allowed: frozenset[tuple[str, str]]) -> bool:
    name, node, _ = broken
    if (name, _words(node, code)) not in allowed:
        return False
    root: ast.AST = node
    while name in _OF_ROOT and isinstance(root, ast.Attribute):
        root = root.value
    scope = code.scopes[root].find(root.id) if isinstance(root, ast.Name) else None
    return name not in _OF_ROOT or scope is None or all(b.how == "parameter" for b in scope.bindings[root.id])  # type: ignore[attr-defined]


def _words(node: ast.AST, code: Code) -> str:
    """What is compared with the original: the whole access or call around a node, of a statement its head."""
    if isinstance(node, (ast.Yield, ast.YieldFrom)):
        return "yield"
    if isinstance(node, (ast.With, ast.AsyncWith)):
        return " ".join(ast.dump(item) for item in node.items)
    if isinstance(node, (ast.For, ast.AsyncFor)):
        return ast.dump(node.iter)
    if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):  # what is put there belongs to it
        while not isinstance(node, ast.stmt):
            node = code.parent(node)
        return ast.dump(node)
    start, parent = node, code.parent(node)
    while isinstance(parent, (ast.Attribute, ast.Call, ast.Subscript)) and node in (
        getattr(parent, "value", None),
        getattr(parent, "func", None),
    ):
        node, parent = parent, code.parent(parent)
    if node is start and isinstance(node, ast.Name):
        node = parent
    return ast.dump(node)
