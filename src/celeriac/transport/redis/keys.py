"""The names under which the transport keeps its books on Redis. Queues are kombu's own lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["SEPARATOR", "WAITS", "Keys", "queue_of"]

SEPARATOR: Final = "\x06\x16"
"""What kombu puts between a queue's name and the step of a priority."""
WAITS: Final = "celeriac-waits"
"""The header of a message that may be woken before it is due: ``<moment>|<name>``, a name of this message alone."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Every key that is ours, behind kombu's ``global_keyprefix``."""

    prefix: str = ""

    @property
    def leases(self) -> str:
        """Sorted set: owner to the end of its lease, ms of the server's clock."""
        return f"{self.prefix}celeriac.leases"

    @property
    def in_flight(self) -> str:
        """What the key of an owner begins with: a hash of token to ``<length of list key>:<list key><raw message>``."""
        return f"{self.prefix}celeriac.inflight:"

    @property
    def deliveries(self) -> str:
        """Hash: SHA-1 of a raw message to how often it was delivered and not settled. Empty in normal life."""
        return f"{self.prefix}celeriac.deliveries"

    @property
    def delayed(self) -> str:
        """Sorted set: id of a parked message to the ms at which it is due."""
        return f"{self.prefix}celeriac.delayed"

    @property
    def parked(self) -> str:
        """Hash: id of a parked message to the same value as in flight."""
        return f"{self.prefix}celeriac.delayed.messages"

    @property
    def woken(self) -> str:
        """What the key of a note begins with: that a message was woken, by its name."""
        return f"{self.prefix}celeriac.woken:"

    @property
    def dead(self) -> str:
        """Sorted set: id of a dead letter to the ms at which it died."""
        return f"{self.prefix}celeriac.dead"

    @property
    def dead_letter(self) -> str:
        """What the key of a dead letter begins with: a hash of its fields."""
        return f"{self.prefix}celeriac.dead:"


def queue_of(list_key: str, prefix: str = "") -> str:
    """The queue that a list belongs to."""
    return list_key.removeprefix(prefix).rsplit(SEPARATOR, 1)[0]
