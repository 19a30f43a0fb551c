"""Refusing calls that would block what they run in."""

from __future__ import annotations

import asyncio

from celeriac.exceptions import BlockingCall
from celeriac.tasks.context import current_context

__all__ = ["refuse_inside_loop", "refuse_inside_task"]


def refuse_inside_loop(call: str, instead: str) -> None:
    """Raise if an event loop runs in this thread: everything else on it would stand still for the round trip.

    Raises:
        BlockingCall: naming the call to use instead.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise BlockingCall(call=call, what="the running event loop", instead=instead)


def refuse_inside_task(call: str) -> None:
    """Raise inside a task: a worker slot that waits for another can wait for ever.

    Raises:
        BlockingCall: naming the workflow step to use instead.
    """
    if (context := current_context()) is not None:
        raise BlockingCall(
            call=call,
            what=f"the worker slot that runs task {context.name!r}",
            instead=".then(...) to hand the result to another task",
        )
