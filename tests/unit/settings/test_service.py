from __future__ import annotations

import pytest

from core.configs.settings import Environment, LoggingSettings, RedisSettings, Settings, SettingsError

WRITE = "write it like redis://:PASSWORD@HOST:6379/0"
MISSING = (
    "REDIS_URL is not set: it names the Redis server that carries tasks and keeps their results."
    " Set it, for example REDIS_URL=redis://localhost:6379/0, or run `make dev`, which starts a server"
)


@pytest.mark.proves("S003-7", "S004-2")
@pytest.mark.parametrize("settings", [Settings, RedisSettings])
def test_redis_url_is_required_and_the_error_says_what_to_set(settings, environ):
    with pytest.raises(SettingsError) as caught:
        settings()
    assert str(caught.value) == MISSING
    environ(REDIS_URL="")
    with pytest.raises(SettingsError, match="REDIS_URL is not set"):
        settings()


@pytest.mark.proves("S003-7")
def test_redis_url_is_secret_in_every_text(environ):
    environ(REDIS_URL="redis://:hunter2@cache:6379/0")
    settings = Settings()
    assert settings.redis_settings.redis_url.get_secret_value() == "redis://:hunter2@cache:6379/0"
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()} {settings.redis_settings!r}"
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://:hunter2@cache", f"its scheme is none of redis, rediss, sentinel, redis+socket; {WRITE}"),
        (
            "redis://:hun/ter2@cache:6379/0",
            f"its port is no number from 1 to 65535 (percent-encode a password with / # or ?); {WRITE}",
        ),
        ("redis://:hunter2@:6379/0", f"it names no host, or port 0; {WRITE}"),
        ("redis://:hunter2@cache/first", f"its database is no number; {WRITE}"),
    ],
)
def test_a_malformed_redis_url_is_refused_with_what_to_write_and_never_shown(url, problem, environ):
    environ(REDIS_URL=url)
    with pytest.raises(SettingsError) as caught:
        Settings()
    assert str(caught.value) == f"REDIS_URL cannot be used: {problem}"
    assert caught.value.__context__ is None


def test_logging_and_environment_have_defaults_and_closed_sets(environ):
    environ(REDIS_URL="redis://cache")
    settings = Settings()
    assert settings.environment is Environment.PRODUCTION
    assert (settings.logging_settings.level, settings.logging_settings.format) == ("INFO", "console")
    environ(LOGGING_LEVEL="debug", LOGGING_FORMAT="json", ENVIRONMENT="test")
    assert (LoggingSettings().level, LoggingSettings().format) == ("DEBUG", "json")
    assert Settings().environment is Environment.TEST
    environ(LOGGING_LEVEL="loud", LOGGING_FORMAT="xml")
    with pytest.raises(SettingsError) as caught:
        LoggingSettings()
    assert str(caught.value) == (
        "LOGGING_LEVEL cannot be used: it should be 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL';"
        " LOGGING_FORMAT cannot be used: it should be 'console' or 'json'"
    )
