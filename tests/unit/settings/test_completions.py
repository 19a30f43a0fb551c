from __future__ import annotations

import pytest

from core.configs.settings import CompletionsSettings, SettingsError


def test_a_service_runs_without_a_language_model():
    settings = CompletionsSettings()
    assert (settings.api_key, settings.model) == (None, None)
    assert settings.base_url == "https://api.openai.com/v1"


@pytest.mark.parametrize(
    "url", ["localhost:8080", "ftp://localhost", "https://", "https://user@host", "https://host/v1?key=1"]
)
def test_an_address_that_leads_to_no_server_is_refused(url, environ):
    environ(COMPLETIONS_BASE_URL=url)
    with pytest.raises(SettingsError, match="COMPLETIONS_BASE_URL cannot be used"):
        CompletionsSettings()


@pytest.mark.parametrize("name", ["COMPLETIONS_TIMEOUT", "COMPLETIONS_MAX_OUTPUT_TOKENS"])
def test_numbers_are_more_than_nothing(name, environ):
    environ(**{name: "0"})
    with pytest.raises(SettingsError, match=f"{name} cannot be used"):
        CompletionsSettings()


def test_the_key_is_never_shown(environ):
    environ(COMPLETIONS_API_KEY="sk-hunter2")
    settings = CompletionsSettings()
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"
