"""Closing what was built, last first."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from ioc.registration import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ioc.registration import Registration

    Exit = Callable[[BaseException | None], object]

__all__ = ["Closers"]


@runtime_checkable
class _Closable(Protocol):
    def close(self) -> object: ...


class Closers:
    """How to close the services of one owner, in the order in which they were built."""

    __slots__ = ("_exits",)

    def __init__(self) -> None:
        self._exits: list[tuple[str, Exit]] = []

    def __bool__(self) -> bool:
        return bool(self._exits)

    def names(self) -> list[str]:
        """What is still open, in the order of building."""
        return [name for name, _ in self._exits]

    def enter(self, registration: Registration, built: Any) -> Any:
        """Note how to close what a factory built, and return the service itself.

        In this order: the ``close`` of the registration; a context manager is entered, what it enters is the service,
        and its ``__exit__`` sees the exception that ends the scope; an object with ``close()`` is closed.
        """
        name, close = name_of(registration.service), registration.close
        if close is not None:
            self._exits.append((name, lambda _: close(built)))
        elif registration.given:
            return built
        elif isinstance(built, AbstractContextManager):
            manager = cast("AbstractContextManager[Any]", built)
            entered = manager.__enter__()
            self._exits.append((name, lambda error: manager.__exit__(*_details(error))))
            return entered
        elif isinstance(built, _Closable):
            self._exits.append((name, lambda _: built.close()))
        return built

    def forget(self) -> None:
        """Close nothing: what is open belongs to the process that opened it."""
        self._exits.clear()

    def close(self, error: BaseException | None = None) -> list[Exception]:
        """Close all, last built first, and return what went wrong.

        Each closer sees ``error``, or the first failure of a closer before it: a unit of work that cannot commit must
        make the one around it roll back. No closer can hide ``error``: a task that failed stays failed.
        """
        failures: list[Exception] = []
        while self._exits:
            _, exits = self._exits.pop()
            try:
                exits(error)
            except Exception as failure:  # noqa: BLE001 - the rest is to be closed whatever failed
                # A context manager written as a generator may raise the error it was given: no failure of its own.
                if failure is not error:
                    failures.append(failure)
                    error = error or failure
        return failures


def _details(error: BaseException | None) -> tuple[Any, Any, Any]:
    """What ``__exit__`` is called with."""
    return (None, None, None) if error is None else (type(error), error, error.__traceback__)
