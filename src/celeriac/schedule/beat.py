"""Celery's beat, but for one variable that means two things, and with signs of life."""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from celery.apps.beat import Beat as CeleryBeat
from celery.beat import Service as CeleryService

from celeriac.probe import Sign

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Beat", "Service"]

logger = logging.getLogger(__name__)

_GRACE: Final = 30.0
"""Seconds that a look at the schedule may take, and be late."""


class Service(CeleryService):
    """Beat's loop, which says after each look at the schedule when it will look next: see :mod:`celeriac.probe`."""

    def get_scheduler(self, *args: Any, **kwargs: Any) -> Any:
        """Celery's scheduler, of whatever class."""
        make: Any = super().get_scheduler
        scheduler = make(*args, **kwargs)
        scheduler.tick = _telling(scheduler.tick, Sign("beat", socket.gethostname(), os.getpid()))
        return scheduler


def _telling(tick: Callable[..., Any], sign: Sign) -> Callable[..., Any]:
    complained = False

    def telling(*args: Any, **kwargs: Any) -> Any:
        nonlocal complained
        interval = tick(*args, **kwargs)
        sign.pid = os.getpid()
        sign.until = sign.ready_until = time.time() + max(float(interval or 0), 0) + _GRACE
        try:
            sign.write()
        except OSError as error:
            if not complained:
                logger.warning("signs of life cannot be written, and probes will fail: %s", error)
            complained = True
        return interval

    return telling


class Beat(CeleryBeat):
    """Beat that does not take the schedule for the name of its file.

    The ``celery beat`` command reads its option ``--schedule``, the file of last runs, from ``CELERY_BEAT_SCHEDULE``:
    the name under which the option ``beat_schedule`` is found in the environment, too.
    """

    Service = Service

    def __init__(self, *args: Any, **options: Any) -> None:
        if str(options.get("schedule")).lstrip().startswith("{"):
            del options["schedule"]
        super().__init__(*args, **options)
