"""What dead letters are kept in, as :class:`~celeriac.history.deadletters.DeadLetters` needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from celeriac.history.letters import DeadLetter, DeadLetterPage

__all__ = ["DeadLetterStore", "Found"]


class Found(Protocol):
    """A dead letter that a walk has come to, until it goes on."""

    @property
    def letter(self) -> DeadLetter:
        """What it is."""
        ...

    def replay(self) -> bool:
        """Move it back to its queue; whether it was still there.

        Raises:
            LostQueue: its queue is gone.
        """
        ...

    def drop(self) -> bool:
        """Throw it away; whether it was still there."""
        ...


class DeadLetterStore(Protocol):
    """Keeps dead letters on a server."""

    def page(self, limit: int, fits: Callable[[DeadLetter], bool], after: str | None) -> DeadLetterPage:
        """Up to ``limit`` that fit, oldest first.

        Args:
            limit: how many, at most.
            fits: which ones.
            after: the cursor of the page before.
        """
        ...

    def walk(self, *, only: str | None = None) -> AbstractContextManager[Iterator[Found]]:
        """Go through them, to move some; roughly the oldest first.

        Args:
            only: the id of the only one that is wanted.
        """
        ...

    def count(self) -> int:
        """How many there are."""
        ...
