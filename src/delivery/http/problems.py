"""What the service's own errors are to callers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from celeriac.http.problems import RETRY_AFTER, problem
from core.errors import ConflictError, NotFoundError, RefusedError, ServiceError, UnavailableError

__all__ = ["install_service_problems"]

_STATUS: Final[Mapping[type[Exception], int]] = {
    NotFoundError: 404,
    ConflictError: 409,
    RefusedError: 422,
    UnavailableError: 503,
    ServiceError: 500,
}


def install_service_problems(app: FastAPI) -> None:
    """Have an application answer errors of use cases with problems, by what each of them derives from."""

    async def of_service(_: Request, error: Exception) -> Response:
        status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
        kind = re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__.removesuffix("Error")).lower()
        headers = {"Retry-After": str(RETRY_AFTER)} if isinstance(error, UnavailableError) else {}
        return problem(status, kind, str(error), headers=headers)

    app.add_exception_handler(ServiceError, of_service)
