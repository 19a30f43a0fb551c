"""What becomes of a request whose task ended as if it had not begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from celeriac.tasks.interruption import GivenBack

__all__ = ["give_back"]


def give_back(request: Any, back: GivenBack, uncounted: Callable[[Any], None]) -> None:
    """Let others have its message.

    Args:
        request: of Celery's.
        back: how the task ended.
        uncounted: lets others have a message without counting that as a delivery.
    """
    request._announce_cancelled(not request.task.acks_late)  # noqa: SLF001  Celery's own way
    if not request.task.acks_late:
        return  # it was acknowledged before it began
    if back.counted:
        request.reject(requeue=True)
    else:
        uncounted(request.message)
