"""What the container knows about one service."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Lifetime", "Registration", "name_of"]


class Lifetime(Enum):
    """How long the container keeps what it built."""

    TRANSIENT = "transient"
    """Not at all: each resolve builds a new one, and whoever asked for it owns it."""

    SCOPED = "scoped"
    """Until the scope ends, which is the end of the task."""

    SINGLETON = "singleton"
    """Until the container is closed."""


@dataclass(frozen=True, slots=True)
class Registration:
    """One service and how to come by it.

    ``given`` says that ``factory`` returns an object which somebody else made: it cannot be made again, so it is kept
    over a fork, and it is closed only if ``close`` says how.
    """

    service: Any
    factory: Callable[..., Any]
    lifetime: Lifetime
    close: Callable[[Any], object] | None = None
    fork_safe: bool = False
    given: bool = False

    @property
    def singleton(self) -> bool:
        """Whether one object serves the whole process."""
        return self.lifetime is Lifetime.SINGLETON

    @property
    def survives_fork(self) -> bool:
        """Whether both sides of a fork use the same object."""
        return self.fork_safe or self.given


def name_of(service: object) -> str:
    """The name that errors show for a service: ``MailService``, ``list[int]``, ``Session | None``."""
    return service.__qualname__ if isinstance(service, type) and type(service) is not type(list[int]) else str(service)
