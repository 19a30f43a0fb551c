from __future__ import annotations

import json
from typing import Any

import pytest
from celery.result import denied_join_result

from celeriac import CeleryAppConfig, CelerySettings, Priority, create_celery_app

OURS = {
    "result_expires": 86400,
    "task_time_limit": 3600,
    "task_soft_time_limit": 3000,
    "worker_prefetch_multiplier": 1,
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_track_started": True,
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    "worker_max_tasks_per_child": 1000,
    "worker_max_memory_per_child": 524288,
    "enable_utc": True,
    "timezone": "UTC",
    "task_default_queue": "default",
    "broker_connection_retry_on_startup": True,
    "broker_pool_limit": 10,
    "worker_concurrency": None,
    "worker_pool": "celeriac.worker.lane.pool:LanePool",
    "worker_hijack_root_logger": True,
}


@pytest.mark.proves("H-3", "S002-4", "S002-7", "S002-9")
@pytest.mark.parametrize("option", OURS)
def test_the_defaults_are_the_decided_ones(option):
    assert create_celery_app().conf[option] == OURS[option]


@pytest.mark.proves("H-3")
@pytest.mark.parametrize("option", [name for name, value in OURS.items() if isinstance(value, int) and value > 1])
def test_each_default_is_one_variable_away(option, environ):
    environ(**{f"CELERY_{option.upper()}": "123"})
    assert create_celery_app().conf[option] == 123


@pytest.mark.proves("S001-7")
def test_the_configuration_of_the_first_architecture(environ):
    environ(DATETIME_TIMEZONE="Asia/Shanghai", CELERY_TASK_MAX_RETRIES="5")
    app: Any = create_celery_app()
    expected = {
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_serializer": "json",
        "timezone": "Asia/Shanghai",
        "enable_utc": True,
        "task_track_started": True,
    }
    assert {name: app.conf[name] for name in expected} == expected
    assert app.Task.max_retries == 5


@pytest.mark.proves("S002-8")
def test_prefetch_is_one_and_concurrency_flows_through(environ):
    environ(CELERY_WORKER_CONCURRENCY="4")
    conf = create_celery_app().conf
    assert (conf.worker_prefetch_multiplier, conf.worker_concurrency) == (1, 4)


@pytest.mark.proves("S000-38")
def test_the_prefetch_multiplier_reaches_the_worker(environ):
    environ(CELERY_WORKER_PREFETCH_MULTIPLIER="3", CELERY_BROKER_URL="memory://")  # a worker looks at its broker
    with denied_join_result():  # a worker forbids its process to wait for results; this one gives that back
        worker: Any = create_celery_app().WorkController(concurrency=2, pool="solo")
    assert worker.prefetch_multiplier == 3


@pytest.mark.proves("S004-3")
def test_every_value_of_the_fourth_source_is_reachable_by_its_variable(environ):
    said = {
        "result_expires": 3600,
        "task_track_started": True,
        "task_time_limit": 1800,
        "task_soft_time_limit": 1500,
        "worker_prefetch_multiplier": 1,
        "worker_max_tasks_per_child": 50,
    }
    environ(**{f"CELERY_{name.upper()}": json.dumps(value) for name, value in said.items()})
    conf = create_celery_app().conf
    assert {name: conf[name] for name in said} == said


@pytest.mark.proves("S004-20", "H-2")
def test_the_production_values_and_the_pool_limit_that_celery_has_not(environ):
    environ(CELERY_RESULT_BACKEND_POOL_LIMIT="10", CELERY_WORKER_DISABLE_RATE_LIMITS="false")
    app: Any = create_celery_app()
    expected = {
        "broker_connection_retry_on_startup": True,
        "broker_pool_limit": 10,
        "redis_max_connections": 10,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_disable_rate_limits": False,
    }
    assert {name: app.conf[name] for name in expected} == expected
    assert app.backend.connparams["max_connections"] == 10
    assert "result_backend_pool_limit" not in app.conf


def test_the_pool_limit_gives_way_to_celerys_own_name(environ):
    environ(CELERY_RESULT_BACKEND_POOL_LIMIT="10", CELERY_REDIS_MAX_CONNECTIONS="20")
    assert create_celery_app().conf.redis_max_connections == 20


@pytest.mark.proves("H-1", "S002-10")
def test_retries_come_from_the_base_of_every_task_that_does_not_say_its_own(environ):
    environ(CELERY_TASK_MAX_RETRIES="7", CELERY_TASK_DEFAULT_RETRY_DELAY="11")
    app: Any = create_celery_app()

    @app.task(name="silent")
    def silent():
        """Says nothing."""

    @app.task(name="says", max_retries=3, default_retry_delay=1)
    def says():
        """Says both."""

    @app.task(name="endless", max_retries=None)
    def endless():
        """Says that it never gives up."""

    assert (silent.max_retries, silent.default_retry_delay) == (7, 11)
    assert (says.max_retries, says.default_retry_delay) == (3, 1)
    assert (endless.max_retries, endless.default_retry_delay) == (None, 11)
    assert "task_max_retries" not in app.conf
    assert "task_default_retry_delay" not in app.conf


def test_retries_are_five_and_a_minute_apart_by_default():
    task = create_celery_app().Task
    assert (task.max_retries, task.default_retry_delay) == (5, 60)


def test_every_wait_on_redis_has_a_bound():
    app: Any = create_celery_app(CeleryAppConfig.from_mapping({"broker_transport_options": {"visibility_timeout": 60}}))
    options = app.conf.broker_transport_options
    assert options["visibility_timeout"] == 60
    assert options["socket_timeout"] * 3 < 5
    assert options["socket_connect_timeout"] * 3 < 5
    assert options["socket_keepalive"] is True
    assert app.backend.connparams["socket_timeout"] * 3 < 5
    assert app.backend.connparams["socket_connect_timeout"] == 1
    assert app.backend.connparams["health_check_interval"] == 10
    assert app.backend.retry_policy["max_retries"] == 1


def test_every_wait_on_rabbitmq_has_a_bound_and_publishing_is_confirmed(environ):
    environ(CELERY_BROKER="rabbitmq")
    conf = create_celery_app().conf
    assert conf.broker_transport_options == {"confirm_publish": True, "read_timeout": 1.5, "write_timeout": 1.5}
    assert conf.broker_connection_timeout == 1.5


def test_a_task_that_says_no_priority_is_normal_on_both_brokers(environ):
    assert create_celery_app().conf.task_default_priority == Priority.NORMAL.on("redis") == 6
    environ(CELERY_BROKER="rabbitmq")
    app: Any = create_celery_app()
    assert app.conf.task_default_priority == Priority.NORMAL.on("amqp") == 3
    assert app.amqp.queues["default"].queue_arguments["x-queue-type"] == "quorum"
    environ(CELERY_TASK_DEFAULT_QUEUE_TYPE="classic")
    app = create_celery_app()
    assert app.amqp.queues["default"].queue_arguments["x-max-priority"] == 9


def test_none_gives_a_default_back_to_celery():
    settings = CelerySettings(task_time_limit=None, worker_max_tasks_per_child=None)
    app: Any = create_celery_app(CeleryAppConfig.from_settings(settings))
    assert app.conf.task_time_limit is None
    assert app.conf.worker_max_tasks_per_child is None
