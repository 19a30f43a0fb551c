"""What stands around a method inside the worker: scope, validated values, the coroutine's loop, errors."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from celery.exceptions import Ignore, Reject
from celery.exceptions import Retry as CeleryRetry

from celeriac.exceptions import (
    CallError,
    DeadlineExceeded,
    DuplicateTask,
    InvalidIteration,
    InvalidResult,
    TaskAborted,
    UnownedTask,
)
from celeriac.flow.build import flow_of
from celeriac.flow.frame import Attempt, Ending, masked_as_before
from celeriac.flow.posted import posted
from celeriac.injection import scopes_of
from celeriac.tasks.context import RetryRequested, TaskContext
from celeriac.tasks.guarded import contain, failure_of
from celeriac.tasks.interruption import GaveWay, Superseded
from celeriac.tasks.leaving import are_told
from celeriac.tasks.loop import run_coroutine
from celeriac.tasks.queues import transport_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from celery import Celery

    from celeriac.flow.frame import Flow
    from celeriac.injection import Resolver
    from celeriac.tasks.declaration import TaskDeclaration

__all__ = ["Execution", "register_task"]

_CELERYS_OWN = (CeleryRetry, Ignore, Reject)
_NEVER_WORTH_A_RETRY = (CallError, InvalidIteration, InvalidResult, DeadlineExceeded)


class _Elsewhere(Ignore):
    """The task has not ended: another worker runs it."""


class Execution:
    """How the worker runs one task."""

    def __init__(self, app: Celery, definition: TaskDeclaration, controller: type[Any], container: Resolver) -> None:
        self.definition = definition
        self.controller = controller
        self.scope = scopes_of(container)
        self.retry = definition.policy.retry
        self.flow: Flow | None = flow_of(app, definition)
        """What its policies do around it."""
        self.returns_uncounted = transport_of(app) in {"redis", "rediss", "sentinel"}
        """Whether who has a message can give it back as if nobody had had it. RabbitMQ counts."""

    def __call__(
        self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any], attempt: Attempt | None = None
    ) -> Any:
        """Run the task once: plain JSON in, plain JSON out. Policies are :meth:`within`'s.

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
            return self._attempt(context, args, kwargs)
        except RetryRequested as request:
            self._again(task, request.cause, request.countdown, request.max_retries, attempt)
        except (*_CELERYS_OWN, *_NEVER_WORTH_A_RETRY):
            raise
        except GaveWay:
            if self.returns_uncounted and not are_told():
                raise
            (attempt or Attempt(task, args, kwargs)).put_back(0.0, "its worker ends")
        except Superseded:
            nothing: Any = "it runs elsewhere by now"
            raise _Elsewhere(nothing) from None
        except BaseException as error:
            failure = failure_of(self.definition.name, error)
            if failure is None:
                raise
            if not self._is_worth_a_retry(failure):
                named = failure if self.flow is None or attempt is None else self.flow.named(attempt, failure)
                raise named from (failure.__cause__ if named is failure else failure)
            self._again(task, failure, None, None, attempt)
        finally:
            TaskContext.leave(token)

    def within(self, flow: Flow, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run it inside of its policies, which learn how it ended."""
        if task.request.is_eager:
            return self(task, args, kwargs)
        attempt, ending = Attempt(task, args, kwargs), Ending.LEFT
        try:
            flow.enter(attempt)
            result = self(task, args, kwargs, attempt)
            ending = Ending.DONE
        except CeleryRetry:
            ending = Ending.AGAIN
            raise
        except _Elsewhere:
            raise
        except Ignore:
            ending = Ending.DROPPED
            raise
        except Reject as rejected:
            untyped: Any = rejected
            ending = Ending.LEFT if untyped.requeue else Ending.DROPPED
            raise
        except Exception:
            ending = Ending.FAILED
            raise
        else:
            return result
        finally:
            flow.leave(attempt, ending)

    def _attempt(self, context: TaskContext, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        succeeded = False
        try:
            result = self._in_scope(args, kwargs)
            succeeded = True
            return result
        finally:  # before another attempt is sent, which may begin at once
            context.conclude(succeeded=succeeded)

    def _in_scope(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
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

    def _again(
        self,
        task: Any,
        error: Exception | None,
        countdown: float | None,
        max_retries: int | None,
        attempt: Attempt | None,
    ) -> NoReturn:
        """Send the next attempt, or fail with ``error`` where none is left."""
        request = task.request
        if countdown is None and self.retry is not None:
            countdown = self.retry.countdown(request.retries or 0)
        if self.flow is not None and attempt is not None:
            self.flow.before_retry(attempt, task.default_retry_delay if countdown is None else countdown, error)
        try:
            raise task.retry(exc=error, countdown=countdown, max_retries=max_retries, **masked_as_before(task))
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
    # Tasks without policies do not even pass by where these are.
    call: Any = execution if execution.flow is None else partial(execution.within, execution.flow)

    def run(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return call(self, args, kwargs)

    function = definition.function
    run.__name__, run.__qualname__ = function.__name__, function.__qualname__
    run.__module__, run.__doc__ = function.__module__, function.__doc__
    run.__signature__ = _celery_signature(definition)  # type: ignore[attr-defined]
    options = definition.policy.task_options(transport_of(app), app.conf.task_soft_time_limit)
    if definition.signature.secret_result:
        options["resultrepr_maxsize"] = 0  # the worker's log and its events show results
    # Set once the task is bound: Celery warns of a class that brings them along.
    routing = {name: options.pop(name) for name in ("queue", "priority") if name in options}
    if execution.flow is not None and execution.flow.publishes:
        options["base"] = posted(app)
    register: Any = app.task(name=definition.name, bind=True, shared=False, lazy=False, **options)
    task = register(run)
    vars(task).update(
        routing,
        origin=definition.origin,
        is_coroutine=definition.is_coroutine,
        tags=definition.policy.tags,
        secret_arguments=bool(definition.signature.secret_arguments),
        secret_result=bool(definition.signature.secret_result),
        flow=execution.flow,
    )
    if (flow := execution.flow) is not None and flow.deadline is not None:
        vars(task)["Request"] = "celeriac.worker.deadlines:DeadlineRequest"
    if flow is not None and flow.stamps:
        vars(app).setdefault("_celeriac_stamps", {})[definition.name] = flow
    return task


def _celery_signature(definition: TaskDeclaration) -> inspect.Signature:
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    return inspect.Signature([own, *definition.signature.parameters])
