"""What would end a worker ends the task alone.

Celery lets ``MemoryError`` end the worker, and with late acknowledgement the next worker and the one after; what is no
``Exception`` ends the process of the pool, or the thread that a result was awaited from.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from functools import wraps
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, TypeVar

from billiard.common import terminate_handler_fired  # type: ignore[attr-defined]  # newer than the stubs
from celery.exceptions import WorkerShutdown, WorkerTerminate
from celery.utils.text import truncate
from kombu.utils.encoding import safe_repr

from celeriac.exceptions import TaskAborted
from celeriac.tasks.context import RetryRequested
from celeriac.tasks.interruption import GivenBack, Interrupted, Superseded, interruptible

if TYPE_CHECKING:
    from collections.abc import Coroutine

R = TypeVar("R")

__all__ = ["contain", "failure_of", "guard"]

_MEANT_FOR_OTHERS = (RetryRequested, WorkerShutdown, WorkerTerminate, Interrupted, GivenBack, Superseded)
_LONGEST = 500


def failure_of(task: str, error: BaseException) -> Exception | None:
    """The failure that an error out of a task's code stands for, or None for what must go on as it is.

    Args:
        task: the task's name.
        error: any error; an ordinary one is its own failure.
    """
    if isinstance(error, Exception) and not isinstance(error, MemoryError):
        return error
    # A pool's process that was told to end says so by SystemExit, out of whatever ran there.
    if isinstance(error, _MEANT_FOR_OTHERS) or terminate_handler_fired() or _is_from_the_keyboard(error):
        return None
    # What filled the memory is held by the frames that the traceback keeps.
    clear_frames(error.__traceback__)
    failure = TaskAborted(task=task, error=truncate(safe_repr(error), _LONGEST))
    failure.__cause__ = error
    return failure


def guard(task: Any) -> Any:
    """A Celery task whose function cannot end its worker. One that is called as a plain function stays as it was."""
    run = task.run
    if getattr(run, "guarded", False):
        return task

    @wraps(run)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            code = interruptible.get()
            return run(*args, **kwargs) if code is None else code.run(run, *args, **kwargs)
        except BaseException as error:
            failure = None if task.request.called_directly else failure_of(task.name, error)
            if failure is None or failure is error:
                raise
            raise failure from error

    guarded.guarded = True  # type: ignore[attr-defined]  # a mark for the test above
    task.run = guarded
    return task


async def contain(task: str, coroutine: Coroutine[Any, Any, R]) -> R:
    """The same for a coroutine: SystemExit and KeyboardInterrupt would end the loop that runs all the others.

    Raises:
        TaskAborted: the coroutine raised what would have ended its worker.
    """
    try:
        return await coroutine
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        failure = failure_of(task, error)
        if failure is None or failure is error:
            raise
        raise failure from error


def _is_from_the_keyboard(error: BaseException) -> bool:
    # A worker has a handler of its own, so what is raised there nobody typed.
    return (
        isinstance(error, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
