"""Which tasks are meant, as callers say it."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from celeriac.history.records import HistoryFilter, HistoryState
from celeriac.http.problems import Fault, ProblemError
from celeriac.tasks.policies import TaskState

__all__ = ["MOST_TASKS", "Chosen", "Cursor", "Limit", "TaskId", "chosen_by_query"]

MOST_TASKS: Final = 200
"""Tasks on one page."""
_PLAIN: Final = r"^[^\x00-\x1f\x7f]+$"


def _writable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        msg = "half a surrogate pair is no text"
        raise ValueError(msg) from error
    return text


Text = Annotated[str, Field(min_length=1, max_length=255, pattern=_PLAIN), AfterValidator(_writable)]
TaskId = Annotated[
    str,
    Path(min_length=1, max_length=155, pattern=r"^[\w.:@=+-]+$", description="The id that a POST answered with."),
]
Cursor = Annotated[
    str | None, Query(max_length=1000, pattern=_PLAIN, description="`cursor` of the page before; none for the first.")
]
Limit = Annotated[int, Query(ge=1, le=MOST_TASKS, description="How many, at most.")]
State = HistoryState | TaskState


class Chosen(BaseModel):
    """Tasks that fit all that is said."""

    model_config = ConfigDict(extra="forbid")

    state: list[State] = Field(default=[], max_length=20, description="Any of these, of either kind.")
    name: Text | None = Field(default=None, description="The task's name.", examples=["email.send_welcome"])
    queue: Text | None = None
    tag: Text | None = None
    parent_id: Text | None = None
    root_id: Text | None = None
    group_id: Text | None = None
    since: AwareDatetime | None = Field(default=None, description="Published then or later.")
    until: AwareDatetime | None = Field(default=None, description="Published before.")

    def filter(self, among: frozenset[HistoryState] | None = None) -> HistoryFilter:
        """The same for the history.

        Args:
            among: the states that make sense; all of them where none is said.

        Raises:
            ProblemError: none of the states makes sense: 422.
        """
        states = {known for each in self.state for known in _states(each)}
        if among is not None:
            wanted = states & among if states else among
            if not wanted:
                names = ", ".join(sorted(among))
                fault = Fault(field="filter.state", message=f"Input should hold one of {names}")
                raise ProblemError(422, "invalid-request", "Nothing could fit.", faults=[fault])
            states = set(wanted)
        said: dict[str, Any] = self.model_dump(exclude={"state"})
        return HistoryFilter(states=tuple(sorted(states)), **said)


def _states(state: State) -> tuple[HistoryState, ...]:
    return (state,) if isinstance(state, HistoryState) else HistoryState.of(state)


async def chosen_by_query(  # noqa: PLR0917  a query string
    state: Annotated[list[State] | None, Query(max_length=20, description="Any of these, of either kind.")] = None,
    name: Annotated[Text | None, Query(description="The task's name.")] = None,
    queue: Annotated[Text | None, Query()] = None,
    tag: Annotated[Text | None, Query()] = None,
    parent_id: Annotated[Text | None, Query(description="The task that called it.")] = None,
    root_id: Annotated[Text | None, Query(description="The first task of its workflow.")] = None,
    group_id: Annotated[Text | None, Query()] = None,
    since: Annotated[AwareDatetime | None, Query(description="Published then or later; with a time zone.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Published before; with a time zone.")] = None,
) -> Chosen:
    """The filter of a query string."""
    return Chosen(
        state=state or [],
        name=name,
        queue=queue,
        tag=tag,
        parent_id=parent_id,
        root_id=root_id,
        group_id=group_id,
        since=since,
        until=until,
    )
