"""What a factory asks for, read from its type hints."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Need", "UnreadableNeeds", "needs_of"]

_PACKED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class UnreadableNeeds(Exception):
    """A parameter does not say what it needs. It never leaves the container, which draws the path around it."""


@dataclass(frozen=True, slots=True)
class Need:
    """One parameter of a factory: its name, the service it is to be given, and whether it can do without."""

    parameter: str
    service: Any
    optional: bool


def needs_of(factory: Callable[..., Any], by_name: Mapping[str, tuple[Any, ...]]) -> tuple[Need, ...]:
    """The needs of a class or function, in the order of its parameters.

    A hint is looked up where the factory was written. A name which that module imports for type checkers alone is
    looked up in ``by_name``, the registered services of each name; one that is shared by two services is an error, not
    a guess.

    Raises:
        UnreadableNeeds: a parameter without default has no hint, or one that means nothing.
    """
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError) as error:
        msg = f"its parameters cannot be read: {error}"
        raise UnreadableNeeds(msg) from error
    namespace = _namespace(factory)
    needs: list[Need] = []
    for parameter in parameters:
        if parameter.kind in _PACKED:
            continue
        optional = parameter.default is not inspect.Parameter.empty
        try:
            service = _service(parameter, namespace, by_name)
        except UnreadableNeeds:
            if optional:
                continue
            raise
        needs.append(Need(parameter.name, service, optional))
    return tuple(needs)


def _service(parameter: inspect.Parameter, namespace: dict[str, Any], by_name: Mapping[str, tuple[Any, ...]]) -> Any:
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        msg = f"parameter {parameter.name!r} is positional-only; services are passed by name"
        raise UnreadableNeeds(msg)
    if parameter.annotation is inspect.Parameter.empty:
        msg = f"parameter {parameter.name!r} has neither a type hint nor a default"
        raise UnreadableNeeds(msg)
    holder = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    found: dict[str, Any] = {}
    while True:
        try:
            return get_type_hints(holder, namespace, found)[parameter.name]
        except NameError as error:
            name = error.name or ""
            candidates = by_name.get(name, ())
            if len(candidates) != 1:
                problem = "several services have that name" if candidates else "no module or service has that name"
                msg = f"the type hint {parameter.annotation!r} of {parameter.name!r} cannot be resolved: {problem}"
                raise UnreadableNeeds(msg) from error
            found[name] = candidates[0]
        except Exception as error:
            msg = f"the type hint {parameter.annotation!r} of {parameter.name!r} cannot be resolved: {error}"
            raise UnreadableNeeds(msg) from error


def _namespace(factory: Any) -> dict[str, Any]:
    """The globals of the module in which the hints of ``factory`` were written."""
    while isinstance(factory, functools.partial):
        factory = factory.func
    if isinstance(factory, type):
        factory = factory.__init__  # type: ignore[misc]  # only its globals are read
    elif not hasattr(factory, "__globals__"):
        factory = getattr(factory, "__func__", type(factory).__call__)
    namespace: dict[str, Any] = getattr(inspect.unwrap(factory), "__globals__", {})
    return namespace
