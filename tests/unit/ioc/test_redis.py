"""The use cases' Redis client: with the options of whoever leads to the same server."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from redis import Redis

from core.configs.settings import RedisSettings, Settings
from ioc.container import build_container

BROKERS = {"broker_transport_options": {"master_name": "one"}, "broker_use_ssl": {"ca_certs": "/one"}}
RESULTS = {"result_backend_transport_options": {"master_name": "two"}, "redis_backend_use_ssl": {"ca_certs": "/two"}}


@pytest.mark.parametrize(
    ("broker", "name", "certificates"),
    [(None, "one", "/one"), ("amqp://localhost:1", "two", "/two"), ("redis://localhost:1/0", "two", "/two")],
)
def test_what_was_said_of_its_server_is_heard(broker, name, certificates):
    settings = Settings(redis_settings=RedisSettings(redis_url="sentinel://localhost:1/2"))
    container = build_container(settings)
    container.resolve(Celery).conf.update(BROKERS | RESULTS | ({} if broker is None else {"broker_url": broker}))
    pool: Any = container.resolve(Redis).connection_pool
    container.close()
    assert (pool.service_name, pool.connection_kwargs["ssl_ca_certs"]) == (name, certificates)
    assert pool.connection_kwargs["db"] == 2
