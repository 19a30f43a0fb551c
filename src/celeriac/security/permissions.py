"""What takes a permission, and the one place that asks for it, whether for HTTP, a bot or a program of yours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from celeriac.exceptions import PermissionMissing
from celeriac.security.trail import note

if TYPE_CHECKING:
    from celeriac.security.callers import Caller
    from celeriac.tasks.declaration import TaskDeclaration

__all__ = ["SYSTEM_READ", "TASKS_CANCEL", "TASKS_READ", "TASKS_RUN", "authorize", "permission_to_run"]

TASKS_READ: Final = "tasks:read"
"""See tasks, their states and their results."""
TASKS_RUN: Final = "tasks:run"
"""Run a task that names no permission of its own."""
TASKS_CANCEL: Final = "tasks:cancel"
"""Revoke and stop tasks."""
SYSTEM_READ: Final = "system:read"
"""See workers, queues and health."""


def authorize(caller: Caller, permission: str) -> None:
    """Return if the caller may.

    Raises:
        PermissionMissing: it may not.
    """
    note(permission=permission)
    if not caller.may(permission):
        raise PermissionMissing(subject=caller.subject, permission=permission)


def permission_to_run(declaration: TaskDeclaration) -> str:
    """What it takes to run, or to run again, this task: what it was declared with, else ``tasks:run``.

    A permission of a task's own stands instead of ``tasks:run``, not beside it: who may run everyday tasks may not run
    this one, and who may run this one may not run the others.
    """
    return declaration.policy.permission or TASKS_RUN
