"""Celery's current task and its request, kept by thread.

Celery keeps them by greenlet and looks up which one runs in Python, some ten times a task. Where greenlets are switched
inside a task, as SQLAlchemy does for coroutines, it does not even find them. Its own faster way, ``USE_FAST_LOCALS``,
mixes up threads.
"""

from __future__ import annotations

import threading
from typing import Any

from celery import _state as celery_state
from celery.app import base as celery_base
from celery.app import task as celery_task
from celery.app import trace

__all__ = ["ThreadStack", "keep_by_thread"]


class _Own(threading.local):
    def __init__(self) -> None:
        self.stack: list[Any] = []


class ThreadStack:
    """What Celery's ``LocalStack`` does, for threads alone."""

    __slots__ = ("_own",)

    def __init__(self) -> None:
        self._own = _Own()

    def push(self, item: Any) -> list[Any]:
        """Put an item on top."""
        stack = self._own.stack
        stack.append(item)
        return stack

    def pop(self) -> Any:
        """Take the topmost item; ``None`` if there is none."""
        stack = self._own.stack
        return stack.pop() if stack else None

    @property
    def top(self) -> Any:
        """The topmost item, or ``None``."""
        stack = self._own.stack
        return stack[-1] if stack else None

    @property
    def stack(self) -> list[Any]:
        """All items of this thread, the topmost last."""
        return self._own.stack

    def __len__(self) -> int:
        return len(self._own.stack)


def keep_by_thread(app: Any) -> None:
    """Have Celery, in this process, use such stacks; before tracers are built and while no task runs."""
    current = ThreadStack()
    modules: tuple[Any, ...] = (celery_state, celery_base, celery_task, trace)
    for module in modules:
        module._task_stack = current  # noqa: SLF001  there is no other way in
    state: Any = celery_state
    state.push_current_task, state.pop_current_task = current.push, current.pop
    for task in app.tasks.values():
        type(task).request_stack = ThreadStack()
