"""Celery's current task and its request, kept per thread instead of per greenlet.

Celery's own way looks up which greenlet runs, in Python, some ten times a task. Where greenlets are switched inside a
task, as SQLAlchemy does for coroutines, it does not even find the request. Celery reads this choice once, when it is
imported: so this module is imported before anything else of the package, and has no effect where Celery was imported
before.
"""

from __future__ import annotations

import os

__all__: list[str] = []

_CHOICE = "USE_FAST_LOCALS"

if _CHOICE not in os.environ:
    os.environ[_CHOICE] = "1"
    import celery.utils.threads  # noqa: F401  reads it

    del os.environ[_CHOICE]  # no business of the processes that this one starts
