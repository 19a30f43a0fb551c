"""Calling a task: typed like the method that it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from celeriac.tasks.call import Call, CallOptions
from celeriac.tasks.guard import refuse_inside_loop
from celeriac.tasks.result import TaskResult
from celeriac.tasks.threads import in_thread
from celeriac.tasks.workflow import CallStep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from celeriac.tasks.declaration import TaskDeclaration
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

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """The same for coroutines: the event loop goes on while the message travels."""
        call = self.call(args, kwargs, _NO_OPTIONS)
        return await in_thread(self.send, call)

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


class HandleProvider(ABC):
    """What a definition must be read from to become a handle: the base of every registry."""

    @abstractmethod
    def handle_of(self, definition: TaskDeclaration) -> TaskHandle[..., Any]:
        """The handle of a task."""
