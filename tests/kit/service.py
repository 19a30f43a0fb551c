"""Controllers that show, one each, what a task can be."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from pydantic import BaseModel, SecretStr
from typing_extensions import TypedDict

import celeriac
from celeriac import Limits, Priority, Retry, TaskContext, TaskController, exponential, linear, task

if TYPE_CHECKING:
    from collections.abc import Generator

T = TypeVar("T")


class Pong(TypedDict):
    result: Literal["pong"]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    street: str
    since: datetime


@dataclass
class Parcel:
    weight: float
    to: Address


MEETING: list[str] = []
"""Who came, in this process."""


def append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line + "\n")


class BrokenError(Exception):
    """What the tasks here fail with."""


class BetterError(Exception):
    """What a controller turns BrokenError into."""


class Clock:
    """A dependency."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ValuesController(TaskController):
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    @task("ping")
    def ping(self) -> Pong:
        """Answer."""
        return {"result": "pong"}

    @task("add")
    def add(self, x: int, y: int = 0) -> int:
        """Add two numbers."""
        return x + y

    @task("fast.add")
    async def async_add(self, x: int, y: int) -> int:
        await asyncio.sleep(0)
        return x + y

    @task("ship", queue="parcels", priority=Priority.HIGH)
    def ship(self, parcel: Parcel, *, colour: Colour, tag: UUID, wait: timedelta = timedelta(0)) -> Parcel:
        assert isinstance(parcel, Parcel)
        assert isinstance(parcel.to, Address)
        assert isinstance(parcel.to.since, datetime)
        assert isinstance(colour, Colour)
        assert isinstance(tag, UUID)
        assert isinstance(wait, timedelta)
        return Parcel(weight=parcel.weight * 2, to=parcel.to)

    @task("digest")
    def digest(self, data: bytes) -> bytes:
        return bytes(reversed(data))

    @task("login")
    def login(self, user: str, password: SecretStr) -> int:
        return len(password.get_secret_value())

    @task("token")
    def token(self, name: str) -> SecretStr:
        return SecretStr(f"secret-of-{name}")

    @task("login.flaky", retry=Retry(on=BrokenError, max_retries=1, backoff=0.1))
    def login_twice(self, password: SecretStr) -> int:
        raise BrokenError(len(password.get_secret_value()))

    @task("several")
    def several(self, /, *numbers: int, **names: str) -> dict[str, Any]:
        return {"numbers": sum(numbers), "names": names}

    @task("anything")
    def anything(self, value: Any) -> Any:
        return value

    @task("lies")
    def lies(self) -> int:
        return "three"  # type: ignore[return-value]  # the point of it

    @task("where")
    def where(self) -> dict[str, int]:
        return {"process": os.getpid(), "thread": threading.get_ident()}

    @task("loop")
    async def loop(self) -> dict[str, int]:
        return {"process": os.getpid(), "loop": id(asyncio.get_running_loop())}


class TroubleController(TaskController):
    def __init__(self, context: TaskContext) -> None:
        self.context = context

    @task("fail")
    def fail(self, message: str) -> None:
        raise BrokenError(message)

    @task("fail.async")
    async def fail_async(self, message: str) -> None:
        raise BrokenError(message)

    @task("flaky", retry=Retry(on=BrokenError, max_retries=3, backoff=exponential(0.05)))
    def flaky(self, failures: int) -> int:
        if self.context.attempt <= failures:
            raise BrokenError(self.context.attempt)
        return self.context.attempt

    @task("flaky.linear", retry=Retry(on=BrokenError, max_retries=3, backoff=linear(60)))
    def flaky_linear(self) -> None:
        raise BrokenError

    @task("flaky.doubling", retry=Retry(on=BrokenError, max_retries=3, backoff=exponential(1)))
    def flaky_doubling(self) -> None:
        raise BrokenError

    @task("flaky.default", retry=Retry(on=BrokenError))
    def flaky_default(self) -> None:
        raise BrokenError

    @task("asks")
    def asks(self, times: int) -> int:
        if self.context.attempt <= times:
            self.context.retry(BrokenError("asked too often"), countdown=0.05, max_retries=2)
        return self.context.attempt

    @task("asks.async")
    async def asks_async(self, times: int) -> int:
        if self.context.attempt <= times:
            self.context.retry(countdown=0.05)
        return self.context.attempt

    @task("slow", limits=Limits(soft=1, hard=3))
    def slow(self, seconds: float) -> str:
        time.sleep(seconds)
        return "done"

    @task("slow.async", limits=Limits(soft=1, hard=5))
    async def slow_async(self, seconds: float, key: str) -> str:
        await asyncio.sleep(seconds)
        return key

    @task("unwinds", limits=Limits(soft=1, hard=10))
    async def unwinds(self, path: Path) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            append(path, "unwound")

    @task("stubborn", limits=Limits(soft=1, hard=2))
    def stubborn(self) -> None:
        with suppress(SoftTimeLimitExceeded):
            time.sleep(60)
        time.sleep(60)

    @task("unaware", limits=Limits(hard=1))
    def unaware(self) -> None:
        with suppress(SoftTimeLimitExceeded):
            time.sleep(60)
        time.sleep(60)

    @task("stall")
    def stall(self, path: Path) -> str:
        """Hang the first time, and tell who could be killed for it."""
        append(path, str(os.getpid()))
        if len(path.read_text().splitlines()) == 1:
            time.sleep(60)
        return f"execution {len(path.read_text().splitlines())}"

    @task("record")
    def record(self, path: Path, line: str) -> None:
        append(path, line)

    @task("record.surely", outbox=True)
    def record_surely(self, path: Path, line: str) -> None:
        append(path, line)

    @task("meet")
    async def meet(self, guests: int) -> bool:
        """Whether so many are here at the same time."""
        MEETING.append(self.context.id)
        for _ in range(500):
            if len(MEETING) >= guests:
                return True
            await asyncio.sleep(0.01)
        return False

    @task("sleep")
    def sleep(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    @task("waits")
    def waits_for_another(self) -> None:
        REGISTRY["registry"].ping.delay().get(timeout=1)

    @task("spawns")
    def spawns(self) -> str:
        return REGISTRY["registry"].ping.delay().id

    @task("spawns.async")
    async def spawns_async(self) -> str:
        return (await REGISTRY["registry"].ping.adelay()).id

    @task("blocks")
    async def blocks_its_loop(self) -> None:
        REGISTRY["registry"].ping.delay()


class PolishedController(TaskController):
    @task("polished")
    def polished(self, *, rescue: bool) -> str:
        raise BrokenError("rescue" if rescue else "lost")

    def handle_exception(self, error: Exception) -> object:
        if "rescue" in str(error):
            return "rescued"
        raise BetterError(str(error)) from error


class StoryController(TaskController):
    def __init__(self, context: TaskContext) -> None:
        self.context = context

    @task("data.process")
    def process(self, data: list[Any], pause: float = 0.0) -> dict[str, int]:
        for done, _ in enumerate(data, start=1):
            self.context.progress(done, len(data))
            time.sleep(pause)
        return {"processed": len(data)}

    @task("progress.async")
    async def report(self) -> str:
        await self.context.aprogress(1, 4, message="Fetching")
        await asyncio.sleep(0.5)
        return "ok"

    @task("about")
    def about(self) -> dict[str, Any]:
        context = self.context
        limit = context.deadline - context.started if context.deadline else None
        return {
            "id": context.id,
            "name": context.name,
            "attempt": context.attempt,
            "queue": context.queue,
            "header": context.headers.get("tenant"),
            "seconds": limit.total_seconds() if limit else None,
        }

    @task("fetch_data")
    def fetch_data(self, user: str) -> list[int]:
        return [len(user), 2, 3]

    @task("process_data")
    def process_data(self, numbers: list[int], factor: int = 1) -> int:
        return sum(numbers) * factor

    @task("save_results")
    def save_results(self, total: int, *, label: str) -> str:
        return f"{label}={total}"

    @task("process_item")
    def process_item(self, item: int) -> int:
        return item * item

    @task("aggregate_results")
    def aggregate_results(self, results: list[int]) -> int:
        return sum(results)

    @task("write_down")
    def write_down(self, results: list[int], path: Path) -> None:
        append(path, str(results))

    @task("urgent", queue="high_priority", priority=Priority.CRITICAL)
    def urgent(self) -> None: ...

    @task("hidden", http=False)
    def hidden(self) -> None: ...

    @task("batch", queue="background", retry=Retry(max_retries=7), rate_limit="10/m", ignore_result=True)
    def batch(self) -> None: ...


class Registry(celeriac.TasksRegistry):
    ping = ValuesController.ping
    add = ValuesController.add
    async_add = ValuesController.async_add
    ship = ValuesController.ship
    digest = ValuesController.digest
    login = ValuesController.login
    login_twice = ValuesController.login_twice
    token = ValuesController.token
    several = ValuesController.several
    anything = ValuesController.anything
    lies = ValuesController.lies
    where = ValuesController.where
    loop = ValuesController.loop
    fail = TroubleController.fail
    fail_async = TroubleController.fail_async
    flaky = TroubleController.flaky
    flaky_linear = TroubleController.flaky_linear
    flaky_doubling = TroubleController.flaky_doubling
    flaky_default = TroubleController.flaky_default
    asks = TroubleController.asks
    asks_async = TroubleController.asks_async
    slow = TroubleController.slow
    slow_async = TroubleController.slow_async
    unwinds = TroubleController.unwinds
    stubborn = TroubleController.stubborn
    unaware = TroubleController.unaware
    stall = TroubleController.stall
    record = TroubleController.record
    record_surely = TroubleController.record_surely
    meet = TroubleController.meet
    sleep = TroubleController.sleep
    waits_for_another = TroubleController.waits_for_another
    spawns = TroubleController.spawns
    spawns_async = TroubleController.spawns_async
    blocks_its_loop = TroubleController.blocks_its_loop
    polished = PolishedController.polished
    process = StoryController.process
    report = StoryController.report
    about = StoryController.about
    fetch_data = StoryController.fetch_data
    process_data = StoryController.process_data
    save_results = StoryController.save_results
    process_item = StoryController.process_item
    aggregate_results = StoryController.aggregate_results
    write_down = StoryController.write_down
    urgent = StoryController.urgent
    hidden = StoryController.hidden
    batch = StoryController.batch


REGISTRY: dict[str, Registry] = {}
"""The registry of the app that runs here, for tasks that call others."""


class Scope:
    """What one task resolved."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def resolve(self, service: type[T], /) -> T:
        self.log.append(service.__name__)
        if service is ValuesController:
            return service(Clock())  # type: ignore[call-arg]
        if issubclass(service, (TroubleController, StoryController)):
            return service(TaskContext.current())
        return service()


class Container(Scope):
    """Ten lines that fulfil the kit's protocol."""

    def __init__(self) -> None:
        super().__init__([])

    @contextmanager
    def scope(self) -> Generator[Scope]:
        self.log.append("open")
        try:
            yield Scope(self.log)
        except BaseException as error:
            self.log.append(f"rollback {type(error).__name__}")
            raise
        else:
            self.log.append("commit")
