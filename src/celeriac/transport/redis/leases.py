"""The thread that keeps a worker's leases alive however busy its tasks are, and takes over from workers that died."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from celeriac.transport.redis.broker import RedisBroker

if TYPE_CHECKING:
    from celeriac.transport.link import Link

__all__ = ["RENEWALS", "SWEEP_EVERY", "Holder", "LeaseKeeper"]

logger = logging.getLogger(__name__)

RENEWALS: Final = 6
"""Times that a lease is renewed before it would end."""
SWEEP_EVERY: Final = 2.0
"""Seconds between two looks for leases that have ended."""
_chance: Final = random.Random()  # noqa: S311  no secret, and not the one whose state others may have set
_HELD_AT_MOST: Final = 0.004
"""Seconds that an acknowledgement waits for others to travel with."""


class Holder(Protocol):
    """Whose lease it is. See :class:`celeriac.transport.redis.intake.Intake`."""

    owner: str
    broker: RedisBroker
    held: dict[str, str]
    users: int

    @property
    def pending(self) -> bool:
        """Whether something waits to be settled, or to go back."""
        ...

    def return_pending(self, broker: RedisBroker) -> None:
        """Send back what could not go while the server was away."""
        ...

    def flush(self, broker: RedisBroker | None = None) -> int:
        """Settle what is done."""
        ...

    def retire(self) -> bool:
        """End the lease if nothing needs it any more."""
        ...


class LeaseKeeper:
    """A daemon thread with a connection of its own.

    It renews the lease of its intake's owner, and of others that are named to it; returns what expired owners held; and
    sends acknowledgements that the consuming thread is too busy to send.
    """

    def __init__(self, intake: Holder, link: Link) -> None:
        self.also: set[str] = set()
        """Further owners to renew: the processes of a pool."""
        self._intake = intake
        self._broker = RedisBroker(link, intake.broker.keys.prefix, intake.broker.lease)
        self._wake = threading.Event()
        self._stopped = False
        self._end: float | None = None
        self._thread: threading.Thread | None = None
        self._complained = 0.0

    @property
    def stopped(self) -> bool:
        """Whether it was told to end; it does not start again."""
        return self._stopped

    def start(self) -> None:
        """Run, unless running."""
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._run, name="celeriac-leases", daemon=True)
            self._thread.start()

    def nudge(self) -> None:
        """There is something to settle soon."""
        if not self._wake.is_set():
            self._wake.set()

    def end_with_the_lease(self) -> None:
        """Go on with what could not be settled as long as it is ours, unless somebody claims again until then."""
        self._end = time.monotonic() + self._broker.lease

    def stop(self) -> None:
        """End the thread; it closes its connection."""
        self._stopped = True
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=2)

    def _run(self) -> None:
        pid = os.getpid()
        every = self._broker.lease / RENEWALS
        renew_at = time.monotonic() + every
        sweep_at = time.monotonic()
        while not self._stopped and os.getpid() == pid and not self._is_over():
            nudged = self._wake.wait(max(min(renew_at, sweep_at) - time.monotonic(), 0.0))
            if self._stopped:
                break
            try:
                if nudged:
                    self._wake.clear()
                    time.sleep(_HELD_AT_MOST)
                    self._settle()
                if (now := time.monotonic()) >= renew_at:
                    renew_at = now + every
                    self._renew()
                if now >= sweep_at:
                    sweep_at = now + min(SWEEP_EVERY, self._broker.lease) * _chance.uniform(0.8, 1.2)
                    self._sweep()
            except (RedisConnectionError, RedisTimeoutError) as error:
                self._complain(error)
                renew_at = sweep_at = time.monotonic() + 0.2
                time.sleep(0.1)
                self._wake.set()  # what could not be settled is tried again
            except RedisError as error:
                self._complain(error)
                time.sleep(0.1)
        self._stopped = True
        self._broker.link.close()

    def _is_over(self) -> bool:
        return self._end is not None and not self._intake.users and time.monotonic() > self._end

    def _settle(self) -> None:
        intake = self._intake
        if intake.pending:  # else the consuming thread was quicker, and need not wait for our lock
            intake.return_pending(self._broker)
            intake.flush(self._broker)
        if intake.pending:
            # Their results could not be stored yet.
            time.sleep(0.05)
            self._wake.set()
        elif not intake.users and intake.retire():
            self._stopped = True

    def _renew(self) -> None:
        owners = [self._intake.owner, *self.also]
        lost = set(self._broker.renew(owners))
        if self._intake.owner in lost and self._intake.held:
            logger.warning(
                "the lease of %s ended while it held %d messages: others may run them too",
                self._intake.owner,
                len(self._intake.held),
            )

    def _sweep(self) -> None:
        for owner, messages in self._broker.sweep().items():
            if messages:
                logger.warning("%d messages of %s went back to their queues: its lease ended", messages, owner)

    def _complain(self, error: Exception) -> None:
        """Once in a while: a server that is away is away for many renewals."""
        if (now := time.monotonic()) - self._complained > 10:  # noqa: PLR2004  seconds
            self._complained = now
            logger.warning("leases could not be renewed: %s", error)
