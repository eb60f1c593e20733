"""`apply`, `export`, `import`: versions -> the user's own file, or another person's store."""

from __future__ import annotations

import argparse
import functools
import importlib.util
import os
import sys

from poet_hook import api
from poet_hook.cli.lint import python_files
from poet_hook.cli.names import find, nothing_recorded, recorded
from poet_hook.cli.output import say, say_error
from poet_hook.errors import NotEnhancedError, ReplayError, UnknownFunctionError, VersionError
from poet_hook.model import LeftAlone, Plan, Version
from poet_hook.transform.plan import UNPARSABLE, plan_module
from poet_hook.versions.apply import apply as write
from poet_hook.versions.apply import edit_of
from poet_hook.versions.chain import Chain
from poet_hook.versions.current import plan_of
from poet_hook.versions.exchange import Fate, line_of, read


def apply(options: argparse.Namespace) -> int:
    """Write a version into the file; with `--check` write nothing, and 1 where it would change."""
    plan = find(options.function).what
    if isinstance(plan, LeftAlone):
        raise NotEnhancedError(f"{plan.function} runs as it is written: {plan.reason}")
    chain = Chain(api.settings(), plan.function)
    version = _chosen(chain, plan, options.version)
    if version is None:
        say(f"{plan.function}: v1, your own text, is in use: nothing to apply")
        return 0
    edit = edit_of(version, plan, api.settings())
    place = _shown(str(edit.path))
    changes = edit.after != edit.before
    if options.check:
        if changes:
            say(edit.diff(place).rstrip("\n"))
        return 1 if changes else 0
    write(edit, chain)
    if changes:
        say(f"{place}:{edit.line}: v{version.number} of {plan.function} is your own text now, and so v1 is in use")
    else:
        say(f"{place}:{edit.line}: v{version.number} of {plan.function} stands there already")
    return 0


def _chosen(chain: Chain, plan: Plan, number: int | None) -> Version | None:
    if number is None:
        champion = chain.champion_number()
        version = chain.in_use(plan)
        return chain.read(champion) if version is None and champion != 1 else version
    return None if number == 1 else chain.read(number)


def _shown(path: str) -> str:
    """A path as it is written from the working directory, where it lies below that."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


# --------------------------------------------------------------------------- between people


def export(options: argparse.Namespace) -> int:
    """Print every version of the functions named, or of all, one in a line."""
    names = [recorded(name) for name in options.functions]
    if not options.functions and not nothing_recorded():
        names = [record.function for record in api.store().functions()]
    found = failed = False
    for name in dict.fromkeys(names):
        chain = Chain(api.settings(), name)
        for version in chain.versions():
            if version.number == 1:
                continue
            found = True
            try:
                print(line_of(version, _original(chain, version)))
            except VersionError as error:
                say_error(error)
                failed = True
    if not found:
        print("poet_hook: nothing to export: no version but the originals is stored here", file=sys.stderr)
    return 1 if failed else 0


def _original(chain: Chain, version: Version) -> str:
    try:
        return chain.original(version)
    except VersionError:
        text = api.store().source_of(chain.function, version.source_hash)
        if text is None:
            raise
        return text


def import_(options: argparse.Namespace) -> int:
    """Store the versions of a file as proposals, and say the fate of each line; 1 where one was refused."""
    refused = False
    project = functools.cache(_project_plans)
    known = functools.cache(lambda name: _recorded(name) or project().get(name))
    with open(options.file, "rb") as file:
        for fate in read(file, known, api.settings()):
            say(f"{options.file}:{fate.line}: {_words(fate)}")
            refused = refused or fate.kind == "refused"
    return 1 if refused else 0


def _words(fate: Fate) -> str:
    what = f"{fate.claims.function} v{fate.claims.number}" if fate.claims else "refused"
    if fate.kind == "refused":
        return f"{what} is refused: {fate.reason}" if fate.claims else f"refused: {fate.reason}"
    if fate.version is None:
        return f"{what}: {fate.reason}"
    number = fate.version.number
    if fate.kind == "known":
        return f"{what} is known here as v{number}"
    assert fate.claims is not None
    said = f" ({fate.claims.level} there)" if fate.claims.level else ""
    return (
        f"{what}{said} is proposed as v{number}; "
        f"accept it with: python -m poet_hook promote {fate.version.function} {number}"
    )


def _recorded(name: str) -> Plan | None:
    """The plan of a function that was recorded here under exactly this name."""
    try:
        plan = None if nothing_recorded() else plan_of(name, api.store(), api.settings())[0]
    except (UnknownFunctionError, ReplayError):
        return None
    return plan if plan is not None and plan.pragma.trains else None


def _project_plans() -> dict[str, Plan]:
    """Every function that learns in the project's files, by its name."""
    plans: dict[str, Plan] = {}
    assume = api.settings().assume
    for path in python_files([str(api.settings().root)]):
        try:
            data = path.read_bytes()
            module = api.settings().module_of(path, path.stem)
            if b"poet:" not in data and not any(entry.reaches(module, str(path)) for entry in assume):
                continue
            targets = plan_module(importlib.util.decode_source(data), str(path), module, assume=assume).targets
        except (OSError, *UNPARSABLE):
            continue  # `check` reports those
        plans |= {target.plan.function: target.plan for target in targets if target.plan.pragma.trains}
    return plans
