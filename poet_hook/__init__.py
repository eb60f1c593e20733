"""Ordinary functions that improve from feedback.

    # poet: domain=ml_monitoring, optimize_for=alert_quality
    def is_anomaly(value: float, history: list[float]) -> bool: ...

and then `python -m poet_hook run app.py`, or `poet_hook.activate()` before the module is imported. See
`poet_hook.feedback`, `poet_hook.learn` and https://poet-hook.readthedocs.io.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as `typing` has it, but that takes longer than all else here

__version__ = "0.1.0"

if TYPE_CHECKING:
    from typing import Any

    from poet_hook.activation import activate, activated, deactivate
    from poet_hook.api import (
        ask,
        call,
        capture,
        executions,
        feedback,
        learn,
        promote,
        rollback,
        show,
        status,
        versions_of,
        wait_for_learning,
    )
    from poet_hook.errors import (
        AmbiguousResultError,
        EnforceError,
        FeedbackError,
        LearnWarning,
        NotEnhancedError,
        OperateTimeout,
        PerceiveError,
        PoetError,
        PoetWarning,
        PragmaError,
        PragmaWarning,
        ReplayError,
        SettingsError,
        StoreError,
        StoreWarning,
        UnknownExecutionError,
        UnknownFunctionError,
        VersionError,
        VersionWarning,
    )
    from poet_hook.model import Execution, FeedbackReceipt, Learned, POETResult, Verdict, Version

_FACE = {
    "poet_hook.activation": "activate activated deactivate",
    "poet_hook.api": (
        "ask call capture executions feedback learn promote rollback show status versions_of wait_for_learning"
    ),
    "poet_hook.errors": (
        "AmbiguousResultError EnforceError FeedbackError LearnWarning NotEnhancedError OperateTimeout PerceiveError "
        "PoetError PoetWarning PragmaError PragmaWarning ReplayError SettingsError StoreError StoreWarning "
        "UnknownExecutionError UnknownFunctionError VersionError VersionWarning"
    ),
    "poet_hook.model": "Execution FeedbackReceipt Learned POETResult Verdict Version",
}
_HOME = {name: module for module, names in _FACE.items() for name in names.split()}

__all__ = [
    "AmbiguousResultError",
    "EnforceError",
    "Execution",
    "FeedbackError",
    "FeedbackReceipt",
    "LearnWarning",
    "Learned",
    "NotEnhancedError",
    "OperateTimeout",
    "POETResult",
    "PerceiveError",
    "PoetError",
    "PoetWarning",
    "PragmaError",
    "PragmaWarning",
    "ReplayError",
    "SettingsError",
    "StoreError",
    "StoreWarning",
    "UnknownExecutionError",
    "UnknownFunctionError",
    "Verdict",
    "Version",
    "VersionError",
    "VersionWarning",
    "activate",
    "activated",
    "ask",
    "call",
    "capture",
    "deactivate",
    "executions",
    "feedback",
    "learn",
    "promote",
    "rollback",
    "show",
    "status",
    "versions_of",
    "wait_for_learning",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'poet_hook' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
