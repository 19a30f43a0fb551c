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


def as_json(value: Mapping[str, Any], separators: tuple[str, str] = (",", ":")) -> str:
    """An object as JSON. A number that JSON does not know, as former rows may hold, is ``null``."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=separators, allow_nan=False)
    except ValueError:
        known = json.loads(json.dumps(value), parse_constant=lambda _: None)
        return json.dumps(known, ensure_ascii=False, separators=separators)
