"""What a function, its classes, its module and the settings say -> the one pragma of the function.

Function before class, class before the class around it, then the module, then what is assumed of it: option by
option, the nearest one counts. `off` ends that: what is further away says nothing then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from ..model import Diagnostic, Pragma
from .assume import Assumed
from .scan import Found

_DEFAULT = Pragma(0, 0)
# what is wrong in these ways costs the option; what else is wrong changes nothing, or fails where it is evaluated
_LOST = frozenset({"PH401", "PH402", "PH406", "PH411", "PH412", "PH414", "PH416", "PH417"})
_FIELDS = frozenset(field.name for field in fields(Pragma))


class Scopes:
    """The pragmas of one module, and which of them were used."""

    def __init__(self, found: Found, assumed: Sequence[Assumed] = ()) -> None:
        self.assumed = assumed
        self.off = found.off
        self.module = found.module
        self._functions = {pragma.target_line: pragma for pragma in found.pragmas}
        self._classes = {pragma.target_line: pragma for pragma in found.classes}
        self._unused = {pragma.line: pragma for pragma in (*found.pragmas, *found.classes)}

    @property
    def all(self) -> Iterator[Pragma]:
        """Every pragma that may say something here."""
        yield from (*self._functions.values(), *self._classes.values())
        yield from (pragma for pragma in (self.module, *(item.pragma for item in self.assumed)) if pragma)

    @property
    def empty(self) -> bool:
        """Whether no function of the module can have a pragma."""
        return next(self.all, None) is None and not self.off

    @property
    def unused(self) -> Iterator[Pragma]:
        """The pragmas above functions and classes that were asked for by none."""
        return iter(self._unused.values())

    def stands_above(self, lines: Sequence[int]) -> None:
        """A class begins at one of these lines: its pragma is where it belongs, whatever it reaches."""
        for line in lines:
            if line in self._classes:
                self._unused.pop(self._classes[line].line, None)

    def of(self, lines: Sequence[int], classes: Sequence[Sequence[int]], qualname: str) -> tuple[Pragma, bool] | None:
        """The pragma of a function, and whether one stands above it; None where there is none, or it is off.

        `lines` are those at which the function may be said to begin (decorators and `def`), `classes` the same of
        the classes around it, from the inside out.
        """
        layers: list[Pragma] = []
        for pragma in self._layers(lines, classes, qualname):
            if pragma is None:
                break
            layers.append(pragma)
        if not layers:
            return None
        own = layers[0].target_line in lines
        if own and len(layers) == 1:
            return layers[0], True
        place = layers[0] if own else replace(_DEFAULT, line=min(lines), target_line=min(lines))
        return merged(place, layers), own

    def off_for(self, lines: Sequence[int], classes: Sequence[Sequence[int]], qualname: str) -> str:
        """Where it is said that a function of which `of` knows nothing is off; "" where it has no pragma at all."""
        if self.off.intersection(lines):
            return "`# poet: off` stands above it"
        if any(self.off.intersection(place) for place in classes):
            return "`# poet: off` stands above its class"
        if 0 in self.off:
            return "`# poet: module off`"
        told = any(item.pragma is None and item.names(qualname) for item in self.assumed)
        return "the settings assume `off` of it" if told else ""

    def _layers(self, lines: Sequence[int], classes: Sequence[Sequence[int]], qualname: str) -> Iterator[Pragma | None]:
        """From the nearest to the furthest; None where `off` ends them."""
        yield from self._at(lines, self._functions)
        for place in classes:
            yield from self._at(place, self._classes)
        if 0 in self.off:
            yield None
        if self.module is not None:
            yield self.module
        for item in self.assumed:
            if item.names(qualname):
                yield item.pragma

    def _at(self, lines: Sequence[int], pragmas: dict[int, Pragma]) -> Iterator[Pragma | None]:
        for line in lines:
            if line in pragmas:
                self._unused.pop(pragmas[line].line, None)
                yield pragmas[line]
            elif line in self.off:
                yield None


def merged(place: Pragma, layers: Iterable[Pragma]) -> Pragma:
    """`place` with the options of all layers, from the nearest to the furthest, where it has none of that name."""
    values: dict[str, Any] = {}
    origins = {}
    by_argument: dict[str, Any] = {}
    for layer in layers:
        for option, origin in layer.origins.items():
            if option in origins:
                continue
            origins[option] = origin
            _, dot, argument = option.partition(".")
            if dot:
                by_argument[argument] = layer.record_arguments[argument]
            else:
                values[option] = getattr(layer, option)
    return replace(place, **values, record_arguments=by_argument, origins=origins)


def without(pragma: Pragma, options: Iterable[str]) -> Pragma:
    """The pragma as if these options had not been given."""
    gone = {option for option in options if option in pragma.origins}
    if not gone:
        return pragma
    defaults = {option: getattr(_DEFAULT, option) for option in gone & _FIELDS}
    kept = {name: mode for name, mode in pragma.record_arguments.items() if f"record.{name}" not in gone}
    origins = {option: origin for option, origin in pragma.origins.items() if option not in gone}
    return replace(pragma, **defaults, record_arguments=kept, origins=origins)


class Complaints:
    """What is wrong with options, each held against every function that it reaches.

    An option above a function is wrong where it is said. One that a class, a module or the settings give to many
    functions is left out where it can't hold, and wrong only where it holds for none of them.
    """

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._doubtful: dict[tuple[int, int], Diagnostic] = {}
        self._held: set[tuple[int, int]] = set()

    def take(self, pragma: Pragma, found: Iterable[tuple[str, Diagnostic]]) -> Pragma:
        """Of one function: its pragma without the options of others that can't hold here."""
        doubtful, lost = {}, set()
        for option, diagnostic in found:
            origin = pragma.origins.get(option)
            if origin is None or origin.scope == "function":
                self.diagnostics.append(diagnostic)
                if diagnostic.code in _LOST:
                    lost.add(option)
            else:
                doubtful[option] = diagnostic
        for option, origin in pragma.origins.items():
            place = origin.line, origin.column
            if origin.scope == "function" or not origin.line:
                continue
            if option in doubtful:
                self._doubtful.setdefault(place, doubtful[option])
            else:
                self._held.add(place)
        return without(pragma, lost.union(doubtful))

    def remaining(self) -> Iterator[Diagnostic]:
        """What holds for no function."""
        return (each for place, each in self._doubtful.items() if place not in self._held)
