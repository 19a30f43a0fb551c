"""Celery's Redis result backend: its keys and values, fewer commands, and no fault of it ever costs a task."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery import states
from celery.backends.asynchronous import BaseResultConsumer
from celery.exceptions import BackendStoreError
from kombu.exceptions import DecodeError
from kombu.utils.encoding import bytes_to_str
from redis.backoff import NoBackoff
from redis.retry import Retry

from celeriac.exceptions import InvalidArguments
from celeriac.transport.link import Link
from celeriac.transport.results.address import connector_of, timeout_of
from celeriac.transport.results.celerys import CelerysSentinelBackend
from celeriac.transport.results.chords import Chords
from celeriac.transport.results.encoding import SUCCEEDED, MetaEncoder
from celeriac.transport.results.entry import Entry
from celeriac.transport.results.journal import Journal, journal_of
from celeriac.transport.results.leaving import LeaveEntry
from celeriac.transport.results.loops import LoopReaders
from celeriac.transport.results.outcomes import OutcomeCounter, outcome
from celeriac.transport.results.patience import Patience
from celeriac.transport.results.subscription import Subscription
from celeriac.transport.results.waits import Waits
from celeriac.transport.results.writer import ResultWriter

__all__ = ["RedisResultBackend", "SentinelResultBackend"]


class _Unsubscribed(BaseResultConsumer):
    """Where Celery asks for a subscription as it sends a task, or makes a result object, there is none yet.

    Who waits subscribes: see :class:`~celeriac.transport.results.waits.Waits`. So an object that goes away later has
    nothing to take leave of.
    """

    def start(self, initial_task_id: str, **kwargs: Any) -> None:
        """Nothing."""

    def consume_from(self, task_id: str) -> None:
        """Nothing."""

    def cancel_for(self, task_id: str) -> None:
        """Nothing."""

    def drain_events(self, timeout: float | None = None) -> None:
        """Nothing."""


class RedisResultBackend(Waits, Chords):
    """For ``redis://`` and ``rediss://``. Keys and values are Celery's, so either can read what the other wrote.

    One object serves all threads of an app: one connection that stores, one on which everybody waits, and redis-py's
    pool for all else. Nothing is opened before it is used; a forked child opens its own.

    ``result_backend_transport_options`` may hold ``store_timeout``: seconds that a task in a prefork child waits for
    its result to be stored before it is given back to its queue, to run again. Without it, it waits for as long as it
    takes.
    """

    ResultConsumer = _Unsubscribed

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.thread_safe = True
        timeout = timeout_of(self.app.conf)
        if self.connparams.get("socket_timeout") == 120.0:  # noqa: PLR2004  Celery's default
            self.connparams["socket_timeout"] = timeout
        if "path" in self.connparams:  # a socket of the file system, which knows neither
            self.connparams.pop("socket_keepalive", None)
        elif not self.connparams.get("socket_connect_timeout"):
            self.connparams["socket_connect_timeout"] = timeout
        self.connparams["retry"] = Retry(NoBackoff(), 0)  # Celery's own retry policy stands around it
        connect = connector_of(self)
        self.subscription = Subscription(connect, timeout=timeout, patience=2 * timeout)
        self.loops = LoopReaders(self.subscription)
        said: dict[str, Any] = self.app.conf.get("result_backend_transport_options") or {}
        link = Link(connect, timeout=2 * timeout)
        counter = OutcomeCounter(str(said.get("global_keyprefix") or ""))
        self.writer = ResultWriter(link, timeout=2 * timeout, address=connect.address, counter=counter)
        limit = self._transport_options.get("store_timeout")
        self.patience = Patience(None if limit is None else float(limit), connect.address)
        self._meta = MetaEncoder(self)
        self._held: dict[str, Any] = vars(self.app).setdefault("_celeriac_held", {})
        self.journal = journal_of(self.app, self.writer)
        """What the history hears of this process; ``None`` where none is kept."""

    # -- storing

    def store_result(
        self, task_id: Any, result: Any, state: str, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        """Hand a result to the writer. A server that is away raises nothing here.

        Where a consumer of ours runs in this process, it stores the result before it acknowledges the message.
        Elsewhere this stores it now; a task that has ended waits until it is stored, so that its message is not
        acknowledged before.

        Raises:
            kombu.exceptions.EncodeError: the result cannot be encoded.
            celery.exceptions.BackendStoreError: the result is larger than a server can ever hold.
            celery.exceptions.Reject: after ``store_timeout``: the task has to run again.
        """
        del kwargs
        if state == states.STARTED and self.writer.coalesce and self._meta.recognizable:
            # Most tasks have ended before this would be sent.
            entry = Entry(self.get_key_for_task(task_id), b"", int(self.expires or 0), success=False, guard=SUCCEEDED)
            entry.late = partial(self._meta.encode, task_id, result, state, traceback, request)
            self.writer.put(entry, final=False)
            return result
        encoded = self.encode_result(result, state)
        payload = self._meta.encode(task_id, encoded, state, traceback, request)
        if len(payload) > self._MAX_STR_VALUE_SIZE:
            msg = "value too large for Redis backend"
            refused: Any = BackendStoreError
            raise refused(msg, state=state, task_id=task_id)
        expires = self.failure_expires if state == states.FAILURE else self.expires
        final = state in states.READY_STATES
        entry = Entry(self.get_key_for_task(task_id), payload, int(expires or 0), state == states.SUCCESS)
        if self._meta.recognizable:
            entry.guard = SUCCEEDED
        else:
            entry.succeeded = self._is_success
        if self.journal is not None and state != states.STARTED:
            plain = payload if self._meta.recognizable else self._told(encoded, state, traceback)
            self.journal.ended(str(task_id), state, plain, request)
        if final:
            entry.outcome = outcome(state, request)
        self.writer.put(entry, final=final)
        if not self.writer.coalesce:
            self.writer.flush()
            if final and self.in_task():
                self.wait_until_stored()
        return encoded

    def _told(self, encoded: Any, state: str, traceback: Any) -> bytes | None:
        """What the history hears of a result that is no plain JSON; of one that is encrypted, nothing but its state."""
        if self.app.conf.get("result_encryption_keys"):
            return Journal.plain(None, state, None)
        return Journal.plain(encoded, state, traceback)

    def mark_as_done(self, task_id: Any, result: Any, request: Any = None, *said: Any, **named: Any) -> None:
        """As Celery's; the history hears of it where no result is kept, too."""
        if self._held:
            self.leave_place(task_id, request)
        stored = said[0] if said else named.get("store_result", True)
        if self.journal is not None and (not stored or getattr(request, "ignore_result", False)):
            self.journal.ended(str(task_id), states.SUCCESS, None, request)
            self._tell_now()
        stock: Any = super()
        stock.mark_as_done(task_id, result, request, *said, **named)

    def mark_as_failure(self, task_id: Any, exc: Any, traceback: Any = None, **named: Any) -> None:
        """As Celery's; the history hears of it where no result is kept, too."""
        stock: Any = super()
        if self._held:
            self.leave_place(task_id, named.get("request"))
        if self.journal is not None and not named.get("store_result", True):
            told = Journal.plain(stock.prepare_exception(exc), states.FAILURE, traceback)
            self.journal.ended(str(task_id), states.FAILURE, told, named.get("request"))
            self._tell_now()
        stock.mark_as_failure(task_id, exc, traceback, **named)

    def mark_as_revoked(self, task_id: Any, reason: str = "", request: Any = None, **named: Any) -> None:
        """As Celery's; the history hears of it where no result is kept, too."""
        if self._held:
            self.leave_place(task_id, request)
        if self.journal is not None and not named.get("store_result", True):
            self.journal.ended(str(task_id), states.REVOKED, None, request)
            self._tell_now()
        stock: Any = super()
        stock.mark_as_revoked(task_id, reason, request=request, **named)

    def leave_place(self, task_id: Any, request: Any) -> None:
        """A task has ended: whatever it held is left in the pipeline of its result, and before it."""
        if request is None or getattr(request, "is_eager", False):
            return
        gate = self._held.get(getattr(request, "task", None) or "")
        if gate is None:
            return
        try:
            key = gate.places.key(gate.name_of(request))
        except InvalidArguments:  # it never had one
            return
        self.writer.put(LeaveEntry(key, str(task_id)), final=True)
        if not self.writer.coalesce:
            self.writer.flush()

    def _tell_now(self) -> None:
        """Before the message may be acknowledged, where no consumer of ours does that after a flush."""
        if not self.writer.coalesce and self.in_task():
            self.writer.flush()

    def _is_success(self, payload: bytes) -> bool:
        try:
            return bool(self.decode(payload)["status"] == states.SUCCESS)
        except Exception:  # noqa: BLE001  whatever it is, it is no success
            return False

    def process_cleanup(self) -> None:
        """Called after each task. What had to be stored by now is; reports may still be under way."""

    def _set(self, key: Any, value: Any, expires: Any = None) -> None:
        with self.client.pipeline() as pipe:
            pipe.set(key, value, ex=(self.expires if expires is None else expires) or None)
            pipe.publish(key, value)
            pipe.execute()

    # -- reading

    def get(self, key: bytes) -> bytes | None:
        """What is stored under a key.

        Raises:
            redis.exceptions.RedisError: the server cannot be reached, or refused.
        """
        return self._stored([key]).get(key)

    def mget(self, keys: Any) -> list[bytes | None]:
        """The same for several, in one round trip.

        Raises:
            redis.exceptions.RedisError: the server cannot be reached, or refused.
        """
        found = self._stored(list(dict.fromkeys(keys)))
        return [found.get(key) for key in keys]

    def _stored(self, keys: Any) -> dict[bytes, bytes]:
        if any(map(self.writer.holds, keys)):
            self.writer.flush()
        return self.subscription.read(keys)

    def _forget(self, task_id: str) -> None:
        if self.writer.holds(self.get_key_for_task(task_id)):
            self.writer.flush()  # or it would come back
        self.client.delete(self.get_key_for_task(task_id))

    def decode_result(self, payload: Any) -> dict[str, Any]:
        """The meta that a payload holds.

        Raises:
            kombu.exceptions.DecodeError: it is no result of Celery's.
        """
        try:
            meta: dict[str, Any] = super().decode_result(payload)
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise DecodeError(f"not a result: {bytes_to_str(payload)[:40]!r}") from error  # noqa: EM102, TRY003
        return meta

    # -- Celery's bookkeeping of who waits, which the subscription does

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Subscribe to nothing."""

    def add_pending_result(self, result: Any, *_: Any, **__: Any) -> Any:
        """Keep nothing."""
        return result

    def add_pending_results(self, results: Any, *_: Any, **__: Any) -> Any:
        """Keep nothing."""
        return results

    def remove_pending_result(self, result: Any) -> Any:
        """Forget nothing."""
        return result

    # -- closing

    def disconnect(self) -> None:
        """Store what waits, and close every connection of this process. The next use opens new ones."""
        self.writer.close()
        self.subscription.close()
        if "_usual_client" in vars(self):  # made at the first use
            self._usual_client.connection_pool.disconnect()


class SentinelResultBackend(RedisResultBackend, CelerysSentinelBackend):
    """For ``sentinel://``."""
