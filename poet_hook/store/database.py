"""The store: what one project's folder holds. This is the door; the rooms are its base classes."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from poet_hook.store.connection import clean
from poet_hook.store.readings import Readings

_COLUMNS = ("function", "module", "qualname", "path", "line", "source_hash", "optimize_for", "domain", "seen")
_SAVE_FUNCTION = (
    f"INSERT INTO functions ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
    f" ON CONFLICT (function) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[1:])}"
)
_FUNCTIONS = (
    "SELECT function, module, qualname, path, line, source, source_hash, optimize_for, domain, seen"
    " FROM functions JOIN sources USING (function, source_hash)"
)


@dataclass(frozen=True, slots=True)
class FunctionRecord:
    """A function that learns, as it was when it was last `seen` (seconds since the epoch)."""

    function: str
    module: str
    qualname: str
    path: str
    line: int
    source: str
    source_hash: str
    optimize_for: str
    domain: str | None
    seen: float


class Store(Readings):
    """What `home` holds: executions, feedback, functions; made at the first write, unless `create` is False."""

    def save_function(self, record: FunctionRecord) -> None:
        """Keep what is known of a function (the last to come wins) and, for good, this text of it."""
        row = clean(astuple(record))
        function, _, _, _, _, source, source_hash, *_ = row
        with self.write() as connection:
            connection.execute(
                "INSERT INTO sources VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (function, source_hash, source)
            )
            connection.execute(_SAVE_FUNCTION, (*row[:5], *row[6:]))

    def functions(self) -> list[FunctionRecord]:
        """Return every function that was ever saved here, by name."""
        return [FunctionRecord(*row) for row in self.query(f"{_FUNCTIONS} ORDER BY function")]

    def function(self, name: str) -> FunctionRecord | None:
        """Return one function, or None."""
        rows = self.query(f"{_FUNCTIONS} WHERE function = ?", (name,))
        return FunctionRecord(*rows[0]) if rows else None

    def source_of(self, function: str, source_hash: str) -> str | None:
        """Return the text that a function had under this hash, or None."""
        rows = self.query("SELECT source FROM sources WHERE function = ? AND source_hash = ?", (function, source_hash))
        return rows[0][0] if rows else None

    def get_meta(self, key: str) -> str | None:
        """Return what `set_meta` stored under this key, or None."""
        rows = self.query("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0][0] if rows else None

    def set_meta(self, key: str, value: str) -> None:
        """Store a text under a key; the latest wins."""
        with self.write() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", clean((key, value)))
