"""A scope holds what one task opened, and ends it with the task's own exception."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import pytest

from celeriac.exceptions import ConfigurationError, UnresolvableService
from celeriac.injection import Scoping
from ioc.punq_container import Container
from ioc.registration import Lifetime


class Session:
    pass


class Repository:
    def __init__(self, session: Session) -> None:
        self.session = session


class UnitOfWork:
    """Commits when its scope ends well, rolls back when it does not."""

    def __init__(self, log: list[str], name: str = "work") -> None:
        self.log, self.name = log, name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self.log.append(f"{self.name} {'rolled back by ' + repr(error) if error else 'committed'}")
        return True  # a closer that claims to have dealt with the error must not hide it


class Outer(UnitOfWork):
    pass


def _container(log: list[str]) -> Container:
    container = Container()
    container.register(Session, lifetime=Lifetime.SCOPED)
    container.register(Repository)
    container.register(UnitOfWork, lambda: UnitOfWork(log), lifetime=Lifetime.SCOPED)
    return container


def _run_a_task_that_fails(container: Container, service: type) -> None:
    with container.scope() as scope:
        scope.resolve(service)
        msg = "no"
        raise ValueError(msg)


def test_the_kit_sees_that_the_container_has_scopes() -> None:
    assert isinstance(Container(), Scoping)


def test_a_scoped_service_is_one_per_scope() -> None:
    container = _container([])
    with container.scope() as first, container.scope() as second:
        assert first.resolve(Repository).session is first.resolve(Session)
        assert first.resolve(Repository) is not first.resolve(Repository)
        assert first.resolve(Session) is not second.resolve(Session)


def test_outside_a_scope_a_scoped_service_is_refused_with_the_path() -> None:
    with pytest.raises(UnresolvableService) as raised:
        _container([]).resolve(Repository)
    assert str(raised.value) == (
        "the container cannot build Repository: Session lives in a scope; resolve it within container.scope()\n"
        "Repository\n"
        "  └─ session: Session  <- Session lives in a scope; resolve it within container.scope()"
    )


def test_a_scope_that_ended_gives_nothing_more() -> None:
    with _container([]).scope() as scope:
        scope.resolve(Session)
    with pytest.raises(ConfigurationError, match="Session was asked of a scope that has ended"):
        scope.resolve(Session)


def test_a_unit_of_work_commits_when_the_task_ends_well() -> None:
    log: list[str] = []
    with _container(log).scope() as scope:
        scope.resolve(UnitOfWork)
    assert log == ["work committed"]


def test_a_unit_of_work_sees_the_exception_of_the_task_and_cannot_hide_it() -> None:
    log: list[str] = []
    with pytest.raises(ValueError, match="no"):
        _run_a_task_that_fails(_container(log), UnitOfWork)
    assert log == ["work rolled back by ValueError('no')"]


def test_a_generator_can_stand_around_a_scoped_service() -> None:
    log: list[str] = []

    @contextmanager
    def session() -> Generator[Session]:
        try:
            yield Session()
        except ValueError:
            log.append("rollback")
            raise
        else:
            log.append("commit")
        finally:
            log.append("close")

    container = Container()
    container.register(Session, session, lifetime=Lifetime.SCOPED)
    with container.scope() as scope:
        assert isinstance(scope.resolve(Session), Session)
    with pytest.raises(ValueError, match="no") as raised:
        _run_a_task_that_fails(container, Session)
    assert log == ["commit", "close", "rollback", "close"]
    assert not hasattr(raised.value, "__notes__")


def test_scoped_services_are_closed_last_built_first() -> None:
    log: list[str] = []

    def outer(inner: UnitOfWork) -> Outer:
        return Outer(inner.log, "outer")

    container = _container(log)
    container.register(Outer, outer, lifetime=Lifetime.SCOPED)
    with container.scope() as scope:
        scope.resolve(Outer)
    assert log == ["outer committed", "work committed"]


def _with_a_commit_that_fails(log: list[str]) -> Container:
    def refuse(_: Session) -> None:
        msg = "the commit failed"
        raise OSError(msg)

    def session(work: UnitOfWork) -> Session:
        work.log.append("session opened")
        return Session()

    container = Container()
    container.register(UnitOfWork, lambda: UnitOfWork(log), lifetime=Lifetime.SCOPED)
    container.register(Session, session, lifetime=Lifetime.SCOPED, close=refuse)
    return container


def test_a_closer_that_fails_makes_the_task_fail_and_those_around_it_roll_back() -> None:
    log: list[str] = []
    with pytest.raises(OSError, match="the commit failed"), _with_a_commit_that_fails(log).scope() as scope:
        scope.resolve(Session)
    assert log == ["session opened", "work rolled back by OSError('the commit failed')"]


def test_the_exception_of_the_task_outlives_a_closer_that_fails() -> None:
    with pytest.raises(ValueError, match="no") as raised:
        _run_a_task_that_fails(_with_a_commit_that_fails([]), Session)
    assert raised.value.__notes__ == ["while its scope was closed: OSError: the commit failed"]


def test_eight_threads_with_a_scope_each_share_nothing() -> None:
    container = _container([])
    barrier = threading.Barrier(8)

    def run(_: int) -> tuple[Session, Session]:
        with container.scope() as scope:
            barrier.wait()
            return scope.resolve(Session), scope.resolve(Repository).session

    with ThreadPoolExecutor(8) as threads:
        pairs = list(threads.map(run, range(8)))
    assert all(first is second for first, second in pairs)
    assert len({first for first, _ in pairs}) == 8


def test_one_scope_used_by_eight_threads_builds_a_scoped_service_once() -> None:
    built: list[Session] = []
    barrier = threading.Barrier(8)

    def make() -> Session:
        threading.Event().wait(0.02)  # long enough for every thread to have asked
        built.append(Session())
        return built[-1]

    container = Container()
    container.register(Session, make, lifetime=Lifetime.SCOPED)
    with container.scope() as scope, ThreadPoolExecutor(8) as threads:

        def ask(_: int) -> Session:
            barrier.wait()
            return scope.resolve(Session)

        assert set(threads.map(ask, range(8))) == set(built)
    assert len(built) == 1


async def _two_tasks_side_by_side(container: Container) -> list[Session]:
    both_open = asyncio.Barrier(2)

    async def run() -> Session:
        with container.scope() as scope:
            session = scope.resolve(Session)
            await both_open.wait()
            assert scope.resolve(Session) is session
            return session

    return list(await asyncio.gather(run(), run()))


def test_two_coroutines_with_a_scope_each_share_nothing() -> None:
    first, second = asyncio.run(_two_tasks_side_by_side(_container([])))
    assert first is not second


def test_a_scope_opened_in_one_thread_is_the_same_on_the_loop_of_another() -> None:
    async def body() -> Session:
        return scope.resolve(Session)

    with _container([]).scope() as scope, ThreadPoolExecutor(1) as threads:
        assert threads.submit(lambda: asyncio.run(body())).result(10) is scope.resolve(Session)
