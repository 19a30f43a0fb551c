"""Where tasks live: a class whose constructor says what its tasks need."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

    from celeriac.injection import Resolver
    from celeriac.tasks.definition import AnyTaskDefinition

__all__ = ["TaskController"]


class TaskController:
    """Base of every class that holds tasks.

    The worker builds a controller for each task it runs, from the container and in a scope of its own; a process that
    only calls tasks never builds one. Construct it yourself in a unit test and call its methods plainly.
    """

    @classmethod
    def definitions(cls) -> Iterator[AnyTaskDefinition]:
        """The tasks this controller declares, in the order of their declaration."""
        from celeriac.tasks.definition import TaskDefinition  # noqa: PLC0415  the two know each other

        return (member for member in vars(cls).values() if isinstance(member, TaskDefinition))

    @classmethod
    def register(cls, app: Celery, container: Resolver) -> None:
        """Register this controller's tasks on a Celery app. A registry does it for all of its controllers at once."""
        from celeriac.tasks.execution import register_task  # noqa: PLC0415  only workers and producers with an app

        for definition in cls.definitions():
            register_task(app, definition, container)

    def handle_exception(self, error: Exception) -> object:
        """The one place for what leaves this controller's tasks as an exception.

        Raise to fail or retry: the error itself, as here, or a better one. What is returned becomes the task's result.
        Celery's own ``Retry``, ``Ignore`` and ``Reject`` do not come here.
        """
        raise error
