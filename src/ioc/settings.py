"""Settings: read from the environment once, or given by a test."""

from __future__ import annotations

from core.configs.settings import Settings
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_settings"]


def register_settings(container: Container, settings: Settings | None) -> None:
    """Register ``settings``, or those of the environment if there are none.

    They are read at first need, so that a variable that is missing is an error of whoever needs it.
    """
    if settings is not None:
        container.register(Settings, instance=settings)
    else:
        container.register(Settings, _from_environment, lifetime=Lifetime.SINGLETON, fork_safe=True)


def _from_environment() -> Settings:
    return Settings()
