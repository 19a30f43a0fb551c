"""The gate in front of every route: who asks, how often, and the record of what they did."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, FastAPI, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection

from celeriac.exceptions import AccessError, ConfigurationError, NotAuthenticated
from celeriac.http.problems import problem_of
from celeriac.security.audit import AuditRecord
from celeriac.security.callers import Caller
from celeriac.security.trail import Trail, current_trail

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from celeriac.security.gate import Gate
    from celeriac.security.rates import Admission

__all__ = ["SECURITY", "CurrentCaller", "caller", "identify", "secure"]

_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_UNKNOWN: Final = 401
_FORBIDDEN: Final = 403
_TOO_MANY: Final = 429
_INVALID: Final = 400
_FAILED: Final = 500

_bearer = HTTPBearer(
    auto_error=False, scheme_name="bearer", description="An API key, or a token of the issuer that the service trusts."
)
_key_header = APIKeyHeader(
    name="X-API-Key", auto_error=False, scheme_name="key", description="An API key, made by `celeriac keys create`."
)


async def caller(
    connection: HTTPConnection,
    _bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    _key: Annotated[str | None, Security(_key_header)],
) -> Caller:
    """Who asks: a dependency for every route that takes a permission. Raises what :func:`identify` does."""
    return await identify(connection)


SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"key": []}]
"""What the OpenAPI operation of a route says that calls :func:`identify` itself."""


async def identify(connection: HTTPConnection) -> Caller:
    """Who asks, and that they do not ask too often.

    Raises:
        NotAuthenticated: nobody knows.
        TooManyRequests: they asked too often.
        AccessUnavailable: what knows that does not answer.
        ConfigurationError: the application has no gate: see :func:`secure`.
    """
    gate: Gate | None = getattr(connection.app.state, "celeriac_gate", None)
    if gate is None:
        raise ConfigurationError(problem="this application has no gate: call celeriac.http.security.secure(app, gate)")
    trail = current_trail.get() or Trail()
    found = trail.caller = await gate.identify(_credentials(connection.headers))
    trail.admission = await gate.admit(found)
    return found


CurrentCaller = Annotated[Caller, Depends(caller)]
"""For a route's parameter."""


def _credentials(headers: Headers) -> str | None:
    """The one thing that tells who asks. Two could be of two callers, and nobody would know whom the record means."""
    said, keys = headers.getlist("authorization"), headers.getlist("x-api-key")
    if len(said) + len(keys) > 1:
        raise NotAuthenticated(problem="there is more than one set of credentials", error="invalid_request")
    text = keys[0] if keys else ""
    if said:
        scheme, _, text = said[0].partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise NotAuthenticated(
                problem="the header Authorization takes the form 'Bearer ...'", error="invalid_request"
            )
    return text.strip() or None


def secure(app: FastAPI, gate: Gate) -> None:
    """Put a gate in front of an application's routes, and record what is done through them.

    Opening and closing the gate is the lifespan's.
    """
    app.state.celeriac_gate = gate
    app.add_middleware(_Recorder, gate=gate)

    async def of_access(_: Request, error: Exception) -> Response:
        return problem_of(error)

    app.add_exception_handler(AccessError, of_access)


class _Recorder:
    """Writes the record when the answer goes out, and tells callers what is left of their rate."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trail = Trail()
        status = _FAILED

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if trail.admission is not None:
                    _tell(MutableHeaders(scope=message), trail.admission)
            await send(message)

        token = current_trail.set(trail)
        try:
            await self._app(scope, receive, sending)
        finally:
            current_trail.reset(token)
            self._record(scope, trail, status)

    def _record(self, scope: Scope, trail: Trail, status: int) -> None:
        refused = status in {_UNKNOWN, _FORBIDDEN, _TOO_MANY}
        known = trail.caller is not None
        if refused or (known and scope["method"] in _WRITES):
            # Whom nobody knows, and who asks without end, must not push out of the record what others did.
            self._gate.audit.record(_made(scope, trail, status), keep=known and status != _TOO_MANY)


def _tell(headers: MutableHeaders, admission: Admission) -> None:
    headers["RateLimit-Limit"] = str(admission.limit)
    headers["RateLimit-Remaining"] = str(admission.remaining)
    headers["RateLimit-Reset"] = str(admission.reset)


def _made(scope: Scope, trail: Trail, status: int) -> AuditRecord:
    known = trail.caller
    path: dict[str, Any] = scope.get("path_params") or {}
    client = scope.get("client")
    return AuditRecord(
        at=datetime.now(UTC),
        subject="" if known is None else known.subject,
        method="" if known is None else str(known.method),
        name="" if known is None else known.name,
        action=trail.action or getattr(scope.get("route"), "name", "") or f"{scope['method']} {scope['path']}",
        permission=trail.permission,
        task=trail.task or str(path.get("name", "")),
        task_id=trail.task_id or str(path.get("task_id", "")),
        count=trail.count,
        outcome=_outcome(status),
        status=status,
        address=client[0] if client else "",
        detail=trail.detail,
    )


def _outcome(status: int) -> str:
    if status in {_UNKNOWN, _FORBIDDEN, _TOO_MANY}:
        return "refused"
    if status >= _FAILED:
        return "failed"
    return "invalid" if status >= _INVALID else "done"
