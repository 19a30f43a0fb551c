"""What needs what: the registrations as a graph that can be checked before anything is built."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from celeriac.exceptions import ConfigurationError, UnresolvableService
from ioc.needs import Need, UnreadableNeeds, needs_of
from ioc.registration import Lifetime, Registration, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Graph"]


class Graph:
    """The registrations of one container."""

    def __init__(self) -> None:
        self._registrations: dict[Any, Registration] = {}
        self._needs: dict[Any, tuple[Need, ...]] = {}

    def __contains__(self, service: object) -> bool:
        return service in self._registrations

    def __iter__(self) -> Iterator[Registration]:
        return iter(self._registrations.values())

    def __getitem__(self, service: object) -> Registration:
        return self._registrations[service]

    def add(self, registration: Registration) -> None:
        """Put a registration in, in place of one that the service may have had."""
        self._registrations[registration.service] = registration
        # A service that is new may answer an optional need or a forward reference of any other.
        self._needs.clear()

    def needs(self, registration: Registration) -> tuple[Need, ...]:
        """What is passed to the factory: each parameter that a registered service answers.

        Raises:
            UnreadableNeeds: a parameter does not say what it needs.
        """
        known = self._needs.get(registration.service)
        if known is None:
            needs = () if registration.given else needs_of(registration.factory, self._by_name())
            known = tuple(need for need in needs if not need.optional or need.service in self._registrations)
            self._needs[registration.service] = known
        return known

    def walk(self, service: object, *, scoped: bool) -> set[Any]:
        """Every service that is built on the way to ``service``; ``scoped`` says whether a scope will be open.

        Raises:
            UnresolvableService: it cannot be built. The error shows the path to the reason.
        """
        reached: set[Any] = set()
        self._visit(service, (), (name_of(service),), reached, scoped=scoped)
        return reached

    def _visit(
        self, service: Any, above: tuple[Registration, ...], path: tuple[str, ...], reached: set[Any], *, scoped: bool
    ) -> None:
        registration = self._registrations.get(service)
        if registration is None:
            raise UnresolvableService.along(path, f"{name_of(service)} is not registered{self._hint(service)}")
        problem = _misfit(registration, above, scoped=scoped)
        if problem:
            raise UnresolvableService.along(path, problem)
        reached.add(service)
        try:
            needs = self.needs(registration)
        except UnreadableNeeds as unreadable:
            raise UnresolvableService.along(path, str(unreadable)) from unreadable
        for need in needs:
            step = f"{need.parameter}: {name_of(need.service)}"
            self._visit(need.service, (*above, registration), (*path, step), reached, scoped=scoped)

    def _by_name(self) -> dict[str, tuple[Any, ...]]:
        names: dict[str, tuple[Any, ...]] = {}
        for service in self._registrations:
            if isinstance(service, type):
                names[service.__name__] = (*names.get(service.__name__, ()), service)
        return names

    def _hint(self, service: object) -> str:
        close = get_close_matches(name_of(service), map(name_of, self._registrations), n=1)
        return f" (registered is {close[0]})" if close else ""

    def require(self, service: object) -> Registration:
        """The registration of a service.

        Raises:
            ConfigurationError: there is none.
        """
        if service not in self._registrations:
            raise ConfigurationError(problem=f"{name_of(service)} is not registered{self._hint(service)}")
        return self._registrations[service]


def _misfit(registration: Registration, above: tuple[Registration, ...], *, scoped: bool) -> str:
    """Why this registration cannot stand below those that need it, or an empty string."""
    name = name_of(registration.service)
    if registration in above:
        return f"{name} needs itself"
    keeper = next((one for one in above if one.singleton), None)
    if registration.lifetime is Lifetime.SCOPED:
        if keeper is not None:
            return f"{name_of(keeper.service)} is a singleton and would keep {name}, which ends with its scope"
        if not scoped:
            return f"{name} lives in a scope; resolve it within container.scope()"
    survivor = next((one for one in above if one.singleton and one.survives_fork), None)
    if survivor is not None and registration.singleton and not registration.survives_fork:
        return f"{name_of(survivor.service)} survives a fork and would keep {name}, which does not"
    return ""
