"""``python -m benchmarks.peers <module> <operation> <count>``: one operation of one system, in a process of its own.

It connects and warms up, says ``ready``, and begins when a line arrives. Then one line of JSON says what it took.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.peers.protocol import Peer

WARM = {"single": 100, "bulk": 100, "ask": 50}


def main() -> None:
    """Run what the arguments ask for."""
    module, operation, count = sys.argv[1:]
    peer: Peer = importlib.import_module(f"benchmarks.peers.{module}").PEER()
    if operation == "work":
        peer.work()
        return
    measured = getattr(peer, operation)
    if operation in WARM:
        measured(WARM[operation])
    print("ready", flush=True)
    if not sys.stdin.readline():
        return
    started, cpu = time.perf_counter(), time.process_time()
    value = measured(int(count))
    spent = {"wall": time.perf_counter() - started, "cpu": time.process_time() - cpu, "value": value}
    print(json.dumps(spent), flush=True)


if __name__ == "__main__":
    main()
