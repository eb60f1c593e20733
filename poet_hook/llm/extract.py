"""A model's reply -> the text of a candidate, or an object of a closed shape, or the reason why there is none.

Exactly one block must define the function. What is repaired is only how it is written down (fences, quotation, line
numbers); what is ambiguous, cut off or left out is refused, so that the model can be asked again. Nothing raises, and
nothing is run: parsing is all that is done, of at most `MAX_CODE` bytes.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from poet_hook.llm.blocks import Block, blocks
from poet_hook.llm.reply import NotExtracted, answer, objects, strict_json

__all__ = ["Extracted", "NotExtracted", "extract_code", "extract_object"]

MAX_CODE = 20_000  # bytes of one block; the policy takes no more
_DEEPEST = 60  # brackets inside each other
_MISREAD = (SyntaxError, ValueError, RecursionError, MemoryError)
_BRACKETS = re.compile(r"[(\[{}\])]")
_LONG_CHAIN = re.compile(r"(?:[-+~]{50}|(?:not ){50}|(?:lambda:){50})")
_NUMBERED = re.compile(r"^ {0,6}\d{1,4}(?: ?[|:] ?|\. |\t|  )")
_PROMPT = re.compile(r"^(?:>>>|\.\.\.)(?: |$)")
_ELIDED = re.compile(
    r"#[ \t]*(?:\.\.\.|…|(?:the )?(?:rest|remainder) of|(?:existing|remaining|previous|same) code)", re.IGNORECASE
)
_Function = ast.FunctionDef | ast.AsyncFunctionDef
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a candidate, as the model wrote it but for how it was written down."""

    source: str


def extract_code(
    reply: str, function: str, finish_reason: str = "stop", original: str | None = None
) -> Extracted | NotExtracted:
    """The candidate for `function` in a reply; `original` is the text that it must differ from."""
    text = answer(reply, finish_reason)
    if isinstance(text, NotExtracted):
        return text
    name = function.rpartition(".")[2]
    found = list(blocks(text))
    defining: dict[str, str] = {}
    reasons: list[NotExtracted] = []
    for block in found:
        read = _read(block, name)
        if isinstance(read, NotExtracted):
            reasons.append(read)
        elif not block.shows_the_old:
            defining.setdefault(read[0], read[1])
        else:
            reasons.append(NotExtracted("unchanged", "the reply only shows the function as it was"))
    if not found:
        bare = _bare(text, name)
        if isinstance(bare, NotExtracted):
            return bare
        defining[bare[0]] = bare[1]
    if len(defining) > 1:
        return NotExtracted("several", f"{len(defining)} different blocks define {name}; give one")
    if not defining:
        return min(reasons, key=lambda r: _WORTH.index(r.reason))
    (same, source), *_ = defining.items()
    if original is not None and same == _same(original, name):
        return NotExtracted("unchanged", f"{name} is the same as before; change it")
    return Extracted(source)


_WORTH = ("cut-off", "placeholder", "not-python", "too-long", "unchanged", "wrong-name", "no-code")


def extract_object(reply: str, kind: type[T], finish_reason: str = "stop") -> T | NotExtracted:
    """The one JSON object in a reply, as `kind` (a `msgspec.Struct` that forbids unknown fields)."""
    text = answer(reply, finish_reason)
    if isinstance(text, NotExtracted):
        return text
    whole = strict_json(text.strip())
    fenced = [block.text for block in blocks(text)]
    parts = [part for piece in fenced or [text] for part in objects(piece)]
    read = [whole] if isinstance(whole, dict) else [strict_json(part) for part in parts]
    good = [r for r in read if isinstance(r, dict)]
    if len(good) > 1:
        return NotExtracted("several", f"the reply has {len(good)} objects; give one")
    if not good:
        return next(
            (r for r in read if isinstance(r, NotExtracted)), NotExtracted("no-json", "the reply has no object")
        )
    try:
        return msgspec.convert(good[0], kind)
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        return NotExtracted("wrong-shape", str(error)[:300])


# --------------------------------------------------------------------------- code


def _read(block: Block, name: str) -> tuple[str, str] | NotExtracted:
    """What a block defines as `name`: its syntax, to be compared, and its text."""
    if len(block.text.encode("utf-8", "replace")) > MAX_CODE:
        return NotExtracted("too-long", f"a block has more than {MAX_CODE:,} bytes; write the function only")
    error = NotExtracted("no-code", "the block is empty")
    for text in _spellings(block.text):
        tree = _parsed(text)
        if isinstance(tree, ast.Module):
            error = NotExtracted("cut-off", "the last block is not closed; write all of it")
            return _defined(tree, text, name) if block.closed else error
        error = tree
    if not block.closed:
        return NotExtracted("cut-off", "the last block is not closed; write all of it")
    return error if block.language in ("", "python", "python3", "py", "py3") else _NONE


_NONE = NotExtracted("no-code", "the reply has no block of Python")


def _spellings(text: str) -> list[str]:
    """A text, and what it is without what is often put into code by mistake."""
    plain = textwrap.dedent(text.replace("\u00a0", " "))
    found = [plain]
    lines = [line for line in plain.split("\n") if line.strip()]
    if lines and all(_NUMBERED.match(line) for line in lines):
        found.append(textwrap.dedent("\n".join(_NUMBERED.sub("", line, count=1) for line in plain.split("\n"))))
    if lines and all(_PROMPT.match(line) for line in lines):
        found.append("\n".join(_PROMPT.sub("", line, count=1) for line in plain.split("\n")))
    if "\\_" in plain:
        found.append(plain.replace("\\_", "_"))
    return found


def _parsed(text: str) -> ast.Module | NotExtracted:
    depth = deepest = 0
    for place in _BRACKETS.finditer(text):
        depth = depth + 1 if place[0] in "([{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    if deepest > _DEEPEST or _LONG_CHAIN.search(text):
        return NotExtracted("not-python", f"it is nested more than {_DEEPEST} deep")
    try:
        with warnings.catch_warnings():  # of escapes that are none
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except _MISREAD as error:
        line = f"line {error.lineno}: " if isinstance(error, SyntaxError) and error.lineno else ""
        told = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        return NotExtracted("not-python", f"{line}{told[:200]}")


def _defined(tree: ast.Module, text: str, name: str) -> tuple[str, str] | NotExtracted:
    functions = [s for s in tree.body if isinstance(s, _Function)]
    own = [f for f in functions if f.name == name]
    if not own:
        other = ", ".join(f.name for f in functions[:3])
        if other:
            return NotExtracted("wrong-name", f"it defines {other[:100]}, not {name}")
        return NotExtracted("no-code", f"no block defines {name}")
    if any(_is_placeholder(f) for f in own) or _ELIDED.search(text):
        return NotExtracted("placeholder", f"parts of {name} are left out; write all of it")
    lines = text.split("\n")
    for statement in tree.body:
        if _is_main_guard(statement):
            lines[statement.lineno - 1 : statement.end_lineno] = [""] * (
                (statement.end_lineno or 0) - statement.lineno + 1
            )
    return " ".join(ast.dump(f) for f in own), "\n".join(lines).strip("\n") + "\n"


def _same(source: str, name: str) -> str:
    tree = _parsed(source)
    functions = ast.walk(tree) if isinstance(tree, ast.Module) else ()
    return " ".join(ast.dump(f) for f in functions if isinstance(f, _Function) and f.name == name)


def _is_placeholder(function: _Function) -> bool:
    """True where the body does nothing, or `...` stands for a part of it."""
    if any(isinstance(n, ast.Expr) and _is_ellipsis(n.value) for n in ast.walk(function)):
        return True
    body = [s for s in function.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return all(isinstance(s, ast.Pass) or _is_unfinished(s) for s in body)


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _is_unfinished(statement: ast.stmt) -> bool:
    raised = statement.exc if isinstance(statement, ast.Raise) else None
    kind = raised.func if isinstance(raised, ast.Call) else raised
    return isinstance(kind, ast.Name) and kind.id == "NotImplementedError"


def _is_main_guard(statement: ast.stmt) -> bool:
    test = statement.test if isinstance(statement, ast.If) else None
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _bare(text: str, name: str) -> tuple[str, str] | NotExtracted:
    """Code without any fence: the whole text, or the lines from the definition to the first that is no part of it."""
    if len(text.encode("utf-8", "replace")) <= MAX_CODE:
        tree = _parsed(textwrap.dedent(text))
        if isinstance(tree, ast.Module):
            return _defined(tree, textwrap.dedent(text), name)
    lines = text.split("\n")
    starts = [i for i, line in enumerate(lines) if line.startswith((f"def {name}(", f"async def {name}("))]
    if not starts:
        return NotExtracted("no-code", f"the reply does not define {name}")
    if len(starts) > 1:
        return NotExtracted("several", f"the reply defines {name} {len(starts)} times; give one")
    first = last = starts[0]
    while first and lines[first - 1].startswith("@"):
        first -= 1
    while last + 1 < len(lines) and (not lines[last + 1].strip() or lines[last + 1][0] in " \t)]}#"):
        last += 1
    block = Block("python", "", lines[first : last + 1], closed=True)
    return _read(block, name)
