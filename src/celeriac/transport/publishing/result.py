"""Celery's result object, without what only those need who read it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from celery.result import AsyncResult
from typing_extensions import override
from vine import promise

__all__ = ["SentResult"]


class SentResult(AsyncResult):  # type: ignore[type-arg]  # generic in the stubs alone
    """What a publish gives back. A producer that only sends makes neither the backend nor a promise for each task."""

    parent = None
    _cache = None

    def __init__(self, app: Any, task_id: str, *, ignored: bool = False, dropped: bool = False) -> None:
        self.app = app
        self.id = task_id
        self._ignored = ignored
        self.dropped = dropped
        """Whether nothing was sent, and this is the result of a call that was there already."""

    @cached_property
    def backend(self) -> Any:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]  read only here
        """The app's result backend."""
        return self.app.backend

    @cached_property
    def on_ready(self) -> Any:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]  read only here
        """What to call when the result is there."""
        celerys: Any = self
        return promise(celerys._on_fulfilled, weak=True)  # noqa: SLF001  as its own constructor does

    @override
    def __reduce__(self) -> Any:
        return AsyncResult, self.__reduce_args__()

    @override
    def __del__(self) -> None:
        if "backend" in self.__dict__:  # else nobody ever waited for it
            super().__del__()
