"""What an export is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypedDict

from core.exports.formats import ExportFormat

__all__ = ["STEPS", "Activity", "Export", "ExportProgress", "Subject"]

STEPS: Final = ("Fetching user data...", "Fetching activity history...", "Generating export file...", "Complete!")
"""What an export says of itself, step by step."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The user whose data is exported."""

    id: int
    email: str
    name: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Activity:
    """One thing that the user did."""

    id: int
    at: datetime
    kind: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Export:
    """A file that is whole, and until when it is kept."""

    task_id: str
    user_id: int
    format: ExportFormat
    file_path: str
    rows: int
    """Activities in it."""
    created: datetime
    expires: datetime


class ExportProgress(TypedDict):
    """How far an export is."""

    current: int
    total: int
    percent: int
    message: str
