"""The child's loop over a channel that lends messages: claim, run, settle, all in one round trip a batch."""

from __future__ import annotations

import logging
import select
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from celeriac.worker.lane.running import UNKNOWN, Settling

if TYPE_CHECKING:
    from celeriac.worker.lane.duty import Duty
    from celeriac.worker.lane.running import Runner

__all__ = ["BATCH", "Lane"]

logger = logging.getLogger("celery.worker.consumer")

BATCH: Final = 64
"""Most messages claimed at once."""
AHEAD: Final = 0.05
"""Seconds of work that a child claims at most: what it holds, no other can begin."""
WORTH_A_TRIP: Final = 400e-6
"""A task that usually lasts longer has its result and acknowledgement sent at once: a crash then repeats it alone."""
HELD: Final = 0.004
"""Seconds that an acknowledgement may wait for others."""
_STANDBY: Final = 0.002
_TO_FINISH: Final = 5.0
_PAUSE: Final = 1.0
"""Seconds without messages after which the loop looks around."""


class Lane:
    """Takes messages from a leased channel and runs them.

    Args:
        channel: the channel; see ``celeriac.transport.redis.channel``.
        runner: runs messages.
        duty: says when to end.
        prefetch: requests that may wait for a rate limit, 0 for any number.
    """

    def __init__(self, channel: Any, runner: Runner, duty: Duty, prefetch: int) -> None:
        self.channel = channel
        self.runner = runner
        self.duty = duty
        self.prefetch = prefetch or BATCH
        self.waiting: deque[Any] = deque()
        """Claimed and not begun. Other threads may take from its end."""
        self._limit = 1
        intake = channel.intake
        self._intake = intake
        self._journal: Any = getattr(runner.app.backend, "journal", None)
        runner.slot.owner = intake.owner
        runner.settling = Settling(channel.qos.ack, intake.try_flush, lambda message: channel.give_back([message]))

    def run(self) -> None:
        """Go on until the child has done its duty; gives back what it did not begin.

        Raises:
            redis.exceptions.RedisError: the server is out of reach or refuses; call again.
        """
        runner, duty, channel = self.runner, self.duty, self.channel
        desk = runner.desk
        while True:
            while duty.orders:
                duty.carry_out(runner.desk)
            if duty.done:
                return
            if runner.slot.hold and not self._intake.pending:
                select.select([duty], [], [], _STANDBY)  # another child's turn, or the parent has to look
                continue
            pause = desk.tick()
            room = min(self._limit, duty.left, runner.crew.room) if desk.waiting < self.prefetch else 0
            if room > 0:
                self.waiting.extend(channel.claim(room))
                if self._journal is not None:
                    self._journal.received = time.monotonic()
            else:
                channel.flush()
            if self.waiting:
                self._run_batch()
            elif room <= 0 or not self._intake.stale:
                self._wait(_PAUSE if pause is None else pause, claiming=room > 0)

    def give_back(self) -> int:
        """Let others have what is claimed and not begun. From any thread, while the main one runs a task."""
        back: list[Any] = []
        try:
            while True:
                back.append(self.waiting.pop())
        except IndexError:
            pass
        if back:
            self.channel.give_back(back)
            self.runner.slot.load(0, 0)
        return len(back)

    def finish(self) -> None:
        """Settle all that is done, results first; what cannot be stored in time will be run again."""
        deadline = time.monotonic() + _TO_FINISH
        while self._intake.pending and time.monotonic() < deadline:
            self.channel.flush()
            time.sleep(_STANDBY if self._intake.pending else 0)

    def _run_batch(self) -> None:
        runner, waiting, intake = self.runner, self.waiting, self._intake
        handle, expected, load = runner.handle, runner.expected, runner.slot.load
        monotonic = time.monotonic
        duty = self.duty
        begun, count = monotonic(), 0
        oldest = begun
        load(len(waiting), 0)
        while waiting and not duty.stopping:
            try:
                message = waiting.popleft()
            except IndexError:  # given back meanwhile
                break
            if intake.pending and (
                monotonic() - oldest > HELD or expected.get(message.headers.get("task"), UNKNOWN) > WORTH_A_TRIP
            ):
                try:
                    intake.flush()
                except BaseException:
                    waiting.appendleft(message)  # claimed and not begun: nobody else would ever look for it
                    raise
                load(len(waiting), 0)
                oldest = monotonic()
            handle(message)
            count += 1
        load(len(waiting), 0)
        if count:
            self._adapt((monotonic() - begun) / count)

    def _adapt(self, cost: float) -> None:
        """Claim as many next time as can begin soon, feeling the way up and dropping at once."""
        self._limit = max(1, min(int(AHEAD / cost) if cost > 0 else BATCH, self._limit * 2, BATCH))

    def _wait(self, timeout: float, *, claiming: bool) -> None:
        """Sleep until there may be a message, an order, or something due."""
        intake = self._intake
        watched: list[Any] = [self.duty]
        if claiming and intake.link.connected:
            intake.look()  # what the server said between its replies is read already: no socket would tell
            if intake.stale:
                return
            watched.append(intake.link)
        allowed = min(timeout, intake.patience()) if claiming else timeout
        readable, _, _ = select.select(watched, [], [], max(allowed, 0.0))
        if self.duty in readable:
            self.duty.drain()
        if claiming:
            intake.wait(0.001 if intake.link in readable else 0.0)
