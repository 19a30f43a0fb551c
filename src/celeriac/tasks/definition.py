"""The declaration of a task: ``@task`` on a controller's method, and the one descriptor that does the rest."""

from __future__ import annotations

import inspect
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from celeriac.exceptions import InvalidTask
from celeriac.tasks.controller import TaskController
from celeriac.tasks.declaration import TaskDeclaration
from celeriac.tasks.policies import Limits, Priority, RateLimit, Retry, TaskPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from celeriac.flow.policies import Concurrency, Debounce, Unique
    from celeriac.tasks.handle import HandleProvider, TaskHandle

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")
F_co = TypeVar("F_co", covariant=True)

__all__ = ["AnyTaskDefinition", "TaskDefinition", "task"]


class TaskDefinition(TaskDeclaration, Generic[P, R, F_co]):
    """A task where it is declared.

    Read from a class it is itself; from a controller, the plain bound method; from a registry, a
    :class:`~celeriac.tasks.handle.TaskHandle`.
    """

    def __set_name__(self, owner: type[Any], name: str) -> None:
        if self.controller is None and issubclass(owner, TaskController):
            self.controller = owner
            owner.declare(self)

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, instance: TaskController, owner: type[Any]) -> F_co: ...
    @overload
    def __get__(self, instance: HandleProvider, owner: type[Any]) -> TaskHandle[P, R]: ...
    def __get__(self, instance: Any, owner: type[Any]) -> Any:
        if instance is None:
            return self
        if isinstance(instance, TaskController):
            return MethodType(self.function, instance)
        return instance.handle_of(self)


AnyTaskDefinition = TaskDefinition[..., Any, Any]


class TaskDecorator(Protocol):
    """What ``@task(...)`` returns: it turns a method into a definition and looks through coroutines."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[C, P], Coroutine[Any, Any, R]], /
    ) -> TaskDefinition[P, R, Callable[P, Coroutine[Any, Any, R]]]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[C, P], R], /) -> TaskDefinition[P, R, Callable[P, R]]: ...


def task(
    name: str,
    *,
    queue: str | None = None,
    priority: Priority | None = None,
    retry: Retry | None = None,
    limits: Limits | None = None,
    rate_limit: str | RateLimit | None = None,
    concurrency: Concurrency | None = None,
    unique: Unique | None = None,
    debounce: Debounce | None = None,
    deadline: float | None = None,
    expires: float | None = None,
    ignore_result: bool | None = None,
    max_deliveries: int | None = None,
    permission: str | None = None,
    http: bool = True,
    outbox: bool = False,
    tags: Sequence[str] = (),
) -> TaskDecorator:
    """Declare a method of a :class:`TaskController` as the task ``name``.

    Args:
        name: what messages carry; unique among all tasks, and stable over releases.
        queue: where its messages go; ``None`` means ``CELERY_TASK_DEFAULT_QUEUE``.
        priority: how urgent it is; ``None`` means ``Priority.NORMAL``.
        retry: which errors are tried again, and when; ``None`` means none are, unless the task asks for it.
        limits: seconds an attempt may take; ``None`` leaves them to the settings.
        rate_limit: how often it may start, as ``"10/s"``, ``"10/m"`` or ``"10/h"``. The text alone holds for each
            worker by itself, :class:`~celeriac.flow.policies.RateLimit` for all of them together.
        concurrency: how many may run at the same time on all workers together.
        unique: that of equal calls only one is under way.
        debounce: that of calls in quick succession only the last one runs.
        deadline: seconds from the publish after which it must have ended, over all its retries.
        expires: seconds after which it is no longer worth running.
        ignore_result: keep no result; ``get()`` then returns ``None`` at once.
        max_deliveries: how often a message is delivered to workers that die of it, before it becomes a dead letter;
            ``None`` leaves it to ``CELERY_TASK_MAX_DELIVERIES``. A retry is a message of its own.
        permission: the scope that a caller from outside needs to run it, such as ``"reports:run"``; ``None`` means
            ``tasks:run``. Code that calls the registry is asked nothing.
        http: whether callers may run it over HTTP; its state is told in any case.
        outbox: whether a call over HTTP is kept in the outbox, and sent later, when the broker does not take it.
        tags: words by which the history finds its calls; a call adds more by the header ``tags``.

    Raises:
        InvalidTask: the name is empty, or what is decorated is no function.
        ValueError: ``max_deliveries`` is less than 1, ``deadline`` is no time, or the permission is not written like
            ``"reports:run"``.
    """
    policy = TaskPolicy(
        queue=queue,
        priority=priority,
        retry=retry,
        limits=limits or Limits(),
        rate_limit=rate_limit,
        concurrency=concurrency,
        unique=unique,
        debounce=debounce,
        deadline=deadline,
        expires=expires,
        ignore_result=ignore_result,
        max_deliveries=max_deliveries,
        permission=permission,
        http=http,
        outbox=outbox,
        tags=tuple(tags),
    )

    def declare(function: Callable[..., Any]) -> TaskDefinition[..., Any, Any]:
        if not name or name != name.strip():
            raise InvalidTask(task=name, problem="a name is a text without spaces around it")
        if not inspect.isfunction(function):
            raise InvalidTask(task=name, problem=f"@task goes on a method, not on {function!r}; put it outermost")
        return TaskDefinition(function, name, policy)

    return declare  # type: ignore[return-value]  # one body for both overloads
