"""Redis: the one client that every use case shares."""

from __future__ import annotations

from typing import Any

from celery import Celery
from redis import Redis

from core.configs.settings import Settings
from infrastructure.redis.client import redis_client
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_redis"]


def register_redis(container: Container) -> None:
    """Register the client. It connects at first use, and a forked process has one of its own."""
    container.register(Redis, _client, lifetime=Lifetime.SINGLETON, close=Redis.close)


def _client(settings: Settings, celery: Celery) -> Redis:
    url, conf = settings.redis_settings.redis_url, celery.conf
    ours = conf.broker_url == url.get_secret_value()  # else the options of the broker are those of another server
    said: dict[str, Any] = (conf.broker_transport_options if ours else conf.result_backend_transport_options) or {}
    tls: Any = conf.broker_use_ssl if ours else conf.redis_backend_use_ssl
    return redis_client(url, {"ssl": tls or None, **said})
