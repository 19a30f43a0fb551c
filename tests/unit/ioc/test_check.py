"""A container says before it builds anything what it could not build, and draws the way there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from celeriac.exceptions import UnresolvableService
from ioc.punq_container import Container
from ioc.registration import Lifetime

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal


class Clock:
    pass


class Mailer:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock


class Controller:
    def __init__(self, mailer: Mailer) -> None:
        self.mailer = mailer


class Unannotated:
    def __init__(self, clock) -> None:
        self.clock = clock


class PositionalOnly:
    def __init__(self, clock: Clock, /) -> None:
        self.clock = clock


class ForCheckersOnly:
    def __init__(self, amount: Decimal) -> None:
        self.amount = amount


class WithDefault:
    def __init__(self, clock: Clock, key: Callable[[], int] | None = None, *extra: int, **more: int) -> None:
        self.key = key
        self.rest = (clock, extra, more)


class Wrong:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock


Wrong.__init__.__annotations__["clock"] = "Clock["


class Chicken:
    def __init__(self, egg: Egg) -> None:
        self.egg = egg


class Egg:
    def __init__(self, chicken: Chicken) -> None:
        self.chicken = chicken


class Port:
    """What an adapter fulfils."""


def _refused(container: Container, service: type) -> UnresolvableService:
    with pytest.raises(UnresolvableService) as raised:
        container.check(service)
    with pytest.raises(UnresolvableService), container.scope() as scope:
        scope.resolve(service)
    return raised.value


def test_a_complete_graph_passes_and_nothing_is_built() -> None:
    class Untouchable(Clock):
        def __init__(self) -> None:
            pytest.fail("a check builds nothing")

    container = Container()
    container.register(Clock, Untouchable, lifetime=Lifetime.SINGLETON)
    container.register(Mailer)
    container.register(Controller)
    container.check(Controller)


def test_a_missing_dependency_is_shown_at_the_end_of_its_path() -> None:
    container = Container()
    container.register(Mailer)
    container.register(Controller)
    error = _refused(container, Controller)
    assert error.path == ("Controller", "mailer: Mailer", "clock: Clock")
    assert str(error) == (
        "the container cannot build Controller: Clock is not registered\n"
        "Controller\n"
        "  └─ mailer: Mailer\n"
        "    └─ clock: Clock  <- Clock is not registered"
    )


def test_a_service_that_nobody_registered_is_answered_with_the_nearest_name() -> None:
    class Mailers:
        pass

    container = Container()
    container.register(Mailer)
    assert "Mailers is not registered" in _refused(container, Mailers).problem


def test_a_port_without_an_adapter_is_missing() -> None:
    container = Container()
    assert _refused(container, Port).problem == "Port is not registered"
    container.register(Port, Clock)
    container.check(Port)


def test_a_parameter_without_hint_and_default_is_refused() -> None:
    container = Container()
    container.register(Clock)
    container.register(Unannotated)
    assert _refused(container, Unannotated).problem == "parameter 'clock' has neither a type hint nor a default"


def test_a_positional_only_parameter_is_refused() -> None:
    container = Container()
    container.register(Clock)
    container.register(PositionalOnly)
    assert "positional-only" in _refused(container, PositionalOnly).problem


def test_a_hint_that_only_checkers_can_see_is_refused() -> None:
    container = Container()
    container.register(ForCheckersOnly)
    assert _refused(container, ForCheckersOnly).problem == (
        "the type hint 'Decimal' of 'amount' cannot be resolved: no module or service has that name"
    )


def test_a_hint_that_only_checkers_can_see_is_found_among_the_services() -> None:
    class Decimal:
        pass

    container = Container()
    container.register(Decimal)
    container.register(ForCheckersOnly)
    assert isinstance(container.resolve(ForCheckersOnly).amount, Decimal)


def test_a_name_that_two_services_share_is_not_guessed() -> None:
    def another() -> type:
        class Decimal:
            pass

        return Decimal

    container = Container()
    container.register(another())
    container.register(another())
    container.register(ForCheckersOnly)
    assert "several services have that name" in _refused(container, ForCheckersOnly).problem


def test_a_hint_that_is_no_python_is_refused() -> None:
    container = Container()
    container.register(Clock)
    container.register(Wrong)
    assert "cannot be resolved" in _refused(container, Wrong).problem


def test_a_parameter_with_a_default_needs_nothing() -> None:
    container = Container()
    container.register(Clock)
    container.register(WithDefault)
    container.check(WithDefault)
    assert container.resolve(WithDefault).key is None


def test_a_cycle_is_drawn() -> None:
    container = Container()
    container.register(Chicken)
    container.register(Egg)
    error = _refused(container, Chicken)
    assert error.path == ("Chicken", "egg: Egg", "chicken: Chicken")
    assert error.problem == "Chicken needs itself"


def test_a_singleton_cannot_keep_a_scoped_service() -> None:
    container = Container()
    container.register(Clock, lifetime=Lifetime.SCOPED)
    container.register(Mailer)
    container.register(Controller, lifetime=Lifetime.SINGLETON)
    error = _refused(container, Controller)
    assert error.problem == "Controller is a singleton and would keep Clock, which ends with its scope"
    container.check(Mailer)


def test_what_survives_a_fork_cannot_keep_what_does_not() -> None:
    container = Container()
    container.register(Clock, lifetime=Lifetime.SINGLETON)
    container.register(Mailer, lifetime=Lifetime.SINGLETON, fork_safe=True)
    assert _refused(container, Mailer).problem == "Mailer survives a fork and would keep Clock, which does not"


def test_warming_shows_what_is_wrong_with_any_service() -> None:
    container = Container()
    container.register(Mailer)
    with pytest.raises(UnresolvableService, match="Clock is not registered"):
        container.warm()
