"""When the thread stores what waits."""

from __future__ import annotations

import threading
from itertools import count
from typing import Any

from celeriac.transport.results.flusher import Flusher


class Replaced:
    """A writer with one task's report, which another has replaced by the time of each look."""

    coalesce = True

    def __init__(self) -> None:
        self._positions = count(1)
        self.stored = threading.Event()

    def pause(self) -> float:
        return 0.0

    def oldest(self) -> int:
        return next(self._positions)

    newest = oldest

    def attempt(self) -> bool:
        self.stored.set()
        return True


def test_reports_that_replace_each_other_all_the_time_are_stored_now_and_then():
    writer: Any = Replaced()
    Flusher(writer).poke()
    assert writer.stored.wait(20)
