"""A version and a plan -> whether they fit; and where the function was edited, the same values in that text."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import math
import warnings
from collections.abc import Sequence
from dataclasses import replace

from poet_hook.errors import VersionError
from poet_hook.model import CODE, Level, Plan, Tunable, Value, Verdict, Version
from poet_hook.pragma.scan import find
from poet_hook.transform.constants import Constant, in_text
from poet_hook.transform.guards import fits_guard
from poet_hook.transform.nodes import FunctionNode
from poet_hook.transform.plan import UNPARSABLE
from poet_hook.transform.tunables import find_tunables
from poet_hook.transform.values import as_text, dedented, lines_of, option_line, with_values

MISFIT = "the two no longer fit"


def carry(version: Version, original: str, plan: Plan) -> Version:
    """`version`, learned on the text `original`, with its values in the text of `plan`; not stored yet.

    The two texts must have the same tunables in the same order; those of the structure only where one was learned. What
    the user wrote anew, in the pragma too, stays as the user wrote it, and so does what the user's range or choices no
    longer allow. Raises `VersionError` with the reason where the texts don't fit, the version changes more than values,
    or no value is left to carry over.
    """
    if CODE in version.values:
        raise VersionError("it is other code, which is not carried over to another text")
    before, after = (*_tunables(original), *_replaced(version.source)), plan.tunables
    if _shape(before, version) != _shape(after, version):
        raise VersionError(MISFIT)
    learned = {tunable.name: tunable for tunable in before if tunable.name in version.values}
    known = len(learned) == len(version.values) and all(_readable(t, version.values[n]) for n, t in learned.items())
    if not known or with_values(original, before, version.values) != version.source:
        raise VersionError(f"v{version.number} changes more than its values")
    values, reasons = {}, []
    now = {tunable.name: tunable for tunable in after}
    for name, value in version.values.items():
        old, new = learned[name], now.get(name)
        if new is None:
            reasons.append(f"{name}: your pragma has no {name}= any more that could be {as_text(value)}")
        elif (old.value, old.integer) != (new.value, new.integer):
            reasons.append(f"{new.name}: your own {as_text(new.value)} takes the place of {as_text(value)}")
        elif not allowed(new, value):
            where = "lies outside its new range" if new.kind == "number" else "can't stand there any more"
            reasons.append(f"{new.name}: {as_text(value)} {where}, your own {as_text(new.value)} stays")
        else:
            values[new.name] = value
    if version.values and not set(version.values) & set(now):
        raise VersionError("; ".join(reasons))
    if not values:
        raise VersionError(f"your own values take the place of those of v{version.number}")
    carried = replace(
        version,
        source=with_values(plan.source, after, values),
        source_hash=plan.source_hash,
        parent=version.number,
        values=values,
    )
    return _judged(carried, version, reasons)


def _shape(tunables: Sequence[Tunable], version: Version) -> list[tuple[str, tuple[str, ...]]]:
    """What must be the same in two texts."""
    of_text = [tunable for tunable in tunables if tunable.kind != "option"]
    restructured = any(tunable.structural and tunable.name in version.values for tunable in of_text)
    kept = (tunable for tunable in of_text if restructured or not tunable.structural)
    return [(tunable.name, tunable.choices if tunable.structural else ()) for tunable in kept]


def _judged(carried: Version, version: Version, reasons: list[str]) -> Version:
    """What may be said of it: the evidence belongs to the text before the edit, unless both are the same code."""
    start = f"carried over from v{version.number} after an edit"
    level = version.level
    if same_code(carried.source, version.source):
        reasons.insert(0, f"{start} that changes nothing of what it does")
    else:
        reasons.insert(0, f"{start}: what follows was found with the text before it")
        lowest: Level = "requested" if len(reasons) > 1 else "provisional"  # nobody tried these numbers together
        level = None if level is None else "requested" if level == "requested" else lowest
    verdict: Verdict | None = version.verdict
    if verdict is not None:
        verdict = replace(verdict, level=level, reasons=(*reasons, *verdict.reasons))
    return replace(carried, level=level, verdict=verdict)


def edited(version: Version, why: str) -> VersionError:
    """The error that says that a version belongs to an earlier text of its function."""
    return VersionError(
        f"{version.function} was edited after v{version.number} was learned, and {why}. Keep what you wrote with: "
        f"python -m poet_hook promote {version.function} 1, or learn again"
    )


def allowed(tunable: Tunable, value: Value) -> bool:
    """Whether a value may stand there: a choice that is listed, or a number in the range of `# poet: tune`, if any."""
    if not _readable(tunable, value) or isinstance(value, str):
        return _readable(tunable, value)
    over = tunable.lower is None or value >= tunable.lower
    return over and (tunable.upper is None or value <= tunable.upper)


def fits(version: Version, plan: Plan) -> None:
    """Raise `VersionError` unless `version` is exactly `plan`'s function with other values, each of them allowed."""
    if version.source_hash != plan.source_hash:
        raise edited(version, MISFIT)
    known = {tunable.name: tunable for tunable in plan.tunables}
    if CODE in version.values:
        _may_run(version, plan)
    for name, value in version.values.items():
        if name == CODE:
            continue
        tunable = known.get(name)
        if tunable is None:
            raise VersionError(f"v{version.number} changes {name!r}, which is nothing of {plan.function} to tune")
        if not allowed(tunable, value):
            finite = not isinstance(value, str) and math.isfinite(value)
            other = "outside its range" if finite else "which is no number"
            why = "which is no guard that may stand there" if tunable.kind == "guard" else other
            why = "which is none of its choices" if tunable.choices else why
            raise VersionError(f"v{version.number} sets {name!r} to {as_text(value)}, {why}")
    if not same_options(version, plan):
        raise edited(version, "its pragma has other options now than those that were to be replaced")
    if with_values(plan.source, plan.tunables, version.values) != version.source:
        raise VersionError(f"v{version.number} changes more of {plan.function} than its values")


def _may_run(version: Version, plan: Plan) -> None:
    """Raise `VersionError` unless the policy lets the code of a version take the place of the function's own."""
    from poet_hook.isolation.policy import Original, vet  # few versions are other code

    try:
        with open(plan.path, "rb") as file:
            original = Original(importlib.util.decode_source(file.read()), plan.qualname)
    except (OSError, LookupError, *UNPARSABLE) as error:
        raise VersionError(f"{plan.path} can't be read, so v{version.number} can't be held against it") from error
    above = [f"@{ast.unparse(decorator)}\n" for decorator in original.function.decorator_list]  # no version has these
    refusals = vet("".join([*above, str(version.values[CODE])]), original).refusals
    if refusals:
        first, line = refusals[0], max(refusals[0].line - len(above), 1)
        raise VersionError(f"v{version.number} may not run: line {line} of its code: {first}")
    if plan.with_options(version.values).pragma.margin is not None:
        raise VersionError(f"v{version.number} is other code, in which margin= knows no limit")


def _readable(tunable: Tunable, value: Value) -> bool:
    """Whether a value is one of those choices, or a number of that kind."""
    if tunable.kind == "guard":
        return isinstance(value, str) and fits_guard(tunable, value)
    if tunable.choices:
        return value in tunable.choices
    return not isinstance(value, str) and math.isfinite(value) and (not tunable.integer or value == int(value))


def same_code(first: str, second: str) -> bool:
    """Whether two texts of a function differ in comments and layout at most, the options before them aside."""
    if first == second:
        return True
    if _options(first) != _options(second):
        return False
    one, other = _parsed(first), _parsed(second)
    try:
        return one is not None and other is not None and ast.dump(one[2]) == ast.dump(other[2])
    except RecursionError:  # nested too deep to be told
        return False


def _options(text: str) -> str:
    """The options that stand before a text, with what they replace."""
    return text.partition("\n")[0] if text.startswith("# poet:") else ""


def _replaced(text: str) -> tuple[Tunable, ...]:
    """The options that stand before a text, as they were in the pragma for which it was made."""
    found = []
    for option in _options(text).rpartition("  # in place of ")[2].split(", "):
        name, _, value = option.partition("=")
        with contextlib.suppress(ValueError):
            found.append(Tunable(name, float(value.removesuffix("s")), 0, 0, 0, value.isdecimal(), kind="option"))
    return tuple(found)


def same_options(version: Version, plan: Plan) -> bool:
    """Whether the pragma still says what the options of a version are in the place of."""
    try:
        return _options(version.source) == option_line(plan.tunables, version.values).rstrip("\n")
    except (ValueError, OverflowError):  # no number
        return False


def own_lines(text: str) -> set[int]:
    """The numbers of the lines of a function's text that are indented with it: not those inside strings."""
    parsed = _parsed(text)
    return set() if parsed is None else dedented(parsed[0], lines_of(text))


def _parsed(text: str) -> tuple[FunctionNode, list[Constant], ast.Module] | None:
    """The function in a text, the constants behind it, and all of it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the user's code: its own import says them
            tree = ast.parse(text)
    except UNPARSABLE:
        return None
    constants = in_text(tree.body, lines_of(text))
    if not tree.body or constants is None or not isinstance(tree.body[0], FunctionNode):
        return None
    return tree.body[0], constants, tree


def _tunables(text: str) -> tuple[Tunable, ...]:
    parsed = _parsed(text)
    if parsed is None:
        return ()
    node, constants, _ = parsed
    try:
        return find_tunables(node, find(text).tunes, lines_of(text), None, constants)[0]
    except RecursionError:
        return ()
