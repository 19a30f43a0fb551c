"""kombu's transport on Redis: what polls the channels, and what an event loop hears of."""

from __future__ import annotations

from typing import Any, Final

from kombu.transport import redis
from typing_extensions import override

from celeriac.transport.redis.channel import LeasedChannel, LeasedSentinelChannel

__all__ = ["LeasedPoller", "LeasedSentinelTransport", "LeasedTransport"]

_CLAIM: Final = "CLAIM"
_ROUNDS: Final = 16
"""Claims for one channel in one turn of the loop: others want theirs too."""
_NUDGE: Final = 0.25
"""Seconds between two looks of an event loop that nobody woke."""


class LeasedPoller(redis.MultiChannelPoller):
    """Watches the connections that tell of new messages, beside those that kombu watches."""

    _nudges: Any = None
    _loop: Any = None

    @override
    def on_poll_start(self: Any) -> None:
        self._update_brpop_polling()
        for channel in list(self._channels):
            if channel.leasing:
                self._tend(channel)
            elif channel.active_queues and channel.qos.can_consume():
                self._register_BRPOP(channel)
            if channel.active_fanout_queues:
                self._register_LISTEN(channel)

    def _tend(self: Any, channel: LeasedChannel) -> int:
        """Claim what there is, and see to it that the loop hears of what comes."""
        intake, delivered = channel.intake, 0
        for _ in range(_ROUNDS):
            if not channel.qos.can_consume():
                break
            if not intake.stale:
                if intake.pending:
                    channel.flush()
                intake.look()  # a push may have come with the reply to something else: no loop would hear of it
            if not intake.stale:
                break
            delivered += channel.claim_and_deliver()
        if intake.pending:
            channel.flush()
        self._watch(channel)
        if self._loop is not None and delivered:
            self._loop._waker.wake()  # noqa: SLF001  the loop sleeps after this, whatever was made ready by it
        return delivered

    def _watch(self: Any, channel: LeasedChannel) -> None:
        link, ident = channel.intake.link, (channel, channel.intake, _CLAIM)
        fd = link.fileno() if link.connected else None
        for known, entry in list(self._fd_to_chan.items()):
            if entry == (channel, _CLAIM) and known != fd:
                del self._fd_to_chan[known]
                self._forget(known)
        if fd is not None and self._fd_to_chan.get(fd) != (channel, _CLAIM):
            self._fd_to_chan[fd] = (channel, _CLAIM)
            self._chan_to_sock.pop(ident, None)
            self.poller.register(fd, self.eventflags)

    def _forget(self: Any, fd: int) -> None:
        try:
            self._unregister_from_poll(fd)
        except (KeyError, OSError, ValueError):  # closed already
            return

    @override
    def on_readable(self: Any, fileno: int) -> Any:
        channel, kind = self._fd_to_chan.get(fileno, (None, None))
        if channel is None or kind != _CLAIM:
            return redis.MultiChannelPoller.on_readable(self, fileno)
        channel.intake.look()
        return self._tend(channel) or None

    @override
    def handle_event(self: Any, fileno: int, event: int) -> Any:
        channel, kind = self._fd_to_chan.get(fileno, (None, None))
        if channel is None or kind != _CLAIM:
            return redis.MultiChannelPoller.handle_event(self, fileno, event)
        delivered = self.on_readable(fileno)
        return (delivered, self) if delivered else None

    def get(self: Any, callback: Any, timeout: float | None = None) -> Any:
        """One turn without an event loop: see ``Connection.drain_events``."""
        leasing = [channel for channel in self._channels if channel.leasing]
        if not leasing:
            return redis.MultiChannelPoller.get(self, callback, timeout)
        self.nudge()
        if sum(self._tend(channel) for channel in leasing):
            return None
        patience = min(channel.intake.patience() for channel in leasing)
        return redis.MultiChannelPoller.get(self, callback, patience if timeout is None else min(timeout, patience))

    def nudge(self: Any) -> None:
        """Look again where it is time to, though nobody said anything."""
        for channel in list(self._channels):
            if channel.leasing and channel.intake.patience() <= 0:
                channel.intake.stale = True

    @override
    def discard(self: Any, channel: Any) -> None:
        for fd, entry in list(self._fd_to_chan.items()):
            if entry == (channel, _CLAIM):
                del self._fd_to_chan[fd]
                self._forget(fd)
        redis.MultiChannelPoller.discard(self, channel)

    @override
    def close(self: Any) -> None:
        for fd, (_, kind) in list(self._fd_to_chan.items()):
            if kind == _CLAIM:
                self._forget(fd)
        redis.MultiChannelPoller.close(self)


class LeasedTransport(redis.Transport):
    """For ``redis://``, ``rediss://`` and ``redis+socket://``."""

    Channel = LeasedChannel
    # kombu takes a KeyError for a lost connection, and then reads the message that caused it again, for ever.
    connection_errors = tuple(error for error in redis.Transport.connection_errors if error is not KeyError)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle = LeasedPoller()

    @override
    def register_with_event_loop(self: Any, connection: Any, loop: Any) -> None:
        redis.Transport.register_with_event_loop(self, connection, loop)
        if self.cycle._nudges is not None:  # noqa: SLF001  ours
            self.cycle._nudges.cancel()  # noqa: SLF001
        self.cycle._loop = loop  # noqa: SLF001
        self.cycle._nudges = loop.call_repeatedly(_NUDGE, self.cycle.nudge)  # noqa: SLF001


class LeasedSentinelTransport(LeasedTransport, redis.SentinelTransport):
    """For ``sentinel://``."""

    Channel = LeasedSentinelChannel
