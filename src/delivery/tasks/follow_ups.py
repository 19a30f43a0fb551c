"""What follows a change: ports of core, fulfilled by calls of tasks that are kept or dropped with the change."""

from __future__ import annotations

from typing import Any, Protocol

from core.accounts import User
from delivery.tasks.registry import TasksRegistry

__all__ = ["AccountFollowUps", "Transaction", "UploadFollowUps"]


class Transaction(Protocol):
    """The unit of work that is open, for those who write calls into its session."""

    @property
    def session(self) -> Any:
        """The session, as ``delay_on_commit`` takes it."""
        ...


class AccountFollowUps:
    """Fulfils :class:`core.accounts.ports.FollowUps`."""

    def __init__(self, tasks: TasksRegistry, transaction: Transaction) -> None:
        self._tasks = tasks
        self._transaction = transaction

    def welcome(self, user: User) -> None:
        """See :meth:`core.accounts.ports.FollowUps.welcome`."""
        self._tasks.send_welcome_email.delay_on_commit(self._transaction.session, user.id, user.email)


class UploadFollowUps:
    """Fulfils :class:`core.uploads.ports.UploadFollowUps`."""

    def __init__(self, tasks: TasksRegistry, transaction: Transaction) -> None:
        self._tasks = tasks
        self._transaction = transaction

    def process(self, file_id: str, task_id: str | None = None) -> str:
        """See :meth:`core.uploads.ports.UploadFollowUps.process`."""
        handle = self._tasks.process_upload
        call = handle.call((file_id,), {}, {} if task_id is None else {"task_id": task_id})
        return handle.send_on_commit(self._transaction.session, call).id
