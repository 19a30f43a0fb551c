from __future__ import annotations

from contextlib import ExitStack
from threading import Barrier, Thread
from urllib.parse import urlsplit

import pytest
from redis import Redis

from celeriac.exceptions import ServerNotFound
from celeriac.testing.databases import CLAIMS, own_database
from celeriac.testing.embedded import EmbeddedRedis

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def server_url(tmp_path_factory):
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


def test_runs_side_by_side_do_not_meet(server_url):
    taken: list[str] = []
    barrier = Barrier(8)

    def run() -> None:
        barrier.wait()
        with own_database(server_url) as url:
            taken.append(url)
            barrier.wait()

    threads = [Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(taken)) == 8
    assert server_url not in taken


def test_it_is_empty_at_the_start_and_at_the_end(server_url):
    with own_database(server_url) as url, Redis.from_url(url) as client:
        client.set("mine", 1)
    with Redis.from_url(url) as client:
        assert not client.dbsize()


def test_a_database_with_keys_of_somebody_else_is_left_alone(server_url):
    foreign = urlsplit(server_url)._replace(path="/1").geturl()
    with Redis.from_url(foreign) as client:
        client.set("theirs", 1)
        with own_database(server_url) as url:
            assert url != foreign
        assert client.get("theirs") == b"1"
        client.flushdb()


def test_what_a_killed_run_left_is_cleared_and_used_again(server_url):
    left = urlsplit(server_url)._replace(path="/1").geturl()
    with Redis.from_url(server_url) as home, Redis.from_url(left) as client:
        home.hset(CLAIMS, "1", "987654321")  # a connection that is long gone
        client.set("left", 1)
        with own_database(server_url) as url:
            assert url == left
            assert not client.dbsize()


def test_with_every_database_taken_the_error_says_what_to_do(server_url):
    with ExitStack() as runs:
        for _ in range(15):
            runs.enter_context(own_database(server_url))
        with pytest.raises(ServerNotFound, match="TEST_REDIS_URL"):
            runs.enter_context(own_database(server_url))
