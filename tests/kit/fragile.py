"""``celery --app=tests.kit.fragile worker``: tasks that end badly, or late."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from celery.exceptions import Reject

from celeriac import create_celery_app

app = create_celery_app()


@app.task(name="fragile.dies")
def dies(path: str) -> None:
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    os._exit(1)


@app.task(bind=True, name="fragile.later", max_retries=5)
def later(self: Any, retries: int, countdown: float) -> list[Any]:
    if self.request.retries < retries:
        raise self.retry(countdown=countdown)
    return [self.request.retries, self.request.delivery_info["routing_key"]]


@app.task(name="fragile.refuses")
def refuses() -> None:
    raise Reject(requeue=False)


@app.task(name="fragile.fine")
def fine(path: str | None = None) -> str:
    if path is not None:
        with Path(path).open("a") as file:
            file.write("ran\n")
    return "fine"


@app.task(name="fragile.slow")
def slow(path: str, seconds: float) -> str:
    with Path(path).open("a") as file:
        file.write("ran\n")
    time.sleep(seconds)
    return "slow"


@app.task(name="fragile.stamp")
def stamp(path: str, due: float) -> None:
    with Path(path).open("a") as file:
        file.write(f"{time.time() - due:.3f}\n")
