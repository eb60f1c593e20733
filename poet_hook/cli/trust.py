"""`trust`, `untrust`: versions that this user did not make, or no longer wants -> signed, or not."""

from __future__ import annotations

import argparse
import sys

from poet_hook import api
from poet_hook.cli.names import find
from poet_hook.cli.output import aside, before_and_after, heading, say, say_error, say_json, table
from poet_hook.errors import NotEnhancedError, PoetError, UnknownFunctionError
from poet_hook.model import LeftAlone, Plan, Version
from poet_hook.versions import trust as steps
from poet_hook.versions.chain import Chain, functions_with_versions
from poet_hook.versions.diff import diff


def trust(options: argparse.Namespace) -> int:
    """Show what is not trusted, and sign it where that is wanted; 1 where something stays untrusted."""
    if options.rotate:
        return _rotate(options)
    functions = [_named(name) for name in options.functions] or functions_with_versions(api.settings())
    if options.list:
        return _list(functions, options.json)
    left = False
    documents: list[dict[str, object]] = []
    for function in functions:
        try:
            signed, examined = _decide(function, options)
        except PoetError as error:
            say_error(error)
            documents.append({"function": function, "error": str(error), "code": error.code})
            left = True
            continue
        left = left or not signed
        documents.append({**_document(examined), "signed": signed and examined.open})
    if options.json:
        say_json({"functions": documents})
    elif not functions:
        say(f"No version is stored in {api.settings().home}")
    return 1 if left else 0


def _decide(function: str, options: argparse.Namespace) -> tuple[bool, steps.Examined]:
    """Whether all of it is trusted in the end, and what was found before."""
    chain = Chain(api.settings(), function)
    plan = _plan(function)
    examined = steps.examine(chain, plan)
    if not options.json:
        _show(examined, plan)
    if examined.open and not _agreed(options, function):
        return False, examined
    if examined.open:
        from poet_hook.versions.watch import refresh

        steps.trust(chain, examined)
        refresh(api.settings())
        if not options.json:
            say(f"{function}: v{chain.champion_number()} is in use now")
    return all(each.version for each in examined.doubted) and examined.pointer is not None, examined


def _agreed(options: argparse.Namespace, function: str) -> bool:
    if options.yes:
        return True
    if not options.json and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
        return input(f"Trust this of {function}? [y/N] ").strip().lower() in ("y", "yes")
    if not options.json:
        say(f"Nothing was changed; to trust it: python -m poet_hook trust {function} --yes")
    return False


def _show(examined: steps.Examined, plan: Plan) -> None:
    if not examined.doubted and not examined.reason:
        say(f"{examined.function}: nothing to decide, all of it is trusted")
        return
    heading(examined.function)
    own = Version(plan.function, 1, plan.source, plan.source_hash, 0.0)
    for each in examined.doubted:
        say(f"{each.reason}{'' if each.version else ': it is not signed'}")
        version = each.version
        if version is None or version.number == 1:
            continue
        # against what stands in the user's file: a text that came with the version could be any
        say(diff(own, version).rstrip("\n"))
        evidence = version.verdict.evidence if version.verdict else None
        if evidence is not None and version.level is not None:
            words = before_and_after(evidence.metric, evidence.before, evidence.after)
            say(f"  {'found' if each.own else 'its maker says'}: {version.level}, {words}")
    if examined.reason:
        say(examined.reason)
    if examined.reason and examined.pointer is not None:
        say(f"  it puts v{examined.pointer.champion} in use")


def _plan(function: str) -> Plan:
    found = find(function).what
    if isinstance(found, LeftAlone):
        raise NotEnhancedError(f"{function} is left alone: {found.reason}")
    return found


def _named(name: str) -> str:
    """The function with stored versions that is meant; a store that was not made here may know no function."""
    known = functions_with_versions(api.settings())
    found = [each for each in known if f".{each.replace(':', '.')}".endswith(f".{name.replace(':', '.')}")]
    if len(found) > 1 and name not in found:
        raise UnknownFunctionError(f"several functions are called {name!r}: {', '.join(found)}")
    if not found:
        raise UnknownFunctionError(f"no function {name!r} has stored versions; known: {', '.join(known) or 'none yet'}")
    return name if name in found else found[0]


# --------------------------------------------------------------------------- the list


def _list(functions: list[str], as_json: bool) -> int:
    found = []
    for function in functions:
        try:
            plan = _plan(function)
        except PoetError:
            plan = None
        found.append(steps.examine(Chain(api.settings(), function), plan))
    if as_json:
        say_json({"functions": [_document(each) for each in found]})
    elif found:
        rows = []
        for each in found:
            champion = each.pointer.champion if each.pointer and not each.reason else 1
            for item in each.versions:
                used = "yes" if item.number == champion else ""
                rows.append((each.function, f"v{item.number}", used, "no" if item.reason else "yes", item.reason))
            if each.reason:
                rows.append((each.function, "in use", "", "no", each.reason))
        table(("function", "version", "in use", "trusted", "why not"), rows, flexible={4})
    else:
        say(f"No version is stored in {api.settings().home}")
    return 1 if any(each.reason or each.doubted for each in found) else 0


def _document(examined: steps.Examined) -> dict[str, object]:
    versions = [
        {"version": each.number, "trusted": not each.reason, "reason": each.reason, "can_be": each.version is not None}
        for each in examined.versions
    ]
    in_use = {
        "version": examined.pointer.champion if examined.pointer else None,
        "trusted": not examined.reason,
        "reason": examined.reason,
    }
    return {"function": examined.function, "versions": versions, "in_use": in_use}


# --------------------------------------------------------------------------- the other way, and the key


def untrust(options: argparse.Namespace) -> int:
    """Take the signatures away; the original is in use."""
    from poet_hook.versions.watch import refresh

    for function in [_named(name) for name in options.functions]:
        gone = steps.untrust(Chain(api.settings(), function))
        refresh(api.settings())
        which = ", ".join(f"v{number}" for number in gone)
        more = f"; no longer signed: {which}" if gone else "; no other version was trusted"
        say(f"{function}: v1, your own text, is in use{more}")
    return 0


def _rotate(options: argparse.Namespace) -> int:
    done = steps.rotate(api.settings())
    if options.json:
        say_json(done)
        return 0
    say(f"The key is new: {_many(done.signed, 'version')} of {_many(done.projects, 'project')} are signed with it")
    for reason in done.left:
        aside(f"not signed: {reason}")
    return 0


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
