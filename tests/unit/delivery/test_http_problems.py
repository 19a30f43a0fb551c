"""Errors of use cases, as callers over HTTP see them."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from core.errors import ConflictError, NotFoundError, RefusedError, ServiceError, UnavailableError
from delivery.http.problems import install_service_problems

TEXT = "what, where, how to mend it"


class PrinterOnFireError(UnavailableError):
    """One of a domain."""


class SoldOutError(ConflictError):
    """Another."""


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (NotFoundError, 404, "not-found"),
        (ConflictError, 409, "conflict"),
        (SoldOutError, 409, "sold-out"),
        (RefusedError, 422, "refused"),
        (UnavailableError, 503, "unavailable"),
        (PrinterOnFireError, 503, "printer-on-fire"),
        (ServiceError, 500, "service"),
    ],
)
def test_an_error_is_answered_by_what_it_derives_from(error, status, kind):
    app = FastAPI()
    install_service_problems(app)

    @app.get("/")
    async def fail() -> None:
        raise error(TEXT)

    answer = TestClient(app).get("/")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert (told["type"], told["status"]) == (f"urn:celeriac:{kind}", status)
    assert told["detail"] == TEXT
    assert ("Retry-After" in answer.headers) == (status == 503)
