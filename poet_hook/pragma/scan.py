"""Source text -> pragmas, tunes and diagnostics, with the places of all of them."""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass, field
from typing import Literal

from ..model import Diagnostic, Pragma, Scope, Tune
from .diagnose import Place
from .grammar import MAX_LENGTH, MODULE, misspelt_module, read_options, read_tune
from .options import OPTIONS, PLANNED

_HINT = re.compile(r"#[ \t]*poet\b", re.IGNORECASE)
_NUMBER = "put it on the line of the number; choices are written tune ks|psi"
_LAYOUT = frozenset({tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT})
_WORDS = frozenset({*OPTIONS, *PLANNED, "tune", MODULE})


@dataclass(frozen=True, slots=True)
class Found:
    """What the pragma comments of one source say.

    `pragmas` are those of functions, `classes` those of classes, `module` that of the module. `tunes` are in line
    order, not yet assigned to functions; `off` are the target lines of functions and classes that are to be left
    alone, and 0 where the module is.
    """

    pragmas: tuple[Pragma, ...] = ()
    classes: tuple[Pragma, ...] = ()
    module: Pragma | None = None
    tunes: tuple[Tune, ...] = ()
    off: frozenset[int] = frozenset()
    diagnostics: tuple[Diagnostic, ...] = ()


def find(source: str) -> Found:
    """The text of a module -> its pragmas; any text at all, and nothing is raised.

    Lines are those that Python counts (a leading byte order mark belongs to none). Text that does not
    tokenize gives one PH000 and nothing else.
    """
    if _HINT.search(source) is None:
        return Found()
    text = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    scan = _Scan(text.split("\n"))
    try:
        _refuse_uncompilable(text)
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            scan.take(token)
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError, MemoryError, SystemError) as error:
        return Found(diagnostics=(_unreadable(error, scan.lines),))
    return scan.found()


def _refuse_uncompilable(text: str) -> None:
    # no Python compiles these, but 3.11 tokenizes them inside comments
    nul = text.find("\0")
    if nul >= 0:
        raise tokenize.TokenError("it contains a NUL character", (text.count("\n", 0, nul) + 1, 0))
    text.encode()


def _unreadable(error: Exception, lines: list[str]) -> Diagnostic:
    row: object = getattr(error, "lineno", None)
    reason = getattr(error, "msg", None) or str(error)
    if isinstance(error, tokenize.TokenError) and len(error.args) == 2:
        reason, (row, _) = error.args
    elif isinstance(error, UnicodeEncodeError):
        row = error.object.count("\n", 0, error.start) + 1
    line = min(max(row, 1), len(lines)) if isinstance(row, int) else 1
    place = Place(line, lines[line - 1], 0, len(lines[line - 1]))
    return place.diagnostic("PH000", f"the pragmas are not read, the source has an error: {reason}")


def _after_mark(comment: str, at: int) -> int:
    """The index of a `#` -> the index after its `poet:`, or -1."""
    at += 1
    while comment[at : at + 1] in (" ", "\t"):
        at += 1
    return at + len("poet:") if comment.startswith("poet:", at) else -1


def _pragma_in(comment: str, trailing: bool) -> tuple[int, int]:
    """A comment -> where its pragma's `#` and its options start, or -1, -1.

    At the end of a line of code it may follow another tool's (`# noqa  # poet: tune`). Elsewhere, and after a
    bare `#`, a pragma further in is one that is talked about or commented out.
    """
    at = 0
    while at >= 0:
        options = _after_mark(comment, at)
        if options >= 0 and (at == 0 or (comment[at - 1].isspace() and comment[:at].strip("# \t"))):
            return at, options
        at = comment.find("#", at + 1) if trailing else -1
    return -1, -1


def _near_miss(comment: str) -> int:
    """A comment that is no pragma -> the length of what was meant as `# poet:`, or 0."""
    text = comment[: MAX_LENGTH + 1]
    start = len(text) - len(text[1:].lstrip(" \t"))
    if text[start : start + 4].lower() != "poet":
        return 0
    rest = text[start + 4 :]
    colon = rest.lstrip().startswith(":")
    end = start + 4 + (rest.index(":") + 1 if colon else 0)
    body = text[end:].strip()
    name = body.replace("=", " ").replace(",", " ").partition(" ")[0]
    assigns = body[len(name) :].lstrip().startswith("=")
    known = name.partition(".")[0] in _WORDS
    if colon:
        meant = known or assigns or not body
    else:
        ranged = name == "tune" and ".." in body
        meant = rest[:1].isspace() and ((known and assigns) or body in ("off", "tune") or ranged)
    return end if meant else 0


@dataclass(slots=True)
class _Comment:
    """A pragma line that waits for its function; `target` is the line of the first token after it."""

    whole: Place
    options: Place
    target: int = 0
    loose: bool = False


@dataclass(slots=True)
class _Scan:
    lines: list[str]
    pragmas: list[Pragma] = field(default_factory=list)
    classes: list[Pragma] = field(default_factory=list)
    tunes: list[Tune] = field(default_factory=list)
    off: set[int] = field(default_factory=set)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    waiting: list[_Comment] = field(default_factory=list)
    of_module: list[_Comment] = field(default_factory=list)
    begun: Literal["", "docstring", "statements"] = ""
    anchored: int = 0
    at_start: bool = True
    after_async: bool = False
    number_line: int = 0

    def found(self) -> Found:
        module: list[Pragma] = []
        if self.of_module:
            self._pragma(self.of_module, "module", module)
        ordered = sorted(self.diagnostics, key=lambda d: (d.line, d.column))
        return Found(
            tuple(self.pragmas),
            tuple(self.classes),
            module[0] if module else None,
            tuple(self.tunes),
            frozenset(self.off),
            tuple(ordered),
        )

    def take(self, token: tokenize.TokenInfo) -> None:
        if token.type == tokenize.COMMENT:
            self._comment(token)
        elif token.type == tokenize.NUMBER:
            self.number_line = token.start[0]
        # Python 3.11 gives this type to a few letters of identifiers too, such as the dot in `col·lector`
        elif token.type == tokenize.ERRORTOKEN and not ("_" + token.string).isidentifier():
            raise tokenize.TokenError("unexpected character", token.start)
        if token.type in _LAYOUT:
            return
        if token.type == tokenize.NEWLINE:
            self.at_start = True
            return
        if self.begun != "statements":
            self.begun = "docstring" if token.type == tokenize.STRING and self._goes_on() else "statements"
        if self.waiting:
            self._follow(token)
        self.at_start = False

    def _goes_on(self) -> bool:
        """Whether a string here is the module's docstring, or a part of it."""
        return not self.begun if self.at_start else self.begun == "docstring"

    # ------------------------------------------------------------------- placement

    def _follow(self, token: tokenize.TokenInfo) -> None:
        if self.anchored < len(self.waiting):
            self._anchor(token.start[0])
        word = token.string
        if self.after_async:
            self.after_async = False
            self._settle(word)
        elif self.at_start and word == "async":
            self.after_async = True
        elif self.at_start and word != "@":
            self._settle(word)

    def _anchor(self, line: int) -> None:
        new = self.waiting[self.anchored :]
        blank = line - 1
        while blank > new[0].whole.line and self.lines[blank - 1].strip():
            blank -= 1
        for comment in new:
            comment.target = line
            comment.loose = comment.whole.line < blank
        self.anchored = len(self.waiting)

    def _settle(self, word: str) -> None:
        comments, self.waiting, self.anchored = self.waiting, [], 0
        if word not in ("def", "class"):
            for comment in comments:
                misspelt = misspelt_module(comment.options)
                if misspelt is None:
                    self._misplaced(comment.whole, "a statement follows" if word else "nothing follows")
                else:
                    self.diagnostics.append(misspelt)
            return
        for comment in comments:
            if comment.loose:
                message = f"a pragma stands directly above its {'function' if word == 'def' else 'class'}"
                self._report(comment.whole, "PH002", message, "remove the blank line")
        direct = [comment for comment in comments if not comment.loose]
        if direct and word == "def":
            self._pragma(direct, "function", self.pragmas)
        elif direct:
            self._pragma(direct, "class", self.classes)

    def _pragma(self, comments: list[_Comment], scope: Scope, pragmas: list[Pragma]) -> None:
        fields, diagnostics = read_options([comment.options for comment in comments], scope)
        self.diagnostics.extend(diagnostics)
        if fields.pop("off", False):
            self.off.add(comments[0].target)
        else:
            pragmas.append(Pragma(comments[0].whole.line, comments[0].target, **fields))

    # ------------------------------------------------------------------- comments

    def _comment(self, token: tokenize.TokenInfo) -> None:
        line, column = token.start
        text = self.lines[line - 1]
        comment = token.string.rstrip()
        trailing = bool(text[:column].strip())
        mark, options = _pragma_in(comment, trailing)
        if mark < 0:
            length = _near_miss(comment)
            if length:
                place = Place(line, text, column, column + length)
                self._report(place, "PH001", "this is not read as a pragma", "did you mean '# poet:'?")
            return
        whole = Place(line, text, column + mark, column + len(comment))
        if len(comment) - mark > MAX_LENGTH:
            self._report(whole, "PH105", f"a pragma line has at most {MAX_LENGTH} characters; it is ignored")
            return
        body = whole.part(column + options, whole.end_column)
        word = body.text.replace(",", " ").replace("=", " ").split(maxsplit=1)[:1]
        if trailing:
            self._trailing(whole, body, word == ["tune"])
        elif word == ["tune"]:
            self._report(whole, "PH005", "tune belongs at the end of the line of the number that it tunes")
        elif not self.at_start:
            self._misplaced(whole, "this stands inside a statement")
        elif word == [MODULE] and self.begun == "statements":
            hint = "put it at the top of the file; the docstring may come before it"
            self._report(whole, "PH003", "a module's pragma stands before its first statement", hint)
        elif word == [MODULE]:
            after = body.column + body.text.index(MODULE) + len(MODULE)
            self.of_module.append(_Comment(whole, body.part(after, body.end_column)))
        else:
            self.waiting.append(_Comment(whole, body))

    def _trailing(self, whole: Place, body: Place, tunes: bool) -> None:
        if not tunes:
            self._report(whole, "PH004", "options go above the function, on a line of their own")
        elif body.text.replace(" ", "").startswith("tune="):
            self._report(whole, "PH208", "tune takes no '='", "write tune 0.5..8")
        else:
            tune, diagnostics = read_tune(body)
            if self.number_line != whole.line and not (tune and tune.choices):
                self._report(whole, "PH005", "no number stands on this line, so there is nothing to tune", _NUMBER)
                return
            self.diagnostics.extend(diagnostics)
            if tune is not None:
                self.tunes.append(tune)

    def _misplaced(self, place: Place, what: str) -> None:
        hint = "put it directly above a def or a class, or their decorators"
        self._report(place, "PH003", f"only functions and classes carry pragmas: {what}", hint)

    def _report(self, place: Place, code: str, message: str, hint: str = "") -> None:
        self.diagnostics.append(place.diagnostic(code, message, hint))
