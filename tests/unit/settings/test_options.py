from __future__ import annotations

import json
from typing import Any

import pytest
from celery.app.defaults import NAMESPACES, flatten
from pydantic import Secret, SecretStr

from celeriac import CeleryAppConfig, CelerySettings, create_celery_app
from celeriac.options.table import CeleryOptions, UnlistedOptions
from celeriac.options.variables import variables_of

LISTED = dict(flatten(NAMESPACES))

# A text that each kind of Celery option takes, and the value it stands for. What is special follows by name.
SAMPLES: dict[Any, tuple[str, Any]] = {
    "bool": ("true", True),
    "int": ("7", 7),
    int: ("7", 7),
    "float": ("1.5", 1.5),
    "string": ("some", "some"),
    "str": ("some", "some"),
    "bytes": ("some", "some"),
    "any": ("some.thing", "some.thing"),
    "dict": ('{"a": 1}', {"a": 1}),
    "list": ("a, b", ["a", "b"]),
    "tuple": ("a, b", ["a", "b"]),
}
SPECIAL: dict[str, tuple[str, Any]] = {
    "broker_url": ("redis://h:1/0", "redis://h:1/0"),
    "broker_read_url": ("redis://h:1/0", "redis://h:1/0"),
    "broker_write_url": ("redis://h:1/0", "redis://h:1/0"),
    "result_backend": ("rpc", "rpc"),
    "timezone": ("Europe/Berlin", "Europe/Berlin"),
    "cassandra_port": ("9042", 9042),
    "cassandra_auth_kwargs": ('{"a": 1}', {"a": 1}),
    "task_default_priority": ("4", 4),
    "task_default_delivery_mode": ("transient", "transient"),
    "task_protocol": ("2", 2),
    "worker_concurrency": ("4", 4),
    "worker_pool_start_method": ("spawn", "spawn"),
    "broker_use_ssl": ("true", True),
}
ELSEWHERE = {"beat_schedule", "task_queues", "task_always_eager"}  # each has a test of its own


def test_there_is_one_field_for_every_option_of_celery_and_none_beside():
    assert set(CeleryOptions.model_fields) == set(LISTED)
    assert len(CeleryOptions.model_fields) == 207


def test_options_that_celery_reads_beside_its_table_are_no_part_of_it():
    assert not set(UnlistedOptions.model_fields) & set(LISTED)


@pytest.mark.parametrize("option", sorted(LISTED.keys() - ELSEWHERE))
def test_every_option_is_one_environment_variable_away(option, environ):
    text, expected = SPECIAL.get(option) or SAMPLES[LISTED[option].type]
    environ(**{f"CELERY_{option.upper()}": text})
    value = create_celery_app().conf[option]
    if isinstance(expected, dict):
        assert value.items() >= expected.items()
    else:
        assert value == expected


@pytest.mark.parametrize("option", sorted({*LISTED, *UnlistedOptions.model_fields}))
def test_every_option_is_also_a_key_of_a_mapping_and_none_leaves_it_to_celery(option):
    config = CeleryAppConfig.from_mapping({option: None})
    assert getattr(config.settings, option) is None


def test_lists_are_also_read_as_json(environ):
    environ(CELERY_IMPORTS='["a.b", "c"]', CELERY_INCLUDE=" x , ,y ")
    settings = CelerySettings()
    assert settings.imports == ("a.b", "c")
    assert settings.include == ("x", "y")


@pytest.mark.proves("S004-5")
def test_queues_are_a_comma_list_a_json_list_or_a_table(environ):
    def queues():
        return {queue.name: queue for queue in create_celery_app().conf.task_queues}

    environ(CELERY_TASK_QUEUES="high_priority, low_priority")
    assert list(queues()) == ["default", "high_priority", "low_priority"]
    environ(CELERY_TASK_QUEUES='["high_priority"]')
    assert list(queues()) == ["default", "high_priority"]
    environ(CELERY_TASK_QUEUES=json.dumps({"bulk": {"routing_key": "bulk.#", "exchange_type": "topic"}}))
    bulk = queues()["bulk"]
    assert (bulk.routing_key, bulk.exchange.name, bulk.exchange.type) == ("bulk.#", "bulk", "topic")


def test_an_empty_variable_counts_as_not_set(environ):
    environ(CELERY_TIMEZONE="", CELERY_TASK_MAX_RETRIES="", REDIS_URL="")
    settings = CelerySettings()
    assert (settings.timezone, settings.task_max_retries, settings.redis_url) == ("UTC", 5, None)


@pytest.mark.parametrize("secret", sorted(name for name in LISTED if "password" in name or "secret" in name))
def test_whatever_is_called_a_password_or_secret_is_one(secret):
    settings = CelerySettings(**{secret: "hidden-text"})
    assert isinstance(getattr(settings, secret), SecretStr)
    assert "hidden-text" not in repr(settings) + str(settings)


@pytest.mark.parametrize(
    "table",
    [
        "broker_transport_options",
        "result_backend_transport_options",
        "database_engine_options",
        "mongodb_backend_settings",
        "couchbase_backend_settings",
        "arangodb_backend_settings",
        "cassandra_auth_kwargs",
        "cache_backend_options",
    ],
)
def test_tables_that_may_hold_a_password_are_masked(table):
    settings = CelerySettings(**{table: {"password": "hidden-text"}})
    assert isinstance(getattr(settings, table), Secret)
    assert "hidden-text" not in repr(settings) + str(settings)


@pytest.mark.parametrize("url", ["broker_url", "broker_read_url", "broker_write_url", "result_backend", "redis_url"])
def test_no_repr_shows_the_password_of_a_url(url):
    config = CeleryAppConfig.from_mapping({url: "redis://:hidden-text@host:6379/0"})
    app = create_celery_app(config)
    assert app.connection_for_write().hostname is not None
    assert "hidden-text" not in f"{config!r}{config}{config.settings!r}{app!r}{app.conf!r}"


def test_the_variables_of_two_settings_never_meet():
    variables = [variable for name in CelerySettings.model_fields for variable in variables_of(name)]
    assert len(variables) == len(set(variables))
