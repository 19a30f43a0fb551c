"""The entry point of workers and of beat: ``celery --app=delivery.tasks.app worker``, or ``beat``."""

from __future__ import annotations

import sys

from celery import Celery

from core.configs.infrastructure import configure_infrastructure
from ioc.container import get_container

__all__ = ["app"]

configure_infrastructure(service_name="celery-beat" if "beat" in sys.argv else "celery-worker")

_container = get_container()
app = _container.resolve(Celery)
