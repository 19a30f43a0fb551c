"""Health: whether the service is alive."""

from __future__ import annotations

from core.health.service import HealthService
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_health"]


def register_health(container: Container) -> None:
    """Register what answers for the service."""
    container.register(HealthService, lifetime=Lifetime.SINGLETON)
