"""A message that is sent if its place is free: one step on a server that keeps both places and messages."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

from celeriac.transport.holds.scripts import HOLD
from celeriac.transport.link import packed
from celeriac.transport.publishing.budget import time_left
from celeriac.transport.publishing.sender import FIRST_SHARE, Attempt

if TYPE_CHECKING:
    from celeriac.transport.holds.hold import Answer, Hold
    from celeriac.transport.holds.holds import Holds
    from celeriac.transport.publishing.letter import Letter
    from celeriac.transport.publishing.sender import Sender
    from celeriac.transport.stream import HistoryStream

__all__ = ["HeldSender"]


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
            attempt = Attempt(letter, started=started, deadline=started + left)
            reply = sender.insist(link, attempt, once=lambda _: self._once(link, attempt, asked))
        finally:
            sender.give_back(link)
        return self._holds.read(reply)

    def _once(self, link: Any, attempt: Attempt, asked: tuple[Any, Any]) -> Any:
        sender = self._sender
        share = min(sender.budget * FIRST_SHARE, attempt.left)
        commands = [*sender.declaring(attempt.letter.binding), packed(HOLD.named(*asked))]
        reply = link.send_packed(b"".join(commands), len(commands), share)[-1]
        if isinstance(reply, NoScriptError):
            (reply,) = link.send_packed(packed(HOLD.whole(*asked)), 1, share)
        return reply
