"""The end of a hold: in the pipeline of the task's result, and before it, so that who has the result may call again."""

from __future__ import annotations

from typing import Final

from celeriac.transport.holds.scripts import LEAVE_TEXT
from celeriac.transport.results.entry import Entry

__all__ = ["LeaveEntry"]

_TEXT: Final = LEAVE_TEXT.encode()


class LeaveEntry(Entry):
    """Leaves one place, among the results that wait.

    Args:
        key: of the place.
        task_id: who leaves it.
    """

    __slots__ = ("place", "task_id")

    def __init__(self, key: str, task_id: str) -> None:
        super().__init__(f"{key}:left:{task_id}".encode(), b"", 0, success=False)
        self.place = key.encode()
        self.task_id = task_id.encode()

    @property
    def weight(self) -> int:
        """Bytes that it counts as."""
        return len(self.key)

    @property
    def scripted(self) -> bool:
        """Never by the results' script."""
        return False

    @property
    def replies(self) -> int:
        """Whether there was anything to leave."""
        return 1

    def render(self) -> bytes:
        """Its command as it travels; whole, as ends are fewer than what a server forgets."""
        parts = (b"EVAL", _TEXT, b"1", self.place, self.task_id)
        return b"*%d\r\n%b" % (len(parts), b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts))
