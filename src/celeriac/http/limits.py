"""What stands before every route: how large a body may be, how slowly it may come, and the headers of each answer."""

from __future__ import annotations

import asyncio
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException

from celeriac.http.problems import problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BodyLimits", "SecurityHeaders"]

LARGEST_BODY: Final = 1 << 20
"""Bytes."""
BODY_SECONDS: Final = 10.0
"""Seconds in which a body has to be there."""
_TOO_LARGE: Final = "The body is larger than {} bytes."
_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_PLAIN: Final = (*_ALWAYS, (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"))
_WITH_SCRIPTS: Final = (
    *_ALWAYS,
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; style-src 'unsafe-inline'"
            b" https://cdn.jsdelivr.net; img-src data: https://fastapi.tiangolo.com; connect-src 'self';"
            b" frame-ancestors 'none'"
        ),
    ),
)


class BodyLimits:
    """Ends a request whose body is too large, or comes too slowly.

    Args:
        app: the application behind it.
        largest: bytes.
        seconds: in which the body has to be there.
        streams: paths whose bodies are files, and how large these may be; each piece of one has ``seconds`` for itself.
    """

    def __init__(
        self,
        app: ASGIApp,
        largest: int = LARGEST_BODY,
        seconds: float = BODY_SECONDS,
        streams: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._app = app
        self._largest = largest
        self._seconds = seconds
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        file = self._streams.get(scope["path"])
        largest = self._largest if file is None else file
        if not said.isdigit() or int(said) > largest:
            response = problem(413, "body-too-large", _TOO_LARGE.format(largest), headers={"Connection": "close"})
            await response(scope, receive, send)
            return
        await self._app(scope, self._bounded(receive, largest, by_piece=file is not None), send)

    def _bounded(self, receive: Receive, largest: int, *, by_piece: bool) -> Receive:
        end = time.monotonic() + self._seconds
        read = 0
        whole = False

        async def receive_in_time() -> Message:
            nonlocal read, whole, end
            if whole:  # what comes now is that the client is gone, whenever that may be
                return await receive()
            try:
                async with asyncio.timeout(max(end - time.monotonic(), 0.001)):
                    message = await receive()
            except TimeoutError as error:
                detail = f"The body did not come within {self._seconds:g} s."
                raise HTTPException(408, detail, {"Connection": "close"}) from error
            if by_piece:
                end = time.monotonic() + self._seconds
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                whole = not message.get("more_body", False)
                if read > largest:
                    raise HTTPException(413, _TOO_LARGE.format(largest), {"Connection": "close"})
            return message

        return receive_in_time


class SecurityHeaders:
    """Says in every answer what a browser must not do with it.

    Args:
        app: the application behind it.
        documents: paths of pages that load scripts from a network of FastAPI's choice.
    """

    def __init__(self, app: ASGIApp, documents: tuple[str, ...] = ("/docs", "/redoc")) -> None:
        self._app = app
        self._documents = documents

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        usual = _WITH_SCRIPTS if scope["path"] in self._documents else _PLAIN

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                said: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
                names = {name for name, _ in said}
                message["headers"] = said + [pair for pair in usual if pair[0] not in names]
            await send(message)

        await self._app(scope, receive, send_with_headers)
