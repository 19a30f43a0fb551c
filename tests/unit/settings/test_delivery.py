from __future__ import annotations

from typing import Any

import pytest

from celeriac import CeleryAppConfig, TaskController, create_celery_app, task
from celeriac.exceptions import InvalidSetting
from celeriac.tasks.policies import TaskPolicy

OURS: dict[str, tuple[Any, str, Any]] = {
    "worker_async_concurrency": (200, "50", 50),
    "task_max_deliveries": (5, "3", 3),
    "broker_lease": (30, "7.5", 7.5),
    "publish_timeout": (2, "0.5", 0.5),
    "broker_allow_unsafe": (False, "true", True),
    "broker_memory_high_water": (0.7, "0.9", 0.9),
}


@pytest.mark.parametrize("option", OURS)
def test_options_of_delivery_stand_in_the_configuration_with_their_defaults_and_by_variable(option, environ):
    usual, text, said = OURS[option]
    assert create_celery_app().conf[option] == usual
    environ(**{f"CELERY_{option.upper()}": text})
    assert create_celery_app().conf[option] == said
    assert create_celery_app(CeleryAppConfig.from_mapping({option: usual})).conf[option] == usual


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("worker_async_concurrency", 0),
        ("task_max_deliveries", 0),
        ("broker_lease", 0),
        ("publish_timeout", -1),
        ("broker_memory_high_water", 0),
        ("broker_memory_high_water", 1.1),
    ],
)
def test_a_value_that_would_stop_all_delivery_is_refused(option, value):
    with pytest.raises(InvalidSetting, match=option):
        CeleryAppConfig.from_mapping({option: value})


def test_the_transport_of_redis_is_told_and_that_of_rabbitmq_is_not(environ):
    environ(CELERY_BROKER_LEASE="12", CELERY_TASK_MAX_DELIVERIES="3")
    options = create_celery_app().conf.broker_transport_options
    assert (options["lease"], options["max_deliveries"]) == (12, 3)
    environ(CELERY_BROKER_TRANSPORT_OPTIONS='{"lease": 4}')
    options = create_celery_app().conf.broker_transport_options
    assert (options["lease"], options["max_deliveries"]) == (4, 3)
    environ(CELERY_BROKER="rabbitmq", CELERY_BROKER_TRANSPORT_OPTIONS="")
    assert not {"lease", "max_deliveries"} & set(create_celery_app().conf.broker_transport_options)


def test_every_task_knows_how_often_it_may_be_delivered(environ):
    environ(CELERY_TASK_MAX_DELIVERIES="7")
    app: Any = create_celery_app()

    @app.task(name="silent")
    def silent():
        """Says nothing."""

    @app.task(name="says", max_deliveries=1)
    def says():
        """Says its own."""

    assert (silent.max_deliveries, says.max_deliveries) == (7, 1)


def test_a_controllers_task_may_say_its_own():
    class Controller(TaskController):
        @task("fragile", max_deliveries=2)
        def fragile(self) -> None: ...

    assert Controller.fragile.policy.task_options("redis")["max_deliveries"] == 2
    with pytest.raises(ValueError, match="max_deliveries"):
        TaskPolicy(max_deliveries=0)


def test_the_configuration_says_where_it_runs(environ):
    assert create_celery_app().conf.environment == "production"
    environ(ENVIRONMENT="development")
    assert create_celery_app().conf.environment == "development"
