"""Every error that Celeriac raises, in one tree.

::

    CeleriacError
    ├── ConfigurationError              something is wrong before any task runs
    │   ├── MissingSetting                a required variable is not set
    │   ├── InvalidSetting                a variable has a value that cannot be used
    │   ├── UnknownSetting                a variable or key that no option has
    │   ├── EagerInProduction             tasks would run inside the caller, in production
    │   ├── UnsafeBroker                  the broker would lose tasks, in production
    │   ├── OpenInProduction              anybody might do anything, in production
    │   ├── QueueMismatch                 a queue exists on RabbitMQ and is of another kind
    │   ├── InvalidTask                   a task is declared in a way that cannot work
    │   ├── DuplicateTask                 two tasks have one name
    │   ├── UnownedTask                   a registry names a task that no controller owns
    │   ├── UnresolvableService           the container cannot build what a task needs
    │   ├── InvalidSchedule               a schedule that means no point in time
    │   └── InvalidScheduleEntry          an entry that does not fit its task
    ├── CallError                       a call was refused; nothing was sent
    │   ├── InvalidArguments              the arguments do not fit the task's signature
    │   ├── UnknownTask                   no task has that name
    │   ├── UnknownQueue                  no worker would ever read that queue
    │   ├── UnroutableMessage             RabbitMQ has no queue for the message
    │   └── BlockingCall                  the call would block what it runs in
    ├── BrokerUnavailable               the broker did not take the message in time
    │   └── BrokerFull                    the broker has no memory left for another message
    ├── BulkInterrupted                 enqueue_many() could not send all; the report says what was sent
    ├── MalformedMessage                a message that no worker can read
    ├── TooManyDeliveries               workers died over a message, or gave it back, too often
    ├── WorkersRunning                  something was asked for that is safe only while no worker runs
    ├── DeadLetterError                 a dead letter could not be found or moved
    │   ├── UnknownDeadLetter             no dead letter has that id
    │   └── LostQueue                     the queue that it came from is gone
    ├── HistoryError                    what happened to tasks could not be looked up
    │   ├── HistoryUnavailable            its database does not answer, or there is none
    │   └── InvalidCursor                 a page was asked for with something that no page ended with
    ├── ResultError                     a result could not be read
    │   ├── ResultTimeout                 the task did not finish in time
    │   ├── ResultUnavailable             the result backend did not answer
    │   ├── InvalidResult                 the value is not what the task declares
    │   └── TaskRevoked                   the task was revoked and has no result
    ├── TaskAborted                     a task raised what would have ended its worker
    ├── DeadlineExceeded                a task did not end within the time that it had from its publish
    ├── HeldBack                        a task waits, because of a policy; told with its state RETRY, never raised
    ├── InvalidIteration                a loop that can be resumed cannot be gone through, or gone on with
    ├── AccessError                     somebody may not do what they asked for
    │   ├── NotAuthenticated              nobody knows who asks
    │   ├── PermissionMissing             the caller lacks a scope
    │   ├── TooManyRequests               the caller asks more often than allowed
    │   └── AccessUnavailable             who asks cannot be found out at the moment
    ├── UnknownKey                      no API key has that id
    └── ServerNotFound                  no real server could be found or started

An error builds its text from its attributes. Each class has a section in ``docs/reference/errors.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from celery.exceptions import SecurityError, TaskRevokedError
from celery.exceptions import TimeoutError as CeleryTimeoutError

from celeriac.error import CeleriacError

if TYPE_CHECKING:
    from collections.abc import Iterable

# fmt: off
__all__ = [
    "AccessError", "AccessUnavailable", "BlockingCall", "BrokerFull", "BrokerUnavailable", "BulkInterrupted",
    "CallError", "CeleriacError", "ConfigurationError", "DeadLetterError", "DeadlineExceeded", "DuplicateTask",
    "EagerInProduction", "HeldBack", "HistoryError", "HistoryUnavailable", "InvalidArguments", "InvalidCursor",
    "InvalidIteration", "InvalidResult", "InvalidSchedule", "InvalidScheduleEntry", "InvalidSetting", "InvalidTask",
    "LostQueue", "MalformedMessage", "MissingSetting", "NotAuthenticated", "OpenInProduction", "PermissionMissing",
    "QueueMismatch", "ResultError", "ResultTimeout", "ResultUnavailable", "ServerNotFound", "TaskAborted",
    "TaskRevoked", "TooManyDeliveries", "TooManyRequests", "UnknownDeadLetter", "UnknownKey", "UnknownQueue",
    "UnknownSetting", "UnknownTask", "UnownedTask", "UnresolvableService", "UnroutableMessage", "UnsafeBroker",
    "WorkersRunning",
]
# fmt: on


class ConfigurationError(CeleriacError):
    """Something is wrong before any task runs."""


class MissingSetting(ConfigurationError):
    """A required variable is not set."""

    template = "{variable} is not set: {purpose}. Set it, for example {variable}={example}"
    variable: str
    purpose: str
    example: str


class InvalidSetting(ConfigurationError, ValueError):
    """A variable has a value that cannot be used. The value itself is never shown: it may be a secret."""

    template = "{setting} cannot be used: {problem}"
    setting: str
    problem: str


class UnknownSetting(ConfigurationError):
    """A variable or key that no option has."""

    template = "{setting} is no setting of Celery or Celeriac.{hint}"
    setting: str
    hint: str


class EagerInProduction(ConfigurationError):
    """Tasks would run inside the caller, in production."""

    template = (
        "task_always_eager is on while ENVIRONMENT is {environment!r}: tasks would run inside their callers and no"
        " worker would see them. Unset CELERY_TASK_ALWAYS_EAGER, or set ENVIRONMENT=development"
    )
    environment: str


class UnsafeBroker(ConfigurationError, SecurityError):
    """The broker would lose tasks, in production. Celery's command shows its ``SecurityError`` without a traceback."""

    template = "{broker} can lose tasks: {problems}.{remedy}\nTo run on it anyway, set CELERY_BROKER_ALLOW_UNSAFE=true"
    broker: str
    problems: str
    remedy: str


class OpenInProduction(ConfigurationError):
    """Anybody might do anything, in production."""

    template = (
        "HTTP_AUTH is off while ENVIRONMENT is {environment!r}: whoever reaches this service could run and cancel any"
        " task. Unset HTTP_AUTH and make a key with `celeriac keys create`, or set ENVIRONMENT=development"
    )
    environment: str


class QueueMismatch(ConfigurationError):
    """A queue or exchange exists on RabbitMQ and is of another kind than the app declares."""

    template = (
        "{kind} {name!r} exists on RabbitMQ, and is not what this app declares: {problem}. If plain Celery or an"
        " earlier release made it, let its workers empty it and delete it, or give this app a virtual host of its own."
        " A queue that is meant to be classic has to say so: x-queue-type in its queue_arguments"
    )
    kind: str
    name: str
    problem: str


class InvalidTask(ConfigurationError):
    """A task is declared in a way that cannot work."""

    template = "task {task!r} cannot be declared: {problem}"
    task: str
    problem: str


class DuplicateTask(ConfigurationError):
    """Two tasks have one name."""

    template = "two tasks are named {task!r}: {first} and {second}. Rename one of them: messages carry only the name"
    task: str
    first: str
    second: str


class UnownedTask(ConfigurationError):
    """A registry names a task that no controller owns."""

    template = "{registry} names task {task!r}, but no TaskController owns it. Declare it with @task as a method of one"
    registry: str
    task: str


class UnresolvableService(ConfigurationError):
    """The container cannot build what a task needs. ``path`` leads from what was asked for to what is missing."""

    template = "the container cannot build {service}: {problem}\n{drawing}"
    service: str
    problem: str
    path: tuple[str, ...]
    drawing: str

    @classmethod
    def along(cls, path: Iterable[str], problem: str) -> Self:
        """The error for a path of names, from what was asked for to what is missing."""
        names = tuple(path)
        drawing = "\n".join(f"{'  ' * depth}{'└─ ' if depth else ''}{name}" for depth, name in enumerate(names))
        return cls(service=names[0], problem=problem, path=names, drawing=f"{drawing}  <- {problem}")


class InvalidSchedule(ConfigurationError, ValueError):
    """A schedule that means no point in time."""

    template = "{schedule} is no schedule: {problem}"
    schedule: str
    problem: str


class InvalidScheduleEntry(ConfigurationError):
    """An entry that does not fit its task."""

    template = "schedule entry {entry!r} is wrong: {problem}"
    entry: str
    problem: str


class CallError(CeleriacError):
    """A call was refused; nothing was sent."""


class InvalidArguments(CallError, TypeError):
    """The arguments do not fit the task's signature."""

    template = "{task}{signature}: {problem}"
    task: str
    signature: str
    problem: str


class UnknownTask(CallError, LookupError):
    """No task has that name."""

    template = "no task is named {task!r}.{hint}"
    task: str
    hint: str


class UnknownQueue(CallError, LookupError):
    """No worker would ever read that queue."""

    template = "no queue is named {queue!r}; declared are {declared}.{hint} Add it to CELERY_TASK_QUEUES if it is meant"
    queue: str
    declared: str
    hint: str


class UnroutableMessage(CallError, LookupError):
    """RabbitMQ has no queue for the message."""

    template = (
        "{task} was not sent: exchange {exchange!r} leads to no queue by the routing key {routing_key!r} ({reason})."
        " Start a worker that declares the queue, or mend the route"
    )
    task: str | None
    exchange: str
    routing_key: str
    reason: str


class BlockingCall(CallError, RuntimeError):
    """The call would block what it runs in."""

    template = "{call} would block {what}. Use {instead}"
    call: str
    what: str
    instead: str


class BrokerUnavailable(CeleriacError, ConnectionError):
    """The broker did not take the message in time. ``uncertain`` says whether it may have arrived all the same."""

    template = "{task} was not sent: {broker} did not take it within {seconds:.1f} s ({reason})"
    task: str
    broker: str
    seconds: float
    reason: str
    uncertain: bool = False


class BrokerFull(BrokerUnavailable):
    """The broker has no memory left for another message."""

    template = "{task} was not sent: {broker} has no memory left for it ({reason}). Drain its queues, or give it more"
    task: str
    broker: str
    reason: str


class BulkInterrupted(CeleriacError):
    """``enqueue_many()`` could not send all. Its cause says why, and ``report`` exactly what was sent."""

    template = "{task}: {sent} sent, {uncertain} perhaps, {unsent} not, and nothing from item {rest} on: {reason}"
    task: str
    sent: int
    uncertain: int
    unsent: int
    rest: int
    reason: str
    report: Any


class MalformedMessage(CeleriacError):
    """A message that no worker can read. It becomes a dead letter, with this text."""

    template = "{part} {problem}"
    part: str
    problem: str


class TooManyDeliveries(CeleriacError):
    """Workers died over a message, or gave it back, too often. It is a dead letter now."""

    template = (
        "task {task!r} was delivered {deliveries} times and never came to an end: its workers were killed, or gave it"
        " back. It waits among the dead letters, from where it can be replayed"
    )
    task: str | None
    deliveries: int


class WorkersRunning(CeleriacError):
    """Something was asked for that is safe only while no worker runs."""

    template = "{workers} still hold leases: stop them first, or their tasks would run twice"
    workers: str


class DeadLetterError(CeleriacError):
    """A dead letter could not be found or moved."""


class UnknownDeadLetter(DeadLetterError, LookupError):
    """No dead letter has that id. It may have been replayed or dropped meanwhile, or is being looked at."""

    template = "no dead letter has the id {id!r}"
    id: str


class LostQueue(DeadLetterError):
    """The queue that a dead letter came from is gone, so it stays where it is."""

    template = "dead letter {id} cannot be replayed: its queue {queue!r} is gone. Start a worker that declares it"
    id: str
    queue: str


class HistoryError(CeleriacError):
    """What happened to tasks could not be looked up."""


class HistoryUnavailable(HistoryError, ConnectionError):
    """The history's database does not answer, or there is none."""

    template = "the history cannot be read: {database}: {reason}"
    database: str
    reason: str


class InvalidCursor(HistoryError, ValueError):
    """A page was asked for with something that no page ended with."""

    template = "{cursor!r} is no cursor. Take the one that the page before came with, with the same filter"
    cursor: str


class ResultError(CeleriacError):
    """A result could not be read."""


class ResultTimeout(ResultError, CeleryTimeoutError, TimeoutError):
    """The task did not finish in time. It may still do so."""

    template = "{task}[{id}] has no result after {seconds:g} s; its state is {state}"
    task: str
    id: str
    seconds: float
    state: str


class ResultUnavailable(ResultError, ConnectionError):
    """The result backend did not answer."""

    template = "the result of {task}[{id}] cannot be read: {backend}: {reason}"
    task: str
    id: str
    backend: str
    reason: str


class InvalidResult(ResultError, TypeError):
    """The value is not what the task declares."""

    template = "{task} declares that it returns {declared}, but the value is something else: {problem}"
    task: str
    declared: str
    problem: str


class TaskRevoked(ResultError, TaskRevokedError):
    """The task was revoked and has no result. ``why`` is what the worker said of it, after a colon; often nothing."""

    template = "{task}[{id}] was revoked{why}"
    task: str
    id: str
    why: str


class TaskAborted(CeleriacError):
    """A task raised what would have ended its worker. The task has failed; the worker goes on."""

    template = "task {task!r} was ended by {error}. The task has failed; its worker goes on"
    task: str
    error: str


class HeldBack(CeleriacError):
    """A task waits because of a policy. Never raised: it is told with state ``RETRY``, and kept in the history."""

    template = "{task} waits: {reason}"
    task: str
    reason: str


class DeadlineExceeded(CeleriacError, TimeoutError):
    """A task did not end within the time that it had from its publish, all its retries included."""

    template = "{task} had {deadline} s from its publish, and {problem}"
    task: str
    deadline: float
    problem: str


class InvalidIteration(CeleriacError, TypeError):
    """A loop that can be resumed is written in a way that cannot work, or its place cannot be read. Never retried."""

    template = "loop {loop!r} of task {task!r}: {problem}"
    task: str
    loop: str
    problem: str


class AccessError(CeleriacError):
    """Somebody may not do what they asked for. Nothing was done."""


class NotAuthenticated(AccessError):
    """Nobody knows who asks. ``error`` is what RFC 6750 calls it, empty where no credentials were given."""

    template = "{problem}"
    problem: str
    error: str = ""

    @property
    def challenge(self) -> str:
        """The header ``WWW-Authenticate`` that goes with it."""
        told = f', error="{self.error}", error_description="{self}"' if self.error else ""
        return f'Bearer realm="celeriac"{told}'


class PermissionMissing(AccessError, PermissionError):
    """The caller lacks a scope."""

    template = "{subject} may not do this: it takes the scope {permission!r}"
    subject: str
    permission: str

    @property
    def challenge(self) -> str:
        """The header ``WWW-Authenticate`` that goes with it."""
        return f'Bearer realm="celeriac", error="insufficient_scope", scope="{self.permission}"'


class TooManyRequests(AccessError):
    """The caller asks more often than allowed. After ``retry_after`` seconds the next request is welcome."""

    template = "{subject} may ask {rate} and no more. Try again in {retry_after} s"
    subject: str
    rate: str
    retry_after: int


class AccessUnavailable(AccessError, ConnectionError):
    """Who asks cannot be found out at the moment: what knows the keys does not answer."""

    template = "who asks cannot be found out: {authority} does not answer. Try again in {retry_after} s"
    authority: str
    retry_after: int


class UnknownKey(CeleriacError, LookupError):
    """No API key has that id."""

    template = "no API key has the id {id!r}"
    id: str


class ServerNotFound(CeleriacError):
    """No real server could be found or started."""

    template = "no {server} server: {tried}. {remedy}"
    server: str
    tried: str
    remedy: str
