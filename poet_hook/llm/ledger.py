"""The account of a day: what was asked, what that took, and what is left of the limits; and replies asked before.

The limits hold across processes: a request is entered before it is sent, as if it took all that it may, and corrected
after it. What a killed process had entered stays as it is for that day.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from poet_hook.errors import LlmError, StoreError
from poet_hook.llm.endpoint import Endpoint
from poet_hook.store.codec import utf8
from poet_hook.store.database import Store

KEPT = 30 * 86400.0  # seconds that a reply is kept
FEWEST = 64  # tokens: a shorter reply is of no use
OPEN, CACHED = "open", "cached"

_COLUMNS = "id, started, purpose, function, model, outcome, tokens_in, tokens_out, cost, seconds"
_TYPES = [int, float, str, str, str, str, int, int, float, float]
# a store may come with a checkout: nothing in it makes the day's account smaller than it is
_SPENT = (
    "SELECT COUNT(*), TOTAL(MIN(MAX(tokens_in, 0), 1e15) + MIN(MAX(tokens_out, 0), 1e15)),"
    " TOTAL(MIN(MAX(cost, 0), 1e15)) FROM llm_calls"
    f" WHERE day = ? AND outcome != '{CACHED}'"
)
_ENTER = (
    "INSERT INTO llm_calls (day, started, purpose, function, model, outcome, tokens_in, tokens_out, cost, seconds)"
    " VALUES (?,?,?,?,?,?,?,?,?,?)"
)
_CORRECT = "UPDATE llm_calls SET outcome = ?, tokens_in = ?, tokens_out = ?, cost = ?, seconds = ? WHERE id = ?"


@dataclass(frozen=True, slots=True)
class Call:
    """One line of the account: `started` in seconds since the epoch; `outcome` is "ok", "cached", "open" or why not."""

    id: int
    started: float
    purpose: str
    function: str
    model: str
    outcome: str
    tokens_in: int
    tokens_out: int
    cost: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of today's limits."""

    calls: int
    tokens: int
    money: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A request that was entered: `reply_tokens` is how much its reply may have."""

    id: int
    tokens_in: int
    reply_tokens: int


class Ledger:
    """The account of one store, against the limits of one endpoint."""

    def __init__(self, store: Store, endpoint: Endpoint) -> None:
        self.store = store
        self.endpoint = endpoint

    def left(self) -> Left:
        """What is left for today."""
        return self._left(self.store.query(_SPENT, (_today(),)) or [(0, 0.0, 0.0)])

    def enter(self, purpose: str, function: str, tokens_in: int) -> Entry:
        """Enter a request of so many tokens. Raises `LlmError` where the limits of the day do not allow it."""
        limits = self.endpoint
        with self.store.write() as connection:
            left = self._left(connection.execute(_SPENT, (_today(),)).fetchall())
            money = left.money - limits.cost(tokens_in, 0)
            by_money = money * 1e6 / limits.price_out if limits.price_out else math.inf if money >= 0 else 0.0
            room = int(min(limits.reply_tokens, left.tokens - tokens_in, by_money))
            if left.calls < 1:
                raise _used_up("calls", "POET_LLM_CALLS", f"{limits.calls:,} calls")
            if room < min(FEWEST, limits.reply_tokens):
                if by_money <= room:
                    raise _used_up("money", "POET_LLM_MONEY", f"{limits.money:g}, of which {left.money:.4g} is left")
                words = f"{limits.tokens:,} tokens, of which {max(left.tokens, 0):,} are left; this call needs more"
                raise _used_up("tokens", "POET_LLM_TOKENS", words)
            row = (limits.model, OPEN, tokens_in, room, limits.cost(tokens_in, room), 0.0)
            cursor = connection.execute(_ENTER, (*_when(), utf8(purpose), utf8(function), *row))
            assert cursor.lastrowid is not None
            return Entry(cursor.lastrowid, tokens_in, room)

    def correct(self, entry: Entry, outcome: str, tokens_in: int, tokens_out: int, seconds: float) -> None:
        """Say what became of a request."""
        cost = self.endpoint.cost(tokens_in, tokens_out)
        with self.store.write() as connection:
            connection.execute(_CORRECT, (utf8(outcome), tokens_in, tokens_out, cost, seconds, entry.id))

    def reply(self, key: str, purpose: str, function: str) -> tuple[str, int, int] | None:
        """The reply that is kept under this key, with its tokens, or None."""
        since = time.time() - KEPT
        sql = "SELECT text, tokens_in, tokens_out FROM llm_replies WHERE key = ? AND made > ?"
        rows = self.store.query(sql, (key, since))
        if not rows or not _is_row(rows[0]):
            return None
        with self.store.write() as connection:
            row = (utf8(purpose), utf8(function), self.endpoint.model, CACHED, 0, 0, 0.0, 0.0)
            connection.execute(_ENTER, (*_when(), *row))
        return tuple(rows[0])

    def keep(self, key: str, text: str, tokens_in: int, tokens_out: int) -> None:
        """Keep a reply, and drop those that are old."""
        now = time.time()
        with self.store.write() as connection:
            connection.execute("DELETE FROM llm_replies WHERE made < ?", (now - KEPT,))
            row = (key, now, utf8(text), tokens_in, tokens_out)
            connection.execute("INSERT OR REPLACE INTO llm_replies VALUES (?,?,?,?,?)", row)

    def _left(self, rows: list[Any]) -> Left:
        calls, tokens, money = rows[0]
        limits = self.endpoint
        return Left(limits.calls - calls, limits.tokens - int(tokens), limits.money - money)


def calls(store: Store, limit: int) -> list[Call]:
    """The last `limit` lines of the account, newest first."""
    rows = store.query(f"SELECT {_COLUMNS} FROM llm_calls ORDER BY id DESC LIMIT ?", (limit,))
    return [Call(*row) for row in rows if [type(value) for value in row] == _TYPES]


def today(store: Store) -> Mapping[str, float]:
    """What today's calls took, whatever the limits are."""
    number, tokens, money = (store.query(_SPENT, (_today(),)) or [(0, 0.0, 0.0)])[0]
    return {"calls": number, "tokens": int(tokens), "money": money}


def _is_row(row: Any) -> bool:
    text, *tokens = row
    return isinstance(text, str) and all(isinstance(number, int) for number in tokens)


def _used_up(what: str, variable: str, limit: str) -> LlmError:
    return LlmError(
        f"today's {what} for the language model are used up ({limit}): nothing was sent; it goes on at 00:00 UTC, or "
        f"raise {variable}",
        "budget",
    )


def _when() -> tuple[str, float]:
    return _today(), time.time()


def _today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def not_kept(error: StoreError) -> LlmError:
    """No account can be kept, and so nothing is sent."""
    return LlmError(f"no account can be kept of what is asked, so nothing was sent: {error}", "missing")
