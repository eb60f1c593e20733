"""PH4 too: a pragma held against what its function learns for, or that it does not."""

from __future__ import annotations

from poet_hook.cli.rules.base import Rule


class TuneWithoutObjective(Rule):
    """A number is marked with `tune`, but the function does not learn.

    Add `optimize_for` to its pragma, or take the mark away.

    Wrong:
        # poet: retries=2
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0  # poet: tune 20..60

    Right:
        # poet: retries=2, optimize_for=accuracy
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0  # poet: tune 20..60
    """

    code = "PH407"
    severity = "warning"
    message = "tune has no effect without optimize_for above the function"


class CostWithoutAlerts(Rule):
    """Only `optimize_for=alert_quality` weighs false alarms against misses.

    Change the objective, or take `cost` away.

    Wrong:
        # poet: optimize_for=accuracy, cost=1:5
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0

    Right:
        # poet: optimize_for=alert_quality, cost=1:5
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0
    """

    code = "PH408"
    severity = "warning"
    message = "cost= has no effect with optimize_for=accuracy; it needs alert_quality"


class CanaryWithoutPromotion(Rule):
    """What answers a share of the calls is promoted by itself once it is proven, and `learn` forbids that.

    `canary` is ignored. Change one of the two.

    Wrong:
        # poet: optimize_for=accuracy, canary=5%, learn=propose
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0

    Right:
        # poet: optimize_for=accuracy, canary=5%, learn=proven
        def is_hot(celsius: float) -> bool:
            return celsius > 45.0
    """

    code = "PH412"
    severity = "warning"
    message = "canary= has no effect with learn=propose; it needs auto or proven"


class LiveWithoutCanary(Rule):
    """The objective is told by live calls only, and no other version may answer any.

    `latency`, `reliability`, `reward` and `cost` are compared between calls that one version served and calls that
    another one served. Say which share of the calls that may be.

    Wrong:
        # poet: optimize_for=latency, retries=2
        def fetch(url: str) -> str:
            return url

    Right:
        # poet: optimize_for=latency, retries=2, canary=5%
        def fetch(url: str) -> str:
            return url
    """

    code = "PH413"
    severity = "warning"
    message = "optimize_for=latency has no effect without canary=, since only live calls tell it"


class UnusedByLive(Rule):
    """The option changes nothing where live calls are compared.

    They are compared side by side, each new trial on calls of its own: nothing in it grows old, is silent, or is judged
    with others. So leave `half_life`, `assume_ok_after` and `group` out.

    Wrong:
        # poet: optimize_for=latency, canary=5%, half_life=30d
        def fetch(url: str) -> str:
            return url

    Right:
        # poet: optimize_for=latency, canary=5%
        def fetch(url: str) -> str:
            return url
    """

    code = "PH414"
    severity = "warning"
    message = "half_life= has no effect with optimize_for=latency, which live calls tell"


class UnknownLoss(Rule):
    """The module that `optimize_for=module:function` names is not in the project, or the function is not in it.

    Nothing can be learned without it. Correct the name; a module that lies elsewhere is named in
    [`replay_modules`](configuration.md#replay_modules). Only `check` looks for it, and imports nothing for that.

    Wrong:
        def lateness(expected: float, result: float) -> float:
            return max(0.0, expected - result)


        # poet: optimize_for=shop:late
        def days(kilometres: float) -> float:
            return kilometres / 400.0

    Right:
        def lateness(expected: float, result: float) -> float:
            return max(0.0, expected - result)


        # poet: optimize_for=shop:lateness
        def days(kilometres: float) -> float:
            return kilometres / 400.0
    """

    code = "PH415"
    message = "optimize_for=shop:late: shop has no function late"
