"""Celery's beat, but for one variable that means two things."""

from __future__ import annotations

from typing import Any

from celery.apps.beat import Beat as CeleryBeat

__all__ = ["Beat"]


class Beat(CeleryBeat):
    """Beat that does not take the schedule for the name of its file.

    The ``celery beat`` command reads its option ``--schedule``, the file of last runs, from ``CELERY_BEAT_SCHEDULE``:
    the name under which the option ``beat_schedule`` is found in the environment, too.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        if str(options.get("schedule")).lstrip().startswith("{"):
            del options["schedule"]
        super().__init__(*args, **options)
