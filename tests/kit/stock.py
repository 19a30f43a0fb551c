"""Celery alone, without a line of ours."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("stock", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])


@app.task(name="add")
def add(x: int, y: int = 0) -> int:
    return x + y
