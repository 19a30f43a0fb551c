"""The frame that a task's policies hook into: before a publish, before a run, and after it however it ends."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any, Final, NoReturn

from celery.exceptions import Reject
from celery.exceptions import Retry as CeleryRetry

from celeriac.exceptions import HeldBack
from celeriac.transport.publishing.ids import fresh_id
from celeriac.transport.publishing.result import SentResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from celery import Celery

    from celeriac.flow.deadline import Deadline
    from celeriac.transport.holds.hold import Hold
    from celeriac.transport.holds.holds import Holds

__all__ = ["Attempt", "Ending", "Flow", "Gate", "Posting", "masked_as_before"]

logger = logging.getLogger(__name__)


class Ending(Enum):
    """How an attempt ended."""

    DONE = "done"
    """The task has a result."""
    FAILED = "failed"
    """The task failed for good."""
    AGAIN = "again"
    """Another attempt was sent."""
    DROPPED = "dropped"
    """The task raised ``Ignore``, or ``Reject`` for good: it has ended, and has no result."""
    LEFT = "left"
    """Neither: it was interrupted, revoked, or gave its message back or away."""


@dataclass(slots=True)
class Posting:
    """A call that is about to be published. Arguments are plain JSON."""

    task: Any
    """Celery's task."""
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    options: dict[str, Any]
    """Celery's, of ``apply_async``: a gate may change them. ``task_id`` is always set."""
    hold: tuple[Holds, Hold] | None = None
    """The place without which it must not be sent; asked for in the step that sends it, where that can be."""

    @property
    def task_id(self) -> str:
        """The id that the task is to have."""
        return str(self.options["task_id"])

    @property
    def headers(self) -> dict[str, Any]:
        """The message's headers, to be added to."""
        headers: dict[str, Any] = self.options.setdefault("headers", {})
        return headers

    def put_off(self, seconds: float) -> None:
        """Have it run in so many seconds, and not before."""
        self.options.pop("eta", None)
        self.options["countdown"] = seconds


@dataclass(slots=True, weakref_slot=True, eq=False)
class Attempt:
    """One run of a task in a worker. Arguments are plain JSON, as they came."""

    task: Any
    """Celery's task; its ``request`` is the attempt's."""
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    entered: list[Gate] = field(default_factory=list["Gate"])
    """The gates that it is inside of."""
    token: str = field(default_factory=fresh_id)
    """Of this attempt and no other, a second delivery of the same message included."""
    left: Callable[[], float] = lambda: inf
    """Seconds until its deadline."""

    @property
    def task_id(self) -> str:
        """The task's id."""
        return str(self.task.request.id)

    @property
    def headers(self) -> dict[str, Any]:
        """The message's headers that are not Celery's own; a copy."""
        return dict(self.task.request.headers or {})

    def remember(self, header: str, value: Any) -> None:
        """Add a header, for this attempt and those after it."""
        self.task.request.headers = {**self.headers, header: value}

    def forget(self, header: str) -> None:
        """Take a header away: what was meant for this attempt is not for those after it."""
        request = self.task.request
        request.headers = {name: value for name, value in self.headers.items() if name != header}

    def put_back(self, seconds: float, why: str, headers: Mapping[str, Any] | None = None) -> NoReturn:
        """Send the task to its queue again, to come back later: in state ``RETRY``, and without using up a retry.

        Args:
            seconds: until it comes back.
            why: is told to those who look at the task.
            headers: to add; what is ``None`` is taken away.

        Raises:
            celery.exceptions.Retry: always, where it could be sent.
            celery.exceptions.Reject: it could not, and its message goes back as it is.
        """
        request = self.task.request
        said = {name: value for name, value in {**self.headers, **(headers or {})}.items() if value is not None}
        countdown = max(min(seconds, self.left()), 0.001)
        again = self.task.signature_from_request(
            request, countdown=countdown, retries=request.retries, headers=said, **masked_as_before(self.task)
        )
        try:
            again.apply_async()
        except Exception as error:
            raise Reject(error, requeue=True) from error
        when: Any = seconds
        raise CeleryRetry(why, HeldBack(task=self.task.name, reason=why), when, sig=again)


def masked_as_before(task: Any) -> dict[str, Any]:
    """Options by which what is sent again shows of secret arguments what it showed before: Celery would show them."""
    request = task.request
    return {"argsrepr": request.argsrepr, "kwargsrepr": request.kwargsrepr} if task.secret_arguments else {}


class Gate:
    """One policy of one task. What a gate does not need, it leaves as it is here: nothing happens."""

    publishes: bool = False
    """Whether it wants to see each publish. Calls of such a task are rendered one by one."""
    holds: bool = False
    """Whether it holds something under this process's lease while the task runs: see ``celeriac.flow.tenure``."""

    def stamp(self) -> dict[str, Any]:
        """Headers for a message that is published now, however it is sent. Those that it has already are left alone."""
        return {}

    def before_publish(self, posting: Posting) -> str | None:
        """A call is about to be sent.

        Returns:
            The id of another call that stands for this one, which then is not sent; ``None`` to go on.
        """

    def unpublished(self, posting: Posting) -> None:
        """A call that passed here was not sent after all: another gate held it up, or the broker did not take it."""

    def before_run(self, attempt: Attempt) -> None:
        """The task's code is about to run.

        Raises:
            celery.exceptions.Retry: by :meth:`Attempt.put_back`: not now.
            celery.exceptions.Ignore: not at all.
            Exception: the task fails with it, and is not tried again.
        """

    def before_retry(self, attempt: Attempt, seconds: float, error: BaseException | None) -> None:
        """The attempt failed, and another is about to be sent that begins in ``seconds``.

        Raises:
            Exception: it is not sent, and the task fails with this instead.
        """

    def named(self, attempt: Attempt, error: Exception) -> Exception:
        """What the task is to fail with for good, where its code failed with ``error``."""
        del attempt
        return error

    def after_run(self, attempt: Attempt, ending: Ending) -> None:
        """The attempt has ended, here and in whatever way. Not called where the process was killed: hence leases."""


class Flow:
    """All policies of one task, in the order in which an attempt passes them; ``None`` stands for none.

    Args:
        gates: one or more.
        deadline: the one among them that is asked for what is left.
    """

    def __init__(self, gates: Sequence[Gate], deadline: Deadline | None = None) -> None:
        self.gates: Final = tuple(gates)
        self.publishes: Final = any(gate.publishes for gate in gates)
        """Whether publishes have to pass here."""
        self.holds: Final = any(gate.holds for gate in gates)
        """Whether something is held while a task runs."""
        self.stamps: Final = any(type(gate).stamp is not Gate.stamp for gate in gates)
        """Whether every message gets headers."""
        self.deadline: Final = deadline
        self._publishing: Final = tuple(gate for gate in gates if gate.publishes)

    # -- at the publish

    def stamp(self) -> dict[str, Any]:
        """As :meth:`Gate.stamp`, of all."""
        return {name: value for gate in self.gates for name, value in gate.stamp().items()}

    def stamp_into(self, options: dict[str, Any]) -> None:
        """Add those headers to Celery's options of a call."""
        if self.stamps:
            options["headers"] = {**self.stamp(), **(options.get("headers") or {})}

    def before_publish(self, posting: Posting) -> str | None:
        """As :meth:`Gate.before_publish`, of all; those that let it pass learn of one that does not."""
        posting.options.setdefault("task_id", fresh_id())
        passed: list[Gate] = []
        try:
            for gate in self._publishing:
                other = gate.before_publish(posting)
                if other is not None:
                    _undo(passed, posting)
                    return other
                passed.append(gate)
        except BaseException:
            _undo(passed, posting)
            raise
        return None

    def unpublished(self, posting: Posting) -> None:
        """The broker did not take it."""
        _undo(list(self._publishing), posting)

    def post(
        self, app: Celery, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any], options: dict[str, Any]
    ) -> SentResult:
        """Send a call, if the policies let it: Celery's result object, perhaps of another call that stands for it.

        Args:
            app: whose broker counts.
            task: Celery's.
            args: plain JSON.
            kwargs: the same.
            options: Celery's, of ``send_task``.

        Raises:
            BrokerUnavailable: it was not taken in time.
        """
        posting = Posting(task, args, kwargs, options)
        other = self.before_publish(posting)
        if other is not None:
            return SentResult(app, other, ignored=bool(posting.options.get("ignore_result")), dropped=True)
        try:
            if posting.hold is not None:
                from celeriac.flow.sending import send_held  # noqa: PLC0415  redis-py is slow to import

                return send_held(app, posting, *posting.hold)
            app.send_task(task.name, tuple(args), dict(kwargs), **posting.options)
            return SentResult(app, posting.task_id, ignored=bool(posting.options.get("ignore_result")))
        except BaseException:
            self.unpublished(posting)
            raise

    # -- in the worker

    def enter(self, attempt: Attempt) -> None:
        """Pass all gates, or none.

        Raises:
            Exception: as :meth:`Gate.before_run`.
        """
        try:
            for gate in self.gates:
                gate.before_run(attempt)
                attempt.entered.append(gate)
        except BaseException:
            self.leave(attempt, Ending.LEFT)
            raise

    def before_retry(self, attempt: Attempt, seconds: float, error: BaseException | None) -> None:
        """As :meth:`Gate.before_retry`, of all."""
        for gate in self.gates:
            gate.before_retry(attempt, seconds, error)

    def named(self, attempt: Attempt, error: Exception) -> Exception:
        """As :meth:`Gate.named`, of all."""
        for gate in self.gates:
            error = gate.named(attempt, error)
        return error

    def leave(self, attempt: Attempt, ending: Ending) -> None:
        """Come out of every gate that was entered, the last one first. What one of them raises stops no other."""
        while attempt.entered:
            gate = attempt.entered.pop()
            try:
                gate.after_run(attempt, ending)
            except Exception:
                logger.exception("%s could not be ended for %s", type(gate).__name__, attempt.task_id)


def _undo(passed: list[Gate], posting: Posting) -> None:
    while passed:
        with suppress(Exception):  # what it holds ends by itself; the call's own error counts
            passed.pop().unpublished(posting)
