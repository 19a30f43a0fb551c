"""A server of prices on this machine, which can be told to answer badly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

Prices = Mapping[str, Mapping[str, str]]
"""By symbol and day, as text."""


@dataclass(frozen=True)
class Answer:
    """One answer; ``pause`` seconds before it, and ``drip`` seconds between its bytes."""

    body: bytes | str = "[]"
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    pause: float = 0
    drip: float = 0
    length: int | None = None
    """What it says its length is, where that is a lie."""


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: whoever asked did not wait."""


class PriceServer:
    """Answers ``/SYMBOL?from=DAY&to=DAY`` in JSON, for those who bring the token.

    Args:
        prices: what it knows, in euros.
    """

    def __init__(self, prices: Prices, *, token: str | None = None) -> None:
        self.prices = prices
        self.token = token
        self.asked: list[str] = []
        self.next: list[Answer] = []
        """What it answers before it comes to itself."""
        self.before: Callable[[str], None] = lambda symbol: None
        """Called with the symbol before each answer, in a thread of its own: it may wait."""
        self._server = _Quiet(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """For ``MARKET_SOURCE``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{{symbol}}?from={{first}}&to={{last}}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path: str, authorization: str | None) -> Answer:
        """What it says to one request."""
        self.asked.append(path)
        if self.next:
            return self.next.pop(0)
        if self.token is not None and authorization != f"Bearer {self.token}":
            return Answer(status=401)
        parts = urlsplit(path)
        symbol, asked = unquote(parts.path.removeprefix("/")), parse_qs(parts.query)
        self.before(symbol)
        if symbol not in self.prices:
            return Answer(status=404)
        (first,), (last,) = asked["from"], asked["to"]
        known = self.prices[symbol]
        found = [{"day": day, "close": known[day], "currency": "EUR"} for day in known if first <= day <= last]
        return Answer(json.dumps(found))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        asked = self.answer

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                answer = asked(self.path, self.headers.get("Authorization"))
                time.sleep(answer.pause)
                body = answer.body.encode() if isinstance(answer.body, str) else answer.body
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.kind)
                self.send_header("Content-Length", str(len(body) if answer.length is None else answer.length))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for piece in [body] if not answer.drip else [body[at : at + 1] for at in range(len(body))]:
                    self.wfile.write(piece)
                    time.sleep(answer.drip)
                self.close_connection = answer.length is not None

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name of the library
                """Say nothing."""

        return Handler
