"""How the tour talks."""

from __future__ import annotations

__all__ = ["PATIENCE", "show"]

PATIENCE = 60.0
"""Seconds that any step of the tour may take; the first one waits for the worker to be ready."""


def show(what: str, value: object) -> None:
    """One thing that was done, and what came of it."""
    print(f"   {what}\n   -> {value}")
