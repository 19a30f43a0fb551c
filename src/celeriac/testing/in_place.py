"""A registry that runs its tasks in place: no broker, no worker, and everything else as it really is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.result import allow_join_result
from kombu.serialization import dumps, loads

from celeriac.app import CeleryAppConfig, create_celery_app
from celeriac.tasks.publisher import CeleryPublisher

if TYPE_CHECKING:
    from celeriac.injection import Resolver
    from celeriac.tasks.call import Call
    from celeriac.tasks.registry import TasksRegistry
    from celeriac.tasks.workflow import Step

__all__ = ["InPlacePublisher"]


class InPlacePublisher(CeleryPublisher):
    """Runs each call at once, in the caller's thread, through the same execution as a worker's.

    Arguments and results are validated and travel through JSON, controllers come from ``container`` in a scope of their
    own, retries run without their wait, coroutines run on the process's loop, workflows run step by step.

    ::

        registry = TasksRegistry(InPlacePublisher(TasksRegistry, container))
        assert registry.ping.delay().get() == {"result": "pong"}
    """

    def __init__(self, registry: type[TasksRegistry], container: Resolver) -> None:
        config = CeleryAppConfig.from_mapping(
            {
                "app_name": "in-place",
                "environment": "test",
                "broker_url": "memory://",
                "result_backend": "cache+memory://",
                "task_always_eager": True,
                "beat_schedule": {},
            }
        )
        app = create_celery_app(config)
        registry.install(app, container)
        super().__init__(app)

    def publish(self, call: Call) -> Any:
        """Run the task now."""
        options = self._options(call)
        content_type, encoding, body = dumps((call.args, call.kwargs), serializer="json")
        args, kwargs = loads(body, content_type, encoding, accept=[content_type])
        return self.app.tasks[call.task].apply(tuple(args), kwargs, **options)

    def start(self, step: Step[Any]) -> Any:
        """Run the workflow now, step by step."""
        with allow_join_result():  # Celery waits for each step, and refuses to where a worker was ever set up
            return super().start(step)
