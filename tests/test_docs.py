from __future__ import annotations

import ast
import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import PACKAGE, environment
from llm_server import LlmServer

from poet_hook import errors, settings
from poet_hook.cli.assumed import unknown_names
from poet_hook.cli.commands import parser
from poet_hook.cli.lint import problems_in
from poet_hook.cli.rules import RULES
from poet_hook.llm import endpoint
from poet_hook.pragma.options import OPTIONS

DOCS = PACKAGE / "docs"
PAGES = [PACKAGE / "README.md", *sorted(DOCS.glob("*.md")), *sorted((PACKAGE / "examples").glob("*/README.md"))]
# These install something or take minutes: only that they exist is checked, and their output is not.
NOT_RUN = (
    *("git clone ", "pip install ", "make ", "python benchmarks/", "python examples/"),
    *(f"python -m poet_hook {word}install-startup" for word in ("", "un")),  # of whoever runs the tests
)
HOME = "/home/ada"  # how the pages call the folder in which they are run
MODEL, MODEL_URL = "qwen2.5-coder", "http://localhost:11434/v1"  # and the language model that they ask
PIPELINE = "pragma transform hook runtime store signals learning versions domains llm isolation cli".split()


@dataclass
class Block:
    language: str
    mark: str
    line: int
    text: str = ""


def blocks_of(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, each with the HTML comment above it."""
    block, mark = None, ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            if block is None:
                block = Block(line[3:].strip(), mark, number)
            else:
                yield block
                block, mark = None, ""
        elif block is not None:
            block.text += line + "\n"
        elif line.strip():
            comment = re.fullmatch(r"<!-- (.+) -->", line)
            mark = comment[1] if comment else ""
    assert block is None, f"{page.name}:{block.line}: this block is not closed"


def normal(text: str) -> list[str]:
    """The lines of an output, with one id and one time for all, and without the widths of columns."""
    text = re.sub(r"\b0[0-9a-hjkmnp-tv-z]{19}\b", "ID", text)
    text = re.sub(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\b", "TIME", text)
    return [re.sub(r"(?<=\S) {2,}", "  ", line.rstrip()) for line in text.rstrip().splitlines()]


def matches(expected: str, actual: str) -> bool:
    """`...` stands for anything in a line, and alone in its line for any lines."""
    rows = [
        "(?:.*\n)*?" if row == "..." else re.escape(row).replace(r"\.\.\.", ".*") + "\n" for row in normal(expected)
    ]
    return re.fullmatch("".join(rows), "".join(row + "\n" for row in normal(actual))) is not None


class Reader:
    """Somebody who follows a page, in an empty folder of their own."""

    def __init__(self, page: Path, home: Path) -> None:
        self.page, self.home, self.folder = page, home, home / "shop"
        self.folder.mkdir(parents=True)
        for example in page.parent.glob("*.py") if "examples" in page.parts else ():
            shutil.copy(example, self.folder)
        python = home / "bin" / "python"
        python.parent.mkdir()
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n', encoding="utf-8")
        python.chmod(0o755)
        nowhere = "http://127.0.0.1:9"
        path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
        own = {
            "HOME": str(home),
            "PATH": path,
            "PYTHONPATH": str(PACKAGE),
            "http_proxy": nowhere,
            "https_proxy": nowhere,
        }
        kept = environment(**own, LC_ALL="C.UTF-8").items()
        self.environment = {
            name: value for name, value in kept if not name.startswith(("POET_", "AITOMATIC_", "XDG_", "OPENAI_"))
        }

    def run(self, command: str) -> str:
        command = command.replace(MODEL_URL, self.model_url)
        done = subprocess.run(
            command, shell=True, cwd=self.folder, env=self.environment, timeout=60,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{self.page.name}: {command}\n{done.stdout}"
        return done.stdout.replace(str(self.home), HOME).replace(self.model_url, MODEL_URL)

    def expect(self, expected: str, actual: str, where: str) -> None:
        assert matches(expected, actual), f"{self.page.name}:{where}\nexpected:\n{expected}\nactual:\n{actual}"

    def console(self, block: Block) -> None:
        for step in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, expected = step.partition("\n")
            if command.startswith(NOT_RUN):
                exists(command)
            else:
                self.expect(expected, self.run(command), f"{block.line}: {command}")

    def read(self) -> None:
        script, output = "", ""
        for block in blocks_of(self.page):
            if block.language == "console":
                self.console(block)
            elif block.mark.startswith("file: "):
                (self.folder / block.mark.removeprefix("file: ")).write_text(block.text, encoding="utf-8")
            elif block.mark.startswith("check: "):
                self.check(block)
            elif block.language == "python":
                script += block.text + "\n"
            elif block.mark == "expect":
                output += block.text
            elif block.language == "toml":
                tomllib.loads(block.text)
            elif block.language == "ini":
                configparser.ConfigParser().read_string("[top]\n" + block.text)
            else:
                assert block.language == "text", f"{self.page.name}:{block.line}: nothing checks this block"
        if script:
            (self.folder / "page.py").write_text(script, encoding="utf-8")
            self.expect(output, self.run("python -m poet_hook run page.py"), "the python blocks")

    def check(self, block: Block) -> None:
        if block.language == "python":
            file = self.folder / "shop.py"
            file.write_text(block.text, encoding="utf-8")
            found = [item.code for item in problems_in(file.read_bytes(), file)]
        else:
            (self.folder / "shop.py").write_text("def total(prices): return sum(prices)\n", encoding="utf-8")
            (self.folder / "pyproject.toml").write_text(block.text, encoding="utf-8")
            found = [item.code for _, item in unknown_names(settings.load(self.folder, {}), self.folder.glob("*.py"))]
        assert (found or ["nothing"]) == [block.mark.removeprefix("check: ")], f"{self.page.name}:{block.line}"


def exists(command: str) -> None:
    """A command that is not run here: its target, script or extra must be there."""
    words = command.split()
    if words[0] == "make":
        assert f"\n{words[1]}:" in (PACKAGE / "Makefile").read_text(encoding="utf-8"), command
    elif words[:3] == ["python", "-m", "poet_hook"]:
        parser().parse_args(words[3:])
    elif words[0] == "python":
        assert (PACKAGE / words[1]).is_file(), command
    elif words[0] == "pip":
        project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extra = re.fullmatch(r"pip install '?\.(?:\[(\w+)\])?'?", command)
        assert extra, command
        assert extra[1] in (None, *project["optional-dependencies"]), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PACKAGE).as_posix())
def test_every_block_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    reader = Reader(page, tmp_path / "home")
    with LlmServer('{"answer": "yes"}', model=MODEL) as server:
        reader.model_url = server.url
        reader.read()


def headings(page: Path, level: str) -> list[str]:
    return re.findall(rf"^{level} `?([^`\n]+)`?$", page.read_text(encoding="utf-8"), re.MULTILINE)


def codes() -> set[str]:
    return {e.code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.PoetError)}


def test_what_exists_is_documented_and_what_is_documented_exists() -> None:
    commands = parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    warned = {n for n, e in vars(errors).items() if isinstance(e, type) and issubclass(e, Warning)}
    assert sorted(headings(DOCS / "errors.md", "###")) == sorted(codes() | warned)
    assert headings(DOCS / "rules.md", "###") == [*RULES]
    assert sorted(headings(DOCS / "pragmas.md", "###")) == sorted([*OPTIONS, "tune"])
    assert sorted(headings(DOCS / "cli.md", "##")) == sorted(commands)  # type: ignore[arg-type]
    assert sorted(headings(DOCS / "configuration.md", "###")) == sorted(["root", *settings._NAMES])
    assert headings(DOCS / "llm.md", "###") == [*endpoint.NAMES]


def test_the_arrow_lines_are_those_of_the_packages() -> None:
    packages = {path.parent.name: path for path in (PACKAGE / "poet_hook").glob("*/__init__.py")}
    assert {*PIPELINE, "model"} == set(packages)  # which has the nouns, and does nothing
    docstrings = {name: ast.get_docstring(ast.parse(packages[name].read_text(encoding="utf-8"))) for name in PIPELINE}
    lines = "".join(f"{name:10} {docstrings[name]}\n" for name in PIPELINE)
    assert lines in (block.text for block in blocks_of(DOCS / "how-it-works.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PACKAGE).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
        linked = (page.parent / target).resolve() if target else page
        assert linked.exists(), f"{page.name}: {target}"
        if anchor:
            slugs = [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings(linked, "#+")]
            assert anchor in slugs, f"{page.name}: {target}#{anchor}"


def test_every_page_is_on_the_map() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)", (DOCS / "index.md").read_text(encoding="utf-8")))
    assert linked == {page.name for page in DOCS.glob("*.md")} - {"index.md"}


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("a ... c\n", "a b c\n", True),
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("a\n...\n", "a\n", True),
        ("a\n", "a\nb\n", False),
        ("", "a\n", False),
        ("x.y\n", "xzy\n", False),
    ],
)
def test_dots_are_the_only_wildcard(expected: str, actual: str, same: bool) -> None:
    assert matches(expected, actual) is same
