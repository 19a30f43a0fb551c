"""A worker's signs of life: that its loop turns, and that what is sent to it arrives."""

from __future__ import annotations

import logging
import os
import threading
import time
from functools import partial
from typing import Any, Final, cast

from celery import bootsteps
from celery.worker import state
from celery.worker.consumer.control import Control
from celery.worker.control import Panel

from celeriac.probe import Sign

__all__ = ["GivesSigns"]

logger = logging.getLogger(__name__)

TURN: Final = 2.0
"""Seconds between two turns of the loop that are noted."""
EVERY: Final = 5.0
"""Seconds between two signs."""
PATIENCE: Final = 60.0
"""Seconds that the loop may take for one turn."""
SENTINEL_EVERY: Final = 20.0
"""Seconds between two messages of a worker to itself."""
_COMMAND: Final = "celeriac_sentinel"


class _Signs:
    """The signs of the worker of this process."""

    def __init__(self) -> None:
        self.turned = 0.0
        self.consumed = 0.0


_signs = _Signs()


def _sentinel(_: Any, **__: Any) -> None:
    """A message of a worker to itself arrived."""
    _signs.consumed = time.time()


class GivesSigns(bootsteps.StartStopStep):
    """Notes in the consumer's loop that it turns; a thread writes the file and sends the sentinel.

    So neither a file system nor a broker that hangs stops the loop, and a loop that hangs is noticed.
    """

    requires = (Control,)
    label = "Signs"

    def __init__(self, c: Any, **kwargs: Any) -> None:
        self._timer: Any = None
        self._over: threading.Event | None = None
        super().__init__(c, **kwargs)
        panel = cast("dict[str, Any]", Panel.data)
        panel.setdefault(_COMMAND, _sentinel)

    def start(self, parent: Any) -> None:
        """Begin."""
        _signs.turned = time.time()
        self._timer = parent.timer.call_repeatedly(TURN, self._turn)
        if self._over is None:
            self._over = threading.Event()
            sign = Sign("worker", str(parent.hostname), os.getpid())
            in_loop = type(parent.pool).__module__.endswith("solo")
            giving = partial(_give, parent.app, sign, self._over, in_loop=in_loop)
            threading.Thread(target=giving, name="celeriac-signs", daemon=True).start()

    def stop(self, parent: Any) -> None:
        """The connection was lost: the loop turns again once there is another, or the worker ends."""
        del parent
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def shutdown(self, parent: Any) -> None:
        """The worker ends."""
        del parent
        if self._over is not None:
            self._over.set()

    def _turn(self) -> None:
        _signs.turned = time.time()


def _give(app: Any, sign: Sign, over: threading.Event, *, in_loop: bool) -> None:
    sent = 0.0
    complained = False
    while not over.is_set():
        now = time.time()
        if not app.conf.worker_enable_remote_control:  # nobody listens to it
            sent, _signs.consumed = now, _signs.turned
        # The first may be sent before anybody listens.
        if now - sent >= (SENTINEL_EVERY if _signs.consumed else EVERY):
            sent = now
            try:
                app.control.broadcast(_COMMAND, destination=[sign.name])
            except Exception as error:  # noqa: BLE001  whatever the broker's library calls it
                logger.debug("no sentinel was sent: %s", error)
        if in_loop and state.active_requests:  # the loop stands still while a task runs, as it should
            _signs.turned = _signs.consumed = now
        sign.until = _signs.turned + PATIENCE
        sign.ready_until = _signs.consumed + 2 * SENTINEL_EVERY + PATIENCE / 2
        try:
            sign.write()
        except OSError as error:
            if not complained:
                logger.warning("signs of life cannot be written, and probes will fail: %s", error)
            complained = True
        over.wait(EVERY)
    sign.remove()
