"""Exports as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from core.exports.entities import Activity, Subject

__all__ = ["write_json"]


def write_json(path: Path, subject: Subject, activities: Iterable[Activity]) -> None:
    """``{"user": {...}, "activities": [...]}``, with a line for each activity."""
    user = {
        "id": subject.id,
        "email": subject.email,
        "name": subject.name,
        "created": subject.created.isoformat(),
    }
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{"user": {json.dumps(user, ensure_ascii=False)},\n"activities": [')
        before = "\n"
        for activity in activities:
            shown = {
                "id": activity.id,
                "at": activity.at.isoformat(),
                "kind": activity.kind,
                "details": activity.details,
            }
            file.write(before + json.dumps(shown, ensure_ascii=False))
            before = ",\n"
        file.write("\n]}\n")
