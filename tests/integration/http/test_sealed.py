"""Encrypted results over HTTP and in the history: who may ask reads them, and nothing stores them in clear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from redis import Redis
from tests.faults.harness.waiting import until
from tests.integration.http.conftest import made
from tests.kit.office import APP, office

from celeriac.history.records import TaskRecord
from celeriac.testing.servers import redis_server
from celeriac.testing.worker import WorkerProcess

pytestmark = pytest.mark.xdist_group("http-sealed")
WORD = "xylophone"


@pytest.mark.proves("S000-42")
def test_an_encrypted_result_is_told_to_who_may_read_it_and_stored_in_clear_nowhere(tmp_path: Path):
    key, database = Fernet.generate_key().decode(), made(tmp_path)
    env = {"CELERY_HISTORY_ENABLED": "true", "CELERY_HISTORY_DATABASE_URL": database}
    with redis_server() as url, office(url, database, result_encryption_keys=key) as running:
        env["CELERY_RESULT_ENCRYPTION_KEYS"] = key
        with WorkerProcess(APP, redis_url=url, concurrency=1, env=env):

            def sent(path: str, body: dict[str, Any]) -> dict[str, Any]:
                """The task, once it has ended."""
                check = running.http.post(f"/api/v1/tasks/{path}", json=body).json()["check_url"]
                return until(lambda: ended(running.http.get(check).json()))

            def kept(task: dict[str, Any]) -> TaskRecord:
                """The record, once the end is in the database: of one that is not, the result backend is asked."""
                until(lambda: [bool(over(record)) for record in running.history.page().tasks] == [True, True])
                return until(lambda: over(running.history.get(task["task_id"])))

            done = sent("several", {"numbers": [], "names": {"a": WORD}})
            failed = sent("fail", {"message": WORD})
            assert done["result"]["names"] == {"a": WORD}
            assert failed["status"] == "FAILURE"
            assert failed["error"] == WORD
            assert kept(done).result is None
            assert WORD not in f"{kept(failed).error} {kept(failed).attempts}"
        with Redis.from_url(url) as redis:
            stored = [redis.get(name) for name in redis.scan_iter("celery-task-meta-*")]
        assert stored
        assert WORD not in repr(stored)


def ended(said: dict[str, Any]) -> dict[str, Any] | None:
    return said if said["status"] in {"SUCCESS", "FAILURE"} else None


def over(record: TaskRecord | None) -> TaskRecord | None:
    return record if record is not None and record.state.ended else None
