"""What the children of a pool have in common."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ChildOptions"]


@dataclass(frozen=True, slots=True)
class ChildOptions:
    """What each child of a pool is told."""

    soft_timeout: float | None
    hard_timeout: float | None
    max_tasks: int | None
    max_memory: int | None
    """KiB of resident memory after which a child ends."""
    prefetch: int
    """Messages that may wait for a rate limit or their time, 0 for any number."""
    coroutines: int
    """Coroutines that run at once."""
    disable_rate_limits: bool
