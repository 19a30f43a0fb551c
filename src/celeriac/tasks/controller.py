"""Where tasks live: a class whose constructor says what its tasks need."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from celeriac.tasks.execution import register_task

if TYPE_CHECKING:
    from celery import Celery

    from celeriac.injection import Resolver
    from celeriac.tasks.declaration import TaskDeclaration

__all__ = ["TaskController"]


class TaskController:
    """Base of every class that holds tasks.

    The worker builds a controller for each task it runs, from the container and in a scope of its own; a process that
    only calls tasks never builds one. Construct it yourself in a unit test and call its methods plainly.
    """

    _declared: ClassVar[tuple[TaskDeclaration, ...]] = ()

    @classmethod
    def declare(cls, task: TaskDeclaration) -> None:
        """Note a task of this controller; ``@task`` does it."""
        cls._declared = (*cls.definitions(), task)

    @classmethod
    def definitions(cls) -> tuple[TaskDeclaration, ...]:
        """The tasks this controller declares, in the order of their declaration."""
        own: tuple[TaskDeclaration, ...] = vars(cls).get("_declared", ())  # not those of a base
        return own

    @classmethod
    def register(cls, app: Celery, container: Resolver) -> None:
        """Register this controller's tasks on a Celery app. A registry does it for all of its controllers at once."""
        for task in cls.definitions():
            register_task(app, task, container)

    def handle_exception(self, error: Exception) -> object:
        """The one place for what leaves this controller's tasks as an exception.

        Raise to fail or retry: the error itself, as here, or a better one. What is returned becomes the task's result.
        Celery's own ``Retry``, ``Ignore`` and ``Reject`` do not come here.
        """
        raise error
