from __future__ import annotations

import pytest

from core.configs.settings import BotSettings, Settings, SettingsError

WRITE = "write it like 4711=tasks:run+tasks:read,4712=*, with the ids that the bot tells strangers"


def test_nothing_has_to_be_said_of_a_bot(environ):
    environ(REDIS_URL="redis://cache")
    bot = Settings().bot_settings
    assert (bot.token, bot.users, bot.groups, bot.api_url) == (None, {}, frozenset(), "https://api.telegram.org")


def test_users_groups_and_token_are_read_and_the_token_is_never_shown(environ):
    environ(BOT_TOKEN="42:hunter_2-x", BOT_USERS="4711=tasks:run+tasks:read, 4712=*", BOT_GROUPS="-1001, -5")
    bot = BotSettings()
    assert bot.users == {4711: {"tasks:run", "tasks:read"}, 4712: {"*"}}
    assert bot.groups == {-1001, -5}
    assert "hunter" not in f"{bot!r} {bot} {bot.model_dump_json()}"


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("BOT_TOKEN", "hunter2", "it is no token of @BotFather's, which is a number, a colon and letters"),
        ("BOT_USERS", "4711", WRITE),
        ("BOT_USERS", "ann=*", WRITE),
        ("BOT_USERS", "4711=", WRITE),
        ("BOT_USERS", '{"4711": ["*"]}', WRITE),
        ("BOT_GROUPS", "us", "it should be a valid integer, unable to parse string as an integer"),
        ("BOT_RATE_LIMIT", "often", r"String should match pattern '^(off|[1-9]\d*/[smh])$'"),
        ("BOT_API_URL", "ftp://here", r"String should match pattern '^https?://[^\s/?#@]+(/[^\s?#]*)?$'"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_name_and_not_shown(environ, variable, value, problem):
    environ(**{variable: value})
    with pytest.raises(SettingsError) as refused:
        BotSettings()
    assert str(refused.value) == f"{variable} cannot be used: {problem}"
