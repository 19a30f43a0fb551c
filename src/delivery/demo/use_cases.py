"""The second half of the tour: the service's own use cases, each through every layer of the house."""

from __future__ import annotations

import asyncio
import mailbox
import time
from typing import cast

from pydantic import JsonValue
from redis import Redis

from celeriac import gather
from celeriac.injection import Scoping
from core.accounts import User
from core.accounts.activities import ActivityService
from core.accounts.ports import Deed
from core.accounts.service import AccountService
from core.data.ports import TableReader
from delivery.demo.places import LETTERS, ORDERS
from delivery.demo.saying import PATIENCE, show
from delivery.tasks.registry import TasksRegistry

__all__ = ["UseCases"]

DEEDS = 20_000
"""Activities of the tour's user: an export of fewer is over before anybody can look at it."""


class UseCases:
    """Walks through the use cases with one user.

    Args:
        registry: the tasks.
        container: opens a scope for each use case, as a request over HTTP does.
        tables: reads the tour's table.
        redis: where exports show how far they are.
    """

    def __init__(self, registry: TasksRegistry, container: Scoping, tables: TableReader, redis: Redis) -> None:
        self._redis = redis
        self._registry = registry
        self._container = container
        self._tables = tables
        self._user: User | None = None

    def welcome(self) -> None:
        """A user and the letter that welcomes them are kept in one transaction; the letter arrives."""
        self._user = asyncio.run(self._open_account())
        show("AccountService.create('ada@example.org', 'Ada')", self._user)
        letter = self._letter_to(self._user.email)
        show("what the mail server got", f"{letter['Subject']!r} for {letter['To']}, Message-ID {letter['Message-ID']}")

    def export(self) -> None:
        """An export says how far it is, and ends in a file that is there whole."""
        assert self._user is not None  # noqa: S101  the step before made one
        result = self._registry.export_user_data.delay(self._user.id, "csv")
        said: set[str] = set()
        while not result.ready():
            progress = result.progress
            if progress is not None and (message := str(progress.details.get("message"))) not in said:
                said.add(message)
                print(f"   {progress.percent:>3} % {message}")
            time.sleep(0.005)
        done = result.get(timeout=PATIENCE)
        show(f"registry.export_user_data.delay({self._user.id}, 'csv').get()", done)
        show(f"GET export_progress:{result.id}", self._shown(result.id))

    def summarise(self) -> None:
        """Steps that hand on what they found: each row by itself, then all of them together."""
        rows: list[JsonValue] = [{**row} for row in self._tables.read(ORDERS)[:20]]
        workflow = gather(*(self._registry.process_item.s(row) for row in rows)).then(self._registry.aggregate_results)
        show("gather(process_item.s(row), ...).then(aggregate_results)", workflow.delay().get(timeout=PATIENCE))

    def index(self) -> None:
        """Prices are fetched, and an index is computed from them, as two steps of one workflow."""
        workflow = self._registry.refresh_market_data.s("full").then(self._registry.compute_index)
        show("refresh_market_data.s('full').then(compute_index)", workflow.delay().get(timeout=PATIENCE))

    async def _open_account(self) -> User:
        with self._container.scope() as scope:
            user = await scope.resolve(AccountService).create("ada@example.org", "Ada")
            deeds: list[Deed] = [("ordered", {"number": number, "plant": "celeriac"}) for number in range(DEEDS)]
            await scope.resolve(ActivityService).record(user.id, deeds)
            return user

    def _shown(self, task_id: str) -> str:
        kept = cast("bytes", self._redis.get(f"export_progress:{task_id}"))
        return kept.decode()

    @staticmethod
    def _letter_to(address: str) -> mailbox.MaildirMessage:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for letter in mailbox.Maildir(LETTERS):
                if letter["To"] == address:
                    return letter
            time.sleep(0.1)
        msg = f"no letter to {address} arrived within {PATIENCE} s"
        raise TimeoutError(msg)
