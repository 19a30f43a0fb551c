"""The Celery application, made from settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

from celery import Celery, Task
from celery.app.utils import Settings

from celeriac.error import nearest
from celeriac.exceptions import InvalidSetting, UnknownSetting
from celeriac.options.address import is_rabbitmq, is_redis
from celeriac.options.conf import conf_of
from celeriac.security.sealing import keys_of, seal_results
from celeriac.settings import CelerySettings
from celeriac.tasks.guarded import guard
from celeriac.transport.rules import Rules
from celeriac.transport.signing import Signer
from celeriac.transport.stream import follow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["CeleryAppConfig", "create_celery_app"]

_RESULT_BACKENDS = {
    "redis": "celeriac.transport.results.backend:RedisResultBackend",
    "rediss": "celeriac.transport.results.backend:RedisResultBackend",
    "sentinel": "celeriac.transport.results.backend:SentinelResultBackend",
}
# Keys of the sources that Celery has another name for.
_KEYS = {"default_queue": "task_default_queue"}


@dataclass(frozen=True, slots=True)
class CeleryAppConfig:
    """What an application is made of: a name, options, and defaults for its tasks. Shows no secret."""

    settings: CelerySettings = field(default_factory=CelerySettings)

    @classmethod
    def from_settings(cls, settings: CelerySettings) -> Self:
        """The configuration that these settings describe."""
        return cls(settings)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """The configuration of a table: any option of Celery or Celeriac by its name in lower case.

        A value of the table beats the environment, which fills in the rest. ``None`` leaves an option to Celery.

        Raises:
            UnknownSetting: a key that no option has.
            InvalidSetting: a value that cannot be used; names its key.
            InvalidScheduleEntry: an entry of ``beat_schedule`` that beat could not run.
        """
        values: dict[str, Any] = {}
        for key, value in mapping.items():
            name = _KEYS.get(key, key)
            if name not in CelerySettings.model_fields:
                raise UnknownSetting(setting=key, hint=nearest(key, [*CelerySettings.model_fields, *_KEYS]))
            values[name] = value
        return cls(CelerySettings(**values))

    @property
    def app_name(self) -> str:
        """The application's name, ``app.main``."""
        return self.settings.app_name

    @property
    def beat_schedule(self) -> Mapping[str, Any]:
        """The schedule as beat takes it, every entry's time a schedule object of Celery's."""
        return self.settings.beat_schedule or {}


class _ReadOnce(Settings):
    """Options that stay as they were given.

    Celery looks at CELERY_BROKER_URL and CELERY_RESULT_BACKEND again whenever it wants a URL, and lets them beat
    what the program said. Here the environment was read once, in its place of the precedence.
    """

    @property
    def broker_url(self) -> Any:
        return self.first("broker_url", "broker_host")

    @property
    def broker_read_url(self) -> Any:
        return self.get("broker_read_url") or self.broker_url

    @property
    def broker_write_url(self) -> Any:
        return self.get("broker_write_url") or self.broker_url

    @property
    def result_backend(self) -> Any:
        return self.get("result_backend")

    def __repr__(self) -> str:
        return repr(self.table())


class _App(Celery):
    """A Celery application that shares nothing with others of its process."""

    def __init__(
        self,
        *args: Any,
        max_retries: int = 5,
        default_retry_delay: float = 60,
        max_deliveries: int = 5,
        **kwargs: Any,
    ) -> None:
        self._usual: dict[str, Any] = {
            "max_retries": max_retries,
            "default_retry_delay": default_retry_delay,
            "max_deliveries": max_deliveries,
        }
        ours = {
            "amqp": "celeriac.transport.publishing.amqp:PublishingAMQP",
            "control": "celeriac.worker.control:DurableControl",
        }
        super().__init__(*args, **{**ours, **kwargs})
        self._rules = Rules(self)
        # Celery offers no way to name the class of its options, and its own __setattr__ would set an option.
        object.__setattr__(self.conf, "__class__", _ReadOnce)

    def create_task_cls(self) -> type[Task[..., Any]]:
        """The base of every task: with our retries and deliveries, where a task does not say its own."""
        base: type[Task[..., Any]] = self.subclass_with_self(
            cast("Any", self.task_cls), name="Task", attribute="_app", keep_reduce=True, abstract=True, **self._usual
        )
        return base

    @property
    def Beat(self) -> Any:  # noqa: N802  Celery's name
        """What ``celery beat`` starts."""
        subclass = cast("Callable[..., Any]", self.subclass_with_self)
        return subclass("celeriac.schedule.beat:Beat")

    def _connection(self, url: Any, *args: Any, transport_options: Any = None, **kwargs: Any) -> Any:
        # What our transport asks about messages travels with the connection's options, and stays out of app.conf.
        connect = cast("Callable[..., Any]", super()._connection)  # type: ignore[misc]  # known to Celery, not to its stubs
        return connect(url, *args, transport_options={"rules": self._rules, **(transport_options or {})}, **kwargs)

    def close(self) -> None:
        """Close the publisher's and the result backend's connections too; kombu's are shared by URL."""
        if (amqp := vars(self).get("amqp")) is not None and hasattr(amqp, "close"):
            amqp.close()
        backend = getattr(self, "_backend", None)  # this thread's, if it was ever used
        disconnect: Any = getattr(backend, "disconnect", None)
        if disconnect is not None:
            disconnect()
        super().close()

    def task(self, *args: Any, **opts: Any) -> Any:
        """Celery's decorator. The task is this application's alone, unless it says ``shared=True``."""
        decorate: Any = super().task
        return decorate(*args, **{"shared": False, **opts})

    def send_task(self, *args: Any, **options: Any) -> Any:
        """Celery's. A delay that is too short for the broker's own is told to the worker alone, which waits."""
        held_until: Any = getattr(self.amqp, "held_until", None)
        if held_until is not None and (options.get("countdown") or options.get("eta")):
            moment = held_until(options.get("countdown"), options.get("eta"))
            if moment is not None:
                options["headers"] = {**(options.get("headers") or {}), "eta": moment}
                options["countdown"] = options["eta"] = None
        send: Any = super().send_task
        return send(*args, **options)

    def _task_from_fun(self, *args: Any, **options: Any) -> Any:
        # Where every function becomes a task, those that wait for the app to be finalized among them.
        make: Any = super()._task_from_fun
        return guard(make(*args, **options))

    def register_task(self, task: Any, **options: Any) -> Any:
        """Celery's way to register a task that is a class."""
        register: Any = super().register_task
        return guard(register(task, **options))

    def __reduce_keys__(self) -> dict[str, Any]:
        return {**super().__reduce_keys__(), **self._usual}


def create_celery_app(config: CeleryAppConfig | None = None) -> Celery:
    """A configured Celery application; without ``config``, the one that the environment describes.

    Opens no connection, and neither becomes nor changes the current application of the process. Several may live side
    by side. ``@app.task`` and all else of Celery work on it as on any other.

    Raises:
        ConfigurationError: as :class:`~celeriac.settings.CelerySettings`.
    """
    settings = (config or CeleryAppConfig()).settings
    app = _App(
        settings.app_name,
        set_as_current=False,
        max_retries=settings.task_max_retries,
        default_retry_delay=settings.task_default_retry_delay,
        max_deliveries=settings.task_max_deliveries,
    )
    app.conf.update(conf_of(settings))
    if settings.result_encryption_keys is not None:
        seal_results(app, keys_of(settings.result_encryption_keys.get_secret_value()))
    if settings.task_signing_keys is not None:
        Signer(keys_of(settings.task_signing_keys.get_secret_value()))  # so that a bad key ends the start
        if not (is_redis(app.conf.broker_url) or is_rabbitmq(app.conf.broker_url)):
            problem = "signatures are checked by our transports, for Redis and RabbitMQ, and the broker is another"
            raise InvalidSetting(setting="task_signing_keys", problem=problem)
    if is_rabbitmq(app.conf.broker_url):
        app.amqp_cls = "celeriac.transport.rabbitmq.amqp:RabbitAMQP"
    app.loader.override_backends = _RESULT_BACKENDS
    steps: Any = app.steps
    steps["worker"].add("celeriac.worker.start:HonestStart")  # by name: who only sends needs no worker's code
    steps["worker"].add("celeriac.worker.holding:KeepsTenure")
    steps["worker"].add("celeriac.worker.resident.steps:Residence")
    steps["consumer"].add("celeriac.worker.resident.steps:GuardedTasks")
    steps["worker"].add("celeriac.worker.revoked:KnowsRevoked")
    steps["consumer"].add("celeriac.worker.revoked:LearnsRevoked")
    steps["consumer"].add("celeriac.worker.heartbeat:GivesSigns")
    steps["consumer"].add("celeriac.worker.parked:ShowParked")
    if settings.history_enabled:
        follow(app)
        steps["worker"].add("celeriac.history.step:KeepsHistory")
    if settings.outbox_enabled:
        steps["worker"].add("celeriac.history.step:RelaysOutbox")
    if settings.autodiscover:
        app.autodiscover_tasks(list(settings.autodiscover))
    return app
