"""Which acknowledgements go to RabbitMQ together, and when."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from amqp.exceptions import RecoverableConnectionError
from tests.faults.harness.waiting import until

from celeriac.transport.rabbitmq.settling import Settler


class Server:
    """Hears of acknowledgements."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, bool]] = []
        self.more = False
        """Whether it has sent something that was not read yet."""

    def settler(self, window: int, *tags: int) -> Settler:
        settler = Settler(lambda tag, several: self.heard.append((tag, several)), lambda: self.more)
        settler.window = window
        for tag in tags:
            settler.hold(tag)
        return settler


@pytest.fixture
def server() -> Server:
    return Server()


def test_what_the_server_waits_for_goes_out_at_once(server):
    settler = server.settler(1, 1)
    settler.acknowledge(1)
    assert server.heard == [(1, False)]
    assert not settler.pending


def test_with_nothing_else_in_hand_there_is_nothing_to_wait_for(server):
    settler = server.settler(100, 1, 2)
    server.more = True  # so that it waits as long as it may
    settler.acknowledge(1)
    assert server.heard == []
    server.more = False
    settler.acknowledge(2)
    assert server.heard == [(2, True)]


def test_half_the_window_is_worth_a_frame(server):
    settler = server.settler(8, *range(1, 9))
    for tag in (1, 2, 3):
        settler.acknowledge(tag)
    assert server.heard == []
    settler.acknowledge(4)
    assert server.heard == [(4, True)]


def test_what_is_still_running_is_never_acknowledged_along(server):
    settler = server.settler(100, *range(1, 7))
    for tag in (1, 2, 4, 6):
        settler.acknowledge(tag)
    settler.flush()
    assert server.heard == [(2, True), (4, False), (6, False)]
    settler.acknowledge(5)
    settler.flush()
    assert server.heard[3:] == [(5, False)]
    settler.acknowledge(3)
    settler.flush()
    assert server.heard[4:] == [(3, False)]


def test_what_was_settled_otherwise_stands_in_nobodys_way(server):
    settler = server.settler(100, 1, 2, 3)
    settler.release(2)
    settler.acknowledge(1)
    settler.acknowledge(3)
    assert server.heard == [(3, True)]


def test_beside_others_each_is_acknowledged_alone(server):
    settler = server.settler(100, 1, 2)
    settler.singly = True
    settler.acknowledge(1)
    settler.acknowledge(2)
    settler.flush()
    assert server.heard == [(1, False), (2, False)]


def test_none_is_held_though_nobody_flushes(server):
    settler = server.settler(100, 1, 2)
    settler.acknowledge(1)
    until(lambda: server.heard == [(1, False)])


def test_a_connection_that_is_gone_acknowledges_nothing(server):
    settler = server.settler(100, 1)
    settler.close()
    with pytest.raises(RecoverableConnectionError):
        settler.acknowledge(1)
    settler.finish()
    assert server.heard == []


def test_threads_that_acknowledge_at_once_leave_nothing_and_send_nothing_twice(server):
    number = 4_000
    settler = server.settler(8, *range(1, number + 1))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(settler.acknowledge, range(1, number + 1)))
        list(threads.map(lambda _: settler.flush(), range(100)))
    settler.finish()
    still = set(range(1, number + 1))
    for tag, several in server.heard:
        assert tag in still
        still -= set(range(1, tag + 1)) if several else {tag}
    assert not still
