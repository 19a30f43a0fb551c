"""Waking tasks that wait on the broker for their turn."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from celeriac.transport.link import Script
from celeriac.transport.redis.keys import Keys
from celeriac.transport.redis.scripts import WAKE, without_flags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celeriac.flow.shelf import Shelf

__all__ = ["wake"]

logger = logging.getLogger(__name__)

_WAKE: Final = Script(without_flags(WAKE))  # lets pass what a full server would refuse
_NOTED: Final = 300
"""Seconds for which it is noted that somebody was woken: until then the message is delivered before its time."""


def wake(shelf: Shelf, waiters: Sequence[str]) -> None:
    """Have their messages delivered now. Where the broker cannot be reached, they come by themselves, later."""
    server = shelf.broker
    if server is None or not waiters:
        return
    keys = Keys(server.prefix)
    try:
        server.run(_WAKE, [keys.delayed, keys.parked, keys.woken], [_NOTED, *waiters])
    except RedisError as error:
        logger.warning("%d tasks whose turn has come were not woken: %s", len(waiters), error)
