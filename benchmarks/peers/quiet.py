"""Logging from WARNING on, for a command that takes a table."""

from __future__ import annotations

from typing import Any

__all__ = ["LOGGING"]

LOGGING: dict[str, Any] = {"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING"}}
