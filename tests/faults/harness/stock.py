"""``celery --app=tests.faults.harness.stock worker``: plain Celery, which the harness must be able to convict."""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Celery
from tests.faults.harness.ledger import Ledger

ledger = Ledger(Path(os.environ["FAULTS_LEDGER"]))
app = Celery("stock", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.update(
    task_default_queue="default",
    broker_connection_retry_on_startup=True,
    task_acks_late=os.environ.get("FAULTS_ACKS_LATE") == "1",
)


@app.task(name="faults.work")
def work(key: str, seconds: float = 0.0) -> str:
    ledger.write("started", key)
    time.sleep(seconds)
    ledger.write("done", key)
    return key
