"""A version -> the user's own file, in which nothing else changes."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import io
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import tokenize
from dataclasses import dataclass, replace
from pathlib import Path

from poet_hook.errors import VersionError
from poet_hook.model import CODE, Plan, Pragma, Version
from poet_hook.pragma.options import ATTEMPTS, STEADY
from poet_hook.settings import Settings
from poet_hook.transform.constants import GAP
from poet_hook.transform.plan import UNPARSABLE, plan_module
from poet_hook.transform.values import lines_of, option_line, option_text
from poet_hook.versions.chain import Chain
from poet_hook.versions.rebase import fits, own_lines, same_code

_BLACK_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Edit:
    """A file as it is and as it would be, with the text of one function replaced; the same where nothing changes."""

    path: Path
    line: int
    before: bytes
    after: bytes

    def diff(self, name: str) -> str:
        """A unified diff of the file, which is called `name`; line ends are not shown."""
        before, after = (
            [row.removesuffix("\n") + "\n" for row in lines_of(importlib.util.decode_source(data))]
            for data in (self.before, self.after)
        )
        return "".join(difflib.unified_diff(before, after, name, name))


def edit_of(version: Version, plan: Plan, settings: Settings) -> Edit:
    """What writing `version` into the file of `plan` changes; nothing is written.

    Raises `VersionError` where the file may not be written, was edited since, or can't hold the text.
    """
    path = _writable(plan, settings)
    data = path.read_bytes()
    now = _planned(data, plan)
    if same_code(now.source, version.source):
        return Edit(path, now.line, data, data)
    fits(version, now)
    wanted = now.with_options(version.values).pragma
    text = version.source.removeprefix(option_line(now.tunables, version.values))
    after = _with_options(replaced(data, now, text, code=CODE in version.values), now, wanted)
    black = _black(after, path, settings.root) if _black(data, path, settings.root) == data else None
    if black is not None and _keeps(black, now, text, wanted):
        after = black
    return Edit(path, now.line, data, after)


def apply(edit: Edit, chain: Chain) -> None:
    """Write the file, whole or not at all, and say that the function's own text is in use now.

    Raises `VersionError` where the file changed meanwhile, OSError where it can't be written.
    """
    if edit.after != edit.before:
        write(edit.path, edit.before, edit.after)
    if chain.champion_number() != 1:
        chain.point(1, [])  # after the file: until then the champion runs, and says the same


# --------------------------------------------------------------------------- the text


def replaced(data: bytes, plan: Plan, text: str, *, code: bool = False) -> bytes:
    """The bytes of the file of `plan` with `text` as the function's own; decorators, indentation and all else stay.

    Other `code` says nothing of the module's constants. Raises `VersionError` where the file's encoding or its layout
    does not allow that.
    """
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    module = data.decode(encoding)
    rows = lines_of(module)
    old, new = lines_of(plan.source), lines_of(text)
    behind = _behind(plan)
    new += old[len(old) - behind :] if code else []
    for line, row in zip(plan.constants, new[len(new) - len(plan.constants) :], strict=True):
        end = rows[line - 1][len(rows[line - 1].rstrip("\r\n")) :]
        rows[line - 1] = row.rstrip("\n") + end
    old, new = old[: len(old) - behind], new[: len(new) - behind]
    start = plan.line - 1
    rows[start : start + len(old)] = _woven(rows[start : start + len(old)], old, new, own_lines(text))
    try:
        if module.encode(encoding) != data:
            raise VersionError(f"{plan.path}: other bytes of it would change too; save it as UTF-8, not {encoding}")
        after = "".join(rows).encode(encoding)
    except UnicodeEncodeError as error:
        raise VersionError(f"{plan.path}: its encoding, {encoding}, has no {error.object[error.start]!r}") from error
    made = _planned(after, plan)
    own = lines_of(made.source)
    if made.source != text and not (code and own[: len(own) - _behind(made)] == new):
        raise VersionError(f"{plan.path}: {plan.function} stands there in a way that does not allow it")
    return after


def _behind(plan: Plan) -> int:
    """How many lines of a function's text are those of the module's constants."""
    return len(plan.constants) and len(plan.constants) + GAP


def _with_options(data: bytes, plan: Plan, wanted: Pragma) -> bytes:
    """The bytes with other options in the pragma of `plan`: in place of what stands there, or in a line below it.

    Raises `VersionError` where the pragma does not allow that.
    """
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    rows, given = lines_of(data.decode(encoding)), plan.pragma
    missing = []
    for name in (*STEADY, *ATTEMPTS):
        value = getattr(wanted, name)
        if value == getattr(given, name):
            continue
        option, written = option_text(name, value, isinstance(value, int)), False
        for number in range(given.line - 1, given.target_line - 1):
            rows[number], count = re.subn(rf"(?<![\w.]){name}\s*=\s*[\w.+-]+", option, rows[number])
            written = written or count > 0
        if not written:
            missing.append(option)
    if missing:
        above = rows[given.line - 1]
        end = above[len(above.rstrip("\r\n")) :]
        indent = above[: len(above) - len(above.lstrip())]
        rows.insert(given.target_line - 1, f"{indent}# poet: {', '.join(missing)}{end}")
    after = "".join(rows).encode(encoding)
    if not _says(_planned(after, plan).pragma, wanted):
        raise VersionError(f"{plan.path}: the pragma of {plan.function} stands there in a way that does not allow it")
    return after


def _says(pragma: Pragma, wanted: Pragma) -> bool:
    """Whether two pragmas say the same, wherever they stand."""
    return replace(pragma, line=0, target_line=0, tunes=()) == replace(wanted, line=0, target_line=0, tunes=())


def _woven(rows: list[str], old: list[str], new: list[str], own: set[int]) -> list[str]:
    """The file's lines `rows`, whose text is `old`, with `new`; lines that are the same stay byte for byte.

    `own` are the numbers of the lines of `new` that take the function's indentation.
    """
    texts = [row.rstrip("\r\n") for row in rows]
    ends = [row[len(text) :] for row, text in zip(rows, texts, strict=True)]
    prefixes = [text[: len(text) - len(line.rstrip("\n"))] for text, line in zip(texts, old, strict=True)]
    out: list[tuple[str, str]] = []
    for tag, i1, i2, j1, j2 in _opcodes(old, new):
        for offset in range(j2 - j1):
            i, j = i1 + offset, j1 + offset
            if tag == "equal":
                out.append((texts[i], ends[i]))
            elif i2 - i1 == j2 - j1:
                out.append((prefixes[i] + new[j].rstrip("\n"), ends[i]))
            else:
                line = new[j].rstrip("\n")
                out.append((prefixes[0] + line if line and j + 1 in own else line, ends[0]))
    end = ends[0] or "\n"
    if not out:
        return []
    return [text + (mark or end) for text, mark in out[:-1]] + [out[-1][0] + ends[-1]]


def _opcodes(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    if len(old) == len(new):  # line by line, so that no line takes another's white space
        pairs = enumerate(zip(old, new, strict=True))
        return [("equal" if a == b else "replace", i, i + 1, i, i + 1) for i, (a, b) in pairs]
    return list(difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes())


def _planned(data: bytes, plan: Plan) -> Plan:
    """The plan of the same function in these bytes."""
    try:
        targets = plan_module(importlib.util.decode_source(data), plan.path, plan.module, assume=plan.assume).targets
    except UNPARSABLE as error:
        raise VersionError(f"{plan.path} can't be read as Python: {error}") from error
    for target in targets:
        if target.plan.qualname == plan.qualname:
            return target.plan
    raise VersionError(f"{plan.function} no longer stands in {plan.path}, or has lost its pragma")


# --------------------------------------------------------------------------- the file


def _writable(plan: Plan, settings: Settings) -> Path:
    """The file itself, behind links inside the project."""
    path = Path(plan.path).resolve()
    if not path.is_relative_to(settings.root.resolve()):
        raise VersionError(f"{plan.path} is {path}, outside the project {settings.root}: nothing there is written")
    if not path.is_file():
        raise VersionError(f"{plan.path} is no regular file")
    if not path.stat().st_mode & 0o222 or not os.access(path, os.W_OK):
        raise VersionError(f"{plan.path} is read-only: nothing was written")
    return path


def write(path: Path, before: bytes, after: bytes) -> None:
    """Write a file, whole or not at all; `VersionError` where it does not hold `before`, OSError where it can't be."""
    status = path.stat()
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(after)
            file.flush()
            with contextlib.suppress(PermissionError):
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
            shutil.copystat(path, draft)
            # bytecode files know their source by its size and by the second of its last change
            changed = max(time.time(), int(status.st_mtime) + 1)
            os.utime(draft, (changed, changed))
            os.fsync(file.fileno())
        if path.read_bytes() != before:
            raise VersionError(f"{path} was changed meanwhile: nothing was written; say it again")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


# --------------------------------------------------------------------------- black


def _black(data: bytes, path: Path, root: Path) -> bytes | None:
    """The bytes as black leaves them, with the project's own settings of it; None where it does not take them."""
    # -P: a file of the project may be called black.py too
    command = [sys.executable, "-P", "-m", "black", "--quiet", "--stdin-filename", str(path), "-"]
    try:
        done = subprocess.run(command, input=data, capture_output=True, cwd=root, timeout=_BLACK_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _keeps(data: bytes, plan: Plan, text: str, wanted: Pragma) -> bool:
    """Whether formatting left the function what it is; a `# poet: tune` may lose its line where one is split."""
    now = _planned(data, plan)
    ranges = [  # another structure has other places for structures, and options are compared as such
        [(t.name, t.lower, t.upper, set(t.choices)) for t in found if t.kind != "option" and not t.structural]
        for found in (now.tunables, plan.tunables)
    ]
    return same_code(now.source, text) and _says(now.pragma, wanted) and ranges[0] == ranges[1]
