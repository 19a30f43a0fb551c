"""The table of contents of a service's tasks, and the way to call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from celeriac.error import nearest
from celeriac.exceptions import DuplicateTask, InvalidTask, UnknownTask, UnownedTask
from celeriac.tasks.definition import TaskDefinition
from celeriac.tasks.execution import register_task
from celeriac.tasks.handle import HandleProvider, TaskHandle
from celeriac.tasks.queues import declare_queues

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from celery import Celery

    from celeriac.injection import Resolver
    from celeriac.tasks.declaration import TaskDeclaration
    from celeriac.tasks.definition import AnyTaskDefinition
    from celeriac.tasks.workflow import Publisher

__all__ = ["TasksRegistry"]


class TasksRegistry(HandleProvider):
    """Base of a service's registry: one line per task.

    ::

        class TasksRegistry(celeriac.TasksRegistry):
            ping = PingTaskController.ping

    An instance gives a typed :class:`TaskHandle` for each line. It builds no controller and opens no connection.

    Raises:
        DuplicateTask: two lines name tasks of one name.
        UnownedTask: a line names a task that belongs to no controller.
    """

    _definitions: ClassVar[Mapping[str, AnyTaskDefinition]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        table = dict(cls._definitions)
        for line, definition in vars(cls).items():
            if not isinstance(definition, TaskDefinition):
                continue
            if definition.controller is None:
                raise UnownedTask(registry=cls.__name__, task=definition.name)
            if hasattr(TasksRegistry, line):
                problem = f"{line!r} is a method of every registry; name the line otherwise"
                raise InvalidTask(task=definition.name, problem=problem)
            table[line] = definition
        owners: dict[str, AnyTaskDefinition] = {}
        for definition in table.values():
            first = owners.setdefault(definition.name, definition)
            if first is not definition:
                raise DuplicateTask(task=definition.name, first=first.origin, second=definition.origin)
        cls._definitions = table

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    @classmethod
    def definitions(cls) -> Mapping[str, AnyTaskDefinition]:
        """The table: each line's name to its task."""
        return cls._definitions

    @classmethod
    def install(cls, app: Celery, container: Resolver) -> None:
        """Register every task of the table on an app, and declare their queues.

        Controllers are not built: the worker resolves one from the container for each task that it runs.

        Raises:
            InvalidTask: an annotation of a task cannot be resolved or carried as JSON.
            DuplicateTask: the app already has another task of the name.
        """
        for definition in cls._definitions.values():
            register_task(app, definition, container)
        declare_queues(app, [each.policy.queue for each in cls._definitions.values() if each.policy.queue])

    @override
    def handle_of(self, definition: TaskDeclaration) -> TaskHandle[..., Any]:
        """The handle of one of this registry's tasks; its line gives the same object each time."""
        handle: TaskHandle[..., Any] = TaskHandle(definition, self._publisher)
        for line, known in self._definitions.items():
            if known is definition:
                setattr(self, line, handle)  # the next look-up finds it without asking the descriptor
        return handle

    def __getitem__(self, name: str) -> TaskHandle[..., Any]:
        """The handle of the task that messages call ``name``.

        Raises:
            UnknownTask: no task of this registry has that name.
        """
        for line, definition in self._definitions.items():
            if definition.name == name:
                handle: TaskHandle[..., Any] = getattr(self, line)
                return handle
        raise UnknownTask(task=name, hint=nearest(name, (each.name for each in self._definitions.values())))

    def __iter__(self) -> Iterator[TaskHandle[..., Any]]:
        return (getattr(self, line) for line in self._definitions)

    def __len__(self) -> int:
        return len(self._definitions)
