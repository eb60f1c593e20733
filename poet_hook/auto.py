"""`import poet_hook.auto` is `poet_hook.activate()`."""

from poet_hook.activation import activate

activate()
