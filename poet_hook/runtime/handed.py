"""What an activation hands to the call plane, which most programs need only later, if at all."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from poet_hook.store.database import Store

make_store: Callable[[], Store | None] | None = None
"""Makes, or finds, the store into which calls are recorded; None, or gives None, where nothing is."""
