"""Chords over a server that may go away in the middle of one."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from celery.exceptions import Reject

from celeriac.transport.results import celerys
from celeriac.transport.results.celerys import CelerysRedisBackend
from celeriac.transport.results.patience import GaveUp, Patience, PatientRedis, current_task

if TYPE_CHECKING:
    from celeriac.transport.results.writer import ResultWriter

__all__ = ["PART_RETURN", "Chords"]

_CLAIM: Final = "redis.call('SET', ckey, claim_token, 'NX', 'EX', claim_expires)"
PART_RETURN: Final = celerys.PART_RETURN.replace(_CLAIM, f"redis.call('GET', ckey) == claim_token or {_CLAIM}")
"""Celery's script, which counts a part once; ours gives the claim to whoever asks again because the answer was lost."""


class Chords(CelerysRedisBackend):
    """The chord half of the result backend: Celery's, with patience.

    Celery fails a chord whose last part meets a server that is away. Here the part waits; its message is not
    acknowledged meanwhile.
    """

    writer: ResultWriter
    patience: Patience

    @staticmethod
    def in_task() -> bool:
        """Whether a worker runs a task here, in this thread."""
        task = current_task()
        return task is not None and not task.request.called_directly and not task.request.is_eager

    def on_chord_part_return(self, request: Any, state: str, result: Any, **kwargs: Any) -> Any:
        """Count a part, its result stored before: who makes the last one reads them all.

        Raises:
            celery.exceptions.Reject: the server stayed away longer than ``store_timeout``; the task runs again.
        """
        if not request.group or not request.id:
            return None
        self.wait_until_stored()
        self._chords.patient = True
        try:
            return super().on_chord_part_return(request, state, result, **kwargs)
        except GaveUp as error:
            raise Reject(str(error), requeue=True) from error
        finally:
            self._chords.patient = False

    def wait_until_stored(self) -> None:
        """Wait until everything that this process handed over is stored.

        Raises:
            celery.exceptions.Reject: in a task, after ``store_timeout``; it runs again.
        """
        position = self.writer.position()
        if not self.patience.wait(lambda left: self.writer.drain(left, position)) and self.in_task():
            msg = "the result backend did not store the result in time"
            raise Reject(msg, requeue=True)

    @property
    def client(self) -> Any:
        """redis-py's client, for all that is neither a result stored nor one read."""
        return self._patient_client if getattr(self._chords, "patient", False) else self._usual_client

    @cached_property
    def _chords(self) -> Any:
        return threading.local()

    @cached_property
    def _usual_client(self) -> Any:
        return self._create_client(**self.connparams)

    @cached_property
    def _patient_client(self) -> Any:
        client = PatientRedis(connection_pool=self._usual_client.connection_pool)
        client.patience = self.patience
        return client

    @cached_property
    def _chord_part_return_script(self) -> Any:
        return self.client.register_script(PART_RETURN)
