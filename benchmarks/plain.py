"""The peer: Celery as its manual has it, two functions and the very options that Celeriac's app ends up with.

It imports nothing of Celeriac. The driver writes the options to the file that BENCHMARK_CONF names.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from celery import Celery

app = Celery("main")
app.conf.update(json.loads(Path(os.environ["BENCHMARK_CONF"]).read_text(encoding="utf-8")))


@app.task(name="ping", shared=False)  # the driver holds both apps, and Celery would share the task with ours
def ping() -> dict[str, str]:
    """Answer."""
    return {"result": "pong"}


@app.task(name="example.add", shared=False)
def add(x: int, y: int) -> int:
    """Add two numbers."""
    return x + y
