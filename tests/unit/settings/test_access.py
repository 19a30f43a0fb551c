"""Who may come in, as the environment says it."""

from __future__ import annotations

import asyncio

import pytest

from celeriac.exceptions import InvalidSetting, OpenInProduction
from celeriac.security.gate import Gate
from core.configs.settings import AccessSettings, Settings, SettingsError
from ioc.container import build_container

ISSUER = {
    "HTTP_JWT_ISSUER": "https://issuer.example/",
    "HTTP_JWT_AUDIENCE": "celeriac",
    "HTTP_JWT_JWKS_URL": "https://issuer.example/jwks.json",
}


def gate() -> Gate:
    container = build_container()
    try:
        return container.resolve(Gate)
    finally:
        container.close()


@pytest.fixture(autouse=True)
def _server(environ):
    environ(REDIS_URL="redis://cache.invalid:6379/0")


def test_callers_are_asked_who_they_are_unless_it_is_said_otherwise():
    settings = AccessSettings()
    assert (settings.auth, settings.rate_limit) == ("required", "6000/m")
    assert gate().open_to_all is False


@pytest.mark.proves("S004-23")
def test_to_ask_nobody_is_refused_in_production_which_is_where_it_runs_unless_said(environ):
    environ(HTTP_AUTH="off")
    for environment in ("", "production"):
        environ(ENVIRONMENT=environment)
        with pytest.raises(OpenInProduction, match="HTTP_AUTH is off while ENVIRONMENT is 'production'"):
            gate()


@pytest.mark.parametrize("environment", ["development", "test"])
def test_elsewhere_nobody_may_be_asked_and_the_start_says_so_loudly(environ, environment, caplog):
    environ(HTTP_AUTH="off", ENVIRONMENT=environment)
    asyncio.run(gate().open())
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "HTTP_AUTH IS OFF" in record.getMessage()


@pytest.mark.parametrize("auth", ["false", "0", "no", "OFF", "none"])
def test_only_the_very_word_switches_it_off(environ, auth):
    environ(HTTP_AUTH=auth)
    with pytest.raises(SettingsError, match="HTTP_AUTH cannot be used"):
        Settings()


@pytest.mark.parametrize("rate", ["0/m", "10", "10/d", "-1/s", "ten/m", "10/m ", "on"])
def test_a_rate_that_is_none_is_refused(environ, rate):
    environ(HTTP_RATE_LIMIT=rate)
    with pytest.raises(SettingsError, match="HTTP_RATE_LIMIT cannot be used"):
        Settings()


def test_an_issuer_is_said_whole_or_not_at_all(environ):
    environ(**ISSUER)
    assert AccessSettings().jwt_issuer == "https://issuer.example/"
    for missing in ISSUER:
        environ(**{**ISSUER, missing: ""})
        with pytest.raises(SettingsError, match=f"{missing} is not set"):
            Settings()


def test_algorithms_stand_with_commas_and_those_with_a_shared_secret_end_the_start(environ):
    environ(**ISSUER, HTTP_JWT_ALGORITHMS="RS256, ES256")
    assert AccessSettings().jwt_algorithms == ("RS256", "ES256")
    gate()
    environ(HTTP_JWT_ALGORITHMS="RS256,HS256")
    with pytest.raises(InvalidSetting, match="HTTP_JWT_ALGORITHMS cannot be used"):
        gate()


def test_keys_of_an_issuer_come_over_tls(environ):
    environ(**{**ISSUER, "HTTP_JWT_JWKS_URL": "http://issuer.example/jwks.json"})
    with pytest.raises(InvalidSetting, match="HTTP_JWT_JWKS_URL cannot be used"):
        gate()
