"""Rate limits that several processes keep together."""

from __future__ import annotations

import os
import time

from celeriac.worker.lane.buckets import Buckets, SharedBucket


def test_processes_share_one_rate() -> None:
    buckets = Buckets(["paced"])
    until = time.monotonic() + 1.0
    read, write = os.pipe()
    children = []
    for _ in range(3):
        if (child := os.fork()) == 0:
            bucket = SharedBucket(20.0, buckets, "paced")
            while time.monotonic() < until:
                if bucket.can_consume():
                    os.write(write, b".")
                else:
                    time.sleep(min(bucket.expected_time(), 0.01))
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    os.close(write)
    starts = len(os.read(read, 4096))
    assert 1 < starts <= 21  # 20 in a second, and one at its beginning


def test_a_task_that_came_later_keeps_its_rate_by_itself() -> None:
    bucket = SharedBucket(1.0, Buckets([]), "late")
    assert bucket.can_consume()
    assert not bucket.can_consume()
    assert 0 < bucket.expected_time() <= 1
