"""Exports as one JSON object."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from core.exports.entities import Activity, Subject
from infrastructure.exports.rows import as_json

__all__ = ["write_json"]

_SPACED: Final = (", ", ": ")


def write_json(path: Path, subject: Subject, activities: Iterable[Activity]) -> None:
    """``{"user": {...}, "activities": [...]}``, with a line for each activity."""
    user = {
        "id": subject.id,
        "email": subject.email,
        "name": subject.name,
        "created": subject.created.isoformat(),
    }
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{"user": {as_json(user, _SPACED)},\n"activities": [')
        before = "\n"
        for activity in activities:
            shown = {
                "id": activity.id,
                "at": activity.at.isoformat(),
                "kind": activity.kind,
                "details": activity.details,
            }
            file.write(before + as_json(shown, _SPACED))
            before = ",\n"
        file.write("\n]}\n")
