"""Whether a long queue is drained as fast as a short one: its length is held while so many tasks run."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from benchmarks.bench import until
from benchmarks.processes import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.bench import Bench
    from benchmarks.systems import System

__all__ = ["backlog"]

_CHUNK = 500
_UUID = re.compile(
    rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])"
)


def backlog(bench: Bench, system: System) -> dict[str, float]:
    """Tasks a second with so many queued: ``rate_<queued>``."""
    return {f"rate_{held}": _held(bench, system, held) for held in bench.size.held}


def _held(bench: Bench, system: System, held: int) -> float:
    """The rate over as many tasks as a drain has, the queue as long at the end as at the beginning."""
    client, key = bench.server.client, system.list_key
    bench.server.empty()
    bench.fill(system, 1)
    clones = _clones(client.lindex(key, 0))
    for _ in range(0, held, _CHUNK):
        client.lpush(key, *(next(clones) for _ in range(min(_CHUNK, held))))
    count = bench.tasks(system)
    # Made before: the driver shall not take the workers' time.
    spare = [[next(clones) for _ in range(_CHUNK)] for _ in range(count * 3 // _CHUNK + 20)]
    with Ledger() as ledger, bench.workers(system, ledger) as workers:

        def refill_until(done: int) -> None:
            def reached() -> bool:
                while spare and client.llen(key) < held - _CHUNK // 2:
                    client.lpush(key, *spare.pop())
                return ledger.total() >= done

            until(reached, workers, f"{done} tasks of {held} by {system.name}")

        until(lambda: len(ledger.sizes()) >= system.processes, workers, f"every process of {system.name} at work")
        refill_until(ledger.total() + count // 10)
        began, started = ledger.total(), time.perf_counter()
        refill_until(began + count)
        return (ledger.total() - began) / (time.perf_counter() - started)


def _clones(message: bytes) -> Iterator[bytes]:
    """The same message again and again, every UUID in it replaced by one that no other has."""
    found = list(dict.fromkeys(_UUID.findall(message)))
    parts = _UUID.split(message)
    order = [found.index(each) for each in _UUID.findall(message)]
    dashed = [b"-" in each for each in found]
    number = 0
    while True:
        fresh: list[bytes] = []
        for with_dashes in dashed:
            number += 1
            plain = b"%032x" % number
            fresh.append(
                b"-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:])) if with_dashes else plain
            )
        made = [parts[0]]
        for which, part in zip(order, parts[1:], strict=True):
            made += (fresh[which], part)
        yield b"".join(made)
