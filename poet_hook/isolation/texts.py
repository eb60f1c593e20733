"""The rules for texts, tables and templates in generated code, each a function of one node."""

from __future__ import annotations

import ast
import re
import string

from poet_hook.isolation.code import Code
from poet_hook.isolation.rule import rule

MOST_ITEMS = 100  # in one literal
LONGEST_TEXT = 400  # characters
_RISKY_PATTERN = re.compile(r"\)[*+{]|(\.|\\[wsdWSD])[*+]\1[*+]|\][*+]\[[^\]]{0,40}\][*+]|\\[1-9]|\(\?P=")
_WIDE = re.compile(r"\d{4}|\*")


@rule(ast.Constant)
def long_constant(code: Code, node: ast.Constant) -> str | None:
    """Keep data out of the code: texts of at most 400 characters, numbers of at most 38 digits."""
    if isinstance(node.value, int):
        return "a very large number" if node.value.bit_length() > 128 else None
    if not isinstance(node.value, (str, bytes)) or len(node.value) <= LONGEST_TEXT or node.value in code.original.texts:
        return None
    statement = code.parent(node)
    if isinstance(statement, ast.Expr) and getattr(code.parent(statement), "body", [None])[0] is statement:
        return None
    return f"a text of {len(node.value):,} characters"


@rule(ast.List, ast.Tuple, ast.Set, ast.Dict)
def large_table(_code: Code, node: ast.AST) -> str | None:
    """Compute the answer; a table of more than 100 entries is no rule."""
    held = len(getattr(node, "elts", ()) or getattr(node, "values", ()))
    return f"a table of {held} entries" if held > MOST_ITEMS else None


@rule(ast.Call)
def template(code: Code, node: ast.Call) -> str | None:
    """Use an f-string, or .format of a text whose fields are plain names or numbers."""
    if code.builtin(node.func) == "format":
        spec = code.value_of(node.args[1]) if len(node.args) == 2 else ast.Constant("")
        return None if _plain_spec(spec) and len(node.args) < 3 else "this format is computed, or very wide"
    if not (isinstance(node.func, ast.Attribute) and node.func.attr == "format"):
        return None
    text = code.value_of(node.func.value)
    if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
        return "the template of .format is computed"
    try:
        fields = list(string.Formatter().parse(text.value))
    except ValueError:
        return "the template of .format is wrong"
    for _, field, how, _ in fields:
        if any(c in (field or "") for c in ".[") or "{" in (how or "") or _WIDE.search(how or ""):
            return "this template reaches into what it is given, or is very wide"
    return None


def _plain_spec(spec: ast.AST) -> bool:
    return isinstance(spec, ast.Constant) and isinstance(spec.value, str) and not _WIDE.search(spec.value)


@rule(ast.FormattedValue)
def computed_format(_code: Code, node: ast.FormattedValue) -> str | None:
    """Write the format as a constant, such as {x:.2f}."""
    spec = node.format_spec
    parts = spec.values if isinstance(spec, ast.JoinedStr) else []
    return None if all(_plain_spec(part) for part in parts) else "this format is computed, or very wide"


@rule(ast.BinOp)
def percent_format(code: Code, node: ast.BinOp) -> str | None:
    """Write widths of at most three digits."""
    text = code.value_of(node.left)
    if (
        not isinstance(node.op, ast.Mod)
        or not isinstance(text, ast.Constant)
        or not isinstance(text.value, (str, bytes))
    ):
        return None
    value = text.value if isinstance(text.value, str) else text.value.decode("latin-1")
    return "this format is very wide" if re.search(r"%[^a-zA-Z%]*(\d{4}|\*)", value) else None


@rule(ast.Call)
def pattern(code: Code, node: ast.Call) -> str | None:
    """Use the patterns of the original, or simple ones: no repeated groups, no back references."""
    base, _, name = code.path(node.func).rpartition(".")
    if base != "re" or name == "escape":
        return None
    text = code.value_of(node.args[0]) if node.args else None
    if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
        return "the pattern of a regular expression is computed"
    if text.value in code.original.texts or not _RISKY_PATTERN.search(text.value):
        return None
    return "this regular expression may take very long"
