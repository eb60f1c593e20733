"""A text with Markdown -> its fenced blocks, in one pass over the lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

_SHORTEST = 3
_DEEPEST_PREFIX = 40  # characters of indentation and quotation in front of a fence
_PYTHON = ("python3", "python", "py3", "py")
_WRAPPERS = frozenset({"", "markdown", "md", "text", "txt"})
_STARTS = ("def ", "async def ", "import ", "from ", "@", "class ")
_OLD = frozenset("before current existing given old original previous was".split())
_NEW = frozenset(
    """
    after better changed corrected fixed improved instead new now proposed replacement rewritten suggested updated
    """.split()
)


@dataclass(slots=True)
class Block:
    """A fenced block: its language in small letters, its lines, whether it was closed, and the text line above it."""

    language: str
    lead: str
    lines: list[str] = field(default_factory=list)
    closed: bool = False

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines) + "\n"

    @property
    def shows_the_old(self) -> bool:
        """True where the line above says that this is what is to be changed, such as "Original:"."""
        words = {word.strip("*_#:.,`()").lower() for word in self.lead[-120:].split()}
        return bool(words & _OLD) and not words & _NEW


@dataclass(frozen=True, slots=True)
class _Fence:
    mark: str
    length: int
    info: str
    prefix: str


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a text; quoted and indented ones without what stands in front of their lines."""
    block: Block | None = None
    opened: _Fence | None = None
    lead = ""
    for line in text.split("\n"):
        fence = _fence(line)
        if block is None or opened is None:
            if fence is not None:
                opened, block = fence, _opened(fence, lead)
            elif line.strip():
                lead = line
        elif fence is not None and fence.mark == opened.mark and fence.length >= opened.length and not fence.info:
            block.closed = True
            yield block
            block, lead = None, ""
        elif fence is not None and fence.info and block.language in _WRAPPERS and not "".join(block.lines).strip():
            opened, block = fence, _opened(fence, lead)  # a block around the block
        else:
            block.lines.append(_without(line, opened.prefix))
    if block is not None:
        yield block


def _fence(line: str) -> _Fence | None:
    start = 0
    while start < min(len(line), _DEEPEST_PREFIX) and line[start] in " \t>":
        start += 1
    mark = line[start : start + 1]
    if mark not in ("`", "~"):
        return None
    length = len(line) - start - len(line[start:].lstrip(mark))
    info = line[start + length :].strip()
    if length < _SHORTEST or (mark == "`" and "`" in info):
        return None
    return _Fence(mark, length, info, line[:start])


def _opened(fence: _Fence, lead: str) -> Block:
    info = fence.info
    language = info.split()[0].lower() if info else ""
    for name in _PYTHON:
        rest = info[len(name) :].lstrip()
        if info.lower().startswith(name) and rest.startswith(_STARTS):  # the line feed after the language is missing
            return Block("python", lead, [rest])
    return Block(language.strip("{}.:"), lead)


def _without(line: str, prefix: str) -> str:
    """A line of a block without the quotation and indentation of its fence."""
    place = 0
    for character in prefix:
        if character == ">":
            while line[place : place + 1] in (" ", "\t"):
                place += 1
            if line[place : place + 1] != ">":
                return line
            place += 1
        elif line[place : place + 1] == character:
            place += 1
    return line[place:]
