"""A message that is ready to be sent. Kept apart from what sends it, which takes redis-py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celeriac.transport.publishing.message import Binding

__all__ = ["Letter"]


class Letter(NamedTuple):
    """One message.

    Attributes:
        key: the list that it goes to, prefix included.
        payload: the message.
        task: what errors call it.
        binding: what to note of its queue, now and then.
        policy: how to try again, as Celery's ``task_publish_retry_policy`` says it; ``None`` for a single try.
        event: a rendered command that tells the history, to go along. What becomes of it changes nothing.
    """

    key: str
    payload: bytes
    task: str
    binding: Binding
    policy: Mapping[str, Any] | None
    event: bytes | None
