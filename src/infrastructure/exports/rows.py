"""The one table that an export is in every format that knows tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from core.exports.entities import Activity, Subject

__all__ = ["COLUMNS", "USER", "Row", "as_json", "rows_of"]

USER: Final = ("user_id", "email", "name", "created")
COLUMNS: Final = (*USER, "activity_id", "at", "kind", "details")

Row = tuple[Any, ...]


def rows_of(subject: Subject, activities: Iterable[Activity]) -> Iterator[Row]:
    """One row for each activity; one that has the user alone, where there is none."""
    user = (subject.id, subject.email, subject.name, subject.created)
    empty = True
    for activity in activities:
        empty = False
        yield (*user, activity.id, activity.at, activity.kind, as_json(activity.details))
    if empty:
        yield (*user, None, None, None, None)


def as_json(details: Mapping[str, Any]) -> str:
    """What an activity says beside its kind, as text."""
    return json.dumps(details, ensure_ascii=False, separators=(",", ":"))
