"""History: what happened to each task."""

from __future__ import annotations

from celery import Celery

from celeriac.history.service import TaskHistory
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_history"]


def register_history(container: Container) -> None:
    """Register the history. It connects at the first question, and again after a fork."""
    container.register(TaskHistory, _history, lifetime=Lifetime.SINGLETON, close=TaskHistory.close, fork_safe=True)


def _history(celery: Celery) -> TaskHistory:
    return TaskHistory(celery)
