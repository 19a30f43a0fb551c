from __future__ import annotations

import pytest

from celeriac import CeleryAppConfig, CelerySettings, create_celery_app
from celeriac.exceptions import EagerInProduction, InvalidSetting, UnknownSetting

WRITE = "write it like redis://:PASSWORD@HOST:6379/0"
PORT = "its port is no number from 1 to 65535 (percent-encode a password with / # or ?)"


@pytest.mark.proves("H-1")
@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("CELERY_TASK_MAX_RETRYS", "Did you mean 'CELERY_TASK_MAX_RETRIES'?"),
        ("CELERY_BROKER_ULR", "Did you mean 'CELERY_BROKER_URL'?"),
        ("RAPIDKIT_CELERY_TIME_ZONE", "Did you mean 'RAPIDKIT_CELERY_TIMEZONE'?"),
        ("CELERY_WORKER_PREFETCH", "Did you mean 'CELERY_WORKER_DISABLE_PREFETCH'?"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_that_exists(variable, text, environ):
    environ(**{variable: "1"})
    with pytest.raises(UnknownSetting) as caught:
        create_celery_app()
    assert str(caught.value) == f"{variable} is no setting of Celery or Celeriac. {text}"


@pytest.mark.proves("H-1")
def test_an_unknown_key_is_refused_with_the_nearest_that_exists():
    with pytest.raises(UnknownSetting) as caught:
        CeleryAppConfig.from_mapping({"task_ack_late": True})
    assert str(caught.value) == "task_ack_late is no setting of Celery or Celeriac. Did you mean 'task_acks_late'?"
    with pytest.raises(UnknownSetting) as caught:
        CeleryAppConfig.from_mapping({"zzz": 1})
    assert str(caught.value) == "zzz is no setting of Celery or Celeriac."
    with pytest.raises(UnknownSetting, match="task_ack_late"):
        CelerySettings(task_ack_late=True)


@pytest.mark.parametrize(
    "variable",
    [
        "CELERY_LOG_LEVEL",
        "CELERY_LOG_REDIRECT_LEVEL",
        "CELERY_CONFIG_MODULE",
        "CELERY_LOADER",
        "CELERY_TRACE_APP",
        "CELERY_RDB_HOST",
        "CELERY_NO_COLOR",
        "CELERY_WORKER_QUEUES",
        "CELERY_FLOWER_PORT",
        "CELERYD_NODES",
    ],
)
def test_variables_that_celery_and_its_commands_read_are_left_to_them(variable, environ):
    environ(**{variable: "1"})
    assert CelerySettings().model_fields_set == set()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://:hunter2@host:6379/0", f"its scheme is none of redis, rediss, sentinel, redis+socket; {WRITE}"),
        ("localhost:6379", f"its scheme is none of redis, rediss, sentinel, redis+socket; {WRITE}"),
        ("redis://:hunter2@host:99999/0", f"{PORT}; {WRITE}"),
        ("redis://:hunter2@host:port/0", f"{PORT}; {WRITE}"),
        ("redis://:hunter2/x@host:6379/0", f"{PORT}; {WRITE}"),
        ("redis://:hunter2@/0", f"it names no host, or port 0; {WRITE}"),
        ("redis://", f"it names no host, or port 0; {WRITE}"),
        ("redis://:hunter2@host:6379/first", f"its database is no number; {WRITE}"),
    ],
)
def test_a_malformed_redis_url_is_refused_with_what_to_write_and_never_shown(url, problem, environ):
    environ(REDIS_URL=url)
    with pytest.raises(InvalidSetting) as caught:
        CelerySettings()
    assert str(caught.value) == f"REDIS_URL cannot be used: {problem}"
    assert caught.value.__context__ is None, "pydantic's error would carry the URL into logs"


def test_a_malformed_broker_url_is_named_after_the_variable_that_gave_it(environ):
    environ(RAPIDKIT_CELERY_BROKER_URL="redis://:hunter2@/0")
    with pytest.raises(InvalidSetting) as caught:
        CelerySettings()
    assert str(caught.value) == f"RAPIDKIT_CELERY_BROKER_URL cannot be used: it names no host, or port 0; {WRITE}"


@pytest.mark.parametrize(
    ("variable", "text", "problem"),
    [
        (
            "CELERY_WORKER_PREFETCH_MULTIPLIER",
            "many",
            "it should be a valid integer, unable to parse string as an integer",
        ),
        ("CELERY_TASK_TIME_LIMIT", "-5", "it should be greater than or equal to 0"),
        ("CELERY_TASK_ACKS_LATE", "perhaps", "it should be a valid boolean, unable to interpret input"),
        (
            "CELERY_WORKER_CONCURRENCY",
            "lots",
            "it should be 'auto' or it should be a valid integer, unable to parse string as an integer",
        ),
        ("CELERY_TIMEZONE", "Mars/Olympus", "no time zone has that name; write one like UTC or Europe/Berlin"),
        ("CELERY_BROKER_TRANSPORT_OPTIONS", '{"password": "hunter2"', "it is not valid JSON"),
        ("ENVIRONMENT", "staging", "it should be 'production', 'development' or 'test'"),
        ("REDIS_PORT", "70000", "it should be less than or equal to 65535"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_and_not_shown(variable, text, problem, environ):
    environ(**{variable: text})
    with pytest.raises(InvalidSetting) as caught:
        CelerySettings()
    assert str(caught.value) == f"{variable} cannot be used: {problem}"
    assert text not in str(caught.value)


def test_several_bad_values_are_told_at_once(environ):
    environ(CELERY_TASK_TIME_LIMIT="x", CELERY_TASK_PROTOCOL="3")
    with pytest.raises(InvalidSetting) as caught:
        CelerySettings()
    assert str(caught.value) == (
        "CELERY_TASK_PROTOCOL cannot be used: it should be less than or equal to 2;"
        " CELERY_TASK_TIME_LIMIT cannot be used: it should be a valid number, unable to parse string as a number"
    )


def test_a_bad_value_of_a_mapping_is_named_after_its_key():
    with pytest.raises(InvalidSetting) as caught:
        CeleryAppConfig.from_mapping({"broker_url": "redis://:hunter2@host:0/0"})
    assert str(caught.value) == f"broker_url cannot be used: it names no host, or port 0; {WRITE}"


@pytest.mark.proves("S004-25")
def test_tasks_run_eagerly_by_one_switch_and_never_in_production(environ):
    environ(CELERY_TASK_ALWAYS_EAGER="true", CELERY_TASK_EAGER_PROPAGATES="true")
    with pytest.raises(EagerInProduction) as caught:
        create_celery_app()
    assert str(caught.value) == (
        "task_always_eager is on while ENVIRONMENT is 'production': tasks would run inside their callers and no worker"
        " would see them. Unset CELERY_TASK_ALWAYS_EAGER, or set ENVIRONMENT=development"
    )
    environ(ENVIRONMENT="Development")
    app = create_celery_app()

    @app.task(name="double")
    def double(number):
        return number * 2

    @app.task(name="broken")
    def broken():
        message = "as it is"
        raise LookupError(message)

    assert double.delay(21).get() == 42
    with pytest.raises(LookupError, match="as it is"):
        broken.delay()


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(Exception, match="frozen"):
        CelerySettings().task_acks_late = False  # type: ignore[misc]
