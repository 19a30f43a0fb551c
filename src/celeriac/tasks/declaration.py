"""What was declared of a task, as plain data: all that running and calling it needs to know."""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import TYPE_CHECKING, Any

from celeriac.tasks.signature import TaskSignature

if TYPE_CHECKING:
    from collections.abc import Callable

    from celeriac.tasks.policies import TaskPolicy

__all__ = ["TaskDeclaration"]


class TaskDeclaration:
    """One task: its name, its method, its policy, and the controller whose method it is."""

    def __init__(self, function: Callable[..., Any], name: str, policy: TaskPolicy) -> None:
        self.function = function
        self.name = name
        self.policy = policy
        self.controller: type[Any] | None = None
        """The controller, as soon as its class is made."""
        self.__doc__ = function.__doc__

    def __repr__(self) -> str:
        return f"<task {self.name!r} of {self.origin}>"

    @cached_property
    def signature(self) -> TaskSignature:
        """The task's parameters and result, read once."""
        return TaskSignature(self.name, self.function)

    @property
    def is_coroutine(self) -> bool:
        """Whether the method is ``async def``."""
        return inspect.iscoroutinefunction(self.function)

    @property
    def origin(self) -> str:
        """Where the task is declared, for people."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @property
    def summary(self) -> str:
        """The first line of the method's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]
