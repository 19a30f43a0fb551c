"""``celery --app=tests.kit.lanes worker``: tasks that try the fast lane in every way, on its pool."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

from tests.kit.service import Container

from celeriac import TaskController, create_celery_app, task
from celeriac.tasks.execution import register_task

app = create_celery_app()
app.conf.worker_pool = "celeriac.worker.lane.pool:LanePool"


class Beside(TaskController):
    @task("beside")
    async def beside(self, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return os.getpid()


register_task(app, Beside.beside, Container())


@app.task(name="quick")
def quick(value: Any = None) -> Any:
    return value


@app.task(name="nap")
def nap(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@app.task(name="early", acks_late=False)
def early(seconds: float) -> str:
    time.sleep(seconds)
    return "early"


@app.task(name="vanish")
def vanish() -> None:
    os._exit(3)


@app.task(name="vanish.failing", reject_on_worker_lost=False)
def vanish_failing() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="vanish.early", acks_late=False)
def vanish_early() -> None:
    os._exit(3)


@app.task(name="hopeless")
def hopeless() -> None:
    msg = "no use"
    raise ValueError(msg)


@app.task(name="greedy")
def greedy(kind: str) -> None:
    raise {"memory": MemoryError, "exit": SystemExit, "depth": RecursionError, "typed": KeyboardInterrupt}[kind]


HALF_A_SECOND: Any = 0.5  # Celery takes it, its stubs do not


@app.task(name="limited", soft_time_limit=HALF_A_SECOND)
def limited() -> str:
    try:
        time.sleep(30)
    except Exception as error:  # noqa: BLE001  whatever it is, it is what the test is about
        return type(error).__name__
    return "slept"


@app.task(name="stubborn", time_limit=1)
def stubborn() -> None:
    while True:
        try:
            time.sleep(30)
        except BaseException:  # noqa: BLE001, S112  that is how stubborn it is
            continue


@app.task(name="paced", rate_limit="20/s")
def paced() -> float:
    return time.time()


@app.task(name="again", bind=True, max_retries=2)
def again(self: Any) -> int:
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return int(self.request.retries)


@app.task(name="seen", bind=True)
def seen(self: Any) -> dict[str, Any]:
    request = self.request
    return {
        "hostname": request.hostname,
        "delivery_info": request.delivery_info,
        "correlation_id": request.correlation_id,
        "reply_to": bool(request.reply_to),
        "is_eager": request.is_eager,
        "called_directly": request.called_directly,
        "args": list(request.args),
        "kwargs": request.kwargs,
        "root": request.root_id == request.id,
        "timelimit": request.timelimit,
    }
