"""A typed, injected layer on Celery: declare tasks on controllers, call them through a registry."""

from celeriac.app import CeleryAppConfig, create_celery_app
from celeriac.exceptions import CeleriacError
from celeriac.flow.policies import Concurrency, Debounce, RateLimit, Unique
from celeriac.schedule import ScheduleEntry, crontab, entry, every
from celeriac.settings import CelerySettings
from celeriac.tasks.bulk import Arguments, BulkOptions
from celeriac.tasks.call import CallOptions
from celeriac.tasks.context import TaskContext
from celeriac.tasks.controller import TaskController
from celeriac.tasks.definition import TaskDefinition, task
from celeriac.tasks.handle import TaskHandle
from celeriac.tasks.iteration import AsyncIteration, Iteration
from celeriac.tasks.policies import (
    Limits,
    Priority,
    Retry,
    TaskState,
    constant,
    exponential,
    jittered,
    linear,
)
from celeriac.tasks.publisher import CeleryPublisher
from celeriac.tasks.registry import TasksRegistry
from celeriac.tasks.report import BulkReport
from celeriac.tasks.result import Progress, TaskResult
from celeriac.tasks.workflow import Step, chunked, gather

__all__ = [
    "Arguments",
    "AsyncIteration",
    "BulkOptions",
    "BulkReport",
    "CallOptions",
    "CeleriacError",
    "CeleryAppConfig",
    "CeleryPublisher",
    "CelerySettings",
    "Concurrency",
    "Debounce",
    "Iteration",
    "Limits",
    "Priority",
    "Progress",
    "RateLimit",
    "Retry",
    "ScheduleEntry",
    "Step",
    "TaskContext",
    "TaskController",
    "TaskDefinition",
    "TaskHandle",
    "TaskResult",
    "TaskState",
    "TasksRegistry",
    "Unique",
    "chunked",
    "constant",
    "create_celery_app",
    "crontab",
    "entry",
    "every",
    "exponential",
    "gather",
    "jittered",
    "linear",
    "task",
]
