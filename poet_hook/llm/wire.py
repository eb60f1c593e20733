"""One request -> the bytes of its answer, within a time and a size, by the `openai` package.

That package is imported here only, and only when something is sent. Nothing of what it raises goes further: its errors
hold the request, and so the key.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

from poet_hook.errors import LlmError
from poet_hook.llm.endpoint import Endpoint
from poet_hook.llm.reply import NotExtracted, strict_json

MAX_BYTES = 1 << 20  # of an answer: 64 KiB of text, the way JSON may write it, and what the model thought
CONNECT = 5.0  # seconds
_SHOWN = 300  # characters of what a server says of an error
# what is sent where the endpoint is not the user's own choice: what else `openai` finds in the environment is not
_HEADERS = {
    *("host", "accept", "accept-encoding", "connection", "user-agent"),
    *("content-type", "content-length", "authorization"),
    "x-stainless-raw-response",  # by which `openai` knows that it was asked for the bytes
}


class Failed(Exception):
    """No answer: `kind` as in `LlmError`, `status` of HTTP or 0; `passing` is whether it may go well at once.

    `pause` is how many seconds the server says to wait, and `sent` whether it may have worked on it.
    """

    def __init__(
        self, kind: str, words: str, status: int = 0, passing: bool = False, pause: float = 0.0, sent: bool = True
    ) -> None:
        super().__init__(words)
        self.kind, self.words, self.status = kind, words, status
        self.passing, self.pause, self.sent = passing, pause, sent


def chat(endpoint: Endpoint, body: dict[str, Any]) -> bytes:
    """The answer to a chat completion. Raises `Failed`, or `LlmError` where the package is not installed."""
    return _exchanged(endpoint, lambda client: client.chat.completions.with_streaming_response.create(**body))


def models(endpoint: Endpoint) -> bytes:
    """The answer to the question which models there are. Raises as `chat` does."""
    return _exchanged(endpoint, lambda client: client.models.with_streaming_response.list())


def package() -> Any:
    """The package that sends. Raises `LlmError` where it is not installed."""
    try:
        import openai  # nearly a second: only where something is sent
    except ImportError:
        raise LlmError("the package openai is not installed; say: pip install 'poet_hook[llm]'", "missing") from None
    except Exception as error:  # noqa: BLE001 - one that does not fit what else is installed
        raise LlmError(f"the package openai can't be imported: {type(error).__name__}: {error}", "missing") from None
    return openai


def _exchanged(endpoint: Endpoint, ask: Any) -> bytes:
    openai = package()
    watch, failed = _Watch(endpoint.timeout), None
    try:
        with watch, _client(openai, endpoint, watch) as client, ask(client) as response:
            return b"".join(response.iter_bytes())
    except _TooLarge:
        failed = Failed("reply", f"the answer has more than {MAX_BYTES:,} bytes")
    except _Compressed:
        failed = Failed("reply", "the answer is compressed, which was not asked for")
    except openai.APITimeoutError:
        failed = _late(endpoint)
    except openai.APIStatusError as error:
        failed = _late(endpoint) if watch.expired else _status(error)
    except openai.APIConnectionError as error:
        failed = _late(endpoint) if watch.expired else _broken(error.__cause__ or error)
    except Exception as error:  # noqa: BLE001 - a stream of bytes may break in any way, and so may TLS
        failed = _late(endpoint) if watch.expired else _broken(error)
    raise failed  # outside, so that it does not hold what was caught


def _client(openai: Any, endpoint: Endpoint, watch: _Watch) -> Any:
    def sending(request: Any) -> None:
        request.extensions["trace"] = watch.saw
        request.headers["accept-encoding"] = "identity"
        if not endpoint.own:
            for name in [name for name in request.headers if name.lower() not in _HEADERS]:
                del request.headers[name]
        if endpoint.key is None:
            request.headers.pop("authorization", None)

    def received(response: Any) -> None:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise _Compressed
        response.stream = watch.counted(response.stream)

    # a server on this machine is never asked through a proxy, and a redirection would send all of it elsewhere
    http = openai.DefaultHttpxClient(
        trust_env=not endpoint.is_loopback,
        follow_redirects=False,
        verify=_verify(endpoint),
        event_hooks={"request": [sending], "response": [received]},
    )
    return openai.OpenAI(
        api_key=endpoint.key.reveal() if endpoint.key else "none",
        base_url=endpoint.base_url,
        timeout=openai.Timeout(endpoint.timeout, connect=min(CONNECT, endpoint.timeout)),
        max_retries=0,
        http_client=http,
    )


def _verify(endpoint: Endpoint) -> Any:
    if endpoint.base_url.startswith("http:"):  # to load what is trusted takes 50 ms, and nobody asks for it
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return (
        ssl.create_default_context() if endpoint.is_loopback else True
    )  # which heeds SSL_CERT_FILE, as the other does


class _TooLarge(Exception):
    pass


class _Compressed(Exception):
    pass


class _Watch:
    """Ends a connection when its time is up, however slowly bytes come, and stops counting at `MAX_BYTES`."""

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self._ends = time.monotonic() + seconds
        self._socket: Any = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> _Watch:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()

    def saw(self, event: str, info: Any) -> None:
        """What the connection reports: which socket it has."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                expired = self.expired
            if expired:
                self._close()

    def counted(self, stream: Any) -> Any:
        """The stream, which raises where it is too long or too late."""
        import httpx2  # which openai brings

        watch = self

        class Counted(httpx2.SyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                read = 0
                for chunk in stream:
                    read += len(chunk)
                    if read > MAX_BYTES:
                        raise _TooLarge
                    if time.monotonic() > watch._ends:
                        watch.expired = True
                        raise TimeoutError
                    yield chunk

            def close(self) -> None:
                stream.close()

        return Counted()

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
        self._close()

    def _close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # wakes who reads from it; TLS has its own


def _late(endpoint: Endpoint) -> Failed:
    return Failed("timeout", f"no answer within {endpoint.timeout:g} s")


def _broken(error: BaseException) -> Failed:
    name = type(error).__name__
    if "Connect" in name:  # refused, no such host, no route, a certificate that is not trusted: nothing was sent
        return Failed("unreachable", _one_line(str(error)) or name, sent=False)
    return Failed("unreachable", f"the connection broke ({name})", passing=True)


def _status(error: Any) -> Failed:
    status = int(error.status_code)
    said = _said(getattr(error, "body", None), str(getattr(error.response, "text", "") or ""))
    try:
        pause = max(0.0, float(error.response.headers.get("retry-after", 0)))
    except ValueError:  # a date
        pause = 0.0
    passing = status in (408, 409, 429) or status >= 500
    quota = "quota" in said.lower() or "billing" in said.lower()
    words = f"HTTP {status}{': ' if said else ''}{said}"
    return Failed("refused", words, status, passing and not quota, pause, sent=status >= 500)


def _said(body: object, text: str) -> str:
    """What a server says of an error, in a line: of JSON its message, else how the text begins."""
    read = body if isinstance(body, dict) else strict_json(text[:10_000])
    if isinstance(read, NotExtracted) or not isinstance(read, dict):
        return _one_line(text)
    inner = read.get("error", read)
    found = inner.get("message") or inner.get("detail") if isinstance(inner, dict) else inner
    return _one_line(found if isinstance(found, str) else text)


def _one_line(text: str) -> str:
    words = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _SHOWN]).split())
    return words if len(words) <= _SHOWN else words[: _SHOWN - 3] + "..."
