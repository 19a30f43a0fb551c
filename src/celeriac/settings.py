"""The settings of a Celery application: every option typed, from four families of environment variables."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Any, ClassVar, Self

from kombu import Exchange, Queue
from pydantic import Field, Secret, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from celeriac.address import BrokerAddress, check_redis_url, check_server_url, is_rabbitmq, is_redis
from celeriac.exceptions import EagerInProduction, InvalidSetting, UnknownSetting, nearest
from celeriac.option_types import Count, JsonObject, Kibibytes, Names, Seconds, TimeZoneName
from celeriac.options import CeleryOptions, UnlistedOptions
from celeriac.variables import refuse_unknown, values_from

__all__ = ["CelerySettings", "Environment"]

HIGHEST_PRIORITY = 9
NORMAL_PRIORITY = 3

# Bounds for every wait on a broker or on the result backend. Celery's own are "for ever" in several places: a server
# that drops packets then hangs the caller.
REDIS_TRANSPORT: dict[str, Any] = {
    "socket_connect_timeout": 1,
    "socket_timeout": 4,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
RABBITMQ_TRANSPORT: dict[str, Any] = {"confirm_publish": True, "connect_timeout": 2}
RESULT_RETRIES: dict[str, Any] = {
    "retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
}


class Environment(StrEnum):
    """Where the application runs."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"
    TEST = "test"


class _Variables(PydanticBaseSettingsSource):
    """The environment as a source of settings: several variables for one setting, in order of precedence."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable, text = values_from(os.environ, [field_name]).get(field_name, ("", None))
        del field
        return text, variable, False

    def __call__(self) -> dict[str, Any]:
        found = values_from(os.environ, self.settings_cls.model_fields)
        return {setting: text for setting, (_, text) in found.items()}


class CelerySettings(CeleryOptions, UnlistedOptions, BrokerAddress, BaseSettings):
    """Every option of Celery, and the few settings of ours, with defaults that lose no task.

    Values given by name win over the environment. Without any, ``CelerySettings()`` is the environment's.
    ``None`` gives an option back to Celery's default.

    Raises:
        UnknownSetting: a variable ``CELERY_...`` that no option has.
        InvalidSetting: a value that cannot be used; names its variable and never shows the value.
        EagerInProduction: ``task_always_eager`` in production.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True
    )

    # ours
    app_name: str = "main"
    environment: Environment = Environment.PRODUCTION
    autodiscover: Names = ()
    task_max_retries: Count = 5
    task_default_retry_delay: Seconds = 60
    result_backend_pool_limit: Count | None = None

    # JSON alone: unpickling a message runs code of whoever sent it.
    accept_content: Names | None = ("json",)
    result_accept_content: Names | None = ("json",)
    task_serializer: str | None = "json"
    result_serializer: str | None = "json"
    enable_utc: bool | None = True
    timezone: TimeZoneName | None = "UTC"
    task_default_queue: str | None = "default"

    # A task is acknowledged when it is done, so that a killed worker's tasks run again.
    task_acks_late: bool | None = True
    task_reject_on_worker_lost: bool | None = True
    task_track_started: bool | None = True
    task_time_limit: Seconds | None = 3600
    task_soft_time_limit: Seconds | None = 3000
    result_expires: Seconds | None = 86400
    worker_prefetch_multiplier: Count | None = 1
    worker_max_tasks_per_child: Count | None = 1000
    # 512 MiB for one child: several times what a service needs, and four children still fit a host of 4 GiB.
    worker_max_memory_per_child: Kibibytes | None = 524288

    broker_connection_retry_on_startup: bool | None = True
    broker_pool_limit: Count | None = 10
    broker_pool_acquire_timeout: Seconds | None = 5
    broker_connection_timeout: Seconds | None = 2
    redis_socket_connect_timeout: Seconds | None = 1
    redis_socket_timeout: Seconds | None = 4
    redis_socket_keepalive: bool | None = True
    redis_backend_health_check_interval: Seconds | None = 10
    task_publish_retry_policy: JsonObject | None = Field(
        default_factory=lambda: {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
    )

    def __init__(self, **values: Any) -> None:
        cls = type(self)
        refuse_unknown(os.environ, cls.model_fields)
        for name in values:
            if name not in cls.model_fields:
                raise UnknownSetting(setting=name, hint=nearest(name, cls.model_fields))
        try:
            super().__init__(**values)
        except ValidationError as error:
            problem = _explain(error, values)
        else:
            return
        # Outside of the `except`: the error of pydantic holds the values, and secrets among them.
        raise problem

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        **others: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values by name, then the environment. Neither ``.env`` nor secret files: whoever starts the program reads those."""
        del others
        return init_settings, _Variables(settings_cls)

    @field_validator("redis_url")
    @classmethod
    def _redis_url_leads_somewhere(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            check_redis_url(url.get_secret_value())
        return url

    @field_validator("broker_url", "broker_read_url", "broker_write_url")
    @classmethod
    def _broker_url_leads_somewhere(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            check_server_url(url.get_secret_value())
        return url

    @field_validator("result_backend")
    @classmethod
    def _result_backend_leads_somewhere(cls, url: SecretStr | None) -> SecretStr | None:
        # A result backend may also be a bare name, such as "rpc" or a dotted path.
        if url is not None and "://" in url.get_secret_value():
            check_server_url(url.get_secret_value())
        return url

    @field_validator("environment", mode="before")
    @classmethod
    def _environment_in_any_case(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _refuse_eager_production(self) -> Self:
        if self.task_always_eager and self.environment is Environment.PRODUCTION:
            raise EagerInProduction(environment=str(self.environment))
        return self

    def broker_link(self) -> str:
        """The broker's URL, password included: for connecting, never for showing."""
        return self.broker_address() if self.broker_url is None else self.broker_url.get_secret_value()

    def result_link(self) -> str:
        """The result backend's URL, password included: for connecting, never for showing."""
        return self.result_address() if self.result_backend is None else self.result_backend.get_secret_value()

    def conf(self) -> dict[str, Any]:
        """What goes into ``app.conf``: plain values, secrets unwrapped, only what is not left to Celery."""
        names = (*CeleryOptions.model_fields, *UnlistedOptions.model_fields)
        conf = {name: _plain(value) for name in names if (value := getattr(self, name)) is not None}
        broker, results = self.broker_link(), _with_verified_tls(self.result_link())
        conf.update(broker_url=_with_verified_tls(broker), result_backend=results)
        if self.result_backend_pool_limit is not None:
            conf.setdefault("redis_max_connections", self.result_backend_pool_limit)
        if is_redis(broker):
            conf["broker_transport_options"] = REDIS_TRANSPORT | conf.get("broker_transport_options", {})
            # Redis counts priorities the other way round: see celeriac.tasks.policies.Priority.
            conf.setdefault("task_default_priority", HIGHEST_PRIORITY - NORMAL_PRIORITY)
        elif is_rabbitmq(broker):
            conf["broker_transport_options"] = RABBITMQ_TRANSPORT | conf.get("broker_transport_options", {})
            conf.setdefault("task_default_priority", NORMAL_PRIORITY)
            if self.task_default_queue_type != "quorum":
                conf.setdefault("task_queue_max_priority", HIGHEST_PRIORITY)
        if is_redis(results):
            conf["result_backend_transport_options"] = RESULT_RETRIES | conf.get("result_backend_transport_options", {})
        if self.task_queues is not None:
            default = {self.task_default_queue: {}} if self.task_default_queue is not None else {}
            conf["task_queues"] = [_queue(name, said) for name, said in {**default, **self.task_queues}.items()]
        return conf


def _plain(value: Any) -> Any:
    if isinstance(value, Secret | SecretStr):
        return value.get_secret_value()
    return list(value) if isinstance(value, tuple) else value


def _queue(name: str, said: Any) -> Queue:
    # Named as Celery names a queue that it creates by itself, so that a plain producer or worker agrees with ours.
    if isinstance(said, Queue):
        return said
    options = {"exchange": name, "exchange_type": "direct", "routing_key": name, **said}
    return Queue.from_dict(name, **options)


def _with_verified_tls(url: str) -> str:
    # Celery refuses a rediss:// URL that does not say whether to check certificates. Checking is the right answer.
    if not url.startswith("rediss://") or "ssl_cert_reqs=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"


def _explain(error: ValidationError, values: dict[str, Any]) -> InvalidSetting:
    problems: dict[str, str] = {}
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        setting = str(detail["loc"][0]) if detail["loc"] else "the settings"
        given = setting if setting in values else values_from(os.environ, [setting]).get(setting, (setting, ""))[0]
        problems.setdefault(given, detail["msg"].removeprefix("Value error, "))
    (setting, problem), *others = problems.items()
    also = "".join(f"; {other} cannot be used: {why}" for other, why in others)
    return InvalidSetting(setting=setting, problem=problem + also)
