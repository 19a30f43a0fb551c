"""The container of the service: what is in it, and the one that a process has.

>>> registry = get_container().resolve(TasksRegistry)
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable

from core.configs.settings import Settings
from ioc.accounts import register_accounts
from ioc.completions import register_completions
from ioc.data import register_data
from ioc.database import register_database
from ioc.exports import register_exports
from ioc.health import register_health
from ioc.history import register_history
from ioc.mail import register_mail
from ioc.maintenance import register_maintenance
from ioc.market import register_market
from ioc.punq_container import Container
from ioc.redis import register_redis
from ioc.registration import Lifetime
from ioc.reports import register_reports
from ioc.security import register_security
from ioc.settings import register_settings
from ioc.storage import register_storage
from ioc.tasks import register_tasks
from ioc.uploads import register_uploads

__all__ = ["Container", "Lifetime", "build_container", "get_container"]

_lock = threading.Lock()
_container: Container | None = None


def build_container(settings: Settings | None = None) -> Container:
    """A fresh container with everything registered and nothing built: for a test, which overrides and closes it.

    Args:
        settings: to use instead of the environment's.
    """
    container = Container()
    register_settings(container, settings)
    register_redis(container)
    register_database(container)
    register_health(container)
    register_data(container)
    register_storage(container)
    register_uploads(container)
    register_completions(container)
    register_exports(container)
    register_reports(container)
    register_maintenance(container)
    register_mail(container)
    register_accounts(container)
    register_market(container)
    register_tasks(container)
    register_history(container)
    register_security(container)
    return container


def get_container(*also: Callable[[Container], None]) -> Container:
    """The container of this process, the same for every thread, closed when the process ends.

    It is warm: what is wrong with a service shows here, and threads find every singleton built. That builds no
    controller and opens no connection. It takes no overrides: they would reach whoever else asks.

    Args:
        also: registers what this kind of process alone has, such as ``register_http``, whose libraries a worker need
            not load. For the entry point, which asks first.
    """
    global _container  # noqa: PLW0603 - one per process is what this function is for
    with _lock:
        if _container is None:
            container = build_container()
            for register in also:
                register(container)
            container.warm()
            container.seal()
            _container = container
            atexit.register(_container.close)
        return _container


def _free_the_lock() -> None:
    """In a forked child, whose parent may have forked while another thread held the lock."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_free_the_lock)
