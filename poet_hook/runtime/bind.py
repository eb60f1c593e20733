"""Code with placeholders -> code that holds slots.

Between the two stands what can be kept in a file: code without placeholders, their places, and what belongs there.
"""

from __future__ import annotations

from types import CodeType

from poet_hook.runtime.attribute import Poet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from poet_hook.runtime.slot import Slot

    Places = tuple[tuple[int, Any], ...]
    """Indexes into the constants of a code object, each with the number of a part, or the places of the code there."""
    Part = str | tuple[str, str] | tuple[str, str, bool]
    """What a slot is made of (what it knows, as JSON; if it trains, with the function's text), or what a `Poet` is."""
    Loose = tuple[CodeType, Places, tuple[Part, ...]]
    """Code whose slots are still to be made; built-in types only, so that `marshal` takes it."""


def loosen(code: CodeType, sources: Mapping[str, str] | None = None) -> Loose:
    """Take the placeholders out of the constants, and say where they were.

    `sources` are the texts of the functions that train, by qualified name.
    """
    from poet_hook.model import SLOT_PREFIX

    numbers: dict[str, int] = {}
    parts: list[Part] = []

    def number(text: str) -> int | None:
        if text not in numbers:
            part = _part(text.removeprefix(SLOT_PREFIX), sources or {})
            if part is None:
                return None
            numbers[text] = len(parts)
            parts.append(part)
        return numbers[text]

    def freed(code: CodeType) -> tuple[CodeType, Places]:
        constants = [*code.co_consts]
        places: list[tuple[int, Any]] = []
        for index, constant in enumerate(constants):
            what: Any = None
            if isinstance(constant, CodeType):
                constants[index], what = freed(constant)
            elif type(constant) is str and constant.startswith(SLOT_PREFIX):
                what = number(constant)
                constants[index] = constant if what is None else None
            if what not in (None, ()):
                places.append((index, what))
        return (code.replace(co_consts=(*constants,)) if places else code), (*places,)

    without, places = freed(code)
    return without, places, (*parts,)


def bind(loose: Loose) -> CodeType:
    """The code with its slots in place."""
    code, places, parts = loose
    made = [_made(part) for part in parts]

    def bound(code: CodeType, places: Places) -> CodeType:
        constants = [*code.co_consts]
        for index, what in places:
            constants[index] = made[what] if type(what) is int else bound(constants[index], what)
        return code.replace(co_consts=(*constants,))

    return bound(code, places) if places else code


def _made(part: Part) -> Slot | Poet:
    if not isinstance(part, str) and len(part) == 3:
        return Poet(*part)
    from poet_hook.runtime.slot import Slot  # programs whose functions only check types never need it

    return Slot(part) if isinstance(part, str) else Slot(*part)


def _part(text: str, sources: Mapping[str, str]) -> Part | None:
    import json

    try:
        spec = json.loads(text)
    except ValueError:  # a literal of the user's that happens to begin so
        return None
    if isinstance(spec, list):
        function, where, learns = spec
        return function, where, learns
    return (text, sources.get(spec["qualname"], "")) if spec.get("optimize_for") else text
