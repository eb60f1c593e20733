"""Settings -> the endpoint that may be asked, or None: then nothing is ever sent.

Nothing is sent without `POET_MODEL`, since many people have a key in their environment for something else. What `.env`
and pyproject.toml say comes with a checkout: it counts only where this user allowed exactly that (`allowed.py`), and a
key goes only to an endpoint that was named in the same place.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlsplit

from poet_hook.errors import SettingsError
from poet_hook.llm import allowed
from poet_hook.settings import Found, Names, Settings, further

OPENAI = "https://api.openai.com/v1"
# name -> (environment variable, key in [tool.poet_hook.llm], may .env set it?)
NAMES: Names = {
    "model": ("POET_MODEL", "model", True),
    "base_url": ("OPENAI_BASE_URL", "base_url", True),
    "api_key": ("OPENAI_API_KEY", None, True),
    "calls": ("POET_LLM_CALLS", "calls", True),
    "tokens": ("POET_LLM_TOKENS", "tokens", True),
    "money": ("POET_LLM_MONEY", "money", True),
    "price_in": ("POET_LLM_PRICE_IN", "price_in", True),
    "price_out": ("POET_LLM_PRICE_OUT", "price_out", True),
    "timeout": ("POET_LLM_TIMEOUT", "timeout", True),
    "reply_tokens": ("POET_LLM_REPLY_TOKENS", "reply_tokens", True),
}
# name -> (default, smallest, largest)
_NUMBERS: dict[str, tuple[float, float, float]] = {
    "calls": (500, 0, 1e9),
    "tokens": (1_000_000, 0, 1e12),
    "money": (math.inf, 0, 1e9),
    "price_in": (0.0, 0, 1e6),
    "price_out": (0.0, 0, 1e6),
    "timeout": (60.0, 0.1, 3600),
    "reply_tokens": (4096, 16, 1e6),
}
_WHOLE = {"calls", "tokens", "reply_tokens"}
_OURS = "POET_LLM_"
_LONGEST = 500  # characters of a setting


class Secret:
    """A text that no print, log, document or pickle shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "set"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is asked, and how much of it in a day (of UTC).

    `key` is None where there is none, or where it is withheld. Prices are per million tokens, in the unit of `money`;
    `timeout` is seconds for one request, `reply_tokens` the most that one reply may have. `own` is whether the URL and
    the key are this user's, so that what else the environment says to the `openai` package may be sent too.
    """

    base_url: str
    model: str
    key: Secret | None = field(default=None, compare=False)
    own: bool = False
    calls: int = 500
    tokens: int = 1_000_000
    money: float = math.inf
    price_in: float = 0.0
    price_out: float = 0.0
    timeout: float = 60.0
    reply_tokens: int = 4096

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        return _is_loopback(self.base_url)

    def cost(self, tokens_in: float, tokens_out: float) -> float:
        """What so many tokens cost."""
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6


@dataclass(frozen=True, slots=True)
class Configured:
    """The endpoint, or None and why; `rows` are the settings as (name, value, where from), `notes` what to know."""

    endpoint: Endpoint | None
    why_not: str
    rows: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...] = ()


def endpoint(settings: Settings, environ: Mapping[str, str] | None = None) -> Endpoint | None:
    """The endpoint that may be asked, or None. Raises `SettingsError` for a value that can't be used."""
    return configured(settings, environ).endpoint


def configured(settings: Settings, environ: Mapping[str, str] | None = None) -> Configured:
    """The endpoint, and where each of its settings came from. Raises `SettingsError` as `endpoint` does."""
    found = said(settings, environ)
    rows = tuple(_row(name, found.get(name)) for name in NAMES)
    if not str(found.get("model", ("",))[0]).strip():
        return Configured(None, "no endpoint is configured (POET_MODEL is not set): nothing is sent", rows)
    foreign = allowed.not_allowed(settings, found)
    if foreign:  # before anything of it is heeded, were it only to say that it is wrong
        where = ", ".join(sorted({found[name][1].rpartition(": ")[0] for name in foreign}))
        why = f"{where} may have come with a checkout, and you have not allowed what it says of {', '.join(foreign)}"
        fix = "read it, then say: python -m poet_hook trust-endpoint"
        return Configured(None, f"{why}: nothing is sent; {fix}", rows)
    _refuse_unknown(os.environ if environ is None else environ)
    numbers = {name: _number(name, found.get(name)) for name in _NUMBERS}
    if math.isfinite(numbers["money"]) and not (numbers["price_in"] or numbers["price_out"]):
        raise SettingsError(
            f"{found['money'][1]}: a limit in money needs prices per million tokens: set POET_LLM_PRICE_IN and "
            "POET_LLM_PRICE_OUT"
        )
    base_url = _base_url(found)
    key, own, notes = _key(found, base_url)
    made: Any = {name: int(value) if name in _WHOLE else value for name, value in numbers.items()}
    return Configured(Endpoint(base_url, _text("model", found), key, own, **made), "", rows, notes)


def said(settings: Settings, environ: Mapping[str, str] | None = None) -> Found:
    """What is said of the endpoint, allowed or not."""
    return further("llm", NAMES, settings.root, os.environ if environ is None else environ)


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    """A limit that is misspelt limits nothing. Raises `SettingsError`."""
    known = {variable for variable, *_ in NAMES.values() if variable and variable.startswith(_OURS)}
    for name in environ:
        if name.startswith(_OURS) and name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.8)
            fix = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise SettingsError(f"environment variable {name}: there is no such setting; {fix}")


def _row(name: str, found: tuple[Any, str, bool] | None) -> tuple[str, str, str]:
    value, source, _ = found or (_NUMBERS[name][0] if name in _NUMBERS else "", "default", True)
    if name == "api_key":
        return name, "set" if value else "not set", source
    if name == "base_url":
        value = _without_userinfo(str(value)) if value else OPENAI
    elif isinstance(value, float):
        value = "no limit" if math.isinf(value) else f"{value:g}"
    return name, str(value), source


def _text(name: str, found: Found) -> str:
    value, source, _ = found.get(name, ("", "", True))
    if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable():
        raise SettingsError(f"{source}: must be a short text")
    return value.strip()


def _number(name: str, found: tuple[Any, str, bool] | None) -> float:
    default, smallest, largest = _NUMBERS[name]
    value, source, _ = found or (default, "", True)
    if found is None:
        return default
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not smallest <= number <= largest or (name in _WHOLE and number != int(number)):
        kind = "a whole number" if name in _WHOLE else "a number"
        raise SettingsError(f"{source}: {str(value)[:60]!r} can't be used; it takes {kind} from {smallest:g} on")
    return number


def _base_url(found: Found) -> str:
    text = _text("base_url", found)
    if not text:
        return OPENAI
    source = found["base_url"][1]
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise SettingsError(f"{source}: this is no URL: {error}") from None
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise SettingsError(f"{source}: a URL without a user, a password or a query; a key goes into OPENAI_API_KEY")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{source}: {text!r} is no URL of an endpoint, such as http://localhost:11434/v1")
    return text.rstrip("/")


def _without_userinfo(url: str) -> str:
    head, at, rest = url.rpartition("@")
    return f"{head.partition('://')[0]}://...@{rest}" if at else url.partition("?")[0]


def _key(found: Found, base_url: str) -> tuple[Secret | None, bool, tuple[str, ...]]:
    text = _text("api_key", found)
    place = _place(found.get("base_url"))
    own = place in ("", "environment")
    if not text:
        return None, own, ()
    if not text.isascii() or " " in text:
        raise SettingsError(f"{found['api_key'][1]}: this can be no key: it has other characters than keys have")
    if base_url != OPENAI and place != _place(found["api_key"]):
        where = found["base_url"][1]
        return None, own, (f"OPENAI_API_KEY is withheld: the endpoint was named elsewhere ({where})",)
    clear = base_url.startswith("http:") and not _is_loopback(base_url)
    note = "the key and all that is sent go over the network unencrypted: use https"
    return Secret(text), own and _place(found["api_key"]) == "environment", (note,) if clear else ()


def _place(found: tuple[Any, str, bool] | None) -> str:
    if found is None or not found[0]:
        return ""
    return "environment" if found[2] else found[1].rpartition(": ")[0]


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
