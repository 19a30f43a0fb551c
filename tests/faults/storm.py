"""P2 by hand: ``python -m tests.faults.storm --tasks 12000 --kills 40``. Prints the verdict and the seed."""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.scenario import RETURN, Scenario
from tests.faults.harness.seed import SEED
from tests.faults.harness.verdict import Verdict
from tests.faults.harness.waiting import happens_within
from tests.faults.harness.worker import Pool

SLOTS = 2
_LEASE = 1.5
"""Seconds. After each kill, what was begun comes back once they are over."""
_PAUSES = (0.0, 0.0, 0.0, 0.002, 0.005, 0.02)
"""Seconds that a task takes: mostly none, so that a kill also meets claims and acknowledgements."""


def storm(scenario: Scenario, server: PrivateRedis, *, tasks: int, kills: int, pool: Pool = "lane") -> Verdict:
    """Send ``tasks`` while a supervised worker is killed ``kills`` times, each at a random moment under load."""
    chance = scenario.chance
    producer = scenario.producer(server.url)
    share = tasks // kills
    allowed = threading.Semaphore(0)  # the backlog lasts as long as the kills do, and is never empty before

    def produce() -> None:
        for _ in range(kills):
            allowed.acquire()
            for _ in range(share):
                producer.send(1, "work", chance.choice(_PAUSES))
        producer.send(tasks - share * kills, "work", 0.0)

    sender = threading.Thread(target=produce, daemon=True)
    sender.start()
    allowed.release()
    allowed.release()
    worker = scenario.running(server.url, pool=pool, concurrency=SLOTS, supervised=True, lease=_LEASE)
    pauses = random.Random(chance.random())  # noqa: S311  its own, whatever the sender's thread draws meanwhile
    for number in range(kills):
        before = len(scenario.ledger.counts("done"))
        happens_within(lambda before=before: len(scenario.ledger.counts("done")) > before, RETURN + 20)  # type: ignore[misc]
        time.sleep(pauses.uniform(0.0, 0.6))
        worker.kill_group()
        if number + 2 < kills:
            allowed.release()
    sender.join(120)
    return scenario.settle(server, timeout=RETURN + 30 + tasks / 100)


def main() -> int:
    """Run one storm and say what became of the tasks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=12_000)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--pool", choices=["lane", "prefork", "threads", "solo"], default="lane")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="celeriac-storm-") as directory:
        scenario = Scenario(Path(directory), random.Random(SEED), lambda _: None)  # noqa: S311  to be had again
        try:
            verdict = storm(scenario, scenario.redis(), tasks=options.tasks, kills=options.kills, pool=options.pool)
        finally:
            with redirect_stdout(None):  # the worker's log
                scenario.close()
    print(f"FAULTS_SEED={SEED} kills={options.kills} slots={SLOTS} {verdict}")
    return 1 if verdict.lost or verdict.unexpected or verdict.duplicates > options.kills * SLOTS else 0


if __name__ == "__main__":
    sys.exit(main())
