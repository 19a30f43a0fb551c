"""The bot."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from core.configs.environment import FromEnvironment

__all__ = ["BotSettings"]


class BotSettings(FromEnvironment):
    """Who may do what through the Telegram bot."""

    model_config = SettingsConfigDict(env_prefix="BOT_")

    token: SecretStr | None = None
    """``BOT_TOKEN``: what Telegram's @BotFather gave; without it there is no bot, and all else runs."""
    users: Annotated[dict[int, frozenset[str]], NoDecode] = Field(default_factory=dict[int, frozenset[str]])
    """``BOT_USERS``: what each user may do, by Telegram's id: ``4711=tasks:run+tasks:read,4712=*``; nobody else may."""
    groups: Annotated[frozenset[int], NoDecode] = frozenset()
    """``BOT_GROUPS``: ids of groups in which users may ask, with commas between them; in private they always may."""
    rate_limit: Annotated[str, Field(pattern=r"^(off|[1-9]\d*/[smh])$")] = "60/m"
    """``BOT_RATE_LIMIT``: messages of one user per ``s``, ``m`` or ``h``, or ``off``."""
    api_url: Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")] = "https://api.telegram.org"
    """``BOT_API_URL``: a Bot API server of your own."""

    @field_validator("token")
    @classmethod
    def _looks_like_a_token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not re.fullmatch(r"\d+:[\w-]+", token.get_secret_value()):
            msg = "it is no token of @BotFather's, which is a number, a colon and letters"
            raise ValueError(msg)
        return token

    @field_validator("users", mode="before")
    @classmethod
    def _by_id(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        users: dict[str, list[str]] = {}
        for entry in value.split(","):
            user, _, scopes = entry.strip().partition("=")
            users[user] = [scope for scope in scopes.split("+") if scope]
            if not user.isdigit() or not users[user]:
                msg = "write it like 4711=tasks:run+tasks:read,4712=*, with the ids that the bot tells strangers"
                raise ValueError(msg)
        return users

    @field_validator("groups", mode="before")
    @classmethod
    def _with_commas(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value
