"""An OpenAI-compatible server on loopback that says what a test wrote for it: real HTTP, real threads.

    with LlmServer("the first reply", Answer("the second", delay=0.1), Answer(status=429)) as server:
        server.when("is_hot", "whatever is asked about is_hot")
        monkeypatch.setenv(...) from server.environ()
        ...
        assert server.asked[0].user == "..."

Replies are given in order, the last one again and again; one of `when` comes first wherever its words are in what was
asked. A reply is a text, an `Answer`, or a function of the request that gives one of them.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import canary

CERTIFICATE = Path(__file__).with_name("loopback.pem")  # of 127.0.0.1 and nobody else, with its key


@dataclass
class Answer:
    """What comes back: a completion with this `text`, or `body` as it is; with `status` from 400 on, an error.

    `delay` is seconds before the first byte, `drip` seconds between each byte of the body, `hang_up` closes the
    connection after that many bytes of the body.
    """

    text: str | None = ""
    status: int = 200
    finish_reason: str | None = "stop"
    tokens: tuple[int, int] | None = (11, 7)
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0
    hang_up: int | None = None
    message: dict[str, Any] = field(default_factory=dict)


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any

    @property
    def system(self) -> str:
        return self._content("system")

    @property
    def user(self) -> str:
        return self._content("user")

    @property
    def shape(self) -> str:
        return (self.body.get("response_format") or {"type": "text"})["type"]

    def _content(self, role: str) -> str:
        return "\n".join(m["content"] for m in self.body["messages"] if m["role"] == role)


class LlmServer:
    """`refuses` are the shapes (json_schema, json_object) and fields (max_tokens) that it answers 400 to."""

    def __init__(
        self, *replies: Any, model: str = "test-model", refuses: Iterable[str] = (), key: str = "", tls: bool = False
    ) -> None:
        self.replies = list(replies)
        self.model = model
        self.models: list[str] | None = [model]
        self.refuses = set(refuses)
        self.key = key
        self.requests: list[Asked] = []
        self._when: list[tuple[str, Any]] = []
        self._given = 0
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._scheme = "https" if tls else "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def asked(self) -> list[Asked]:
        """The chat completions that were asked for."""
        return [request for request in self.requests if request.path.endswith("/chat/completions")]

    def environ(self) -> dict[str, str]:
        """What a process needs in its environment to ask this server."""
        return {"OPENAI_BASE_URL": self.url, "POET_MODEL": self.model, "OPENAI_API_KEY": self.key}

    def say(self, *replies: Any) -> None:
        """Give these from now on, in order."""
        with self._lock:
            self.replies, self._given = list(replies), 0

    def when(self, words: str, reply: Any) -> None:
        """Give this reply wherever these words are in the messages."""
        self._when.append((words, reply))

    def __enter__(self) -> LlmServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer_to(self, request: Asked) -> Answer:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return Answer(status=401, text="Incorrect API key provided")
        if request.path.endswith("/models"):
            listed = [{"id": name, "object": "model"} for name in self.models or []]
            document = json.dumps({"object": "list", "data": listed}).encode()
            return Answer(body=document) if self.models is not None else Answer(status=404, text="not found")
        if not request.path.endswith("/chat/completions"):
            return Answer(status=404, text=f"no such route: {request.path}")
        if request.body["model"] != self.model:
            return Answer(status=404, text=f"The model `{request.body['model']}` does not exist")
        for name in sorted(self.refuses):
            if name in (request.shape, *request.body):
                return Answer(status=400, text=f"{name} is not supported")
        messages = json.dumps(request.body["messages"], ensure_ascii=False)
        reply = next((reply for words, reply in self._when if words in messages), None)
        if reply is None:
            with self._lock:
                reply = self.replies[min(self._given, len(self.replies) - 1)] if self.replies else "ok"
                self._given += 1
        reply = reply(request) if callable(reply) else reply
        return Answer(reply) if isinstance(reply, str) else reply

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._serve(None)

            def do_POST(self) -> None:
                self._serve(json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def _serve(self, body: Any) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Asked(self.command, self.path, headers, body)
                server.requests.append(request)
                sent = {name: value for name, value in headers.items() if name != "authorization"}
                canary.look(f"a request to {self.path}", json.dumps([self.path, sent, body], ensure_ascii=False))
                answer = server.answer_to(request)
                server._end.wait(answer.delay)
                data = answer.body if answer.body is not None else _body(answer, server.model)
                try:
                    self.send_response(answer.status)
                    for name, value in {
                        "Content-Type": "application/json",
                        "Content-Length": str(len(data)),
                        **answer.headers,
                    }.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self._write(data, answer)
                except OSError:  # the client has gone
                    pass
                self.close_connection = True

            def _write(self, data: bytes, answer: Answer) -> None:
                data = data if answer.hang_up is None else data[: answer.hang_up]
                if not answer.drip:
                    self.wfile.write(data)
                    return
                for byte in data:
                    if server._end.wait(answer.drip):
                        return
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()

        return Handler


def _body(answer: Answer, model: str) -> bytes:
    if answer.status >= 400:
        return json.dumps({"error": {"message": answer.text, "type": "test", "code": None}}).encode()
    message = {"role": "assistant", "content": answer.text, **answer.message}
    document: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
    }
    if answer.tokens is not None:
        tokens_in, tokens_out = answer.tokens
        document["usage"] = {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
        }
    return json.dumps(document).encode()
