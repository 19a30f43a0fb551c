"""What the container promises beyond punq: one singleton for all threads, honest overrides, an orderly end."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from celeriac.exceptions import ConfigurationError
from ioc.punq_container import Container
from ioc.registration import Lifetime


class Clock:
    pass


class Mailer:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock


class Journal:
    """Notes in a list that outlives it when it is closed."""

    def __init__(self, notes: list[str], name: str) -> None:
        self.notes, self.name = notes, name

    def close(self) -> None:
        self.notes.append(f"close {self.name}")


class First(Journal):
    pass


class Second(Journal):
    pass


def test_a_constructor_gets_what_its_hints_name() -> None:
    container = Container()
    container.register(Clock, lifetime=Lifetime.SINGLETON)
    container.register(Mailer)
    mailer = container.resolve(Mailer)
    assert mailer.clock is container.resolve(Clock)
    assert container.resolve(Mailer) is not mailer


def test_a_function_that_makes_a_service_gets_what_its_hints_name() -> None:
    def make(clock: Clock, retries: int = 3) -> Mailer:
        assert retries == 3
        return Mailer(clock)

    container = Container()
    container.register(Clock, lifetime=Lifetime.SINGLETON)
    container.register(Mailer, make)
    assert container.resolve(Mailer).clock is container.resolve(Clock)


def test_eight_threads_that_ask_at_once_get_one_singleton() -> None:
    built: list[Clock] = []
    barrier = threading.Barrier(8)

    def make() -> Clock:
        threading.Event().wait(0.02)  # long enough for every thread to have asked
        built.append(Clock())
        return built[-1]

    container = Container()
    container.register(Clock, make, lifetime=Lifetime.SINGLETON)
    container.register(Mailer)

    def ask(_: int) -> Clock:
        barrier.wait()
        return container.resolve(Mailer).clock

    with ThreadPoolExecutor(8) as threads:
        clocks = set(threads.map(ask, range(8)))
    assert len(built) == 1
    assert clocks == set(built)


def test_transient_services_are_built_while_another_thread_builds_a_singleton() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def slow() -> Clock:
        entered.set()
        assert go_on.wait(10)
        return Clock()

    class Plain:
        pass

    container = Container()
    container.register(Clock, slow, lifetime=Lifetime.SINGLETON)
    container.register(Plain)
    container.resolve(Plain)
    with ThreadPoolExecutor(1) as threads:
        pending = threads.submit(container.resolve, Clock)
        assert entered.wait(10)
        assert isinstance(container.resolve(Plain), Plain)
        go_on.set()
        assert isinstance(pending.result(10), Clock)


def test_two_services_of_one_name_are_not_mixed_up() -> None:
    def other() -> type:
        class Clock:
            pass

        return Clock

    container = Container()
    container.register(Clock)
    container.register(other())
    container.register(Mailer)
    assert type(container.resolve(Mailer).clock) is Clock


def test_a_list_default_is_kept_when_nothing_is_registered_for_it() -> None:
    class Sized:
        def __init__(self, sizes: list[int] = [1, 2]) -> None:  # noqa: B006 - the default is what is tested
            self.sizes = sizes

    container = Container()
    container.register(Sized)
    assert container.resolve(Sized).sizes == [1, 2]


def test_an_override_replaces_a_service_for_those_that_need_it() -> None:
    fake = Clock()
    container = Container()
    container.register(Clock)
    container.register(Mailer)
    container.override(Clock, fake)
    assert container.resolve(Mailer).clock is fake


def test_an_override_by_a_factory_keeps_the_lifetime() -> None:
    class FakeClock(Clock):
        pass

    container = Container()
    container.register(Clock, lifetime=Lifetime.SINGLETON)
    container.override(Clock, FakeClock)
    assert isinstance(container.resolve(Clock), FakeClock)
    assert container.resolve(Clock) is container.resolve(Clock)


def test_an_override_does_not_reach_another_container() -> None:
    def build() -> Container:
        container = Container()
        container.register(Clock)
        return container

    fake, first, second = Clock(), build(), build()
    first.override(Clock, fake)
    assert first.resolve(Clock) is fake
    assert second.resolve(Clock) is not fake


@pytest.mark.parametrize("asked", [Clock, Mailer])
def test_an_override_comes_too_late_once_the_service_was_used(asked: type) -> None:
    container = Container()
    container.register(Clock)
    container.register(Mailer)
    with container.scope() as scope:
        scope.resolve(asked)
    with pytest.raises(ConfigurationError, match=r"Clock cannot be overridden: it was resolved already, or something"):
        container.override(Clock, Clock())


def test_an_override_of_what_nobody_registered_names_the_nearest() -> None:
    class Mailers:
        pass

    container = Container()
    container.register(Mailer)
    with pytest.raises(ConfigurationError, match=r"Mailers is not registered"):
        container.override(Mailers, Mailers())


def test_a_sealed_container_takes_no_override_and_no_registration() -> None:
    container = Container()
    container.register(Clock)
    container.seal()
    with pytest.raises(ConfigurationError, match=r"cannot override Clock: .* ioc\.container\.build_container\(\)"):
        container.override(Clock, Clock())
    with pytest.raises(ConfigurationError, match="cannot register Mailer"):
        container.register(Mailer)


def test_a_service_is_registered_once() -> None:
    container = Container()
    container.register(Clock)
    with pytest.raises(ConfigurationError, match=r"Clock is registered twice; .* container\.override\(\)"):
        container.register(Clock)


def test_a_transient_service_cannot_be_closed() -> None:
    with pytest.raises(ConfigurationError, match="Clock is transient"):
        Container().register(Clock, close=id)


def _with_two_journals(notes: list[str]) -> Container:
    container = Container()
    container.register(First, lambda: First(notes, "first"), lifetime=Lifetime.SINGLETON)

    def second(first: First) -> Second:
        return Second(first.notes, "second")

    container.register(Second, second, lifetime=Lifetime.SINGLETON)
    return container


def test_singletons_are_closed_last_built_first_and_once() -> None:
    notes: list[str] = []
    container = _with_two_journals(notes)
    container.resolve(Second)
    container.close()
    container.close()
    assert notes == ["close second", "close first"]
    with pytest.raises(ConfigurationError, match="First was asked of a container that is closed"):
        container.resolve(First)


def test_only_what_was_built_is_closed() -> None:
    notes: list[str] = []
    container = _with_two_journals(notes)
    container.resolve(First)
    container.close()
    assert notes == ["close first"]


def test_one_closer_that_fails_does_not_keep_the_others_from_closing() -> None:
    notes: list[str] = []

    def refuse(second: Second) -> None:
        msg = f"{second.name} is stuck"
        raise OSError(msg)

    container = Container()
    container.register(First, lambda: First(notes, "first"), lifetime=Lifetime.SINGLETON)
    container.register(Second, lambda: Second(notes, "second"), lifetime=Lifetime.SINGLETON, close=refuse)
    container.warm()
    with pytest.raises(ExceptionGroup, match="could not close everything") as raised:
        container.close()
    assert [str(error) for error in raised.value.exceptions] == ["second is stuck"]
    assert notes == ["close first"]


def test_a_singleton_may_be_a_context_manager() -> None:
    notes: list[str] = []

    @contextmanager
    def make() -> Generator[Clock]:
        yield Clock()
        notes.append("left")

    container = Container()
    container.register(Clock, make, lifetime=Lifetime.SINGLETON)
    assert isinstance(container.resolve(Clock), Clock)
    container.close()
    assert notes == ["left"]


def test_an_instance_stays_its_owners_unless_the_container_is_told_how_to_close_it() -> None:
    notes: list[str] = []
    container = Container()
    container.register(First, instance=First(notes, "first"))
    container.register(Second, instance=Second(notes, "second"), close=lambda second: second.close())
    container.warm()
    container.close()
    assert notes == ["close second"]


def test_warming_builds_every_singleton_and_nothing_else() -> None:
    built: list[str] = []

    def note(name: str) -> Callable[[], Clock]:
        def make() -> Clock:
            built.append(name)
            return Clock()

        return make

    class Transient(Clock):
        pass

    class Scoped(Clock):
        pass

    container = Container()
    container.register(Clock, note("singleton"), lifetime=Lifetime.SINGLETON)
    container.register(Transient, note("transient"))
    container.register(Scoped, note("scoped"), lifetime=Lifetime.SCOPED)
    container.warm()
    assert built == ["singleton"]


def _drop(containers: list[Container]) -> None:
    containers.clear()
    gc.collect()


def test_a_container_that_is_dropped_unclosed_warns() -> None:
    container = _with_two_journals([])
    container.resolve(First)
    dropped = [container]
    del container
    with pytest.warns(ResourceWarning, match="a container was not closed; still open: First"):
        _drop(dropped)


@pytest.mark.parametrize("closed", [True, False])
def test_a_container_with_nothing_open_is_dropped_silently(closed: bool) -> None:  # noqa: FBT001
    container = _with_two_journals([])
    if closed:
        container.resolve(Second)
        container.close()
    dropped = [container]
    del container
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        _drop(dropped)
    assert raised == []
