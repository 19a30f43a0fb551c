"""What the kit asks of a dependency-injection container: one method, and a second one if it has it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

__all__ = ["Resolver", "Scoping", "scopes_of"]


class Resolver(Protocol):
    """Anything that builds a service from its type: punq, svcs, dishka, or ten lines of your own."""

    def resolve(self, service: type[T], /) -> T:
        """The service, built or found."""
        ...


@runtime_checkable
class Scoping(Protocol):
    """A container that can open a scope, so that what one task opened is closed when that task ends.

    An exception of the task passes through the scope's ``__exit__``, so a unit of work can roll back.
    """

    def scope(self) -> AbstractContextManager[Resolver]:
        """A resolver that lives as long as the ``with`` block."""
        ...


def scopes_of(container: Resolver) -> Callable[[], AbstractContextManager[Resolver]]:
    """What opens a scope: the container's own where it has one, else the container itself stands for it."""
    return container.scope if isinstance(container, Scoping) else lambda: nullcontext(container)
