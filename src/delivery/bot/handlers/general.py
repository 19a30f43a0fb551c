"""What the bot is, and whether the service lives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from aiogram import Router
from aiogram.filters import Command, CommandStart
from aiogram.types import BotCommand, Message

from celeriac.security.callers import Caller
from celeriac.security.permissions import SYSTEM_READ, TASKS_CANCEL, TASKS_READ, authorize, permission_to_run
from celeriac.security.trail import note
from delivery.bot.problems import in_time
from delivery.tasks.registry import TasksRegistry

if TYPE_CHECKING:
    from celeriac.tasks.handle import TaskHandle

__all__ = ["COMMANDS", "GeneralHandlers", "runnable_by"]

COMMANDS: Final = [
    BotCommand(command="run", description="run a task: /run name x=2 y=3"),
    BotCommand(command="status", description="look at a task: /status id"),
    BotCommand(command="cancel", description="cancel a task: /cancel id"),
    BotCommand(command="queues", description="what waits, and who works"),
    BotCommand(command="ping", description="whether a worker answers, and how fast"),
    BotCommand(command="help", description="what there is"),
]
_TAKES: Final = {"status": TASKS_READ, "cancel": TASKS_CANCEL, "queues": SYSTEM_READ}
_PATIENCE: Final = 5.0
"""Seconds that a worker may take to answer."""


class GeneralHandlers:
    """``/start``, ``/help`` and ``/ping``, and whatever is no command.

    Args:
        registry: the tasks.
    """

    def __init__(self, registry: TasksRegistry) -> None:
        self._registry = registry

    def router(self) -> Router:
        """These handlers."""
        router = Router(name="general")
        router.message.register(self.help, CommandStart())
        router.message.register(self.help, Command("help"))
        router.message.register(self.ping, Command("ping"))
        router.message.register(self.anything_else)
        return router

    async def help(self, message: Message, caller: Caller) -> None:
        """What this user may do."""
        takes = {**_TAKES, "ping": permission_to_run(self._registry.ping.definition)}
        may = [each for each in COMMANDS if each.command not in takes or caller.may(takes[each.command])]
        if not runnable_by(self._registry, caller):
            may = [each for each in may if each.command != "run"]
        await message.answer("\n".join(f"/{each.command} - {each.description}" for each in may))

    async def ping(self, message: Message, caller: Caller) -> None:
        """A task goes to a worker and comes back."""
        ping = self._registry.ping
        authorize(caller, permission_to_run(ping.definition))
        began = time.perf_counter()
        result = await in_time(ping.adelay())
        note(action="run_task", task=ping.name, task_id=result.id)
        answer = await result.aget(timeout=_PATIENCE)
        await message.answer(f"{answer['result']}, after {(time.perf_counter() - began) * 1000:.0f} ms")

    async def anything_else(self, message: Message) -> None:
        """What no other handler took: this one has to be the last."""
        await message.answer("I know /help.")


def runnable_by(registry: TasksRegistry, caller: Caller) -> list[TaskHandle[..., object]]:
    """The tasks that somebody may run from outside."""
    return [
        handle
        for handle in registry
        if handle.definition.policy.http and caller.may(permission_to_run(handle.definition))
    ]
