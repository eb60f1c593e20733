"""The nouns of poet_hook, frozen: each is imported when it is asked for. They import nothing of ours but one another.

Words: a *pragma* is parsed from a comment; a *plan* says what will be done to one function; an
*execution* is the record of one call; *feedback* is what was said about it; a *signal* is feedback
understood; a *candidate* is a proposed change; a *verdict* is its judgement; a *version* is a stored,
numbered body of the function; the *champion* is the version in use.
"""

from __future__ import annotations

from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from poet_hook.model.execution import Execution as Execution
    from poet_hook.model.execution import Phase as Phase
    from poet_hook.model.execution import POETResult as POETResult
    from poet_hook.model.execution import Steady as Steady
    from poet_hook.model.feedback import Feedback as Feedback
    from poet_hook.model.feedback import FeedbackReceipt as FeedbackReceipt
    from poet_hook.model.feedback import Signal as Signal
    from poet_hook.model.feedback import SignalKind as SignalKind
    from poet_hook.model.plan import Exit as Exit
    from poet_hook.model.plan import FunctionKind as FunctionKind
    from poet_hook.model.plan import LeftAlone as LeftAlone
    from poet_hook.model.plan import Limit as Limit
    from poet_hook.model.plan import Parameter as Parameter
    from poet_hook.model.plan import Plan as Plan
    from poet_hook.model.plan import Span as Span
    from poet_hook.model.plan import Tunable as Tunable
    from poet_hook.model.plan import TunableKind as TunableKind
    from poet_hook.model.pragma import Coerce as Coerce
    from poet_hook.model.pragma import Diagnostic as Diagnostic
    from poet_hook.model.pragma import Fallback as Fallback
    from poet_hook.model.pragma import Learn as Learn
    from poet_hook.model.pragma import Origin as Origin
    from poet_hook.model.pragma import Pragma as Pragma
    from poet_hook.model.pragma import RecordMode as RecordMode
    from poet_hook.model.pragma import Scope as Scope
    from poet_hook.model.pragma import Tune as Tune
    from poet_hook.model.version import Candidate as Candidate
    from poet_hook.model.version import Choice as Choice
    from poet_hook.model.version import Decision as Decision
    from poet_hook.model.version import Evidence as Evidence
    from poet_hook.model.version import Isolation as Isolation
    from poet_hook.model.version import Learned as Learned
    from poet_hook.model.version import Level as Level
    from poet_hook.model.version import Measure as Measure
    from poet_hook.model.version import Metric as Metric
    from poet_hook.model.version import Verdict as Verdict
    from poet_hook.model.version import Version as Version

# to make a class of these takes Python half a millisecond, and a program that learns nothing needs few of them
_FACE = {
    "execution": "Execution Phase POETResult Steady",
    "feedback": "Feedback FeedbackReceipt Signal SignalKind",
    "plan": "Exit FunctionKind LeftAlone Limit Parameter Plan Span Tunable TunableKind",
    "pragma": "Coerce Diagnostic Fallback Learn Origin Pragma RecordMode Scope Tune",
    "version": "Candidate Choice Decision Evidence Isolation Learned Level Measure Metric Verdict Version",
}
_HOME = {name: room for room, names in _FACE.items() for name in names.split()}

Value = float | str
"""What a tunable is set to: a number, one of its choices, or a guard."""

# a string constant of generated code that starts so is replaced by a slot when the code is loaded
SLOT_PREFIX = "poet_hook\x00"
LATE_PREFIX = "poet_hook\x01"  # this one stays, and is looked up by what it says
# and of what that constant says, this goes without saying
UNSAID: dict[str, Any] = {
    "module": "",
    "qualname": "",
    "path": "",
    "line": 0,
    "version": 1,
    "source_hash": "",
    "parameters": [],
    "returns": "",
    "domain_name": None,
    "optimize_for": None,
    "retries": 0,
    "backoff": 0.05,
    "timeout": None,
    "has_fallback": False,
    "rule": None,
    "promise": None,
    "coerce": "lax",
    "record": "full",
    "record_arguments": {},
    "steadies": [1, 0, 0, 0.0],
    "has_streams": False,
    "shadow": False,
    "canary": None,
}
MARGIN = "margin"
CODE = "def"  # no parameter or variable is called so
"""The name of the whole text of a function among the values of a version that is other code."""
INSTRUCTION = "instruction"
ANOMALY_FIELDS = ("is_anomaly", "anomaly", "drift_detected", "drift", "alert")


class Unset:
    """The type of `UNSET`, which stands where a user may also mean None."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET = Unset()

if not TYPE_CHECKING:  # or mypy would believe in any name

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'poet_hook.model' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"poet_hook.model.{_HOME[name]}"), name)
        globals()[name] = value
        return value
