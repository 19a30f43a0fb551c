"""The endpoint that people write: FastAPI, and Celery's ``delay()`` called inside a coroutine."""

from __future__ import annotations

import os

from celery import Celery
from fastapi import FastAPI

__all__ = ["app"]

_celery = Celery("usual", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app = FastAPI()


@_celery.task(name="ping")
def ping() -> dict[str, str]:
    return {"result": "pong"}


@app.post("/ping", status_code=202)
async def run() -> dict[str, str]:
    return {"task_id": ping.delay().id, "status": "queued"}
