"""Queues and workers."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import Message

from celeriac.security.callers import Caller
from celeriac.security.permissions import SYSTEM_READ, authorize
from delivery.bot.texts import cut

if TYPE_CHECKING:
    from celeriac.http.services import Services

__all__ = ["SystemHandlers"]


class SystemHandlers:
    """``/queues``.

    Args:
        desk: asks the broker and the workers.
    """

    def __init__(self, desk: Services) -> None:
        self._desk = desk

    def router(self) -> Router:
        """These handlers."""
        router = Router(name="system")
        router.message.register(self.queues, Command("queues"))
        return router

    async def queues(self, message: Message, caller: Caller) -> None:
        """How much waits in each queue, and who works."""
        authorize(caller, SYSTEM_READ)
        backlogs = await self._desk.ask_broker(self._desk.broker.backlogs)
        workers = await self._desk.fleet.tell("stats")
        width = max(map(len, backlogs), default=0)
        lines = [f"{name:<{width}}  {backlog.depth} waiting" for name, backlog in sorted(backlogs.items())]
        lines += ["", *([_worker(name, workers[name]) for name in sorted(workers)] or ["no worker answers"])]
        await message.answer(f"<pre>{escape(cut(chr(10).join(lines)))}</pre>")


def _worker(name: str, stats: dict[str, Any]) -> str:
    pool: dict[str, Any] = stats.get("pool") or {}
    done: dict[str, int] = stats.get("total") or {}
    return f"{name}: {pool.get('max-concurrency', '?')} at a time, {sum(done.values())} done"
