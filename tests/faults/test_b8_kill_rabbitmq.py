"""B8: RabbitMQ is killed and comes back, with a backlog and while tasks are sent and run."""

from __future__ import annotations

import time

import pytest
from tests.faults.harness.census import Census
from tests.faults.harness.forms import forms
from tests.faults.harness.private_rabbit import PrivateRabbit
from tests.faults.harness.seed import FULL, times
from tests.faults.harness.waiting import happens_within

pytestmark = pytest.mark.xdist_group("rabbit")  # one node for all of them

RESUME = 60.0


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory):
    with PrivateRabbit(tmp_path_factory.mktemp("rabbit")) as node:
        yield node


@pytest.mark.timeout(600 if FULL else 180)
@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork", "threads", "solo"]))
def test_kill_9_of_rabbitmq_loses_no_acknowledged_task_and_no_worker(scenario, rabbit, pool):
    results = scenario.redis()
    queue = f"of-{pool}"  # the node is shared, and what one test leaves is none of the next one's business
    options = {"broker_url": rabbit.url, "result_backend": results.url, "task_default_queue": queue}
    producer = scenario.producer(results.url, **options)
    env = {f"CELERY_{name.upper()}": value for name, value in options.items()}
    producer.send(times(50, 300), "work", 0.02)
    worker = scenario.running(results.url, pool=pool, concurrency=2, env=env, mingle=True)
    main = worker.pid
    with producer.streaming(20, "work", 0.02):
        for _ in range(times(1, 3)):
            scenario.wait_for_done(len(scenario.ledger.counts("done")) + 10)
            rabbit.kill()
            time.sleep(1)
            rabbit.start()
            scenario.wait_for_done(len(scenario.ledger.counts("done")) + 10, timeout=RESUME)
    happens_within(lambda: set(scenario.ledger.counts("done")) >= set(scenario.ledger.counts("acknowledged")), RESUME)
    verdict = scenario.verdict(Census())
    verdict.require(duplicates=len(verdict.done))  # RabbitMQ forgets acknowledgements that it had not yet written down
    assert worker.alive
    assert worker.pid == main
    assert worker.stop() == 0


def test_production_refuses_a_classic_queue(scenario, rabbit):
    results = scenario.redis()
    env = {
        "ENVIRONMENT": "production",
        "CELERY_BROKER_URL": rabbit.url,
        "CELERY_RESULT_BACKEND": results.url,
        "CELERY_TASK_DEFAULT_QUEUE_TYPE": "classic",
        "CELERY_TASK_DEFAULT_QUEUE": "classic",
    }
    worker = scenario.worker(results.url, env=env)
    try:
        worker.start(wait=False)
        assert worker.wait(30) != 0
        assert "quorum" in worker.log
    finally:
        worker.close()
