"""A message that is ready to be sent. Kept apart from what sends it, which takes redis-py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celeriac.transport.publishing.message import Binding

__all__ = ["Letter"]


class Letter(NamedTuple):
    """One message, rendered, and what :meth:`Sender.send` takes besides."""

    key: str
    payload: bytes
    task: str
    binding: Binding
    policy: Mapping[str, Any] | None
    event: bytes | None
