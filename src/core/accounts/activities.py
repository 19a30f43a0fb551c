"""What users did, written down for their exports and for reports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import JsonValue

from core.accounts.errors import UnfitDetailsError
from core.accounts.ports import Activities, Deed
from core.transactions import AsyncUnitOfWork

__all__ = ["ActivityService"]

_LONGEST: Final = 16 << 10
"""Bytes of JSON that the details of one activity may have. Exports hold thousands of them at a time."""


class ActivityService:
    """Notes what users did.

    Args:
        unit: the transaction that they are noted in.
        activities: where they are kept.
    """

    def __init__(self, unit: AsyncUnitOfWork, activities: Activities) -> None:
        self._unit = unit
        self._activities = activities

    async def record(self, user_id: int, deeds: Iterable[Deed]) -> None:
        """Note what a user did just now, all of it or none.

        Raises:
            UnfitDetailsError: the details of one are no JSON, as with a NaN, or have more than 16 KiB of it.
            UnknownUserError: there is no such user.
            DatabaseUnavailableError: the database is away.
        """
        noted = list(deeds)
        for kind, details in noted:
            _check(kind, details)
        async with self._unit:
            await self._activities.add(user_id, noted)


def _check(kind: str, details: Mapping[str, JsonValue]) -> None:
    try:
        size = len(json.dumps(dict(details), allow_nan=False, ensure_ascii=False).encode())
    except (ValueError, RecursionError) as error:  # among them half a pair of surrogates, which no file takes
        raise UnfitDetailsError.of(kind, f"they are no JSON ({error})") from error
    if size > _LONGEST:
        raise UnfitDetailsError.of(kind, f"they have {size:,} bytes of JSON, and {_LONGEST:,} are the most")
