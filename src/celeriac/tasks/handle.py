"""Calling a task: typed like the method that it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

from celeriac.tasks.bulk import BulkRun
from celeriac.tasks.call import Call, CallOptions
from celeriac.tasks.guard import refuse_inside_loop
from celeriac.tasks.result import TaskResult
from celeriac.tasks.threads import in_thread
from celeriac.tasks.workflow import CallStep
from celeriac.transport.publishing.budget import asked_now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
    from typing import Unpack

    from celeriac.tasks.bulk import BulkItem, BulkOptions
    from celeriac.tasks.declaration import TaskDeclaration
    from celeriac.tasks.report import BulkReport
    from celeriac.tasks.signature import TaskSignature
    from celeriac.tasks.workflow import Publisher, Step

P = ParamSpec("P")
R = TypeVar("R")

__all__ = ["HandleProvider", "TaskHandle"]

_NO_OPTIONS: CallOptions = {}


class TaskHandle(Generic[P, R]):
    """One task as its callers see it. Arguments are checked here, before anything is sent.

    Every way of calling raises:
        InvalidArguments: wrong, missing or surplus arguments, or a value that JSON cannot carry.
        BrokerUnavailable: the broker did not take the message within the time budget.
    """

    def __init__(self, definition: TaskDeclaration, publisher: Publisher) -> None:
        self.definition = definition
        self.publisher = publisher
        self.name = definition.name

    def __repr__(self) -> str:
        return f"<handle of task {self.name!r}{self.signature}>"

    @property
    def signature(self) -> TaskSignature:
        """The task's parameters and result."""
        return self.definition.signature

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """Send the task, in one round trip, and return at once.

        Raises:
            BlockingCall: inside a running event loop; ``await adelay(...)`` there.
        """
        refuse_inside_loop(f"{self.name}.delay()", f"await {self.name}.adelay()")
        return self.send(self.call(args, kwargs, _NO_OPTIONS))

    def delay_on_commit(self, session: Any, /, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """Write the call into the outbox: it is sent if the transaction commits, and else never was.

        ::

            with Session(engine) as session, session.begin():
                session.add(user)
                registry.send_welcome_email.delay_on_commit(session, user.id, email=user.email)

        Neither the broker nor Redis is asked, so it works while they are away, and inside an event loop. The relay of a
        worker sends it within a moment of the commit, in order, at least once.

        Args:
            session: a session or connection of SQLAlchemy's, or an ``AsyncSession``, on the database that workers know
                as ``DATABASE_URL``.
            args: of the task.
            kwargs: of the task.

        Returns:
            The promise, with the id that the task is going to have.

        Raises:
            TypeError: ``session`` is something else.
        """
        return self.send_on_commit(session, self.call(args, kwargs, _NO_OPTIONS))

    def send_on_commit(self, session: Any, call: Call) -> TaskResult[R]:
        """The same for a call that is made already, with options perhaps: see :meth:`call`."""
        publisher: Any = self.publisher
        write = getattr(publisher, "on_commit", None)
        if write is None:  # a test's publisher, which knows no database
            return self.send(call)
        return TaskResult(self.name, write(session, call), self.signature.load_result)

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """The same for coroutines: the event loop goes on while the message travels."""
        return await self.asend(self.call(args, kwargs, _NO_OPTIONS))

    def apply_async(
        self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> TaskResult[R]:
        """Send the task with options: see :class:`~celeriac.tasks.call.CallOptions`.

        For arguments that type checkers see, write ``handle.s(...).set(countdown=5).delay()``.

        Raises:
            BlockingCall: inside a running event loop.
            UnknownQueue: ``queue`` names one that is not declared.
        """
        refuse_inside_loop(f"{self.name}.apply_async()", f"await {self.name}.s(...).set(...).adelay()")
        return self.send(self.call(args, kwargs or {}, options))

    def enqueue_many(
        self, items: Iterable[BulkItem], *, batch: int = 1000, strict: bool = False, **options: Unpack[BulkOptions]
    ) -> BulkReport[R]:
        """Send the task once for each item, many in one round trip, in little memory however many there are.

        ::

            registry.ping.enqueue_many([(), (), ()])
            registry.add.enqueue_many((x, 1) for x in range(1_000_000))
            registry.add.enqueue_many([{"x": 1, "y": 2}, Arguments((1,), {"y": 2})])

        An item that does not fit the task is noted in the report, and the others are sent.

        Args:
            items: tuples of positional arguments, mappings of keyword arguments, or
                :class:`~celeriac.tasks.bulk.Arguments` with both; taken as they are needed.
            batch: items in one round trip.
            strict: end at the first item that does not fit.
            options: of every call, as :class:`~celeriac.tasks.call.CallOptions` says them.

        Returns:
            What became of each item, and the tasks' ids and results.

        Raises:
            BulkInterrupted: not all could be sent; its report says exactly which.
            BlockingCall: inside a running event loop; ``await aenqueue_many(...)`` there.
            UnknownQueue: ``queue`` names one that is not declared.
            ValueError: ``batch`` is less than 1.
        """
        refuse_inside_loop(f"{self.name}.enqueue_many()", f"await {self.name}.aenqueue_many()")
        run = self._bulk(items, batch, options, strict=strict)
        try:
            return run.run()
        finally:
            run.close()

    async def aenqueue_many(
        self,
        items: Iterable[BulkItem] | AsyncIterable[BulkItem],
        *,
        batch: int = 1000,
        strict: bool = False,
        **options: Unpack[BulkOptions],
    ) -> BulkReport[R]:
        """The same for coroutines: the event loop goes on. Items may come from an asynchronous iterable, too.

        Others are taken in a thread, so that a source that blocks blocks nobody.
        """
        if not isinstance(items, AsyncIterable):
            run = self._bulk(items, batch, options, strict=strict)
            try:
                while await in_thread(lambda: run.send(*run.pull())):
                    pass
            finally:
                run.close()
            return run.report
        run = self._bulk((), batch, options, strict=strict)
        try:
            source = aiter(items)
            while await in_thread(run.send, *await _pulled(source, batch)):
                pass
        finally:
            run.close()
        return run.report

    def _bulk(self, items: Iterable[BulkItem], batch: int, options: BulkOptions, *, strict: bool) -> BulkRun[R]:
        said = cast("CallOptions", options)
        return BulkRun(self.signature, self.publisher, items, batch=batch, strict=strict, options=said)

    def s(self, *args: P.args, **kwargs: P.kwargs) -> Step[R]:
        """A step of a workflow: the call, not yet sent."""
        return CallStep(self, self.call(args, kwargs, _NO_OPTIONS))

    def dump(self, *args: P.args, **kwargs: P.kwargs) -> tuple[list[Any], dict[str, Any]]:
        """The arguments as they travel: checked, and as plain JSON."""
        return self.signature.dump(args, kwargs)

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any], options: CallOptions) -> Call:
        """A checked call of this task."""
        signature = self.signature
        sent_args, sent_kwargs = signature.dump(args, kwargs)
        masked = signature.masked(args, kwargs) if signature.secret_arguments else None
        return Call(self.name, sent_args, sent_kwargs, options, masked)

    def send(self, call: Call) -> TaskResult[R]:
        """Hand a checked call to the publisher."""
        return TaskResult(self.name, self.publisher.publish(call), self.signature.load_result)

    async def asend(self, call: Call) -> TaskResult[R]:
        """The same for coroutines."""
        publish: Callable[[Call], Awaitable[Any]] | None = getattr(self.publisher, "apublish", None)
        if publish is None:  # a publisher that knows no coroutines
            with asked_now():
                return await in_thread(self.send, call)
        return TaskResult(self.name, await publish(call), self.signature.load_result)


async def _pulled(source: AsyncIterator[BulkItem], size: int) -> tuple[list[BulkItem], Exception | None]:
    """The items of the next batch, and what their source raised after them."""
    items: list[BulkItem] = []
    try:
        while len(items) < size:
            items.append(await anext(source))
    except StopAsyncIteration:
        return items, None
    except Exception as error:  # noqa: BLE001  whatever it is, the report goes with it
        return items, error
    return items, None


class HandleProvider(ABC):
    """What a definition must be read from to become a handle: the base of every registry."""

    @abstractmethod
    def handle_of(self, definition: TaskDeclaration) -> TaskHandle[..., Any]:
        """The handle of a task."""
