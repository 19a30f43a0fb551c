"""A message that is sent if its place is free: one step on a server that keeps both places and messages."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)

from celeriac.exceptions import BrokerFull
from celeriac.transport.holds.scripts import HOLD
from celeriac.transport.link import packed
from celeriac.transport.publishing.budget import time_left
from celeriac.transport.publishing.sender import FIRST_SHARE, Attempt, pauses_of

if TYPE_CHECKING:
    from celeriac.transport.holds.hold import Answer, Hold
    from celeriac.transport.holds.holds import Holds
    from celeriac.transport.publishing.letter import Letter
    from celeriac.transport.publishing.sender import Sender
    from celeriac.transport.stream import HistoryStream

__all__ = ["HeldSender"]

_PASSING = (BusyLoadingError, ReadOnlyError)


class HeldSender:
    """Sends letters that need a place. The step knows by the id what it did before, so it is repeated without harm.

    Args:
        sender: whose connections, breaker and budget count.
        holds: the places, on the same server.
        stream: what the history hears goes there; ``None`` where none is kept.
    """

    def __init__(self, sender: Sender, holds: Holds, stream: HistoryStream | None) -> None:
        self._sender = sender
        self._holds = holds
        self._stream = stream

    def send(self, letter: Letter, hold: Hold, *, insist: bool = False) -> Answer:
        """Append a message to its list, unless another has its place.

        Args:
            letter: the message; its event is no command yet.
            hold: the place.
            insist: take the delay as it is.

        Raises:
            BrokerUnavailable: it was not taken in time; says whether it may have arrived.
            BrokerFull: there is no memory left for it.
        """
        started = time.monotonic()
        sender = self._sender
        left = time_left(sender.budget)
        sender.enter(letter.task, left)
        stream, event = self._stream, None
        if stream is not None and letter.event is not None:
            event = (stream.key, stream.most, letter.event)
        asked = self._holds.asking(hold, insist=insist, message=(letter.key, letter.payload), event=event)
        link = sender.borrow()
        try:
            reply = self._insist(link, Attempt(letter, started=started, deadline=started + left), asked)
        finally:
            sender.give_back(link)
        return self._holds.read(reply)

    def _insist(self, link: Any, attempt: Attempt, asked: tuple[Any, Any]) -> Any:
        sender, pauses, uncertain = self._sender, pauses_of(attempt.letter.policy), False
        while True:
            try:
                reply = self._once(link, attempt, asked)
            except (AuthenticationError, AuthorizationError) as error:  # no later try will know the password
                raise attempt.error(sender.address, error, uncertain=uncertain) from error
            except RedisError as error:
                uncertain = uncertain or link.uncertain
                broken: Exception = error
            else:
                if not isinstance(reply, Exception):
                    sender.breaker.succeeded()
                    return reply
                broken = reply
                if not isinstance(reply, _PASSING):
                    sender.breaker.succeeded()  # it answers
                    if _is_full(reply):
                        raise attempt.error(sender.address, reply, uncertain=uncertain, kind=BrokerFull) from reply
                    raise attempt.error(sender.address, reply, uncertain=uncertain) from reply
            pause = next(pauses, None)
            if pause is None or attempt.left <= pause:
                sender.breaker.failed(str(broken))
                raise attempt.error(sender.address, broken, uncertain=uncertain) from broken
            time.sleep(pause)

    def _once(self, link: Any, attempt: Attempt, asked: tuple[Any, Any]) -> Any:
        sender = self._sender
        if not link.alive():
            link.close()
            link.open(attempt.left)
        share = min(sender.budget * FIRST_SHARE, attempt.left)
        commands = [*sender.declaring(attempt.letter.binding), packed(HOLD.named(*asked))]
        reply = link.send_packed(b"".join(commands), len(commands), share)[-1]
        if isinstance(reply, NoScriptError):
            (reply,) = link.send_packed(packed(HOLD.whole(*asked)), 1, share)
        return reply


def _is_full(reply: Exception) -> bool:
    """Whether the server has no memory for it; a script passes on what its commands were answered."""
    return isinstance(reply, OutOfMemoryError) or "OOM " in str(reply)
