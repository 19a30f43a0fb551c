"""Calling one task many times: items in, messages out, a batch at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypedDict, TypeVar, cast, runtime_checkable

from celeriac.exceptions import BrokerUnavailable, BulkInterrupted, InvalidArguments
from celeriac.tasks.call import Call
from celeriac.tasks.report import BulkReport
from celeriac.tasks.result import TaskResult
from celeriac.transport.publishing.batch import BulkMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from celeriac.tasks.call import CallOptions
    from celeriac.tasks.policies import Limits, Priority
    from celeriac.tasks.signature import TaskSignature
    from celeriac.tasks.workflow import Publisher
    from celeriac.transport.publishing.batch import BulkWriter

R = TypeVar("R")

__all__ = ["Arguments", "BulkItem", "BulkOptions", "BulkPublisher", "BulkRun", "OneByOne"]


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call, where some are positional and some are not: ``Arguments((1,), {"y": 2})``."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] | None = None


BulkItem: TypeAlias = "tuple[Any, ...] | Mapping[str, Any] | Arguments"
"""One call: a tuple of positional arguments, a mapping of keyword arguments, or both."""


class BulkOptions(TypedDict, total=False):
    """What :class:`~celeriac.tasks.call.CallOptions` says, but for what only a single call can have."""

    countdown: float | timedelta
    eta: datetime
    expires: float | timedelta | datetime
    queue: str
    priority: Priority
    headers: Mapping[str, Any]
    limits: Limits
    ignore_result: bool


@runtime_checkable
class BulkPublisher(Protocol):
    """A publisher that has a better way than one call after the other."""

    def bulk(self, task: str, options: CallOptions, report: BulkReport[Any], *, masked: bool) -> BulkWriter:
        """What takes the calls of one task.

        Args:
            task: its name.
            options: of every call.
            report: where it notes what became of them.
            masked: whether each call says how its arguments may be shown.
        """
        ...


class OneByOne:
    """Sends calls one after the other, through whatever publisher.

    Args:
        publisher: what sends.
        task: its name.
        options: of every call.
        report: where it notes what became of them.
        promise: gives a result object for an id; without it, those that the publisher gives are kept.
    """

    def __init__(
        self,
        publisher: Publisher,
        task: str,
        options: CallOptions,
        report: BulkReport[Any],
        promise: Callable[[str], Any] | None = None,
    ) -> None:
        self._publisher = publisher
        self._task = task
        self._options = options
        self._report = report
        self._make = promise
        self._given: dict[str, Any] = {}

    def write(self, messages: Sequence[BulkMessage], start: int, stop: int) -> None:
        """Send them."""
        del start, stop
        for position, task_id, args, kwargs, masked in messages:
            options = cast("CallOptions", {**self._options, "task_id": task_id})
            try:
                given = self._publisher.publish(Call(self._task, list(args), kwargs, options, masked))
            except BrokerUnavailable as error:
                if error.uncertain:
                    self._report.note_unsure(position, position + 1)
                raise
            if getattr(given, "dropped", False):
                self._report.note_dropped(position, given.id)
                continue
            if self._make is None:
                self._given[task_id] = given
            self._report.note_sent(position, position + 1)

    def finish(self) -> None:
        """Every answer was waited for."""

    def close(self) -> None:
        """Nothing is open."""

    def promise(self, task_id: str) -> Any:
        """As the publisher gave it."""
        return self._given[task_id] if self._make is None else self._make(task_id)


class BulkRun(Generic[R]):
    """One ``enqueue_many()``, a batch at a step. To be closed.

    Args:
        signature: of the task.
        publisher: what sends.
        items: the calls; taken as they are needed.
        batch: calls in one round trip, 1 or more.
        strict: whether the first item that does not fit ends it.
        options: of every call.

    Raises:
        ValueError: ``batch`` is less than 1.
    """

    def __init__(
        self,
        signature: TaskSignature,
        publisher: Publisher,
        items: Iterable[BulkItem],
        *,
        batch: int,
        strict: bool,
        options: CallOptions,
    ) -> None:
        if batch < 1:
            msg = f"batch must be 1 or more, not {batch}"
            raise ValueError(msg)
        self._signature = signature
        self._items: Iterator[BulkItem] = iter(items)
        self._batch = batch
        self._strict = strict
        self.report: BulkReport[R] = BulkReport(signature.task, self._promise)
        if isinstance(publisher, BulkPublisher):
            self._writer = publisher.bulk(signature.task, options, self.report, masked=signature.secret_arguments)
        else:
            self._writer = OneByOne(publisher, signature.task, options, self.report)

    def run(self) -> BulkReport[R]:
        """Send all.

        Raises:
            BulkInterrupted: not all could be sent.
        """
        while self.send(*self.pull()):
            pass
        return self.report

    def close(self) -> None:
        """Let go of the connection. What has no answer by now is uncertain."""
        self._writer.close()

    def pull(self) -> tuple[list[BulkItem], Exception | None]:
        """The items of the next batch, and what their source raised after them."""
        items: list[BulkItem] = []
        try:
            items.extend(islice(self._items, self._batch))
        except Exception as error:  # noqa: BLE001  whatever it is, the report goes with it
            return items, error
        return items, None

    def send(self, items: Sequence[BulkItem], trouble: Exception | None = None) -> bool:
        """Send one batch; a short one is the last.

        Returns:
            Whether more are to come.

        Raises:
            BulkInterrupted: it, or one before it, could not be sent, or ``trouble`` ended it.
        """
        start, stop = self.report.rest, self.report.rest + len(items)
        ids = self.report.ids_between(start, stop)
        messages: list[BulkMessage] = []
        for position, item in enumerate(items, start):
            try:
                args, kwargs, masked = self._checked(item)
            except InvalidArguments as error:
                self.report.note_refused(position, error)
                if self._strict:
                    trouble, stop = error, position
                    break
            else:
                messages.append(BulkMessage(position, ids[position - start], args, kwargs, masked))
        self.report.rest = start + len(items)
        last = trouble is not None or len(items) < self._batch
        try:
            if messages:
                self._writer.write(messages, start, stop)
            if last:
                self._writer.finish()
        except BrokerUnavailable as error:
            self._writer.close()  # what is still under way is uncertain, and the report says so
            raise self._interrupted(error) from error
        if trouble is not None:
            raise self._interrupted(trouble) from trouble
        return not last

    def _checked(self, item: BulkItem) -> tuple[Sequence[Any], dict[str, Any], tuple[str, str] | None]:
        args: tuple[Any, ...] = ()
        kwargs: Mapping[str, Any] = _NOTHING
        if isinstance(item, tuple):
            args = item
        elif isinstance(item, Arguments):
            args, kwargs = item.args, item.kwargs or _NOTHING
        elif isinstance(item, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  callers are not all type-checked
            kwargs = item
        else:
            problem = f"an item is a tuple, a mapping or Arguments(), not {type(item).__name__}"
            raise InvalidArguments(task=self._signature.task, signature=str(self._signature), problem=problem)
        signature = self._signature
        plain, named = signature.dump(args, kwargs)
        return plain, named, signature.masked(args, kwargs) if signature.secret_arguments else None

    def _promise(self, task_id: str) -> TaskResult[R]:
        return TaskResult(self._signature.task, self._writer.promise(task_id), self._signature.load_result)

    def _interrupted(self, cause: Exception) -> BulkInterrupted:
        report = self.report
        return BulkInterrupted(
            task=report.task,
            sent=len(report),
            uncertain=report.count(report.uncertain),
            unsent=report.count(report.unsent),
            rest=report.rest,
            reason=(str(cause).strip() or type(cause).__name__).partition("\n")[0],
            report=report,
        )


_NOTHING: Mapping[str, Any] = {}
