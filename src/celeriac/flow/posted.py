"""Celery's task class for tasks whose policies want to see each publish, beat's included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celeriac.transport.holds.hold import HEADER, STEP

if TYPE_CHECKING:
    from celery import Celery

    from celeriac.flow.frame import Flow

__all__ = ["posted"]

_OTHERS_WAIT: Final = frozenset({"chain", "chord", "group_id", "parent_id", "root_id", "retries"})
"""Options of a step of a workflow, and of what is sent again."""
_SENT_BY_WORKER: Final = frozenset({"parent_id", "root_id"})
"""Options of a step that a worker sends after another, as the callback of a link. Celeriac's calls do not pass here."""


class _Posted:
    """Sends by way of the policies what is a call of its own."""

    flow: Flow

    def apply_async(  # noqa: PLR0917  Celery's signature
        self: Any,
        args: Any = None,
        kwargs: Any = None,
        task_id: str | None = None,
        producer: Any = None,
        link: Any = None,
        link_error: Any = None,
        shadow: str | None = None,
        **options: Any,
    ) -> Any:
        """As Celery's."""
        said = {name: value for name, value in options.items() if value is not None}
        said["headers"] = headers = dict(said.get("headers") or {})  # the caller's own is written to by nobody
        others_wait = not _OTHERS_WAIT.isdisjoint(said) or HEADER in headers
        eager = self.app.conf.task_always_eager
        if link or link_error or others_wait or eager:
            if not (eager or "retries" in said or _SENT_BY_WORKER.isdisjoint(said)):
                options["headers"] = {HEADER: STEP, **headers}
            stock: Any = super()
            return stock.apply_async(args, kwargs, task_id, producer, link, link_error, shadow, **options)
        said |= {"shadow": shadow} if shadow else {}
        said |= {"task_id": task_id} if task_id else {}
        said.setdefault("ignore_result", self.ignore_result)
        return self.flow.post(self.app, self, list(args or ()), dict(kwargs or {}), said)


def posted(app: Celery) -> type[Any]:
    """The class of such tasks in an app."""
    usual: Any = app.Task
    return type("Posted", (_Posted, usual), {})
