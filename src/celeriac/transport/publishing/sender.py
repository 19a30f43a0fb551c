"""Sending rendered messages to Redis: within a budget, and with a true answer."""

from __future__ import annotations

import logging
import time
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)

from celeriac.exceptions import BrokerFull, BrokerUnavailable
from celeriac.transport.link import Link, packed
from celeriac.transport.publishing.budget import time_left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from celeriac.transport.connector import Connector
    from celeriac.transport.publishing.breaker import Breaker
    from celeriac.transport.publishing.letter import Letter
    from celeriac.transport.publishing.message import Binding

__all__ = ["FIRST_SHARE", "Attempt", "Sender", "pauses_of"]

logger = logging.getLogger(__name__)

ADMITTED_FOR: Final = 1.0
"""Seconds between two looks at whether the broker may take more."""
REDECLARED_AFTER: Final = 30.0
"""Seconds after which a queue's binding is noted again: somebody may have emptied the server, FLUSHDB and all."""
FIRST_SHARE: Final = 0.5
"""The part of the budget after which a connection that does not answer counts as dead, and another is tried."""
_LOOK_BACK: Final = 10_000
"""How many of a queue's newest messages are looked through for one whose answer was lost."""

_INTERVALS: Final = (("start", 0), ("step", 0.2), ("max", 1))
_PASSING: Final = (BusyLoadingError, ReadOnlyError)
"""What a server answers while it starts, or is no master any more: later, or elsewhere, it will be another answer."""


class Sender:
    """Sends to one Redis server for one app. Any number of threads may use it, and forked children.

    A message whose connection broke before all of it was written has certainly not arrived, and is sent again as the
    app's retry policy says. One whose answer was lost is looked for in its queue first, and sent again, as the same
    message with the same id, only where it is not there: a task may then be there twice, and is never lost.

    Args:
        connect: gives connections.
        breaker: refuses calls while the server is out of reach.
        budget: seconds that a publish may take, connecting and trying again included.
        idle: connections that are kept for later.
    """

    def __init__(self, connect: Connector, breaker: Breaker, *, budget: float, idle: int = 10) -> None:
        self.address = connect.address
        self.whereto = connect.whereto
        self.breaker = breaker
        self.budget = budget
        self.admission: Callable[[], None] | None = None
        """Called before a publish, at most once a second; raises :class:`BrokerFull` when there is no room for more."""
        self._connect = connect
        self._room = idle
        self._idle: list[Link] = []
        self._declared: dict[str, float] = {}
        self._admitted = 0.0

    def send(self, letter: Letter) -> None:
        """Append one message to its list.

        Raises:
            BrokerUnavailable: it was not taken in time; says whether it may have arrived.
            BrokerFull: there is no memory left for it.
        """
        started = time.monotonic()
        left = time_left(self.budget)
        self.enter(letter.task, left)
        link = self.borrow()
        broken: RedisError | None = None
        try:
            if not self.due(letter.binding) and link.alive():
                # Nearly every call: one write, one read, and nothing to decide.
                command, event = packed(("LPUSH", letter.key, letter.payload)), letter.event
                try:
                    share = min(self.budget * FIRST_SHARE, left)
                    if event is None:
                        (reply,) = link.send_packed(command, 1, share)
                    else:
                        reply, _ = link.send_packed(command + event, 2, share)
                except RedisError as error:
                    broken = error
                else:
                    if not isinstance(reply, Exception):
                        self.breaker.succeeded()
                        return
            attempt = Attempt(letter, started=started, deadline=started + left)
            self.insist(link, attempt, broken, uncertain=broken is not None and link.uncertain)
        finally:
            self.give_back(link)

    # -- the connections

    def borrow(self) -> Link:
        """A connection for the calling thread alone; perhaps not open yet."""
        try:
            return self._idle.pop()
        except IndexError:
            return Link(self._connect, timeout=self.budget, on_connect=self._new)

    def give_back(self, link: Link) -> None:
        """Let others use it."""
        if len(self._idle) < self._room:
            self._idle.append(link)
        else:
            link.close()

    def close(self) -> None:
        """Close what nobody uses now. The next publish opens what it needs."""
        while self._idle:
            self._idle.pop().close()

    def _new(self, _link: Link) -> None:
        self._declared.clear()  # this may be another server, or the same one without its data

    # -- what else a publish may be about

    def enter(self, task: str, left: float) -> None:
        """Let a publish begin that has so many seconds left.

        Raises:
            BrokerUnavailable: there is no time, or the broker is known to be out of reach.
            BrokerFull: it may not take more; asked once a second.
        """
        if left <= 0 or not self.breaker.closed:
            reason = "no time was left when its turn came" if left <= 0 else self.breaker.refusal()
            if reason is not None:
                raise BrokerUnavailable(task=task, broker=self.address, seconds=0.0, reason=reason, uncertain=False)
        if self.admission is not None and (now := time.monotonic()) - self._admitted >= ADMITTED_FOR:
            self.admission()
            self._admitted = now

    def declaring(self, binding: Binding) -> list[bytes]:
        """The commands that note a queue's binding, where that is due."""
        if not self.due(binding):
            return []
        self._declared[binding.queue] = time.monotonic()
        return [packed(command) for command in binding.commands]

    def due(self, binding: Binding) -> bool:
        """Whether a queue's binding has to be noted again."""
        at = self._declared.get(binding.queue)
        return at is None or time.monotonic() - at > REDECLARED_AFTER

    # -- when it is not as easy

    def insist(
        self,
        link: Link,
        attempt: Attempt,
        broken: RedisError | None = None,
        *,
        uncertain: bool = False,
        once: Callable[[bool], Any] | None = None,
    ) -> Any:
        """Try as often as the message's policy and the budget allow; gives the server's reply.

        Args:
            link: over which to try.
            attempt: the message.
            broken: why a first try failed, if there was one.
            uncertain: whether that try may have brought the message there.
            once: makes one try, told whether one before may have arrived; without it, one appends to the list.

        Raises:
            BrokerUnavailable: it was not taken in time.
            BrokerFull: there is no memory left for it.
        """
        pauses = pauses_of(attempt.letter.policy)
        while True:
            if broken is not None:
                pause = next(pauses, None)
                if pause is None or attempt.left <= pause:
                    break
                time.sleep(pause)
            try:
                if not link.alive():
                    link.close()
                    link.open(attempt.left)
                reply = self._once(link, attempt, uncertain=uncertain) if once is None else once(uncertain)
            except (AuthenticationError, AuthorizationError) as error:  # no later try will know the password
                raise attempt.error(self.address, error, uncertain=uncertain) from error
            except RedisError as error:
                uncertain = uncertain or link.uncertain
                broken = error
                continue
            if isinstance(reply, _PASSING):
                broken = reply
                continue
            self.breaker.succeeded()  # it answers
            if isinstance(reply, Exception):
                kind = BrokerFull if _is_full(reply) else BrokerUnavailable
                raise attempt.error(self.address, reply, uncertain=uncertain, kind=kind) from reply
            return reply
        self.breaker.failed(_line(broken))
        raise attempt.error(self.address, broken, uncertain=uncertain) from broken

    def _once(self, link: Link, attempt: Attempt, *, uncertain: bool) -> Any:
        letter = attempt.letter
        if uncertain:
            looked = packed(("LPOS", letter.key, letter.payload, "MAXLEN", _LOOK_BACK))
            (found,) = link.send_packed(looked, 1, attempt.left)
            if isinstance(found, int):
                return found
            logger.warning("the broker's answer to a message of %s was lost; the message is sent again", letter.task)
        commands = [*self.declaring(letter.binding), packed(("LPUSH", letter.key, letter.payload))]
        place = len(commands) - 1
        if letter.event is not None:
            commands.append(letter.event)
        share = attempt.left if uncertain else min(self.budget * FIRST_SHARE, attempt.left)
        return link.send_packed(b"".join(commands), len(commands), share)[place]


class Attempt:
    """One message on its way.

    Args:
        letter: the message.
        started: when it was asked for, by the monotonic clock.
        deadline: when its caller must have an answer.
    """

    def __init__(self, letter: Letter, *, started: float, deadline: float) -> None:
        self.letter = letter
        self._started = started
        self._deadline = deadline

    @property
    def left(self) -> float:
        """Seconds until the caller must have an answer; a very short time where that moment is gone."""
        return max(self._deadline - time.monotonic(), 0.001)

    def error(
        self, address: str, cause: BaseException, *, uncertain: bool, kind: type[BrokerUnavailable] = BrokerUnavailable
    ) -> BrokerUnavailable:
        """What the caller is told."""
        seconds = time.monotonic() - self._started
        return kind(task=self.letter.task, broker=address, seconds=seconds, reason=_line(cause), uncertain=uncertain)


def pauses_of(policy: Mapping[str, Any] | None) -> Iterator[float]:
    """Seconds before each further try, as kombu counts them."""
    if policy is None:
        return iter(())
    most = policy.get("max_retries", 3)
    start, step, last = (policy.get(f"interval_{name}", usual) for name, usual in _INTERVALS)
    steps: Iterator[float] = (min(start + step * number, last) for number in count())
    return steps if most is None else islice(steps, most)


def _is_full(reply: Exception) -> bool:
    """Whether the server has no memory for it; a script passes on what its commands were answered."""
    return isinstance(reply, OutOfMemoryError) or "OOM " in str(reply)


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0]
