"""Every command but `run`: its arguments, and the function that carries it out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from poet_hook import __version__
from poet_hook.cli import ask as question
from poet_hook.cli import doctor as health
from poet_hook.cli import exchange, explain, lint, llm, look, read, rule, startup, teach, trust, vet
from poet_hook.cli import feedback as say
from poet_hook.cli.findings import FORMATS
from poet_hook.cli.run import USAGE

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
    Command = Callable[[argparse.Namespace], int]


def parser() -> argparse.ArgumentParser:
    """The whole command line; each command's function is in `command` of what it parses."""
    whole = argparse.ArgumentParser(
        prog="poet_hook", description="Ordinary Python functions that improve from feedback.", allow_abbrev=False
    )
    whole.add_argument("--version", action="version", version=f"poet_hook {__version__}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    # only for its help: `main` gives the words after `run` to the program as they are
    words = "run a script or a module with its pragmas carried out"
    commands.add_parser("run", help=words, description=words, usage=USAGE)
    _looking(commands)
    _teaching(commands)
    _carrying(commands)
    _vetting(commands)
    _asking_models(commands)
    return whole


def _add(commands: Commands, name: str, command: Command, words: str, json: bool = True) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(name, help=words, description=words, allow_abbrev=False)
    made.set_defaults(command=command)
    if json:
        made.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    return made


def _looking(commands: Commands) -> None:
    _add(commands, "status", look.status, "every function that learns: version in use, executions, feedback, accuracy")
    log = _add(commands, "log", look.log, "the executions of a function, newest first, with what was said about them")
    _function(log)
    log.add_argument("--limit", type=_count, default=20, metavar="N", help="at most N executions (default: 20)")
    log.add_argument("--with-feedback", action="store_true", help="only executions that somebody spoke about")
    _function(_add(commands, "versions", look.versions, "the versions of a function"))
    diff = _add(commands, "diff", look.diff, "what a version changed (default: the one in use)")
    _function(diff)
    diff.add_argument("old", nargs="?", type=_version, metavar="A", help="a version, such as 1 or v1")
    diff.add_argument("new", nargs="?", type=_version, metavar="B", help="another one (default: the one in use)")
    _function(_add(commands, "show", look.show, "the text of what really runs"))
    words = "what is done to a function, and why: pragma, checks, tunables, version in use, cost of a call"
    _function(_add(commands, "explain", explain.explain, words))
    _add(commands, "config", look.config, "each setting, and where it came from")
    check = _add(commands, "check", lint.check, "what is wrong in the pragmas of files and folders")
    check.add_argument("paths", nargs="+", metavar="PATH", help="a file, a folder, or - for stdin")
    check.add_argument("--output-format", choices=FORMATS, default="full", help="default: full")
    check.add_argument("--select", type=lint.codes, default=(), metavar="CODES", help="only these, such as PH2,PH401")
    check.add_argument("--ignore", type=lint.codes, default=(), metavar="CODES", help="not these; a longer prefix wins")
    check.add_argument("--fix", action="store_true", help="first correct what is safe to correct")
    check.add_argument("--diff", action="store_true", help="print what --fix would change, and write nothing")
    check.add_argument("--stdin-filename", metavar="PATH", help="the file that stdin is the text of")
    asked = _add(commands, "rule", rule.rule, "what a code of `check` means, with an example")
    asked.add_argument("rule", nargs="?", type=rule.known, metavar="CODE", help="such as PH203 (default: all of them)")


def _teaching(commands: Commands) -> None:
    words = "say anything about an execution, or import what was said from a file"
    feedback = _add(commands, "feedback", say.feedback, words)
    execution = feedback.add_argument("execution", metavar="EXECUTION_ID", help="its id, one end of it, or a key")
    text = feedback.add_argument("text", nargs="+", metavar="TEXT", help='such as: "false alarm", missed, correct, 4')
    feedback.add_argument("--function", metavar="FUNCTION", help="only its executions are meant")
    feedback.add_argument("--source", default="user", metavar="NAME", help="who says it (default: user)")
    feedback.add_argument("--json-value", action="store_true", help='TEXT is JSON, such as {"expected": 3.5}')
    _from_file(feedback, execution, text)
    ask = _add(commands, "ask", question.ask, "the few executions without feedback whose label would decide most")
    ask.add_argument("function", nargs="?", metavar="FUNCTION", help="default: every function")
    ask.add_argument("--limit", type=_count, default=5, metavar="N", help="at most N of each function (default: 5)")
    words = "have a language model read the feedback that no rule reads (POET_MODEL)"
    made = _add(commands, "read", read.read, words)
    made.add_argument("functions", nargs="*", metavar="FUNCTION", help="default: every function")
    made.add_argument("--limit", type=_count, metavar="N", help="at most N feedbacks of each function")
    made.add_argument("--dry-run", action="store_true", help="print what would be sent, and send and store nothing")
    learn = _add(commands, "learn", teach.learn, "look for better versions now, and judge them")
    learn.add_argument("functions", nargs="*", metavar="FUNCTION", help="default: every function")
    words = "print what a language model would be asked for other code; send, store and change nothing"
    learn.add_argument("--dry-run", action="store_true", help=words)
    promote = _add(commands, "promote", teach.promote, "put a version in use", json=False)
    _function(promote)
    promote.add_argument("version", type=_version, metavar="VERSION", help="such as 2 or v2")
    words = "try a version on live calls (learn=shadow, canary=), or end its trial"
    challenge = _add(commands, "challenge", teach.challenge, words, json=False)
    _function(challenge)
    challenge.add_argument("version", nargs="?", type=_version, metavar="VERSION", help="default: end the trial")
    rollback = _add(commands, "rollback", teach.rollback, "put the version back that was in use before", json=False)
    _function(rollback)


def _carrying(commands: Commands) -> None:
    apply = _add(commands, "apply", exchange.apply, "write the version in use into your own file", json=False)
    _function(apply)
    apply.add_argument("--check", action="store_true", help="write nothing; print the change, and end with 1 for one")
    apply.add_argument("--version", type=_version, metavar="VERSION", help="another one, such as 2 or v2")
    export = _add(commands, "export", exchange.export, "print versions as JSON Lines, for somebody else", json=False)
    export.add_argument("functions", nargs="*", metavar="FUNCTION", help="default: every function")
    words = "take the versions of such a file as proposals; none is put in use"
    _add(commands, "import", exchange.import_, words, json=False).add_argument("file", metavar="FILE")
    words = "let POET_HOOK=1 enhance the children of a program too, in this environment"
    install = _add(commands, "install-startup", startup.install, words, json=False)
    install.add_argument("--system", action="store_true", help="also where this Python is no virtual environment")
    _add(commands, "uninstall-startup", startup.uninstall, "take that back", json=False)


def _vetting(commands: Commands) -> None:
    words = "sign versions that you did not make, after a look at them; or list what is trusted; or change the key"
    made = _add(commands, "trust", trust.trust, words)
    made.add_argument("functions", nargs="*", metavar="FUNCTION", help="default: every function that has versions")
    made.add_argument("--yes", action="store_true", help="sign without asking")
    instead = made.add_mutually_exclusive_group()
    instead.add_argument("--list", action="store_true", help="each version, trusted or not; 1 where one is not")
    instead.add_argument("--rotate", action="store_true", help="make a new key, and sign with it what you had signed")
    words = "put the function's own text in use, and take the signatures from its other versions"
    made = _add(commands, "untrust", trust.untrust, words, json=False)
    made.add_argument("functions", nargs="+", metavar="FUNCTION", help="module:function, or the end of that name")
    words = "may this code run in the place of a function? 0 yes, 1 no and why, 2 wrong usage"
    made = _add(commands, "vet", vet.judge, words)
    made.add_argument("candidate", nargs="?", metavar="CANDIDATE", help="a file with the function rewritten, or -")
    made.add_argument(
        "--reply", metavar="FILE", help="instead: a model's reply with it, or -; what is found is printed"
    )
    made.add_argument("--original", required=True, metavar="MODULE", help="the module with the function as it is")
    made.add_argument("--function", required=True, metavar="NAME", help="its name there, such as f or Class.f")


def _asking_models(commands: Commands) -> None:
    words = "what works here: store, key, language model (which is asked up to three small questions)"
    doctor = _add(commands, "doctor", health.doctor, words)
    doctor.add_argument("--dry-run", action="store_true", help="send nothing, and print what would be sent")
    log = _add(commands, "llm-log", llm.llm_log, "what a language model was asked for, with tokens and time; no texts")
    log.add_argument("--limit", type=_count, default=20, metavar="N", help="at most N requests (default: 20)")
    words = "let what .env and pyproject.toml say now decide which language model is asked"
    trust = _add(commands, "trust-endpoint", llm.trust_endpoint, words, json=False)
    trust.add_argument("--revoke", action="store_true", help="take that back")


def _from_file(feedback: argparse.ArgumentParser, *instead_of: argparse.Action) -> None:
    class From(argparse.Action):
        def __call__(self, _parser: object, options: argparse.Namespace, values: object, _name: object = None) -> None:
            setattr(options, self.dest, values)
            for argument in instead_of:
                argument.required = False

    file = feedback.add_argument_group("a file, instead of EXECUTION_ID and TEXT")
    file.add_argument("--from", dest="file", action=From, metavar="FILE", help=".csv or .jsonl, one row for each")
    by = file.add_mutually_exclusive_group()
    by.add_argument("--key", metavar="COLUMN", help="the column with the business key (default: key)")
    by.add_argument("--id", metavar="COLUMN", help="that with the whole id (default: execution_id, before key)")
    file.add_argument("--said", metavar="COLUMN", help="that with what was said (default: said, else feedback)")
    file.add_argument("--dry-run", action="store_true", help="store nothing, only say what would become of each row")


def _function(command: argparse.ArgumentParser) -> None:
    command.add_argument("function", metavar="FUNCTION", help="module:function, or the end of that name")


def _version(text: str) -> int:
    digits = text.removeprefix("v")
    if not digits.isdecimal() or not 1 <= int(digits) < 1 << 31:
        raise argparse.ArgumentTypeError(f"{text!r} is no version; write 2 or v2")
    return int(digits)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)
