"""Unique and debounced tasks: of the calls with one key, which is sent, which runs, and which has to wait."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from celery.exceptions import Ignore
from redis.exceptions import RedisError
from typing_extensions import override

from celeriac.flow.frame import Ending, Gate
from celeriac.transport.holds.hold import HEADER, STEP, Hold
from celeriac.transport.holds.holds import Holds

if TYPE_CHECKING:
    from celery import Celery

    from celeriac.flow.frame import Attempt, Posting
    from celeriac.flow.keys import CallKey
    from celeriac.flow.policies import Debounce, Unique
    from celeriac.flow.shelf import Shelf
    from celeriac.transport.holds.hold import HoldMode

__all__ = ["HoldGate", "held_tasks"]

logger = logging.getLogger(__name__)

_WAITED: Final = "celeriac-hold-waited"
"""The header that counts how often a task came too soon."""
_FIRST_PAUSE, _LAST_PAUSE = 0.25, 2.0
"""Seconds until a task that came too soon comes again: doubling from the first to the last."""
_KEPT: Final = 86_400.0
"""Seconds for which a debounce window that nobody closed is remembered, and who lost their place in it."""
_WHOLE: Final = "whole"
"""Stands for a digest where all calls of a task have one place."""
_ENDS: Final = {Ending.DONE, Ending.FAILED, Ending.DROPPED}


class HoldGate(Gate):
    """Gives the place of a key to one call at a time. It is left when that call's task has ended, however it ends.

    Where results are stored in Redis, the backend leaves it with the task's result: see
    :mod:`celeriac.transport.holds.leaving`. Elsewhere this gate does, for the ends that it sees.

    Args:
        shelf: where places are kept.
        task: its name.
        policy: what it was told.
        key: which calls have one place.
    """

    def __init__(self, shelf: Shelf, task: str, policy: Unique | Debounce, key: CallKey) -> None:
        self._shelf = shelf
        self._task = task
        self._key = key
        self.mode: HoldMode = getattr(policy, "on_conflict", "debounce")
        self.publishes = self.mode != "wait"  # who waits asks when it begins
        self._lifetime = float(getattr(policy, "lifetime", _KEPT))
        self._quiet = float(getattr(policy, "seconds", 0.0))
        self._at_most = float(getattr(policy, "at_most", None) or 10 * self._quiet)

    @property
    def places(self) -> Holds:
        """Where they are kept."""
        return Holds(self._shelf.server)

    # -- at the publish

    @override
    def before_publish(self, posting: Posting) -> str | None:
        """Say what the call asks for; who sends it asks in the same step, where one server keeps both."""
        if HEADER in posting.headers:  # a step of a workflow
            return None
        digest = self._key.of(posting.args, posting.kwargs) or _WHOLE
        posting.headers[HEADER] = digest
        delay = max(_delay_of(posting.options), self._quiet)
        if self.mode == "debounce":
            posting.put_off(delay)
        name = f"{self._task}:{digest}"
        hold = Hold(name, posting.task_id, self.mode, self._lifetime, delay, self._at_most)
        posting.hold = self.places, hold
        return None

    # -- in the worker

    @override
    def before_run(self, attempt: Attempt) -> None:
        said = attempt.headers.get(HEADER)
        if self.mode == "debounce" and said in {None, STEP}:
            return  # it came by another way, on which nobody is put off
        digest = self._key.of(attempt.args, attempt.kwargs) or _WHOLE if said in {None, STEP} else str(said)
        hold = Hold(f"{self._task}:{digest}", attempt.task_id, self.mode, self._lifetime)
        admitted = said is not None or _is_awaited(attempt.task.request)
        try:
            what, who = self.places.enter(hold, admitted=admitted)
        except RedisError as error:
            logger.warning("%s[%s] waits: nobody knows whether another runs: %s", self._task, hold.task_id, error)
            self._wait(attempt, "Redis, which knows whether another runs")
        if what == "wait":
            self._wait(attempt, f"{who}, which has the same key")
        if what == "gone":
            self._revoke(attempt, f"superseded by {who}")
        if what == "dropped":
            self._revoke(attempt, f"dropped: {who} has the same key")

    @staticmethod
    def _wait(attempt: Attempt, what: str) -> NoReturn:
        waited = attempt.headers.get(_WAITED)
        times = waited if isinstance(waited, int) else 0
        pause = min(_FIRST_PAUSE * 2 ** min(times, 10), _LAST_PAUSE)
        attempt.put_back(pause, f"waits for {what}", {_WAITED: times + 1})

    @staticmethod
    def _revoke(attempt: Attempt, reason: str) -> NoReturn:
        task, request = attempt.task, attempt.task.request
        kept = not request.ignore_result and not task.ignore_result
        task.backend.mark_as_revoked(attempt.task_id, reason, request=request, store_result=kept)
        said: Any = reason
        raise Ignore(said)

    @override
    def after_run(self, attempt: Attempt, ending: Ending) -> None:
        told = ending is not Ending.DROPPED and hasattr(attempt.task.backend, "leave_place")
        if ending in _ENDS and (not told or self.mode == "wait"):  # the next one is woken before the result is stored
            self.places.leave(self.name_of(attempt.task.request), attempt.task_id)

    # -- at its end

    def name_of(self, request: Any) -> str:
        """The place that a request's task has.

        Raises:
            InvalidArguments: it never had one.
        """
        table: dict[str, Any] = request.__dict__
        headers: dict[str, Any] = request.headers or {}
        said = str(table.get(HEADER) or headers.get(HEADER) or STEP)
        digest = self._key.of(request.args or (), request.kwargs or {}) or _WHOLE if said == STEP else said
        return f"{self._task}:{digest}"


def held_tasks(app: Celery) -> dict[str, HoldGate]:
    """The gates of an app's tasks that need a place, by their names."""
    found: dict[str, HoldGate] = vars(app).setdefault("_celeriac_held", {})
    return found


def _delay_of(options: dict[str, Any]) -> float:
    """Seconds until a call may run."""
    if (countdown := options.get("countdown")) is not None:
        return max(float(countdown), 0.0)
    eta = options.get("eta")
    if not isinstance(eta, datetime):
        return 0.0
    now = datetime.now(UTC) if eta.tzinfo else datetime.now()  # noqa: DTZ005  as naive as what it is compared with
    return max((eta - now).total_seconds(), 0.0)


def _is_awaited(request: Any) -> bool:
    """Whether other tasks wait for this one: it must not be dropped."""
    return bool(request.chain or request.chord or request.group or request.callbacks)
