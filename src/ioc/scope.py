"""What is built for one task and closed when that task ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from celeriac.exceptions import ConfigurationError
from ioc.closing import Closers
from ioc.registration import name_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from celeriac.injection import Resolver
    from ioc.registration import Registration

__all__ = ["Scope", "Source"]

T = TypeVar("T")


class Source(Protocol):
    """Where a scope gets what it does not keep itself."""

    def build(self, service: type[T], resolver: Resolver) -> T:
        """The service, with its needs resolved by ``resolver``."""
        ...


class Scope:
    """A resolver for one task. It is an object, not a variable of the thread: where it is passed, there it is valid.

    So a task may start in a worker's thread and go on in a coroutine on another thread's loop with the same services,
    and two tasks side by side never share one.
    """

    __slots__ = ("_closers", "_ended", "_instances", "_lock", "_source")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._instances: dict[Any, Any] = {}
        self._closers = Closers()
        self._lock = threading.RLock()
        self._ended = False

    def resolve(self, service: type[T], /) -> T:
        """The service: the scope's own one if it is scoped, the container's if it is a singleton, else a new one.

        Raises:
            UnresolvableService: it cannot be built.
            ConfigurationError: the scope has ended.
        """
        if service in self._instances:
            found: T = self._instances[service]
            return found
        if self._ended:
            raise ConfigurationError(problem=f"{name_of(service)} was asked of a scope that has ended")
        return self._source.build(service, self)

    def keep(self, registration: Registration, make: Callable[[Registration, Resolver], Any]) -> Any:
        """The scope's one object for a scoped service, made at first need."""
        with self._lock:
            if registration.service not in self._instances:
                built = make(registration, self)
                self._instances[registration.service] = self._closers.enter(registration, built)
            return self._instances[registration.service]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close what the scope built, last first; the task's exception passes through every closer.

        A closer that fails makes the task fail. If the task had failed already, its own exception stays and carries a
        note: a retry policy must see what the task raised.

        Raises:
            ExceptionGroup: several closers failed. A single failure is raised as it is.
        """
        self._ended = True
        self._instances.clear()
        if not self._closers:
            return
        failures = self._closers.close(error)
        if error is not None:
            for failure in failures:
                error.add_note(f"while its scope was closed: {type(failure).__name__}: {failure}")
        elif len(failures) == 1:
            raise failures[0]
        elif failures:
            msg = "a scope could not be closed"
            raise ExceptionGroup(msg, failures)
