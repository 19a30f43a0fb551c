"""Asking for a place, taking it, and leaving it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celeriac.transport.holds.hold import Answer
from celeriac.transport.holds.scripts import CONFIRM, ENTER, HOLD, LEAVE

if TYPE_CHECKING:
    from celeriac.transport.holds.hold import Hold
    from celeriac.transport.server import RedisServer

__all__ = ["PROVISIONAL", "Holds"]

PROVISIONAL: Final = 30.0
"""Seconds for which a place is kept for a message that has yet to be sent by way of another server."""
_TOLD: Final = 600.0
"""Seconds for which who lost its place is remembered once it was told: the message of a killed worker comes again."""


class Holds:
    """The places of one server.

    Args:
        server: where they are kept.

    Raises, from every method:
        redis.exceptions.RedisError: the server cannot be reached, or refused.
    """

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self.address = server.address
        """Its URL without the password."""
        self.whereto = server.whereto
        self._gone = server.key("gone:")

    def key(self, name: str) -> str:
        """Where a place is kept."""
        return self._server.key(f"hold:{name}")

    def asking(
        self,
        hold: Hold,
        *,
        provisional: float = 0.0,
        insist: bool = False,
        message: tuple[str, bytes] | None = None,
        event: tuple[str, int, bytes] | None = None,
    ) -> tuple[list[str], list[bytes | str | float]]:
        """The keys and arguments of :data:`~celeriac.transport.holds.scripts.HOLD`.

        Args:
            hold: what is asked for.
            provisional: seconds in which :meth:`confirm` has to follow; 0 where the message is sent by the same step.
            insist: take the delay as it is, even where a debounce window ends before.
            message: a list, and what is appended to it.
            event: a stream, how many entries it may have, and what is appended to it.
        """
        to, payload = message or ("", b"")
        stream, most, told = event or ("", 0, b"")
        keys = [self.key(hold.name), self._server.key("revoked"), to, stream]
        return keys, [
            hold.task_id,
            hold.mode,
            _ms(hold.lifetime),
            _ms(provisional),
            self._gone,
            payload,
            told,
            most,
            _ms(hold.delay),
            _ms(hold.at_most),
            int(insist),
        ]

    def take(self, hold: Hold, *, insist: bool = False) -> Answer:
        """Take a place for a message that is sent next, by way of another server; then :meth:`confirm`."""
        return self.read(self._server.run(HOLD, *self.asking(hold, provisional=PROVISIONAL, insist=insist)))

    @staticmethod
    def read(reply: Any) -> Answer:
        """What the script has answered."""
        code, said = reply
        if code == 0:
            return Answer(holder=said.decode())
        return Answer(due=said / 1000) if code == 2 else Answer()  # noqa: PLR2004  the script's third answer

    def confirm(self, hold: Hold) -> None:
        """The message was sent: the place is kept, and whoever waited there has lost it."""
        arguments: list[bytes | str | float] = [hold.task_id, _ms(hold.lifetime + hold.delay), self._gone]
        self._server.run(CONFIRM, [self.key(hold.name)], arguments)

    def enter(self, hold: Hold, *, admitted: bool) -> tuple[str, str]:
        """A task is about to begin.

        Args:
            hold: its place.
            admitted: whether it must not be dropped.

        Returns:
            ``run``; or ``gone`` and who took its place, ``wait`` and who has begun, ``dropped`` and who has the place.
        """
        arguments: list[bytes | str | float] = [hold.task_id, hold.mode, _ms(hold.lifetime), self._gone, int(admitted)]
        what, *who = self._server.run(ENTER, [self.key(hold.name)], [*arguments, _ms(_TOLD)])
        return what.decode(), who[0].decode() if who else ""

    def leave(self, name: str, task_id: str) -> bool:
        """A task has ended. Leaves only what is its own; whether there was anything."""
        return bool(self._server.run(LEAVE, [self.key(name)], [task_id]))

    def holder(self, name: str) -> tuple[str | None, str | None]:
        """Who has begun, and who waits."""
        begun, waiting = self._server.call("HMGET", self.key(name), "r", "q")
        return begun and begun.decode(), waiting and waiting.decode()


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
