"""What the service is told from outside: environment variables, one file for each subject."""

from __future__ import annotations

from pydantic import Field

from core.configs.bot import BotSettings
from core.configs.completions import CompletionsSettings
from core.configs.database import DatabaseSettings, HistorySettings
from core.configs.environment import Environment, FromEnvironment, SettingsError
from core.configs.files import DataSettings, ExportsSettings, StorageSettings
from core.configs.http import AccessSettings, HttpSettings
from core.configs.mail import MailSettings
from core.configs.market import MarketSettings
from core.configs.redis import RedisSettings
from core.configs.telemetry import LoggingSettings

__all__ = [
    "AccessSettings",
    "BotSettings",
    "CompletionsSettings",
    "DataSettings",
    "DatabaseSettings",
    "Environment",
    "ExportsSettings",
    "HistorySettings",
    "HttpSettings",
    "LoggingSettings",
    "MailSettings",
    "MarketSettings",
    "RedisSettings",
    "Settings",
    "SettingsError",
    "StorageSettings",
]


class Settings(FromEnvironment):
    """Everything the service is told."""

    environment: Environment = Environment.PRODUCTION
    """``ENVIRONMENT``."""
    redis_settings: RedisSettings = Field(default_factory=RedisSettings)
    logging_settings: LoggingSettings = Field(default_factory=LoggingSettings)
    access_settings: AccessSettings = Field(default_factory=AccessSettings)
    database_settings: DatabaseSettings = Field(default_factory=DatabaseSettings)
    history_settings: HistorySettings = Field(default_factory=HistorySettings)
    http_settings: HttpSettings = Field(default_factory=HttpSettings)
    mail_settings: MailSettings = Field(default_factory=MailSettings)
    bot_settings: BotSettings = Field(default_factory=BotSettings)
    exports_settings: ExportsSettings = Field(default_factory=ExportsSettings)
    data_settings: DataSettings = Field(default_factory=DataSettings)
    market_settings: MarketSettings = Field(default_factory=MarketSettings)
    storage_settings: StorageSettings = Field(default_factory=StorageSettings)
    completions_settings: CompletionsSettings = Field(default_factory=CompletionsSettings)
