"""Typed workflows: a step's result is the next step's first argument, and type checkers see whether it fits.

======================================  ==========================
``a.s(1).then(b, 2)``                   Celery's chain
``gather(a.s(1), a.s(2))``              Celery's group
``gather(a.s(1), a.s(2)).then(b)``      Celery's chord
``chunked(a, items, size=100)``         a group over slices
======================================  ==========================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, cast

from typing_extensions import override

from celeriac.tasks.call import Call, CallOptions
from celeriac.tasks.guard import refuse_inside_loop
from celeriac.tasks.result import TaskResult
from celeriac.tasks.threads import in_thread
from celeriac.transport.publishing.budget import asked_now

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self, Unpack

    from celeriac.tasks.handle import TaskHandle

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")

__all__ = ["CallStep", "ChainStep", "GroupStep", "Publisher", "Step", "chunked", "gather"]


class Publisher(Protocol):
    """Whatever can take a call: Celery, a recorder, or the task itself, run in place."""

    def publish(self, call: Call) -> Any:
        """Send one call and give Celery's result object, or one that looks like it.

        Raises:
            BrokerUnavailable: the broker did not take it within the time budget.
        """
        ...

    def start(self, step: Step[Any]) -> Any:
        """Send a workflow and give Celery's result object for its end.

        Raises:
            BrokerUnavailable: the broker did not take it within the time budget.
        """
        ...


class Step(ABC, Generic[R]):
    """A workflow, or a part of one, whose result is ``R``. Immutable: each method gives a new step."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What the workflow is called in errors."""

    @property
    @abstractmethod
    def publisher(self) -> Publisher:
        """What sends it."""

    @abstractmethod
    def load(self, plain: Any) -> R:
        """The typed result, from plain JSON.

        Raises:
            InvalidResult: it is not of the declared type.
        """

    @abstractmethod
    def set(self, **options: Unpack[CallOptions]) -> Self:
        """The same step with options, such as ``countdown=5``: of a chain for its first call, of a group for all."""

    def then(self, task: TaskHandle[Concatenate[R, Q], S], /, *args: Q.args, **kwargs: Q.kwargs) -> Step[S]:
        """This step, and then ``task`` with this step's result as its first argument.

        Raises:
            InvalidArguments: the other arguments do not fit the task.
        """
        sent_args, sent_kwargs = task.signature.dump_rest(args, kwargs)
        # Logs show an ellipsis for the result, which is not there yet.
        masked = task.signature.masked((..., *args), kwargs) if task.signature.secret_arguments else None
        following = CallStep(task, Call(task.name, sent_args, sent_kwargs, {}, masked))
        return ChainStep((*self.sequence(), following))

    def sequence(self) -> tuple[Step[Any], ...]:
        """The steps that run one after the other."""
        return (self,)

    def delay(self) -> TaskResult[R]:
        """Send the workflow and return at once.

        Raises:
            BrokerUnavailable: the broker did not take it within the time budget.
            BlockingCall: inside a running event loop; ``await adelay()`` there.
        """
        refuse_inside_loop(f"{self.name}: delay()", "await adelay()")
        return self._start()

    async def adelay(self) -> TaskResult[R]:
        """The same for coroutines."""
        with asked_now():
            return await in_thread(self._start)

    def _start(self) -> TaskResult[R]:
        return TaskResult(self.name, self.publisher.start(self), self.load)


class CallStep(Step[R]):
    """One call of one task."""

    def __init__(self, handle: TaskHandle[..., R], call: Call) -> None:
        self.handle = handle
        self.call = call

    @property
    @override
    def name(self) -> str:
        return self.handle.name

    @property
    @override
    def publisher(self) -> Publisher:
        return self.handle.publisher

    @override
    def load(self, plain: Any) -> R:
        return cast("R", self.handle.signature.load_result(plain))

    @override
    def set(self, **options: Unpack[CallOptions]) -> CallStep[R]:
        merged = cast("CallOptions", {**self.call.options, **options})
        return CallStep(self.handle, replace(self.call, options=merged))

    @override
    def _start(self) -> TaskResult[R]:
        return self.handle.send(self.call)


class ChainStep(Step[R]):
    """Steps one after the other."""

    def __init__(self, steps: tuple[Step[Any], ...]) -> None:
        self.steps = steps

    @property
    @override
    def name(self) -> str:
        return " | ".join(step.name for step in self.steps)

    @property
    @override
    def publisher(self) -> Publisher:
        return self.steps[0].publisher

    @override
    def load(self, plain: Any) -> R:
        return cast("R", self.steps[-1].load(plain))

    @override
    def set(self, **options: Unpack[CallOptions]) -> ChainStep[R]:
        first, *others = self.steps
        return ChainStep((first.set(**options), *others))

    @override
    def sequence(self) -> tuple[Step[Any], ...]:
        return self.steps


class GroupStep(Step[list[T]]):
    """Steps side by side; the result is the list of their results, in their order."""

    def __init__(self, steps: tuple[Step[T], ...]) -> None:
        self.steps: tuple[Step[Any], ...] = steps

    @property
    @override
    def name(self) -> str:
        return "group(" + ", ".join(dict.fromkeys(step.name for step in self.steps)) + ")"

    @property
    @override
    def publisher(self) -> Publisher:
        return self.steps[0].publisher

    @override
    def load(self, plain: Any) -> list[T]:
        return [step.load(each) for step, each in zip(self.steps, plain, strict=True)]

    @override
    def set(self, **options: Unpack[CallOptions]) -> GroupStep[T]:
        return GroupStep(tuple(step.set(**options) for step in self.steps))


def gather(*steps: Step[T]) -> Step[list[T]]:
    """Run steps side by side. ``gather(...).then(task)`` calls ``task`` once, with the list of all results.

    Raises:
        ValueError: no step was given, so there is nothing to run and nobody to say so.
    """
    if not steps:
        msg = "gather() needs at least one step"
        raise ValueError(msg)
    return GroupStep(steps)


def chunked(task: TaskHandle[[list[T]], S], items: Iterable[T], *, size: int) -> Step[list[S]]:
    """Run ``task`` side by side over slices of ``items``, each a list of at most ``size``.

    Raises:
        ValueError: ``size`` is less than 1, or there are no items.
        InvalidArguments: an item does not fit the task.
    """
    if size < 1:
        msg = f"size must be 1 or more, not {size}"
        raise ValueError(msg)
    return gather(*(task.s(chunk) for chunk in _slices(items, size)))


def _slices(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
