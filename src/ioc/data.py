"""Data: working through items."""

from __future__ import annotations

from core.data.service import DataService
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_data"]


def register_data(container: Container) -> None:
    """Register what works through data."""
    container.register(DataService, lifetime=Lifetime.SINGLETON)
