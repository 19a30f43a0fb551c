from __future__ import annotations

from typing import Any

import pytest

from celeriac import CeleryAppConfig, CelerySettings, create_celery_app
from celeriac.exceptions import InvalidSetting

ALL = {
    "CELERY_BROKER_URL": "redis://first:1/0",
    "RAPIDKIT_CELERY_BROKER_URL": "redis://second:2/0",
    "CELERY_BROKER": "redis",
    "REDIS_HOST": "third",
    "REDIS_PORT": "3",
    "REDIS_URL": "redis://fourth:4/0",
    "CELERY_RESULT_BACKEND": "redis://results-first:1/0",
    "RAPIDKIT_CELERY_RESULT_BACKEND": "redis://results-second:2/0",
}


def urls():
    conf = create_celery_app().conf
    return conf.broker_url, conf.result_backend


@pytest.mark.proves("H-4", "S002-2")
@pytest.mark.parametrize(
    ("absent", "broker", "results"),
    [
        ([], "redis://first:1/0", "redis://results-first:1/0"),
        (["CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"], "redis://second:2/0", "redis://results-second:2/0"),
        (
            [
                "CELERY_BROKER_URL",
                "RAPIDKIT_CELERY_BROKER_URL",
                "CELERY_RESULT_BACKEND",
                "RAPIDKIT_CELERY_RESULT_BACKEND",
            ],
            "redis://third:3/0",
            "redis://third:3/0",
        ),
        ([name for name in ALL if name != "REDIS_URL"], "redis://fourth:4/0", "redis://fourth:4/0"),
        (list(ALL), "redis://localhost:6379/0", "redis://localhost:6379/1"),
    ],
    ids=["CELERY_*", "RAPIDKIT_CELERY_*", "composed", "REDIS_URL", "none"],
)
def test_of_the_four_families_the_strongest_that_is_set_wins(absent, broker, results, environ):
    environ(**{name: text for name, text in ALL.items() if name not in absent})
    assert urls() == (broker, results)


@pytest.mark.proves("S000-18", "S000-19")
def test_broker_and_results_of_rapidkit_have_defaults_and_overrides(environ):
    assert urls() == ("redis://localhost:6379/0", "redis://localhost:6379/1")
    environ(RAPIDKIT_CELERY_BROKER_URL="redis://a:1/5", RAPIDKIT_CELERY_RESULT_BACKEND="redis://b:2/6")
    assert urls() == ("redis://a:1/5", "redis://b:2/6")


@pytest.mark.parametrize(
    ("variable", "text", "option", "default", "expected"),
    [
        pytest.param(
            "RAPIDKIT_CELERY_DEFAULT_QUEUE", "other", "task_default_queue", "default", "other",
            marks=pytest.mark.proves("S000-20"),
        ),
        pytest.param(
            "RAPIDKIT_CELERY_ENABLE_UTC", "false", "enable_utc", True, False, marks=pytest.mark.proves("S000-21")
        ),
        pytest.param(
            "RAPIDKIT_CELERY_TIMEZONE", "Europe/Berlin", "timezone", "UTC", "Europe/Berlin",
            marks=pytest.mark.proves("S000-22"),
        ),
        pytest.param(
            "RAPIDKIT_CELERY_IMPORTS", "apps.workers.tasks,apps.more", "imports", (),
            ["apps.workers.tasks", "apps.more"], marks=pytest.mark.proves("S000-23"),
        ),
        pytest.param("RAPIDKIT_CELERY_INCLUDE", "apps.workers.tasks", "include", (), ["apps.workers.tasks"]),
        pytest.param("DATETIME_TIMEZONE", "Asia/Shanghai", "timezone", "UTC", "Asia/Shanghai"),
    ],
)  # fmt: skip
def test_options_under_the_names_of_the_sources(variable, text, option, default, expected, environ):  # noqa: PLR0917  one row of a table
    assert create_celery_app().conf[option] == default
    environ(**{variable: text})
    assert create_celery_app().conf[option] == expected


@pytest.mark.proves("S000-24")
def test_autodiscover_imports_the_tasks_of_each_package(environ, tmp_path, monkeypatch):
    for package in ("first_workers", "second_workers"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "tasks.py").write_text(
            "from celery import shared_task\n@shared_task(name=__name__)\ndef run(): return 1\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    environ(RAPIDKIT_CELERY_AUTODISCOVER="first_workers, second_workers")
    app: Any = create_celery_app()
    app.loader.import_default_modules()
    assert {"first_workers.tasks", "second_workers.tasks"} <= set(app.tasks)


@pytest.mark.proves("S001-6")
def test_name_and_include_are_settings(environ):
    environ(CELERY_APP_NAME="fba_tasks", CELERY_INCLUDE="backend.app.task.tasks")
    app: Any = create_celery_app()
    assert (app.main, app.conf.include) == ("fba_tasks", ["backend.app.task.tasks"])
    environ(CELERY_APP_NAME="", RAPIDKIT_CELERY_APP_NAME="rapid")
    assert create_celery_app().main == "rapid"


@pytest.mark.proves("S001-2")
def test_celery_broker_chooses_the_kind_of_broker_and_refuses_any_other(environ):
    environ(CELERY_BROKER="rabbitmq")
    assert urls()[0] == "amqp://guest:guest@localhost:5672/%2F"
    environ(CELERY_BROKER="redis")
    assert urls()[0] == "redis://localhost:6379/0"
    environ(CELERY_BROKER="kafka")
    with pytest.raises(InvalidSetting) as caught:
        CelerySettings()
    assert str(caught.value) == "CELERY_BROKER cannot be used: it should be 'redis' or 'rabbitmq'"


@pytest.mark.proves("S001-3")
def test_a_rabbitmq_url_is_composed_and_every_part_is_encoded(environ):
    environ(
        CELERY_BROKER="rabbitmq",
        CELERY_RABBITMQ_USERNAME="us@er",
        CELERY_RABBITMQ_PASSWORD="p@s:s/word%",
        CELERY_RABBITMQ_HOST="mq",
        CELERY_RABBITMQ_PORT="5673",
        CELERY_RABBITMQ_VHOST="team/one",
    )
    assert urls()[0] == "amqp://us%40er:p%40s%3As%2Fword%25@mq:5673/team%2Fone"
    connection = create_celery_app().connection_for_write()
    assert (connection.userid, connection.password) == ("us@er", "p@s:s/word%")
    assert (connection.hostname, connection.port, connection.virtual_host) == ("mq", 5673, "team/one")


@pytest.mark.proves("S001-4")
@pytest.mark.parametrize(
    ("password", "url"),
    [("p@s:s/word%", "redis://:p%40s%3As%2Fword%25@cache:6380/4"), ("", "redis://cache:6380/4")],
)
def test_a_redis_url_is_composed_with_any_password_or_none(password, url, environ):
    environ(REDIS_HOST="cache", REDIS_PORT="6380", REDIS_PASSWORD=password, CELERY_BROKER_REDIS_DATABASE="4")
    assert urls() == (url, url)
    connection = create_celery_app().connection_for_write()
    assert (connection.password or "", connection.hostname, connection.port) == (password, "cache", 6380)


def test_an_ipv6_host_is_put_in_brackets(environ):
    environ(REDIS_HOST="::1")
    assert urls()[0] == "redis://[::1]:6379/0"


@pytest.mark.proves("S001-5")
def test_results_stay_in_redis_when_the_broker_is_rabbitmq(environ):
    environ(CELERY_BROKER="rabbitmq", CELERY_RABBITMQ_HOST="mq")
    assert urls()[1] == "redis://localhost:6379/0"
    environ(REDIS_URL="redis://cache:6379/2")
    assert urls()[1] == "redis://cache:6379/2"
    environ(REDIS_HOST="composed", REDIS_PASSWORD="secret")
    assert urls()[1] == "redis://:secret@composed:6379/0"
    assert urls()[0].startswith("amqp://")


def test_a_rabbitmq_host_alone_says_which_broker_is_meant(environ):
    environ(CELERY_RABBITMQ_HOST="mq", REDIS_URL="redis://cache:6379/2")
    assert urls() == ("amqp://guest:guest@mq:5672/%2F", "redis://cache:6379/2")


@pytest.mark.parametrize(
    "stray",
    [
        {"REDIS_PASSWORD": "of-another-program"},
        {"REDIS_PORT": "6399"},
        {"CELERY_RABBITMQ_PASSWORD": "x", "CELERY_RABBITMQ_VHOST": "y"},
    ],
)
def test_single_parts_beside_a_whole_url_change_nothing(stray, environ):
    environ(REDIS_URL="redis://cache:6379/2", **stray)
    assert urls() == ("redis://cache:6379/2", "redis://cache:6379/2")


def test_what_kubernetes_sets_for_services_named_like_ours_is_not_read_as_a_port(environ):
    environ(
        REDIS_HOST="cache",
        REDIS_PORT="tcp://10.0.0.1:6379",
        REDIS_PORT_6379_TCP_ADDR="10.0.0.1",
        REDIS_SERVICE_HOST="10.0.0.1",
        CELERY_RABBITMQ_PORT="tcp://10.0.0.2:5672",
        CELERY_BROKER_PORT="tcp://10.0.0.2:5672",
        CELERY_PORT="tcp://10.0.0.3:80",
        CELERY_PORT_80_TCP="tcp://10.0.0.3:80",
        CELERY_PORT_80_TCP_PROTO="tcp",
        CELERY_SERVICE_HOST="10.0.0.3",
        CELERY_SERVICE_PORT_HTTP="80",
        CELERY_WORKER_SERVICE_HOST="10.0.0.4",
        CELERY_WORKER_PORT="tcp://10.0.0.4:80",
        CELERY_WORKER_PORT_80_TCP_ADDR="10.0.0.4",
    )
    assert urls()[0] == "redis://cache:6379/0"


def test_a_verified_certificate_is_asked_for_where_a_tls_url_says_nothing(environ):
    environ(REDIS_URL="rediss://cache:6380/0")
    assert urls()[1] == "rediss://cache:6380/0?ssl_cert_reqs=required"
    app: Any = create_celery_app()
    assert app.backend.connparams["host"] == "cache"
    environ(REDIS_URL="rediss://cache:6380/0?ssl_cert_reqs=none")
    assert urls()[1] == "rediss://cache:6380/0?ssl_cert_reqs=none"


def test_explicit_values_beat_every_variable(environ):
    environ(**ALL)
    app: Any = create_celery_app(
        CeleryAppConfig.from_mapping({"broker_url": "redis://said:9/1", "result_backend": "redis://said:9/2"})
    )
    assert app.conf.broker_url == "redis://said:9/1"
    assert app.connection_for_write().hostname == app.connection_for_read().hostname == "said"
    assert app.conf.result_backend == "redis://said:9/2"
    assert app.backend.connparams["host"] == "said"
