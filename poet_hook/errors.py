"""The error tree. Each error has a code and a page in the documentation.

PoetError
├── PragmaError (SyntaxError)        PH-E01  a pragma is wrong, and strict mode is on
├── PerceiveError (ValueError)       PH-E10  an input was refused
├── OperateTimeout (TimeoutError)    PH-E11  the body took longer than timeout=
├── EnforceError (ValueError)        PH-E12  an output was refused
├── FeedbackError (ValueError)       PH-E20  feedback that belongs to nothing
│   ├── UnknownExecutionError        PH-E21  no such execution
│   └── AmbiguousResultError         PH-E22  a value that several executions returned
├── NotEnhancedError (ValueError)    PH-E23  the function is not one that learns
├── UnknownFunctionError (KeyError)  PH-E24  no such function
├── StoreError (RuntimeError)        PH-E30  .poet/ can't be read or written
│   └── CodecError                   PH-E31  bytes that are no value of ours
├── ReplayError (RuntimeError)       PH-E40  the function can't be replayed
├── VersionError (ValueError)        PH-E50  a version is missing, edited or foreign
│   └── MovedError                   PH-E51  another version came into use meanwhile
├── SettingsError (ValueError)       PH-E60  a setting has a wrong value
└── LlmError (RuntimeError)          PH-E70  a language model gave no usable reply

PoetWarning (UserWarning)
├── PragmaWarning      a mistake in a pragma; the import goes on
├── StoreWarning       something could not be recorded
├── VersionWarning     a stored version was not used; the original runs
└── LearnWarning       a learning run in the background failed
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

SITE = "https://poet-hook.readthedocs.io"


class PoetError(Exception):
    """The base of every error of poet_hook: `code` names it, `url` is its page."""

    code = "PH-E00"

    @property
    def url(self) -> str:
        return f"{SITE}/errors.html#{self.code.lower()}"


class PragmaError(PoetError, SyntaxError):
    """A pragma is wrong and `strict` is on; has `filename`, `lineno`, `offset`, `text`."""

    code = "PH-E01"


class PerceiveError(PoetError, ValueError):
    """An input was refused; the message names function, argument, value and rule."""

    code = "PH-E10"


class OperateTimeout(PoetError, TimeoutError):
    """The body of a function took longer than its `timeout=`."""

    code = "PH-E11"


class EnforceError(PoetError, ValueError):
    """An output was refused; the message names function, value and rule."""

    code = "PH-E12"


class FeedbackError(PoetError, ValueError):
    """Feedback that can't be attached to an execution."""

    code = "PH-E20"


class UnknownExecutionError(FeedbackError):
    """No execution has this id or key."""

    code = "PH-E21"


class AmbiguousResultError(FeedbackError):
    """A value that several executions returned; `execution_ids` lists them."""

    code = "PH-E22"

    def __init__(self, message: str, execution_ids: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.execution_ids = tuple(execution_ids)


class NotEnhancedError(PoetError, ValueError):
    """The function has no pragma, was left alone, or has no `optimize_for`."""

    code = "PH-E23"


class UnknownFunctionError(PoetError, KeyError):
    """No function of this name has been recorded here."""

    code = "PH-E24"

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class StoreError(PoetError, RuntimeError):
    """The store can't be read or written."""

    code = "PH-E30"


class CodecError(StoreError):
    """Bytes that do not decode to a value, or a value that can't be encoded."""

    code = "PH-E31"


class ReplayError(PoetError, RuntimeError):
    """A function, or an execution of it, can't be run again; the message says why."""

    code = "PH-E40"


class VersionError(PoetError, ValueError):
    """A stored version is missing, damaged, edited or not signed by this user."""

    code = "PH-E50"


class MovedError(VersionError):
    """Another version came into use while this one was judged, or chosen: nothing was changed."""

    code = "PH-E51"


class SettingsError(PoetError, ValueError):
    """A setting has a value that can't be used; the message says which, where, and what it takes."""

    code = "PH-E60"


class LlmError(PoetError, RuntimeError):
    """A language model gave no usable reply; the message says why, and what to do.

    `kind` is "budget" (used up for today), "timeout", "unreachable", "refused" (an HTTP error), "reply" (an odd one),
    "dry run" (nothing was sent) or "missing" (the package that asks is not installed, or no account can be kept).
    """

    code = "PH-E70"

    def __init__(self, message: str, kind: str = "refused") -> None:
        super().__init__(message)
        self.kind = kind


class PoetWarning(UserWarning):
    """The base of every warning of poet_hook."""


class PragmaWarning(PoetWarning):
    """A mistake in a pragma: that option is ignored and the import goes on."""


class StoreWarning(PoetWarning):
    """Executions could not be recorded; the user's calls go on."""


class VersionWarning(PoetWarning):
    """A stored version was not used: the original function runs."""


class LearnWarning(PoetWarning):
    """A learning run in the background failed; nothing was changed."""


def warn(message: str, category: type[PoetWarning], place: tuple[str, int] | None = None, stacklevel: int = 1) -> None:
    """Warn at `place` (file, line) or at a caller; never raises.

    Where the user made warnings errors, it is shown all the same and the program goes on: a problem of ours must
    not break the import or the call that met it.
    """
    try:
        if place is None:
            warnings.warn(message, category, stacklevel=stacklevel + 1)
        else:
            warnings.warn_explicit(message, category, *place)
    except PoetWarning as warning:
        warnings.showwarning(warning, category, *(place or ("poet_hook", 1)))
