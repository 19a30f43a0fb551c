"""The child's loop over brokers that push messages, such as RabbitMQ."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from celeriac.tasks.leaving import is_leaving
from celeriac.worker.lane.claiming import WORTH_A_TRIP
from celeriac.worker.lane.running import UNKNOWN, Settling

if TYPE_CHECKING:
    from celeriac.worker.lane.duty import Duty
    from celeriac.worker.lane.running import Runner

__all__ = ["Drain"]

_PAUSE: Final = 0.25
"""Seconds without messages after which the loop looks around."""
_MOST: Final = 64
_STANDBY: Final = 0.005


class Drain:
    """Takes what the broker pushed, up to the prefetch count, and runs it.

    Args:
        connection: of kombu's, connected.
        consumer: of the task queues.
        runner: runs messages.
        duty: says when to end.
        prefetch: messages that the broker pushes ahead, 0 for any number.
    """

    def __init__(self, connection: Any, consumer: Any, runner: Runner, duty: Duty, prefetch: int) -> None:
        self.connection = connection
        self.consumer = consumer
        self.runner = runner
        self.duty = duty
        self.waiting: deque[Any] = deque()
        self._heartbeat = connection.get_heartbeat_interval()
        self._beaten = time.monotonic()
        runner.records = True
        runner.slot.owner = ""
        self._settler = settler = getattr(consumer.channel, "settler", None)
        flush = _nothing if settler is None else settler.flush
        runner.settling = Settling(consumer.channel.basic_ack, flush, _give_back)
        self._ahead = max(prefetch, 1) if prefetch else _MOST
        consumer.qos(prefetch_count=self._ahead, apply_global=False)
        consumer.on_message = self.waiting.append
        self._consuming = False

    def run(self) -> None:
        """Go on until the child has done its duty.

        Raises:
            OSError: or another of kombu's connection errors: connect again.
        """
        runner, duty = self.runner, self.duty
        while True:
            while duty.orders:
                duty.carry_out(runner.desk)
            if duty.done:
                return
            if runner.slot.hold:
                time.sleep(_STANDBY)
                continue
            if not self._consuming:  # not earlier: what is handed to a child that stands by, no other can begin
                self._consuming = True
                self.consumer.consume()
            pause = runner.desk.tick()
            self._beat()
            if not self.waiting:
                try:
                    self.connection.drain_events(timeout=min(_PAUSE if pause is None else pause, _PAUSE) or 0.001)
                except TimeoutError:
                    continue
            self._run_waiting()

    def _run_waiting(self) -> None:
        runner, waiting, settler = self.runner, self.waiting, self._settler
        expected = runner.expected
        while waiting and not self.duty.done:
            try:
                message = waiting.popleft()
            except IndexError:
                break
            if settler is not None and settler.pending and expected.get(_task_of(message), UNKNOWN) > WORTH_A_TRIP:
                settler.flush()
            runner.handle(message)

    def give_back(self) -> int:
        """Let others have what is not begun; the end of the connection does the rest."""
        back = 0
        while self.waiting:
            self.waiting.pop().requeue()
            back += 1
        return back

    def finish(self) -> None:
        """Settle all that is done, results first; what cannot be stored in time will be run again."""
        if self._settler is not None:
            self._settler.finish()

    def _beat(self) -> None:
        if not self._heartbeat or time.monotonic() - self._beaten < self._heartbeat / 2:
            return
        self._beaten = time.monotonic()
        self.connection.heartbeat_check(rate=2)


def _nothing() -> None:
    """Each message is settled when its task is done."""


def _give_back(message: Any) -> None:
    if not is_leaving():  # else it goes back with the connection
        message.requeue()


def _task_of(message: Any) -> str:
    headers: dict[str, Any] = message.headers or {}
    return str(headers.get("task"))
