"""What a forked worker process keeps of its parent's services, and what it builds anew."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from ioc.punq_container import Container
from ioc.registration import Lifetime


class Connection:
    """Remembers the process that opened it, and who closed it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Address:
    pass


class Setting:
    pass


def _in_a_child(body: Callable[[], str]) -> str:
    """What ``body`` returns in a forked child; its exception's text if it raises."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            answer = body()
        except BaseException as error:  # noqa: BLE001 - the child must end here, whatever happens
            answer = repr(error)
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        answer = answers.read()
    os.waitpid(child, 0)
    return answer


def _container() -> Container:
    container = Container()
    container.register(Connection, lifetime=Lifetime.SINGLETON)
    container.register(Address, lifetime=Lifetime.SINGLETON, fork_safe=True)
    container.register(Setting, instance=Setting())
    container.warm()
    return container


def test_a_child_builds_its_own_singletons_and_leaves_the_parents_alone() -> None:
    container = _container()
    connection = container.resolve(Connection)

    def child() -> str:
        own = container.resolve(Connection)
        return f"{own is connection} {own.owner == os.getpid()} {own is container.resolve(Connection)}"

    assert _in_a_child(child) == "False True True"
    assert container.resolve(Connection) is connection
    container.close()


def test_a_child_keeps_what_is_safe_to_keep() -> None:
    container = _container()
    address, setting = container.resolve(Address), container.resolve(Setting)
    assert _in_a_child(lambda: f"{container.resolve(Address) is address} {container.resolve(Setting) is setting}") == (
        "True True"
    )
    container.close()


def test_a_child_closes_only_what_it_built_itself() -> None:
    container = _container()
    parents = container.resolve(Connection)

    def child() -> str:
        own = container.resolve(Connection)
        container.close()
        return f"{own.closed} {parents.closed}"

    assert _in_a_child(child) == "True False"
    container.close()
    assert parents.closed


def test_a_fork_in_the_middle_of_a_build_leaves_the_child_a_free_lock() -> None:
    entered, go_on = threading.Event(), threading.Event()
    first = threading.Lock()

    def make() -> Connection:
        if first.acquire(blocking=False):  # only the parent's own build waits
            entered.set()
            assert go_on.wait(10)
        return Connection()

    container = Container()
    container.register(Connection, make, lifetime=Lifetime.SINGLETON)
    builder = threading.Thread(target=container.resolve, args=(Connection,))
    builder.start()
    assert entered.wait(10)
    assert _in_a_child(lambda: str(container.resolve(Connection).owner == os.getpid())) == "True"
    go_on.set()
    builder.join(10)
    container.close()
