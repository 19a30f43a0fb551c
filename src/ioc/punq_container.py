"""punq, made fit for a worker: threads, forks, scopes and an end.

punq finds what is registered for a service. How long a service lives, and what its factory is passed, is decided here,
because punq 0.9 on its own

- builds a singleton once per thread that asks at the same time;
- knows no scope, and closes nothing;
- lets an override in a ``child()`` leak into the parent;
- passes nothing to a factory that is a function;
- looks type hints up by bare name first, so that of two classes ``Settings`` the one registered last is injected;
- reads the constructor's signature again at every resolve, which is most of what a resolve costs.
"""

from __future__ import annotations

import inspect
import os
import threading
import warnings
import weakref
from typing import TYPE_CHECKING, Any, TypeVar, cast

import punq

from celeriac.exceptions import ConfigurationError
from ioc.closing import Closers
from ioc.graph import Graph
from ioc.registration import Lifetime, Registration, name_of
from ioc.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from celeriac.injection import Resolver

__all__ = ["Container"]

T = TypeVar("T")

_ABSENT: Any = object()
_PROVIDER = inspect.Signature([inspect.Parameter("resolver", inspect.Parameter.POSITIONAL_OR_KEYWORD)])


class Container:
    """The services of one process, and how each is built.

    Thread-safe once everything is registered. A process has one (``ioc.container.get_container``); a test has its own
    (``ioc.container.build_container``).
    """

    def __init__(self) -> None:
        self._punq = punq.Container()
        self._graph = Graph()
        # What punq found, and would look for and inspect again at every resolve.
        self._found: dict[Any, Callable[[Resolver], Any]] = {}
        self._singletons: dict[Any, Any] = {}
        self._parents: list[Any] = []
        self._closers = Closers()
        self._lock = threading.RLock()
        # What was resolved, with all it is built from: in a scope, and without one.
        self._reached: dict[bool, set[Any]] = {True: set(), False: set()}
        self._sealed = False
        self._closed = False
        _containers.add(self)
        self.register(Container, instance=self)

    def register(
        self,
        service: type[T],
        factory: Callable[..., Any] | None = None,
        *,
        instance: T = _ABSENT,
        lifetime: Lifetime = Lifetime.TRANSIENT,
        close: Callable[[T], object] | None = None,
        fork_safe: bool = False,
    ) -> None:
        """Say how a service is built.

        Args:
            service: the type that others ask for.
            factory: a class or function that makes it; its parameters are resolved by their type hints. Without one,
                the service is its own factory. A factory may be a context manager (a ``@contextmanager`` function, or
                a class with ``__enter__``): it is entered, and left when the owner ends.
            instance: an object that exists already. It stays the caller's and is closed only if ``close`` is given.
            lifetime: how long what was built is kept; an ``instance`` is always a singleton.
            close: how to close it; without it, a context manager is left and an object with ``close()`` is closed.
            fork_safe: whether a singleton may be used on both sides of a fork. One that is not is forgotten in the
                child and built again there when it is needed.

        Raises:
            ConfigurationError: the service is registered already, or the arguments contradict each other.
        """
        self._refuse_if_sealed("register", service)
        if service in self._graph:
            raise ConfigurationError(
                problem=f"{name_of(service)} is registered twice; a test replaces it with container.override()"
            )
        if instance is not _ABSENT:
            self._add(_given(service, instance, close))
            return
        if close is not None and lifetime is Lifetime.TRANSIENT:
            raise ConfigurationError(
                problem=f"{name_of(service)} is transient: nobody keeps it, so nobody would close it. Make it scoped"
            )
        self._add(Registration(service, factory or service, lifetime, close, fork_safe))

    def override(self, service: type[T], replacement: T | Callable[..., T]) -> None:
        """Replace a service in a test's own container, before anything was built from it.

        Args:
            service: one that is registered.
            replacement: the object to use, or a class or function that makes it with the lifetime it had.

        Raises:
            ConfigurationError: the service, or something that needs it, was built already, or this is the container
                of the process.
        """
        self._refuse_if_sealed("override", service)
        registration = self._graph.require(service)
        if any(service in reached for reached in self._reached.values()):
            raise ConfigurationError(
                problem=f"{name_of(service)} cannot be overridden: it was resolved already, or something that needs it"
                " was. Override first, then resolve"
            )
        if inspect.isclass(replacement) or inspect.isroutine(replacement):
            factory = cast("Callable[..., T]", replacement)
            self._add(Registration(service, factory, registration.lifetime, None, registration.fork_safe))
        else:
            self._add(_given(service, replacement, None))

    def resolve(self, service: type[T], /) -> T:
        """The service: the one there is if it is a singleton, else a new one.

        Raises:
            UnresolvableService: it cannot be built. The error shows the path to what is missing.
            ConfigurationError: the container is closed.
        """
        return self.build(service, self)

    def scope(self) -> Scope:
        """A resolver for one task, used as a context manager: what it built is closed at the end of the block."""
        return Scope(self)

    def check(self, service: type[Any]) -> None:
        """Find out, without building anything, whether a service can be built within a scope.

        Raises:
            UnresolvableService: it cannot. The error shows the path to the reason: a service that is not registered,
                a parameter that does not say what it needs, a cycle, or one that outlives what it keeps.
        """
        self._graph.walk(service, scoped=True)

    def warm(self) -> None:
        """Check every service and build every singleton, so that what is wrong shows at start."""
        for registration in self._graph:
            self.check(registration.service)
        for registration in self._graph:
            if registration.singleton:
                self.resolve(registration.service)

    def seal(self) -> None:
        """Allow no further registration and no override: from here on the container is in use."""
        self._sealed = True

    def close(self) -> None:
        """Close the singletons that can be closed, last built first. Once: a second call does nothing.

        Raises:
            ExceptionGroup: what could not be closed. The others are closed all the same.
        """
        with self._lock:
            self._closed = True
            self._singletons.clear()
            failures = self._closers.close()
        if failures:
            msg = "the container could not close everything"
            raise ExceptionGroup(msg, failures)

    def build(self, service: type[T], resolver: Resolver) -> T:
        """The service, with its needs resolved by ``resolver``. For scopes; everyone else calls ``resolve``."""
        found: T = self._singletons.get(service, _ABSENT)
        if found is not _ABSENT:
            return found
        if self._closed:
            raise ConfigurationError(problem=f"{name_of(service)} was asked of a container that is closed")
        reached = self._reached[resolver is not self]
        if service not in reached:
            with self._lock:
                reached |= self._graph.walk(service, scoped=resolver is not self)
        if (provide := self._found.get(service)) is not None:
            again: T = provide(resolver)
            return again
        made: T = self._punq.resolve(service, resolver=resolver)
        return made

    def _add(self, registration: Registration) -> None:
        self._graph.add(registration)
        self._found.pop(registration.service, None)
        # `cache=False`: two parameters of one type get two transient objects, as two resolves would.
        self._punq.register(registration.service, self._provider(registration), cache=False)

    def _provider(self, registration: Registration) -> Callable[[Resolver], Any]:
        """What punq calls for this service; it passes on the ``resolver`` that `build` names."""

        def provide(resolver: Resolver) -> Any:
            self._found[registration.service] = provide
            if registration.singleton:
                return self._singleton(registration)
            if registration.lifetime is Lifetime.SCOPED:
                return cast("Scope", resolver).keep(registration, self._make)
            return self._make(registration, resolver)

        # punq inspects a factory; what is written down is read five times as fast.
        provide.__signature__ = _PROVIDER  # type: ignore[attr-defined]
        provide.__annotations__.clear()
        return provide

    def _make(self, registration: Registration, resolver: Resolver) -> Any:
        needs = self._graph.needs(registration)
        return registration.factory(**{need.parameter: resolver.resolve(need.service) for need in needs})

    def _singleton(self, registration: Registration) -> Any:
        with self._lock:
            found = self._singletons.get(registration.service, _ABSENT)
            if found is _ABSENT:
                found = self._closers.enter(registration, self._make(registration, self))
                self._singletons[registration.service] = found
            return found

    def _refuse_if_sealed(self, what: str, service: object) -> None:
        if self._sealed:
            raise ConfigurationError(
                problem=f"cannot {what} {name_of(service)}: this container is in use by the whole process."
                " A test makes its own with ioc.container.build_container()"
            )

    def after_fork(self) -> None:
        """In the child: forget what the parent owns, without closing it. Its lock may be held by a lost thread."""
        self._lock = threading.RLock()
        self._closers.forget()
        for registration in self._graph:
            if registration.singleton and not registration.survives_fork:
                # Kept out of reach: a destructor could say goodbye on a connection that the parent still uses.
                self._parents.append(self._singletons.pop(registration.service, None))

    def __del__(self) -> None:
        """Warn of singletons that nobody closed, as an unclosed file does."""
        if getattr(self, "_closers", None):
            message = f"a container was not closed; still open: {', '.join(self._closers.names())}"
            warnings.warn(message, ResourceWarning, source=self, stacklevel=1)


def _given(service: type[T], instance: T, close: Callable[[T], object] | None) -> Registration:
    return Registration(service, lambda: instance, Lifetime.SINGLETON, close, given=True)


_containers: weakref.WeakSet[Container] = weakref.WeakSet()


def _forget_in_child() -> None:
    for container in list(_containers):
        container.after_fork()


os.register_at_fork(after_in_child=_forget_in_child)
