"""Tasks: run, look at, cancel."""

from __future__ import annotations

import re
from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING, Final

from aiogram import F, Router
from aiogram.exceptions import TelegramBadRequest
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message, Update

from celeriac.http.lookup import Found, look
from celeriac.http.problems import ProblemError
from celeriac.http.revoking import revoke
from celeriac.http.sending import runnable
from celeriac.security.callers import Caller
from celeriac.security.permissions import TASKS_CANCEL, TASKS_READ, authorize, permission_to_run
from celeriac.security.trail import note
from celeriac.tasks.policies import TaskState
from delivery.bot.arguments import read_arguments
from delivery.bot.handlers.general import runnable_by
from delivery.bot.problems import in_time
from delivery.bot.texts import button, code, cut, told
from delivery.tasks.registry import TasksRegistry

if TYPE_CHECKING:
    from celeriac.http.services import Services
    from delivery.bot.following import Follows
    from delivery.bot.sending import Sending

__all__ = ["TaskHandlers"]

_ID: Final = re.compile(r"[\w.:@=+-]{1,155}")
_WAITING: Final = "It will not run."
_STOPPED: Final = "The worker was told to stop it."


class TaskHandlers:
    """``/run``, ``/status``, ``/cancel``, and the buttons below a task.

    Args:
        desk: where tasks are looked up and revoked.
        registry: the tasks.
        sending: sends them, once for each message.
        follows: keeps answers up to date.
    """

    def __init__(self, desk: Services, registry: TasksRegistry, sending: Sending, follows: Follows) -> None:
        self._desk = desk
        self._registry = registry
        self._sending = sending
        self._follows = follows

    def router(self) -> Router:
        """These handlers."""
        router = Router(name="tasks")
        router.message.register(self.run, Command("run"))
        router.message.register(self.status, Command("status"))
        router.message.register(self.cancel, Command("cancel"))
        router.callback_query.register(self.cancel_by_button, F.data.startswith("cancel:"))
        router.callback_query.register(self.stop_by_button, F.data.startswith("stop:"))
        return router

    async def run(self, message: Message, command: CommandObject, caller: Caller, event_update: Update) -> None:
        """Send a task, and follow it for who may see tasks."""
        name, _, text = re.sub(r"\s", " ", command.args or "", count=1).strip().partition(" ")
        if not name:
            await self._list(message, caller)
            return
        note(action="run_task", task=name)
        handle = runnable(self._registry, name)
        authorize(caller, permission_to_run(handle.definition))
        args, kwargs = read_arguments(handle, text)
        task_id = await self._sending.send(caller, handle, args, kwargs, f"{message.chat.id}:{event_update.update_id}")
        view = {"task_id": task_id, "status": TaskState.PENDING.value}
        if caller.may(TASKS_READ):
            await self._follows.answer(message, view, handle.name)
        else:
            await message.answer(told(view, handle.name))

    async def _list(self, message: Message, caller: Caller) -> None:
        names = [f"{handle.name}{handle.signature}" for handle in runnable_by(self._registry, caller)]
        if not names:
            await message.answer("There is no task that you may run.")
            return
        await message.answer(f"Which one? /run name x=2 y=3\n<pre>{escape(cut(chr(10).join(names)))}</pre>")

    async def status(self, message: Message, command: CommandObject, caller: Caller) -> None:
        """What a task is, and what becomes of it."""
        authorize(caller, TASKS_READ)
        found = await in_time(look(self._desk, _id_of(command)))
        await self._follows.answer(message, found.view(self._desk))

    async def cancel(self, message: Message, command: CommandObject, caller: Caller) -> None:
        """Have a task never start; one that runs is stopped only if that is meant."""
        found = await self._to_cancel(caller, _id_of(command))
        if _waits(found) and await self._revoked(found.id):
            await message.answer(f"{code(found.id)}\n{_WAITING}")
        else:
            await self._ask(message, found.id)

    async def cancel_by_button(self, callback: CallbackQuery, caller: Caller) -> None:
        """The same from below a task."""
        found = await self._to_cancel(caller, _id_in(callback))
        if _waits(found) and await self._revoked(found.id):
            await _noted(callback, _WAITING)
            return
        await _noted(callback)
        if isinstance(callback.message, Message):
            await self._ask(callback.message, found.id)

    async def stop_by_button(self, callback: CallbackQuery, caller: Caller) -> None:
        """Stop a task that runs."""
        found = await self._to_cancel(caller, _id_in(callback))
        await in_time(revoke(self._desk, found.id, terminate=True))
        await _noted(callback, _STOPPED)
        if isinstance(callback.message, Message):
            with suppress(TelegramBadRequest):  # pressed twice
                await callback.message.edit_text(f"{code(found.id)}\n{_STOPPED}")

    async def _to_cancel(self, caller: Caller, task_id: str) -> Found:
        note(action="revoke_task", task_id=task_id)
        authorize(caller, TASKS_CANCEL)
        found = await in_time(look(self._desk, task_id))
        if found.ended and found.status is not TaskState.REVOKED:
            raise ProblemError(409, "task-has-ended", f"The task has ended: {found.status}.")
        return found

    async def _revoked(self, task_id: str) -> bool:
        """Whether it will never run; it may have been started a moment ago."""
        return await in_time(revoke(self._desk, task_id, terminate=False)) is TaskState.REVOKED

    @staticmethod
    async def _ask(message: Message, task_id: str) -> None:
        await message.answer(f"{code(task_id)}\nIt runs.", reply_markup=button("Stop it", f"stop:{task_id}"))


def _waits(found: Found) -> bool:
    return found.status in {TaskState.PENDING, TaskState.RETRY, TaskState.REVOKED}


def _id_of(command: CommandObject) -> str:
    """The id that follows a command.

    Raises:
        ProblemError: none does, or something that is no id.
    """
    task_id = (command.args or "").strip()
    if not _ID.fullmatch(task_id):
        detail = f"Write the id of a task after it: /{command.command} 0d4e2c0e-5b8f-4d9c-9f1e-3f1f0e0a7f55"
        raise ProblemError(422, "invalid-request", detail)
    return task_id


async def _noted(callback: CallbackQuery, text: str | None = None) -> None:
    """Show that a button did something, if it was pressed lately: what is done is done."""
    with suppress(TelegramBadRequest):
        await callback.answer(text)


def _id_in(callback: CallbackQuery) -> str:
    return (callback.data or "").partition(":")[2]
