"""Acknowledgements on their way to RabbitMQ: each waits for its task's result to be stored, and for company."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from amqp.exceptions import AMQPError, RecoverableConnectionError

from celeriac.transport.results import writer as results

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Settler"]

logger = logging.getLogger(__name__)

HELD: Final = 0.004
"""Seconds that an acknowledgement waits for others to travel with."""
_AGAIN: Final = 0.05
"""Seconds between two looks while the server of results is away."""
_STORE_TIMEOUT: Final = 5.0
"""Seconds that it may take before it counts as away; from then on nobody waits for it here."""
_TO_FINISH: Final = 5.0
_UNLIMITED: Final = 64
"""Where the server hands out any number of messages, half so many acknowledgements make a batch."""


class Settler:
    """What one channel has in hand. Any thread may acknowledge.

    A message is acknowledged once the results module says that everything is stored that this process had handed over
    when the message was done with. While the server of results is away, acknowledgements wait; the prefetch limit keeps
    them few, and RabbitMQ keeps their messages.

    Args:
        send: acknowledges a delivery tag, or with ``True`` all up to it.
        more: whether the server has sent something that was not read yet.
    """

    def __init__(self, send: Callable[[int, bool], object], more: Callable[[], bool]) -> None:
        self.window = 0
        """Messages that the server hands out before it wants acknowledgements, 0 for any number."""
        self.singly = False
        """Whether others consume on the same channel, whose messages must not be acknowledged along with ours."""
        self._send = send
        self._more = more
        self._open: dict[int, bool] = {}  # ascending; True: may be acknowledged now
        self._done: deque[tuple[int, int]] = deque()
        self._lock = threading.Lock()
        self._sending = threading.RLock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False

    def hold(self, tag: int) -> None:
        """A message has arrived."""
        with self._lock:
            self._open[tag] = False

    def release(self, tag: int) -> None:
        """A message was settled in another way; to be called after the server was told.

        Before it was, an acknowledgement of a later one might include it.
        """
        with self._lock:
            self._open.pop(tag, None)

    @property
    def pending(self) -> bool:
        """Whether something is done with and not acknowledged."""
        return bool(self._done)

    def acknowledge(self, tag: int) -> None:
        """A message is done with.

        Raises:
            amqp.exceptions.RecoverableConnectionError: it came over a connection that is gone.
        """
        if self._closed:
            msg = "the connection that the message came over is gone"
            raise RecoverableConnectionError(msg)
        self._done.append((results.position(), tag))
        waiting = len(self._done)
        if 2 * waiting >= (self.window or _UNLIMITED) or (waiting >= len(self._open) and not self._more()):
            self.flush(patient=False)  # the server is waiting for these, or nothing is coming that they could wait for
        if self._done:
            self._nudge()

    def flush(self, *, patient: bool = True) -> None:
        """Store results, then send the acknowledgements that they allow.

        Args:
            patient: whether to wait for another thread that does the same.

        Raises:
            OSError: or another of the connection's errors: RabbitMQ is out of reach, and has the messages again.
        """
        if not self._done or not self._sending.acquire(blocking=patient):
            return
        try:
            if not (ripe := self._ripe()):
                return
            last, together, singles = self._sorted(ripe)
            if together:
                self._send(last, together > 1)
            for tag in singles:
                self._send(tag, False)  # noqa: FBT003  amqp's way to say it
        finally:
            self._sending.release()

    def finish(self, timeout: float = _TO_FINISH) -> None:
        """Settle all that is done; what cannot be stored in time will run again."""
        deadline = time.monotonic() + timeout
        try:
            self.flush()
            while self._done and not self._closed and time.monotonic() < deadline:
                time.sleep(HELD)
                self.flush()
        except (OSError, AMQPError) as error:
            logger.warning("%d tasks could not be acknowledged, and will run again: %s", len(self._done) or 1, error)

    def close(self) -> None:
        """The connection is gone: the server gives all that is open to others."""
        self._closed = True
        self._wake.set()

    def _ripe(self) -> list[int]:
        """Take out what may be acknowledged: its result is stored."""
        done = self._done
        durable = results.durable()
        try:
            newest, _ = done[-1]
        except IndexError:  # another thread was first
            return []
        if newest > durable:
            durable = results.flush(_STORE_TIMEOUT)
        ripe: list[int] = []
        while done and done[0][0] <= durable:
            ripe.append(done.popleft()[1])
        return ripe

    def _sorted(self, ripe: list[int]) -> tuple[int, int, list[int]]:
        """The last of those that can be acknowledged together, how many they are, and the tags of the others."""
        with self._lock:
            still = [tag for tag in ripe if tag in self._open]
            if self.singly:
                for tag in still:
                    del self._open[tag]
                return 0, 0, still
            for tag in still:
                self._open[tag] = True
            first: list[int] = []
            for tag, may in self._open.items():
                if not may:
                    break
                first.append(tag)
            for tag in first:
                del self._open[tag]
            others = [tag for tag in still if self._open.pop(tag, None)]
        return (first[-1] if first else 0), len(first), others

    def _nudge(self) -> None:
        if not self._wake.is_set():
            self._wake.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="celeriac-amqp-settler", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            time.sleep(HELD)
            try:
                self.flush()
            except (OSError, AMQPError) as error:  # whoever reads from the connection finds out by itself
                logger.debug("acknowledgements could not be sent: %s", error)
            if self._done:
                time.sleep(_AGAIN)  # their results could not be stored yet
                self._wake.set()
