"""Whatever goes wrong, as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import logging
import math
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NoReturn

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException

from celeriac import exceptions as errors
from celeriac.http.json import JsonResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["Fault", "Problem", "ProblemError", "documented", "install_problems", "problem", "problem_of", "unavailable"]

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = 2
"""Seconds after which a server that is away is worth another request."""
_MOST: Final = 50
"""Faults of one body that are listed."""
_STATUS: Final[Mapping[type[Exception], int]] = {
    errors.UnknownTask: 404,
    errors.UnknownDeadLetter: 404,
    errors.InvalidArguments: 422,
    errors.UnknownQueue: 422,
    errors.InvalidCursor: 422,
    errors.LostQueue: 409,
    errors.NotAuthenticated: 401,
    errors.PermissionMissing: 403,
    errors.TooManyRequests: 429,
    errors.AccessUnavailable: 503,
    errors.BrokerUnavailable: 503,
    errors.UnroutableMessage: 503,
    errors.HistoryUnavailable: 503,
    errors.ResultUnavailable: 503,
    RedisError: 503,
}
"""What each error is to a caller. Of several that fit, the nearest class counts; all else is a 500."""


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    field: str = Field(description="Where it is: the path of names and positions, with dots.", examples=["email"])
    message: str = Field(examples=["Input should be a valid integer"])


class Problem(BaseModel):
    """What went wrong."""

    type: str = Field(description="Which problem it is, for programs.", examples=["urn:celeriac:unknown-task"])
    title: str = Field(description="The same for people.", examples=["Unknown task"])
    status: int = Field(description="The status code again.", examples=[404])
    detail: str = Field(
        description="What is wrong this time.", examples=["no task is named 'pin'. Did you mean 'ping'?"]
    )
    errors: list[Fault] | None = Field(default=None, description="What is wrong with single fields.")


class ProblemError(Exception):
    """Ends a request with a problem that is no error of Celeriac's tree."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        faults: Sequence[Fault] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = headers
        self.faults = faults


def unavailable(detail: str, cause: BaseException | None = None, kind: str = "server-unavailable") -> NoReturn:
    """End a request with 503, and say when to come again.

    Raises:
        ProblemError: that.
    """
    raise ProblemError(503, kind, detail, headers={"Retry-After": str(RETRY_AFTER)}) from cause


def problem(
    status: int,
    kind: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    faults: Sequence[Fault] = (),
) -> Response:
    """A problem as a response.

    Args:
        status: the status code.
        kind: which problem it is, in words with hyphens; becomes ``type`` and ``title``.
        detail: what is wrong this time.
        headers: further headers.
        faults: what is wrong with single fields.
    """
    body: dict[str, Any] = {
        "type": f"urn:celeriac:{kind}",
        "title": kind.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
    }
    if faults:
        body["errors"] = [fault.model_dump() for fault in faults]
    return JsonResponse(body, status, dict(headers or {}), MEDIA_TYPE)


def problem_of(error: Exception) -> Response:
    """The response for an error: by its class, never with more than its own words."""
    if isinstance(error, ProblemError):
        return problem(error.status, error.kind, error.detail, headers=error.headers, faults=error.faults)
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), None)
    if status is None:
        return problem(500, "internal-error", "Something went wrong here. The log of the service says what.")
    if isinstance(error, RedisError):
        logger.warning("Redis did not answer: %s", error)
        return problem(status, "server-unavailable", "Redis did not answer.", headers=_later(error))
    headers: dict[str, str] = _later(error) if status in {429, 503} else {}
    if (challenge := getattr(error, "challenge", None)) is not None:
        headers["WWW-Authenticate"] = str(challenge)
    return problem(status, _kind(type(error).__name__), str(error), headers=headers)


def _later(error: Exception) -> dict[str, str]:
    said: Any = getattr(error, "retry_after", None)
    return {"Retry-After": str(max(1, math.ceil(float(said))) if said else RETRY_AFTER)}


def _kind(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def install_problems(app: FastAPI) -> None:
    """Have an application answer every error with a problem."""

    async def of_error(_: Request, error: Exception) -> Response:
        return problem_of(error)

    async def of_validation(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101  that is what it is registered for
        return invalid("The request does not fit.", error.errors())

    async def of_status(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  that is what it is registered for
        kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        return problem(error.status_code, kind, str(error.detail), headers=error.headers)

    async def of_anything(_: Request, error: Exception) -> Response:
        return problem_of(error)

    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(HTTPException, of_status)
    app.add_exception_handler(Exception, of_anything)
    for kind in (ProblemError, errors.CeleriacError, RedisError):
        app.add_exception_handler(kind, of_error)


def invalid(detail: str, found: Iterable[Any]) -> Response:
    """422 for what pydantic found, without the values: they may be secrets."""
    return problem(422, "invalid-request", detail, faults=faults_of(found))


def faults_of(found: Iterable[Any]) -> list[Fault]:
    """What pydantic found, field by field."""
    faults: list[Fault] = []
    for each in found:
        where = ".".join(str(part) for part in each["loc"])
        faults.append(Fault(field=where, message=str(each["msg"])))
        if len(faults) == _MOST:
            break
    return faults


_TOLD: Final = {
    400: "The body is no JSON, or nested too deeply.",
    401: "No credentials, or none that are good.",
    403: "The caller lacks a permission.",
    404: "No such task.",
    408: "The body did not come in time.",
    409: "It cannot be done as things are.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A field, a filter or a cursor does not fit; `errors` names the fields.",
    429: "Too many requests; `Retry-After` says when to come again.",
    503: "The broker, Redis or the database does not answer; `Retry-After` says when to come again.",
}


def documented(*statuses: int, **told: str) -> dict[int | str, dict[str, Any]]:
    """The problems of a route, for its OpenAPI document.

    Args:
        statuses: those that mean what they usually mean.
        told: those that mean something else here: ``not_found="No such user."``.
    """
    schema: dict[str, Any] = {"$ref": "#/components/schemas/Problem"}
    texts = {status: _TOLD[status] for status in statuses}
    texts |= {HTTPStatus[name.upper()].value: text for name, text in told.items()}
    return {
        status: {"description": text, "content": {MEDIA_TYPE: {"schema": schema}}} for status, text in texts.items()
    }
