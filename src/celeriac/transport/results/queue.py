"""Results that wait to be stored, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celeriac.transport.results.entry import Entry

__all__ = ["EntryQueue"]

BATCH_ENTRIES: Final = 1_000
BATCH_BYTES: Final = 1 << 22
"""How much goes into one pipeline."""


class EntryQueue:
    """What waits and what is under way. One state a task: a later one takes the place of an earlier that still waits.

    Its owner's lock protects it.
    """

    def __init__(self) -> None:
        self._waiting: dict[bytes, Entry] = {}  # positions ascend
        self._sending: list[Entry] = []
        self.size = 0
        """Bytes of all payloads in it."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sending)

    @property
    def waiting(self) -> int:
        """How many wait, beside those under way."""
        return len(self._waiting)

    def oldest(self) -> int | None:
        """The position of the first that is not stored yet."""
        if self._sending:
            return self._sending[0].position
        for entry in self._waiting.values():
            return entry.position
        return None

    def holds(self, key: bytes) -> bool:
        """Whether a state of this task is not stored yet."""
        return key in self._waiting or any(entry.key == key for entry in self._sending)

    def waits(self, entry: Entry) -> bool:
        """Whether this very entry is not under way yet."""
        return self._waiting.get(entry.key) is entry

    def named(self, key: bytes) -> Entry | None:
        """What waits under a key, and is not under way yet."""
        return self._waiting.get(key)

    def superseded(self, entry: Entry) -> bool:
        """Whether a success of the same task waits already, which nothing overwrites."""
        earlier = self._waiting.get(entry.key)
        return earlier is not None and earlier.success and not entry.success

    def put(self, entry: Entry) -> None:
        """Append one, in place of what waits for its task."""
        earlier = self._waiting.pop(entry.key, None)
        if earlier is not None:
            self.size -= earlier.counted
        self._waiting[entry.key] = entry
        entry.counted = entry.weight  # which may change until it is stored
        self.size += entry.counted

    def take(self) -> list[Entry]:
        """The next batch, now under way; empty if nothing waits."""
        if len(self._waiting) <= BATCH_ENTRIES and self.size <= BATCH_BYTES:
            self._sending, self._waiting = list(self._waiting.values()), {}
            return self._sending
        batch: list[Entry] = []
        size = 0
        for entry in self._waiting.values():
            size += entry.counted
            if batch and (size > BATCH_BYTES or len(batch) >= BATCH_ENTRIES):
                break
            batch.append(entry)
        for entry in batch:
            del self._waiting[entry.key]
        self._sending = batch
        return batch

    def settle(self, unstored: Iterable[Entry] = ()) -> None:
        """The batch has ended: these of it wait again, the others are stored."""
        again: dict[bytes, Entry] = {}
        for entry in unstored:
            later = self._waiting.get(entry.key)
            if later is None:
                again[entry.key] = entry
            elif entry.absorb(later):
                del self._waiting[entry.key]
                entry.counted += later.counted
                again[entry.key] = entry
            elif entry.success and not later.success:
                again[entry.key] = entry
                self.size -= self._waiting.pop(entry.key).counted
        kept = {id(entry) for entry in again.values()}
        self.size -= sum(entry.counted for entry in self._sending if id(entry) not in kept)
        self._sending = []
        if again:
            again.update(self._waiting)
            self._waiting = again
