"""What may leave the machine: recorded values as the record rules of their function allow, texts without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from poet_hook.errors import CodecError
from poet_hook.store import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from poet_hook.model import Execution, Plan

_NAMED = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_IN_URL = re.compile(r"://[^\s/:@]*:([^\s/@]+)@")
_SHORTEST = 6  # characters: a shorter value is a word such as "true", and stands everywhere
_LONGEST = 600  # characters of a value in a prompt
HIDDEN = "<secret>"
NOT_SHOWN = "<not recorded>"


class Secrets:
    """The values that must not leave: those `given`, and of `variables` those that are secret.

    That are the values of those whose names say so, and passwords in URLs.
    """

    def __init__(self, given: Iterable[str], variables: Iterable[Mapping[str, str]]) -> None:
        items = [item for mapping in variables for item in mapping.items()]
        values = {value.strip() for name, value in items if _is_secret(name, value)}
        values |= {password for _, value in items for password in _IN_URL.findall(value)}
        known = {value for value in values if len(value) >= _SHORTEST} | {value for value in given if value}
        written = {form for value in known for form in _forms(value)}
        longest_first = sorted(written, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def hidden_in(self, text: str) -> str:
        """The text, with `HIDDEN` in place of each of them."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text

    def hidden_within(self, tree: Any) -> Any:
        """The same for every text in a tree of JSON."""
        if isinstance(tree, str):
            return self.hidden_in(tree)
        if isinstance(tree, Mapping):
            return {self.hidden_in(str(key)): self.hidden_within(item) for key, item in tree.items()}
        return [self.hidden_within(item) for item in tree] if isinstance(tree, (list, tuple)) else tree


def _is_secret(name: str, value: str) -> bool:
    is_limit = name.upper().endswith("TOKENS") and value.strip().isdecimal()  # POET_LLM_TOKENS=1000000, and others'
    return bool(_NAMED.search(name)) and not is_limit


def _forms(value: str) -> tuple[str, ...]:
    """A value as it is, and as Python, JSON and URLs write it."""
    return value, repr(value)[1:-1], json.dumps(value)[1:-1], quote(value, safe="")


def shown_arguments(plan: Plan, execution: Execution, longest: int = _LONGEST) -> dict[str, str]:
    """The arguments of an execution by name, as Python writes them; {} where they are not stored.

    What `record=` hides now, or hid then, is `NOT_SHOWN`; a text longer than `longest` loses its middle.
    """
    names = [parameter.name for parameter in plan.parameters]
    values = _decoded(execution.arguments)
    if not isinstance(values, tuple) or len(values) != len(names):
        return {}
    rules = plan.pragma.record_arguments
    modes = [rules.get(name, plan.pragma.record) for name in names]
    rows = zip(names, values, modes, strict=True)
    return {name: shown_value(value, longest) if mode == "full" else NOT_SHOWN for name, value, mode in rows}


def shown_outcome(plan: Plan, execution: Execution, longest: int = _LONGEST) -> str:
    """What an execution returned or raised, under the same rules."""
    if execution.outcome == "error":
        error = execution.error or "an exception"
        hides = plan.pragma.record != "full" or any(mode != "full" for mode in plan.pragma.record_arguments.values())
        return f"raised {error.partition(':')[0] if hides else _cut(error, longest)}"  # which may quote an argument
    if execution.result is None or plan.pragma.record != "full":
        return NOT_SHOWN
    return shown_value(_decoded(execution.result), longest)


def shown_value(value: Any, longest: int = _LONGEST) -> str:
    """A decoded value as Python writes it, in one line; `NOT_SHOWN` where only its hash or shape was recorded."""
    try:
        return NOT_SHOWN if isinstance(value, codec.Summary) else _cut(repr(value).replace("\n", " "), longest)
    except (ValueError, RecursionError):  # a whole number of thousands of digits
        return NOT_SHOWN


def _decoded(data: bytes | None) -> Any:
    try:
        return None if data is None else codec.decode(data, plain=True)
    except CodecError:
        return codec.Summary("shape", "")


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    head = longest * 2 // 3
    return f"{text[:head]} ...{len(text) - longest:,} characters left out... {text[head - longest :]}"
