"""A user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

__all__ = ["User", "UserName"]

UserName = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["Ada Lovelace"])]
"""What somebody is called: one line, and perhaps nothing."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who uses the service.

    Attributes:
        id: given by the database.
        email: in small letters: nobody has two accounts that differ in those.
        name: what they are called, or nothing.
        created: when they came, UTC.
    """

    id: int
    email: str
    name: str
    created: datetime
