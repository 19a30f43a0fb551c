"""Reading what a request carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from celeriac.http.json import DEEPEST, depth_of
from celeriac.http.problems import ProblemError, faults_of

if TYPE_CHECKING:
    from starlette.requests import Request

M = TypeVar("M", bound=BaseModel)

__all__ = ["body_of", "parsed"]


async def body_of(request: Request) -> bytes:
    """The body, as JSON that nobody has read yet; ``{}`` where there is none.

    Raises:
        ProblemError: it is of another media type (415), or nested too deeply (400).
    """
    said = request.headers.get("content-type", "")
    kind = said.partition(";")[0].strip().lower()
    body = await request.body()
    if not body:
        return b"{}"
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        detail = f"Send application/json, not {kind[:60] or 'a body without a Content-Type'}."
        raise ProblemError(415, "unsupported-media-type", detail, headers={"Accept-Post": "application/json"})
    if depth_of(body) > DEEPEST:
        raise ProblemError(400, "too-deep", f"The JSON is nested more than {DEEPEST} levels deep.")
    return body


def parsed(model: type[M], body: bytes) -> M:
    """The body as a model.

    Raises:
        ProblemError: it is no JSON (400), or does not fit (422, naming each field).
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise refused(error) from None


def refused(error: ValidationError) -> ProblemError:
    """What pydantic found as a problem."""
    found: list[Any] = error.errors(include_url=False, include_context=False, include_input=False)
    if found and found[0]["type"] == "json_invalid":
        return ProblemError(400, "invalid-json", f"The body is no JSON: {found[0]['msg'].partition(': ')[2]}.")
    return ProblemError(422, "invalid-request", "The body does not fit.", faults=faults_of(found))
