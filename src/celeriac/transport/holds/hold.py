"""What a call asks for, and what it is told. Apart from what asks, which takes redis-py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

__all__ = ["HEADER", "STEP", "Answer", "Hold", "HoldMode"]

HoldMode: TypeAlias = Literal["drop", "replace", "wait", "debounce"]

HEADER: Final = "celeriac-hold"
"""The message's header that names its place: a digest of its key, or :data:`STEP`."""
STEP: Final = "step"
"""What stands there for a step of a workflow: others wait for it, so it is never dropped."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What one call asks for."""

    name: str
    """Of the place: the task's, and the digest of its key."""
    task_id: str
    mode: HoldMode
    lifetime: float
    """Seconds."""
    delay: float = 0.0
    """Seconds until the message may run."""
    at_most: float = 0.0
    """Seconds after which a debounce window closes; 0 for never."""


class Answer(NamedTuple):
    """What became of it."""

    holder: str | None = None
    """Who has the place, where the call is to be dropped."""
    due: float | None = None
    """Seconds after which it has to run at the latest; nothing was held, and it is to be asked again."""
