"""What each child is doing, in memory that it shares with its parent and that outlives it."""

from __future__ import annotations

import mmap
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BEGUN", "Phase", "Slot", "SlotTable"]

BEGUN: Final = 1024
"""Most tasks that a child runs at once."""
_WORDS: Final = 32
_TEXT: Final = 512
_RECORD: Final = 1 << 16
_TOKENS_AT: Final = _WORDS * 8
_OWNER_AT: Final = _TOKENS_AT + BEGUN * 8
_ID_AT: Final = _OWNER_AT + _TEXT
_RECORD_AT: Final = _ID_AT + _TEXT
_SIZE: Final = -(-(_RECORD_AT + _RECORD) // mmap.PAGESIZE) * mmap.PAGESIZE

# Words of eight bytes each. A store of one word is atomic, and each has one writer but for those said to have two.
(
    _PHASE,  # the parent makes a slot STARTING and FREE, the child all else
    _PID,
    _STARTS,
    _DONE,
    _WAITING,
    _UNSETTLED,
    _RUNNING,
    _HOLD,  # the parent's
    _CONDEMNED,  # the parent's
    _OWNER_LENGTH,
    _ID_LENGTH,
    _RECORD_LENGTH,
    _GATED,
) = range(13)
# The same words, read as floating point: seconds of the monotonic clock, which all processes of a machine share.
_BORN, _STARTED, _SOFT_AT, _HARD_AT, _SOFT, _HARD = range(16, 22)


class Phase(IntEnum):
    """What a slot is about."""

    FREE = 0
    STARTING = 1
    """A child was asked for and is not ready yet."""
    IDLE = 2
    BUSY = 3
    """A task runs in the child's main thread."""
    LEAVING = 4
    """The child takes no more messages."""


class Slot:
    """One child's part of the table. Its writer is the child, but for what the parent uses to stop it.

    The child says what it begins *before* it looks at :attr:`hold`; the parent sets :attr:`hold` before it looks at
    what the child says. So once the parent has seen a task there, no other can begin until it lets go, and a signal
    that it sends in between can hit no other.
    """

    __slots__ = ("_bytes", "_floats", "_tokens", "_words", "index")

    def __init__(self, memory: memoryview, index: int) -> None:
        self.index = index
        self._bytes = memory
        self._words = memory[:_TOKENS_AT].cast("q")
        self._floats = memory[:_TOKENS_AT].cast("d")
        self._tokens = memory[_TOKENS_AT:_OWNER_AT].cast("q")

    # -- the child's side ---------------------------------------------------------------------------------------------

    def begin(self, task_id: str, name: str, token: int, soft: float | None, hard: float | None) -> float:
        """A task begins in the main thread now; waits while the parent holds the child. Returns the time.

        Args:
            task_id: its id.
            name: what it is called.
            token: of its message.
            soft: seconds until the soft time limit, or ``None``.
            hard: seconds until the hard one, or ``None``.
        """
        words, floats = self._words, self._floats
        text = f"{task_id}\n{name}".encode()[:_TEXT]
        self._bytes[_ID_AT : _ID_AT + len(text)] = text
        words[_ID_LENGTH] = len(text)
        self._tokens[0] = token
        floats[_STARTED] = now = time.monotonic()
        floats[_SOFT_AT] = now + soft if soft else 0.0
        floats[_HARD_AT] = now + hard if hard else 0.0
        if soft or hard:
            floats[_SOFT], floats[_HARD] = soft or 0.0, hard or 0.0
        words[_STARTS] += 1
        words[_PHASE] = Phase.BUSY
        if words[_HOLD]:
            words[_GATED] = 1
            while words[_HOLD]:
                time.sleep(0.001)
            words[_GATED] = 0
        return now

    def end(self) -> None:
        """The main thread's task ended, however."""
        words, floats = self._words, self._floats
        floats[_SOFT_AT] = floats[_HARD_AT] = 0.0
        words[_PHASE] = Phase.IDLE
        words[_DONE] += 1
        words[_RECORD_LENGTH] = 0
        self._tokens[0] = 0

    @property
    def busy(self) -> bool:
        """Whether a task runs in the main thread."""
        return bool(self._words[_PHASE] == Phase.BUSY)

    def begin_beside(self, place: int, token: int) -> None:
        """A coroutine begins at ``place``, 1 and up to ``BEGUN - 1``."""
        self._tokens[place] = token
        self._words[_STARTS] += 1
        self._words[_RUNNING] += 1

    def end_beside(self, place: int) -> None:
        """The coroutine at ``place`` ended."""
        self._tokens[place] = 0
        self._words[_RUNNING] -= 1
        self._words[_DONE] += 1

    def soft_limit_struck(self) -> float | None:
        """The soft limit in seconds if the task that runs has exceeded it; once for each task."""
        at = self._floats[_SOFT_AT]
        if not at or time.monotonic() < at:
            return None
        self._floats[_SOFT_AT] = 0.0
        return float(self._floats[_SOFT])

    def record(self, data: bytes) -> None:
        """Keep what a parent needs to tell of the task about to begin, where the broker could not tell it.

        What does not fit is left out.
        """
        kept = data if len(data) <= _RECORD else b""
        self._bytes[_RECORD_AT : _RECORD_AT + len(kept)] = kept
        self._words[_RECORD_LENGTH] = len(kept)

    def load(self, waiting: int, unsettled: int) -> None:
        """How many messages are claimed and not begun, and how many done and not settled."""
        self._words[_WAITING] = waiting
        self._words[_UNSETTLED] = unsettled

    def ready(self, pid: int) -> None:
        """The child is initialised."""
        self._words[_PID] = pid
        self._words[_PHASE] = Phase.IDLE

    def leaving(self) -> None:
        """The child takes no more messages and ends soon."""
        self._words[_PHASE] = Phase.LEAVING

    # -- both ---------------------------------------------------------------------------------------------------------

    @property
    def owner(self) -> str:
        """Under which name the child holds messages on the broker, or ``""``."""
        return bytes(self._bytes[_OWNER_AT : _OWNER_AT + self._words[_OWNER_LENGTH]]).decode()

    @owner.setter
    def owner(self, owner: str) -> None:
        text = owner.encode()[:_TEXT]
        self._bytes[_OWNER_AT : _OWNER_AT + len(text)] = text
        self._words[_OWNER_LENGTH] = len(text)

    @property
    def condemned(self) -> bool:
        """Whether the parent means to end this very child."""
        return bool(self._words[_CONDEMNED])

    @condemned.setter
    def condemned(self, value: bool) -> None:
        self._words[_CONDEMNED] = int(value)

    @property
    def hold(self) -> bool:
        """Whether the parent lets no further task begin."""
        return bool(self._words[_HOLD])

    @hold.setter
    def hold(self, value: bool) -> None:
        self._words[_HOLD] = int(value)

    # -- the parent's side --------------------------------------------------------------------------------------------

    def reserve(self, pid: int = 0) -> None:
        """Empty the slot for a new child."""
        self._bytes[:_RECORD_AT] = bytes(_RECORD_AT)
        self._words[_PID] = pid
        self._floats[_BORN] = time.monotonic()
        self._words[_PHASE] = Phase.STARTING

    def free(self) -> None:
        """The child is gone and its matters are settled."""
        self._words[_PHASE] = Phase.FREE

    @property
    def phase(self) -> Phase:
        """What the child is doing."""
        return Phase(self._words[_PHASE])

    @property
    def pid(self) -> int:
        """The child's process id, or 0 before it is known."""
        return int(self._words[_PID])

    @property
    def age(self) -> float:
        """Seconds since the child was asked for."""
        return time.monotonic() - float(self._floats[_BORN])

    @property
    def starts(self) -> int:
        """Tasks that this child has begun."""
        return int(self._words[_STARTS])

    @property
    def done(self) -> int:
        """Tasks that this child has ended."""
        return int(self._words[_DONE])

    @property
    def waiting(self) -> int:
        """Messages that are claimed and not begun."""
        return int(self._words[_WAITING])

    @property
    def unsettled(self) -> int:
        """Messages that are done and not yet acknowledged."""
        return int(self._words[_UNSETTLED])

    @property
    def running(self) -> int:
        """Tasks that run now, coroutines among them."""
        return int(self._words[_RUNNING]) + (self.phase is Phase.BUSY)

    @property
    def task(self) -> tuple[str, str]:
        """Id and name of the task that runs in the main thread, or did last."""
        text = bytes(self._bytes[_ID_AT : _ID_AT + self._words[_ID_LENGTH]]).decode(errors="replace")
        task_id, _, name = text.partition("\n")
        return task_id, name

    @property
    def started(self) -> float:
        """When that task began."""
        return float(self._floats[_STARTED])

    @property
    def soft_at(self) -> float:
        """When its soft limit strikes, 0 for never."""
        return float(self._floats[_SOFT_AT])

    @property
    def hard_at(self) -> float:
        """When its hard limit strikes, 0 for never."""
        return float(self._floats[_HARD_AT])

    @property
    def soft(self) -> float:
        """The soft limit in seconds."""
        return float(self._floats[_SOFT])

    @property
    def hard(self) -> float:
        """The hard limit in seconds."""
        return float(self._floats[_HARD])

    @property
    def begun(self) -> list[str]:
        """Tokens of all that has begun and not ended; the main thread's first."""
        gated = self._words[_GATED]
        return [str(token) for token in self._tokens[1 if gated else 0 :] if token]

    @property
    def gated(self) -> bool:
        """Whether the task shown is held back, and so has not begun."""
        return bool(self._words[_GATED])

    @property
    def message(self) -> bytes:
        """What :meth:`record` kept, or nothing."""
        return bytes(self._bytes[_RECORD_AT : _RECORD_AT + self._words[_RECORD_LENGTH]])


class SlotTable:
    """All slots of a pool. It is made before the first child is forked, and each child keeps to its own slot."""

    def __init__(self, capacity: int) -> None:
        self._memory = mmap.mmap(-1, capacity * _SIZE)
        view = memoryview(self._memory)
        self._slots = [Slot(view[at * _SIZE : (at + 1) * _SIZE], at) for at in range(capacity)]

    def __getitem__(self, index: int) -> Slot:
        return self._slots[index]

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def vacant(self) -> Slot | None:
        """A slot without a child, if there is one."""
        return next((slot for slot in self._slots if slot.phase is Phase.FREE), None)
