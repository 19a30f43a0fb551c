"""Is the service alive?"""

from __future__ import annotations

from typing import Literal

__all__ = ["HealthService"]


class HealthService:
    """Answers for the service."""

    def ping(self) -> Literal["pong"]:
        """The answer of a service that is alive."""
        return "pong"
