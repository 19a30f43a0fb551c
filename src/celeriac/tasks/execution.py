"""What stands around a method inside the worker: scope, validated values, the coroutine's loop, errors."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NoReturn

from celery.exceptions import Ignore, Reject
from celery.exceptions import Retry as CeleryRetry

from celeriac.exceptions import CallError, DuplicateTask, InvalidResult, TaskAborted, UnownedTask
from celeriac.injection import scopes_of
from celeriac.tasks.context import RetryRequested, TaskContext
from celeriac.tasks.guarded import contain, failure_of
from celeriac.tasks.loop import run_coroutine
from celeriac.tasks.policies import RateLimit
from celeriac.tasks.queues import transport_of
from celeriac.tasks.rate import ClusterRate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from celery import Celery

    from celeriac.injection import Resolver
    from celeriac.tasks.declaration import TaskDeclaration

__all__ = ["Execution", "register_task"]

_CELERYS_OWN = (CeleryRetry, Ignore, Reject)
_NEVER_WORTH_A_RETRY = (CallError, InvalidResult)


class Execution:
    """How the worker runs one task."""

    def __init__(self, app: Celery, definition: TaskDeclaration, controller: type[Any], container: Resolver) -> None:
        self.definition = definition
        self.controller = controller
        self.scope = scopes_of(container)
        self.retry = definition.policy.retry
        limit = definition.policy.rate_limit
        self.rate = ClusterRate(app, definition.name, limit) if isinstance(limit, RateLimit) else None

    def __call__(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run the task once: plain JSON in, plain JSON out.

        Raises:
            celery.exceptions.Retry: another attempt was sent.
            InvalidArguments: the message does not fit the signature; never retried.
            InvalidResult: the method returned something else than it declares; never retried.
            TaskAborted: it raised what would have ended the worker.
            Exception: whatever the controller let through.
        """
        context = TaskContext(task)
        token = context.enter()
        try:
            if self.rate is not None:
                self.rate.wait_for_slot(task)
            return self._attempt(args, kwargs)
        except RetryRequested as request:
            self._again(task, request.cause, request.countdown, request.max_retries)
        except (*_CELERYS_OWN, *_NEVER_WORTH_A_RETRY):
            raise
        except BaseException as error:
            failure = failure_of(self.definition.name, error)
            if failure is None:
                raise
            if not self._is_worth_a_retry(failure):
                raise failure from failure.__cause__
            self._again(task, failure, None, None)
        finally:
            TaskContext.leave(token)

    def _attempt(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        signature = self.definition.signature
        positional, named = signature.load(args, kwargs)
        with self.scope() as scope:
            controller = scope.resolve(self.controller)
            try:
                outcome = self.definition.function(controller, *positional, **named)
                if inspect.iscoroutine(outcome):
                    outcome = run_coroutine(contain(self.definition.name, outcome))
            except _CELERYS_OWN:
                raise
            except BaseException as error:
                failure = failure_of(self.definition.name, error)
                if failure is None:
                    raise
                outcome = controller.handle_exception(failure)
            return signature.dump_result(outcome)

    def _is_worth_a_retry(self, error: Exception) -> bool:
        if self.retry is None:
            return False
        cause = error.__cause__ if isinstance(error, TaskAborted) else None
        return self.retry.covers(error) or (cause is not None and self.retry.covers(cause))

    def _again(self, task: Any, error: Exception | None, countdown: float | None, max_retries: int | None) -> NoReturn:
        """Send the next attempt, or fail with ``error`` where none is left."""
        request = task.request
        if countdown is None and self.retry is not None:
            countdown = self.retry.countdown(request.retries or 0)
        kept: dict[str, Any] = {}
        if self.definition.signature.secret_arguments:  # else Celery would show what they hold
            kept = {"argsrepr": request.argsrepr, "kwargsrepr": request.kwargsrepr}
        try:
            raise task.retry(exc=error, countdown=countdown, max_retries=max_retries, **kept)
        except Reject as refused:
            # The next attempt could not be sent. Celery drops the message then; here it is tried again as it is.
            untyped: Any = refused
            raise Reject(untyped.reason, requeue=True) from refused


def register_task(app: Celery, definition: TaskDeclaration, container: Resolver) -> Any:
    """Register one task on an app as a plain function with the method's true signature, and give Celery's task.

    So Celery's own argument check works for those who call it the stock way, and knows nothing of ``self``.

    Raises:
        UnownedTask: the definition belongs to no controller.
        DuplicateTask: the app has another task of that name.
        InvalidTask: an annotation cannot be resolved, or carried as JSON.
    """
    if definition.controller is None:
        raise UnownedTask(registry=f"app {app.main!r}", task=definition.name)
    if (known := vars(app)["_tasks"].get(definition.name)) is not None:  # app.tasks would finalize the app
        origin = getattr(known, "origin", None) or f"{known.__module__}.{known.__name__}"
        if origin == definition.origin:
            return known
        raise DuplicateTask(task=definition.name, first=origin, second=definition.origin)
    definition.signature.prepare()
    execution = Execution(app, definition, definition.controller, container)

    def run(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return execution(self, args, kwargs)

    function = definition.function
    run.__name__, run.__qualname__ = function.__name__, function.__qualname__
    run.__module__, run.__doc__ = function.__module__, function.__doc__
    run.__signature__ = _celery_signature(definition)  # type: ignore[attr-defined]
    options = definition.policy.task_options(transport_of(app), app.conf.task_soft_time_limit)
    if definition.signature.secret_result:
        options["resultrepr_maxsize"] = 0  # the worker's log and its events show results
    # Set once the task is bound: Celery warns of a class that brings them along.
    routing = {name: options.pop(name) for name in ("queue", "priority") if name in options}
    register: Any = app.task(name=definition.name, bind=True, shared=False, lazy=False, **options)
    task = register(run)
    vars(task).update(
        routing,
        origin=definition.origin,
        is_coroutine=definition.is_coroutine,
        tags=definition.policy.tags,
        secret_arguments=bool(definition.signature.secret_arguments),
        secret_result=bool(definition.signature.secret_result),
    )
    return task


def _celery_signature(definition: TaskDeclaration) -> inspect.Signature:
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    return inspect.Signature([own, *definition.signature.parameters])
