"""What a caller may say of one run beside its arguments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

from fastapi.exceptions import RequestValidationError
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from celeriac.http.filters import Text
from celeriac.http.problems import Fault, ProblemError
from celeriac.tasks.policies import Priority

if TYPE_CHECKING:
    from starlette.requests import Request

    from celeriac.tasks.call import CallOptions

__all__ = ["BY_QUERY", "RunOptions", "RunRequest", "options_by_query"]

LONGEST: Final = 366 * 24 * 3600.0
"""Seconds that a task may wait for its time."""


class Urgency(StrEnum):
    """How urgent a task is."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"


Seconds = Annotated[float, Field(ge=0, le=LONGEST, allow_inf_nan=False)]


class RunOptions(BaseModel):
    """How one run differs from what the task declares."""

    model_config = ConfigDict(extra="forbid")

    countdown: Seconds | None = Field(default=None, description="Seconds to wait before it may run.")
    eta: AwareDatetime | None = Field(default=None, description="The moment before which it must not run.")
    expires: Seconds | None = Field(default=None, description="Seconds after which it is no longer worth running.")
    queue: Text | None = Field(default=None, description="The queue it goes to; one that is declared.")
    priority: Urgency | None = Field(default=None, description="How urgent it is.")

    def options(self) -> CallOptions:
        """The same for the call.

        Raises:
            ProblemError: both ``countdown`` and ``eta``, or an ``eta`` too far away: 422.
        """
        said: dict[str, Any] = {
            "countdown": self.countdown,
            "eta": self.eta,
            "expires": self.expires,
            "queue": self.queue,
            "priority": None if self.priority is None else Priority[self.priority.name],
        }
        if self.eta is not None:
            if self.countdown is not None:
                _refuse("countdown", "Input should not stand beside eta")
            now = datetime.now(UTC)
            if not now - timedelta(seconds=LONGEST) < self.eta < now + timedelta(seconds=LONGEST):
                _refuse("eta", "Input should be within a year of now")
        found: Any = {name: value for name, value in said.items() if value is not None}
        options: CallOptions = found
        return options


class RunRequest(RunOptions):
    """A task to run."""

    name: Text = Field(examples=["example.add"])
    args: list[JsonValue] = Field(default=[], examples=[[]])
    kwargs: dict[str, JsonValue] = Field(default={}, examples=[{"x": 2, "y": 3}])


def options_by_query(request: Request) -> CallOptions:
    """The options of a request's query string; what else it says is somebody else's.

    Raises:
        RequestValidationError: one that does not fit: 422, naming it.
        ProblemError: several that do not go together: 422.
    """
    if not request.scope["query_string"]:
        return {}
    query = request.query_params
    said = {name: query[name] for name in RunOptions.model_fields if name in query}
    if not said:
        return {}
    try:
        return RunOptions.model_validate_strings(said).options()
    except ValidationError as error:
        found = [{**each, "loc": ("query", *each["loc"])} for each in error.errors(include_url=False)]
        raise RequestValidationError(found) from None


def _parameters() -> list[dict[str, Any]]:
    schema = RunOptions.model_json_schema()
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": said.pop("description", ""),
            "schema": _inlined(said, schema.get("$defs", {})),
        }
        for name, said in schema["properties"].items()
    ]


def _inlined(schema: JsonValue, definitions: dict[str, JsonValue]) -> JsonValue:
    """A schema that refers to no other."""
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(reference := schema.get("$ref"), str):
        return _inlined(definitions[reference.rpartition("/")[2]], definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items() if key not in {"title", "default"}}


BY_QUERY: Final = _parameters()
"""What an OpenAPI operation says of a route whose query :func:`options_by_query` reads."""


def _refuse(field: str, message: str) -> NoReturn:
    faults = [Fault(field=field, message=message)]
    raise ProblemError(422, "invalid-request", "The request does not fit.", faults=faults)
