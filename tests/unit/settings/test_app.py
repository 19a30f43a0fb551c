from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from celery import Celery, Task, current_app
from celery.schedules import crontab, schedule
from tests.kit.clients import client

from celeriac import CeleryAppConfig, CelerySettings, create_celery_app
from core.configs.settings import RedisSettings


@pytest.mark.proves("S000-11")
def test_the_factory_takes_no_arguments_and_reads_the_environment(environ):
    app: Any = create_celery_app()
    assert isinstance(app, Celery)
    assert (app.main, app.conf.task_default_queue) == ("main", "default")
    environ(RAPIDKIT_CELERY_BROKER_URL="redis://other:6380/3", RAPIDKIT_CELERY_DEFAULT_QUEUE="mine")
    app = create_celery_app()
    assert (app.conf.broker_url, app.conf.task_default_queue) == ("redis://other:6380/3", "mine")


@pytest.mark.proves("S000-7")
def test_two_apps_of_one_process_do_not_influence_each_other(environ):
    current: Any = current_app
    before = current._get_current_object()
    first = create_celery_app(
        CeleryAppConfig.from_mapping(
            {"app_name": "first", "broker_url": "redis://one:1/0", "task_time_limit": 100, "task_max_retries": 1}
        )
    )
    second = create_celery_app(
        CeleryAppConfig.from_mapping(
            {"app_name": "second", "broker_url": "amqp://two:2/v", "task_soft_time_limit": 50, "task_max_retries": 2}
        )
    )

    @first.task(name="only.first")
    def only_first():
        """Belongs to the first."""

    first.conf.task_default_queue = "changed"
    first.conf.broker_transport_options["socket_timeout"] = 99
    first.conf.result_backend_transport_options["retry_policy"]["max_retries"] = 99
    first.finalize()
    second.finalize()

    assert (first.conf.broker_url, second.conf.broker_url) == ("redis://one:1/0", "amqp://two:2/v")
    assert (first.conf.task_time_limit, second.conf.task_time_limit) == (100, 3600)
    assert (first.conf.task_soft_time_limit, second.conf.task_soft_time_limit) == (3000, 50)
    assert (first.Task.max_retries, second.Task.max_retries, Task.max_retries) == (1, 2, 3)
    assert (first.conf.task_default_queue, second.conf.task_default_queue) == ("changed", "default")
    assert "only.first" in first.tasks
    assert "only.first" not in second.tasks
    assert create_celery_app().conf.broker_transport_options["socket_timeout"] == 1.5
    assert second.conf.result_backend_transport_options["retry_policy"]["max_retries"] == 1
    assert current._get_current_object() is before


@pytest.mark.proves("S000-7")
def test_importing_the_kit_and_making_an_app_opens_no_connection_and_changes_no_current_app(tmp_path):
    script = tmp_path / "import_and_create.py"
    script.write_text(
        "import socket, threading\n"
        "def refuse(*a, **k): raise AssertionError('a connection was opened')\n"
        "socket.socket.connect = refuse\n"
        "socket.create_connection = refuse\n"
        "from celery import _state\n"
        "import celeriac\n"
        "app = celeriac.create_celery_app()\n"
        "app.conf.broker_url, app.amqp.queues, app.finalize()\n"
        "assert _state.default_app is None and _state._tls.current_app is None\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, str(script)], check=True, timeout=60)


@pytest.mark.proves("S003-8")
def test_an_app_made_from_the_services_redis_url_is_called_main(environ):
    environ(REDIS_URL="redis://:p%40ss@cache:6379/0")
    url = RedisSettings().redis_url.get_secret_value()
    app: Any = create_celery_app()
    assert app.main == "main"
    assert app.conf.broker_url == app.conf.result_backend == url
    assert Celery(app.main, broker=url, backend=url).connection().as_uri() == app.connection().as_uri()


@pytest.mark.proves("S004-1")
def test_one_module_owns_the_configuration(environ):
    environ(CELERY_APP_NAME="waardhaven_tasks", REDIS_URL="redis://cache:6379/1")
    app: Any = create_celery_app()
    assert (app.main, app.conf.broker_url) == ("waardhaven_tasks", "redis://cache:6379/1")
    assert app.conf.changes.keys() <= {*CelerySettings.model_fields, "deprecated_settings"}


@pytest.mark.proves("S000-25")
def test_a_crontab_of_a_mapping_becomes_celerys():
    config = CeleryAppConfig.from_mapping(
        {
            "beat_schedule": {
                "nightly_cleanup": {
                    "task": "apps.workers.tasks.cleanup",
                    "schedule": {"type": "crontab", "hour": 1, "minute": 0},
                }
            }
        }
    )
    for entries in (config.beat_schedule, create_celery_app(config).conf.beat_schedule):
        when: Any = entries["nightly_cleanup"]["schedule"]
        assert (type(when), when.hour, when.minute) == (crontab, {1}, {0})


@pytest.mark.proves("S000-26")
def test_an_interval_of_a_mapping_becomes_celerys():
    entry = {"task": "apps.workers.tasks.health_check", "schedule": {"type": "interval", "seconds": 300}}
    config = CeleryAppConfig.from_mapping({"beat_schedule": {"health_check": entry}})
    when = create_celery_app(config).conf.beat_schedule["health_check"]["schedule"]
    assert (type(when), when.run_every.total_seconds()) == (schedule, 300)
    assert entry["schedule"] == {"type": "interval", "seconds": 300}, "the caller's table stays as it was"


def test_a_mapping_takes_the_names_of_the_sources():
    config = CeleryAppConfig.from_mapping(
        {
            "broker_url": "redis://a:1/0",
            "result_backend": "redis://b:2/0",
            "default_queue": "mine",
            "enable_utc": False,
            "timezone": "Europe/Berlin",
            "imports": ["x"],
            "include": ("y",),
            "autodiscover": [],
            "app_name": "rapid",
            "beat_schedule": {},
        }
    )
    app: Any = create_celery_app(config)
    assert (config.app_name, app.main) == ("rapid", "rapid")
    conf = app.conf
    assert (conf.broker_url, conf.result_backend, conf.task_default_queue) == ("redis://a:1/0", "redis://b:2/0", "mine")
    assert (conf.enable_utc, conf.timezone) == (False, "Europe/Berlin")
    assert (conf.imports, conf.include) == (["x"], ["y"])


def test_a_configuration_is_frozen():
    config = CeleryAppConfig()
    with pytest.raises(FrozenInstanceError):
        config.settings = CelerySettings()  # type: ignore[misc]


def test_plain_celery_code_works_on_the_app(redis_url):
    app: Any = create_celery_app(CeleryAppConfig.from_mapping({"broker_url": redis_url, "result_backend": redis_url}))

    @app.task
    def send_email(to, subject, body):
        return {"status": "sent", "to": to}

    assert send_email("a@b.c", "Hi", "there") == {"status": "sent", "to": "a@b.c"}
    assert send_email.name.endswith(".send_email")
    with client(app):
        sent = send_email.delay("a@b.c", "Hi", "there")
        assert app.AsyncResult(sent.id).state == "PENDING"
        app.control.purge()  # or the next worker on this server would find it


def test_an_app_survives_being_pickled_for_a_spawned_process(environ):
    app: Any = create_celery_app(
        CeleryAppConfig.from_mapping({"broker_url": "redis://said:1/0", "task_max_retries": 9, "app_name": "spawned"})
    )
    environ(CELERY_BROKER_URL="redis://variable:2/0")
    copy = pickle.loads(pickle.dumps(app))  # noqa: S301  our own bytes
    assert (copy.main, copy.conf.broker_url, copy.Task.max_retries) == ("spawned", "redis://said:1/0", 9)
