"""Many messages of one task, many in one command, the next on its way while the former's answer is."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import OutOfMemoryError, RedisError

from celeriac.exceptions import BrokerFull, BrokerUnavailable
from celeriac.transport.publishing.ids import fresh_id
from celeriac.transport.publishing.sender import pauses_of
from celeriac.transport.stream import in_portions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celeriac.transport.publishing.batch import BulkMessage, Outcome
    from celeriac.transport.publishing.sender import Sender
    from celeriac.transport.publishing.template import Lineage, Template

__all__ = ["RedisBulk"]

_LARGEST: Final = 4 << 20
"""Bytes after which a command is sent, however few messages it has."""
_UNDER_WAY: Final = 2
"""Commands that may wait for their answers."""


class RedisBulk:
    """Writes messages to one list over one connection. To be closed.

    Args:
        sender: whose connections, breaker and budget count.
        task: what errors call it.
        template: the message.
        make: gives it anew; asked for each batch where it names a moment.
        reply_to: the sender's own id.
        lineage: of calls made inside a task.
        outcome: told what became of what.
        promise: gives Celery's result object for an id.
    """

    def __init__(
        self,
        sender: Sender,
        task: str,
        template: Template,
        make: Callable[[], Template],
        *,
        reply_to: str,
        lineage: Lineage | None,
        outcome: Outcome,
        promise: Callable[[str], Any],
    ) -> None:
        self._promise = promise
        self._closed = False
        self._sender = sender
        self._task = task
        self._make = make
        self._template = template
        self._reply_to = reply_to
        self._lineage = lineage
        self._outcome = outcome
        self._link = sender.borrow()
        self._waiting: deque[tuple[int, int, int, int]] = deque()
        self._bare = self._bare_call = ""

    def write(self, messages: Sequence[BulkMessage], start: int, stop: int) -> None:
        """Send a batch; the answer may still be under way when this returns.

        Args:
            messages: in the order of their positions.
            start: the first position that this batch speaks for.
            stop: the one after its last.

        Raises:
            BrokerUnavailable: it, or one before it, was not taken; the outcome was told what is known.
        """
        if self._template.timed:
            self._template, self._bare = self._make(), ""
        signed = self._template.signed
        if not self._bare and not signed:
            self._bare = _line(self._template.bare(self._reply_to, self._lineage))
            self._bare_call = self._template.bare_call(self._lineage)
        prefix, bare = fresh_id()[:24], self._bare
        told, bare_call = self._template.told is not None, self._bare_call
        lines: list[bytes] = []
        calls: list[str] = []
        size = 0
        for position, task_id, args, kwargs, masked in messages:
            if args or kwargs or masked or signed:
                text, call = self._template.render_told(
                    task_id, args, kwargs, reply_to=self._reply_to, lineage=self._lineage, masked=masked
                )
                line = b"$%d\r\n%b\r\n" % (len(text), text)
            else:
                line = (bare % {"id": task_id, "tag": f"{prefix}{position & 0xFFFFFFFFFFFF:012x}"}).encode()
                call = bare_call % {"id": task_id} if told else ""
            lines.append(line)
            if told:
                calls.append(call)
            size += len(line)
            if size > _LARGEST:
                self._push(lines, calls, start, position + 1)
                lines, calls, size, start = [], [], 0, position + 1
        if lines:
            self._push(lines, calls, start, stop)

    def finish(self) -> None:
        """Wait for the answers that are still under way.

        Raises:
            BrokerUnavailable: as :meth:`write`.
        """
        while self._waiting:
            self._answer()

    def close(self) -> None:
        """Give the connection back. What has no answer by now is uncertain."""
        if self._waiting:
            self._link.close()
            self._give_up()
        if not self._closed:
            self._closed = True
            self._sender.give_back(self._link)

    def promise(self, task_id: str) -> Any:
        """Celery's result object of a task that was sent."""
        return self._promise(task_id)

    def _push(self, lines: list[bytes], calls: list[str], start: int, stop: int) -> None:
        sender, link, budget = self._sender, self._link, self._sender.budget
        sender.enter(self._task, budget)
        if not link.alive():
            self.finish()  # the server may have answered before it hung up
            self._connect()
        head = sender.declaring(self._template.binding)
        key = self._template.key.encode()
        command = b"*%d\r\n$5\r\nLPUSH\r\n$%d\r\n%b\r\n" % (len(lines) + 2, len(key), key)
        events = (self._template.event(",".join(some)) for some in in_portions(calls))
        tail = [event for event in events if event is not None]
        try:
            link.write(b"".join([*head, command, *lines, *tail]), budget)
        except RedisError as error:  # not all of it was written, so the server cannot carry it out
            self._give_up()
            raise self._failure(error) from error
        self._waiting.append((start, stop, len(head) + 1 + len(tail), len(head)))
        while len(self._waiting) >= _UNDER_WAY:
            self._answer()

    def _answer(self) -> None:
        start, stop, replies, place = self._waiting[0]
        try:
            answer = self._link.read(replies, self._sender.budget)[place]
        except RedisError as error:
            self._give_up()
            raise self._failure(error, uncertain=True) from error
        self._waiting.popleft()
        if isinstance(answer, Exception):
            self._drain()
            kind = BrokerFull if isinstance(answer, OutOfMemoryError) else BrokerUnavailable
            raise self._failure(answer, kind=kind, answered=True) from answer
        self._sender.breaker.succeeded()
        self._outcome.note_sent(start, stop)

    def _drain(self) -> None:
        """What comes after a batch that was refused may have been taken all the same."""
        while self._waiting:
            start, stop, replies, place = self._waiting.popleft()
            try:
                answer = self._link.read(replies, self._sender.budget)[place]
            except RedisError:
                self._outcome.note_unsure(start, stop)
            else:
                if not isinstance(answer, Exception):
                    self._outcome.note_sent(start, stop)

    def _give_up(self) -> None:
        while self._waiting:
            start, stop, _, _ = self._waiting.popleft()
            self._outcome.note_unsure(start, stop)

    def _connect(self) -> None:
        """Connect within the budget, trying as often as the policy says."""
        deadline = time.monotonic() + self._sender.budget
        pauses = pauses_of(self._template.policy)
        while True:
            self._link.close()
            try:
                self._link.open(max(deadline - time.monotonic(), 0.001))
            except RedisError as error:
                pause = next(pauses, None)
                if pause is None or time.monotonic() + pause >= deadline:
                    raise self._failure(error) from error
                time.sleep(pause)
            else:
                return

    def _failure(
        self,
        error: Exception,
        *,
        uncertain: bool = False,
        answered: bool = False,
        kind: type[BrokerUnavailable] = BrokerUnavailable,
    ) -> BrokerUnavailable:
        reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
        if not answered:
            self._sender.breaker.failed(reason)
        where, seconds = self._sender.address, self._sender.budget
        return kind(task=self._task, broker=where, seconds=seconds, reason=reason, uncertain=uncertain)


def _line(bare: str) -> str:
    """A message without arguments as a part of a command; ids and tags are of one length, so that is known."""
    size = len((bare % {"id": fresh_id(), "tag": fresh_id()}).encode())
    return f"${size}\r\n{bare}\r\n"
