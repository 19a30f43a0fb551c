"""What a worker does so that running tasks keep what they hold, and lose it when they are gone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from celery import bootsteps, signals

from celeriac.flow.tenure import Tenure

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["KeepsTenure", "tenure_of"]


class KeepsTenure(bootsteps.StartStopStep):
    """Gives signs of life for the processes of a worker, in a thread of the main process, which forks them later.

    It goes on until the worker is gone: tasks may run for long after it was told to end. Where tasks run in the main
    process itself, the guardian does the same beside it.
    """

    label = "Tenure"

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)  # all steps are made before the first is carried out
        self._tenure = tenure_of(parent.app)
        if self._tenure is not None:
            self._tenure.kept = True

    def include_if(self, parent: Any) -> bool:
        """Only where a task can hold anything."""
        return tenure_of(parent.app) is not None

    def start(self, parent: Any) -> None:
        """Begin."""
        tenure = self._tenure
        if tenure is None:
            return
        threading.Thread(target=tenure.keep, name="celeriac-tenure", daemon=True).start()

        def end(**_: Any) -> None:
            tenure.end()

        signals.worker_shutdown.connect(end, sender=parent, weak=False)

    def stop(self, parent: Any) -> None:
        """Not yet."""


def tenure_of(app: Celery) -> Tenure | None:
    """The leases of an app's running tasks; ``None`` where none of them can hold anything."""
    if not any(getattr(getattr(task, "flow", None), "holds", False) for task in app.tasks.values()):
        return None
    return Tenure.known(app)
