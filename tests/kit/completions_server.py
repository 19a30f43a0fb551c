"""A server that speaks OpenAI's protocol for chat completions, and misbehaves when it is told to."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from core.configs.settings import CompletionsSettings

KEY = "sk-of-the-tests"
MODEL = "parrot-1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]  # it is nobody else's handler

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        owner = self.server.owner
        owner.requests.append(body)
        behave = owner.script.popleft() if owner.script else owner.usual
        if self.path != "/v1/chat/completions":
            self.error(404, "no such path")
        elif self.headers["Authorization"] != f"Bearer {KEY}":
            self.error(401, f"Incorrect API key provided: {self.headers['Authorization']}")
        elif body["model"] != MODEL:
            self.error(404, f"The model {body['model']} does not exist", code="model_not_found")
        else:
            behave(self, body)

    def error(self, status: int, message: str, headers: dict[str, str] | None = None, **error: Any) -> None:
        self.send(status, json.dumps({"error": {"message": message, "type": None, "code": None, **error}}), headers)

    def send(
        self, status: int, text: str, headers: dict[str, str] | None = None, kind: str = "application/json"
    ) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def stream(self, *events: Any, end: bool = True) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in [*events, *(["[DONE]"] if end else [])]:
            line = f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        if end:
            self.wfile.write(b"0\r\n\r\n")

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002


Behaviour = Callable[[_Handler, dict[str, Any]], None]


def reply(body: dict[str, Any]) -> tuple[str, dict[str, int]]:
    """What the parrot says, and what it counts: a token for each word."""
    prompt = body["messages"][-1]["content"]
    text = f"You said: {prompt}"
    asked, said = len(prompt.split()), len(text.split())
    return text, {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def pieces(body: dict[str, Any]) -> list[dict[str, Any]]:
    text, usage = reply(body)
    usual = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    words = [{"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None} for word in text.split()]
    words[-1]["delta"] = {"content": text.split()[-1]}
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    counts = [{**usual, "choices": [], "usage": usage}] if body.get("stream_options", {}).get("include_usage") else []
    return [*({**usual, "choices": [choice]} for choice in [*words, last]), *counts]


def normal(handler: _Handler, body: dict[str, Any]) -> None:
    if body.get("stream"):
        handler.stream(*pieces(body))
        return
    text, usage = reply(body)
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice], "usage": usage}
    handler.send(200, json.dumps(whole))


def fails(status: int, headers: dict[str, str] | None = None, **error: Any) -> Behaviour:
    return lambda handler, body: handler.error(status, f"because of {status}", headers, **error)


def says(text: str, kind: str = "application/json") -> Behaviour:
    return lambda handler, body: handler.send(200, text, kind=kind)


def streams(*events: Any, end: bool = True) -> Behaviour:
    return lambda handler, body: handler.stream(*events, end=end)


def breaks_off(handler: _Handler, body: dict[str, Any]) -> None:
    handler.stream(*pieces(body)[:2], end=False)
    handler.hang_up()


def ends_early(handler: _Handler, body: dict[str, Any]) -> None:
    """As a proxy does that lost its server: the stream ends in good order, the answer does not."""
    handler.stream(*pieces(body)[:2])


def hangs_up(handler: _Handler, body: dict[str, Any]) -> None:
    handler.hang_up()


def hangs(handler: _Handler, body: dict[str, Any]) -> None:
    """Until it is told to go on; then it answers."""
    owner = handler.server.owner
    owner.hanging.release()
    owner.goes_on.wait(60)
    with suppress(OSError):
        normal(handler, body)
    owner.answered.release()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    owner: CompletionsServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of our business."""


class CompletionsServer:
    """On a free port, in threads of this process, as a context manager."""

    def __init__(self) -> None:
        self.script: deque[Behaviour] = deque()
        """What it does with the next requests."""
        self.usual: Behaviour = normal
        """What it does with those after."""
        self.requests: list[dict[str, Any]] = []
        self.hanging = threading.Semaphore(0)
        """Released when a request hangs."""
        self.goes_on = threading.Event()
        self.answered = threading.Semaphore(0)
        """Released when one that hung was answered."""
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.goes_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def env(self) -> dict[str, str]:
        """For a worker that is to ask it."""
        return {"COMPLETIONS_BASE_URL": self.url, "COMPLETIONS_API_KEY": KEY, "COMPLETIONS_MODEL": MODEL}

    def settings(self, **said: Any) -> CompletionsSettings:
        """For a process that is to ask it."""
        usual: dict[str, Any] = {"base_url": self.url, "api_key": SecretStr(KEY), "model": MODEL, "timeout": 10.0}
        return CompletionsSettings(**usual | said)

    def reset(self) -> None:
        """As if nothing had been asked."""
        self.script.clear()
        self.requests.clear()
        self.usual = normal
        self.goes_on.clear()
        self.hanging = threading.Semaphore(0)
