"""From what ``@task`` was told to the gates that do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celeriac.flow.frame import Flow
from celeriac.flow.policies import Concurrency, RateLimit

if TYPE_CHECKING:
    from celery import Celery

    from celeriac.flow.deadline import Deadline
    from celeriac.flow.frame import Gate
    from celeriac.tasks.declaration import TaskDeclaration

__all__ = ["flow_of"]


def flow_of(app: Celery, task: TaskDeclaration) -> Flow | None:
    """What a task's policies do around it; ``None`` for a task that has none, which then pays nothing.

    Where tasks run inside of their callers, policies are checked and do nothing.

    Args:
        app: where the task is registered.
        task: as declared.

    Raises:
        InvalidTask: the key of a policy names no argument, or no Redis server is there to keep what it needs.
    """
    policy = task.policy
    asked = policy.concurrency, policy.unique, policy.debounce, policy.deadline
    if all(each is None for each in asked) and not isinstance(policy.rate_limit, RateLimit):
        return None
    return _flow_of(app, task)


def _flow_of(app: Celery, task: TaskDeclaration) -> Flow | None:
    # The gates take redis-py, which is slow to import.
    from celeriac.flow.clock import Clock  # noqa: PLC0415
    from celeriac.flow.concurrency import ConcurrencyGate  # noqa: PLC0415
    from celeriac.flow.deadline import Deadline  # noqa: PLC0415
    from celeriac.flow.hold import HoldGate, held_tasks  # noqa: PLC0415
    from celeriac.flow.keys import CallKey  # noqa: PLC0415
    from celeriac.flow.rate import ClusterRate  # noqa: PLC0415
    from celeriac.flow.shelf import Shelf  # noqa: PLC0415
    from celeriac.flow.tenure import Tenure  # noqa: PLC0415

    policy, signature = task.policy, task.signature
    gates: list[Gate] = []
    deadline: Deadline | None = None
    if policy.deadline is not None:
        deadline = Deadline(task.name, policy.deadline, Clock(Shelf.known(app)))
        gates.append(deadline)
    if (held := policy.unique or policy.debounce) is not None:
        shelf = Shelf.of(app, task.name, held)
        name = "unique" if policy.unique else "debounce"
        call = CallKey(signature, held.key, name, whole=policy.unique is not None)
        gate = HoldGate(shelf, task.name, held, call)
        held_tasks(app)[task.name] = gate
        if gate.mode == "wait":  # in line, and woken when the one before has ended
            gates.append(ConcurrencyGate(shelf, Tenure.of(app, shelf), f"unique:{task.name}", Concurrency(1), call))
        gates.append(gate)
    if (concurrency := policy.concurrency) is not None:
        shelf = Shelf.of(app, task.name, concurrency)
        key = CallKey(signature, concurrency.key, "concurrency limit")
        gates.append(ConcurrencyGate(shelf, Tenure.of(app, shelf), task.name, concurrency, key))
    if isinstance(policy.rate_limit, RateLimit):
        limit = policy.rate_limit
        shelf = Shelf.of(app, task.name, limit)
        gates.append(ClusterRate(shelf, task.name, limit, CallKey(signature, limit.key, "rate limit")))
    return None if app.conf.task_always_eager else Flow(gates, deadline)
