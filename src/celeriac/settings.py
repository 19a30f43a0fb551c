"""The settings of a Celery application: every option typed, from four families of environment variables."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from celeriac.error import nearest
from celeriac.exceptions import EagerInProduction, InvalidSetting, UnknownSetting
from celeriac.options.address import BrokerAddress, check_redis_url, check_server_url
from celeriac.options.delivery import DeliveryOptions
from celeriac.options.history import HistoryOptions
from celeriac.options.security import SecurityOptions
from celeriac.options.table import CeleryOptions, UnlistedOptions
from celeriac.options.types import Count, JsonObject, Kibibytes, Names, Seconds, TimeZoneName
from celeriac.options.variables import refuse_unknown, values_from

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

__all__ = ["CelerySettings", "Environment"]


class Environment(StrEnum):
    """Where the application runs."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"
    TEST = "test"


class _Variables(PydanticBaseSettingsSource):
    """The environment as a source of settings: several variables may give one, in order of precedence."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        del field
        variable, text = values_from(os.environ, [field_name]).get(field_name, ("", None))
        return text, variable, False

    def __call__(self) -> dict[str, Any]:
        found = values_from(os.environ, self.settings_cls.model_fields)
        return {setting: text for setting, (_, text) in found.items()}


# The bases declare model_config as pydantic's own and as pydantic-settings' narrower type; the latter holds.
class CelerySettings(  # pyright: ignore[reportIncompatibleVariableOverride]
    BaseSettings, CeleryOptions, UnlistedOptions, DeliveryOptions, HistoryOptions, SecurityOptions, BrokerAddress
):
    """Every option of Celery and the few settings of ours, with defaults that keep tasks safe.

    ``CelerySettings()`` is what the environment says; values given by name win over it. ``None`` gives an option back
    to Celery's own default. ``repr`` shows what was said, and no secret.

    Raises:
        UnknownSetting: a variable ``CELERY_...`` that no option has.
        InvalidSetting: a value that cannot be used; names its variable and never shows the value.
        EagerInProduction: ``task_always_eager`` in production.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=False)

    # ours
    app_name: str = "main"
    environment: Environment = Environment.PRODUCTION
    autodiscover: Names = ()
    task_max_retries: Count = 5
    task_default_retry_delay: Seconds = 60
    result_backend_pool_limit: Count | None = None

    # JSON alone: to unpickle a message is to run the code of whoever sent it.
    accept_content: Names | None = ("json",)
    result_accept_content: Names | None = ("json",)
    task_serializer: str | None = "json"
    result_serializer: str | None = "json"
    enable_utc: bool | None = True
    timezone: TimeZoneName | None = "UTC"
    task_default_queue: str | None = "default"

    # A task is acknowledged once it is done, so that the tasks of a killed worker run again.
    task_acks_late: bool | None = True
    task_reject_on_worker_lost: bool | None = True
    task_track_started: bool | None = True
    task_time_limit: Seconds | None = 3600
    task_soft_time_limit: Seconds | None = 3000
    result_expires: Seconds | None = 86400
    worker_prefetch_multiplier: Count | None = 1
    worker_max_tasks_per_child: Count | None = 1000
    # 512 MiB for one child: several times what a service needs, and four children fit a host of 4 GiB.
    worker_max_memory_per_child: Kibibytes | None = 524288

    # Bounds for waiting on a server; celeriac.options.conf has those of the transports, and the reasons.
    broker_connection_retry_on_startup: bool | None = True
    broker_connection_timeout: Seconds | None = 1.5
    broker_pool_limit: Count | None = 10
    broker_pool_acquire_timeout: Seconds | None = 5
    redis_socket_connect_timeout: Seconds | None = 1
    redis_socket_timeout: Seconds | None = 1.5
    redis_socket_keepalive: bool | None = True
    redis_backend_health_check_interval: Seconds | None = 10
    task_publish_retry_policy: JsonObject | None = Field(
        default_factory=lambda: {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
    )

    def __init__(self, **values: Any) -> None:
        known = type(self).model_fields
        refuse_unknown(os.environ, known)
        for name in values:
            if name not in known:
                raise UnknownSetting(setting=name, hint=nearest(name, known))
        try:
            super().__init__(**values)
        except ValidationError as error:
            problem = _explain(error, values)
        else:
            return
        # Outside of the `except`: pydantic's error holds the values, secrets among them.
        raise problem

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values by name, then the environment. A ``.env`` file is read by whoever starts the program."""
        del env_settings, dotenv_settings, file_secret_settings
        return init_settings, _Variables(settings_cls)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        return ((name, value) for name, value in super().__repr_args__() if name in self.model_fields_set)

    def broker_link(self) -> str:
        """The broker's URL with its password: for connecting, never for showing."""
        return self.broker_address() if self.broker_url is None else self.broker_url.get_secret_value()

    def result_link(self) -> str:
        """The result backend's URL with its password: for connecting, never for showing."""
        return self.result_address() if self.result_backend is None else self.result_backend.get_secret_value()

    @field_validator("redis_url")
    @classmethod
    def _is_of_redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            check_redis_url(url.get_secret_value())
        return url

    @field_validator("broker_url", "broker_read_url", "broker_write_url", "result_backend")
    @classmethod
    def _leads_somewhere(cls, url: SecretStr | None) -> SecretStr | None:
        # Without a scheme it is the bare name of a transport or backend, such as "rpc".
        if url is not None and "://" in url.get_secret_value():
            check_server_url(url.get_secret_value())
        return url

    @field_validator("environment", mode="before")
    @classmethod
    def _in_lower_case(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _refuse_eager_production(self) -> Self:
        if self.task_always_eager and self.environment is Environment.PRODUCTION:
            raise EagerInProduction(environment=str(self.environment))
        return self


def _explain(error: ValidationError, values: dict[str, Any]) -> InvalidSetting:
    problems: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        setting = str(detail["loc"][0]) if detail["loc"] else "the settings"
        given = setting if setting in values else values_from(os.environ, [setting]).get(setting, (setting, ""))[0]
        problem = detail["msg"].removeprefix("Value error, ").replace("Input should be", "it should be")
        problems.setdefault(given, []).append(problem)
    (setting, first), *others = problems.items()
    also = "".join(f"; {other} cannot be used: {' or '.join(why)}" for other, why in others)
    return InvalidSetting(setting=setting, problem=" or ".join(first) + also)
