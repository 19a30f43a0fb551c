"""A Link against real servers: plain, with users, with TLS, behind Sentinel, hanging, restarted, forked."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Generator

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ReadOnlyError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.sentinel import WatchedRedis
from tests.faults.harness.waiting import free_port, until
from tests.kit.certificates import for_localhost

from celeriac.transport.link import Link, Script, connector


@pytest.fixture(scope="module")
def port(tmp_path_factory) -> Generator[int]:
    with PrivateRedis(tmp_path_factory.mktemp("redis"), aof=False) as server:
        yield server.port


@pytest.fixture
def link(port) -> Generator[Link]:
    link = Link(connector(f"redis://127.0.0.1:{port}/3"), timeout=5)
    link.call("FLUSHALL")
    yield link
    link.close()


def test_a_command_gets_its_reply_as_bytes(link):
    assert link.call("SET", "key", "wört") == b"OK"
    assert link.call("GET", b"key") == "wört".encode()
    assert link.call("GET", "none") is None
    assert link.call("INCRBY", "count", 3) == 3
    assert link.call("CLIENT", "LIST").count(b"db=3") == 1


def test_a_reply_of_several_reads_arrives_whole(link):
    text = os.urandom(700_000)
    link.call("SET", "big", text)
    assert link.call("GET", "big") == text


def test_an_error_of_the_server_is_of_redis_py_and_leaves_the_connection_open(link):
    link.call("SET", "text", "x")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        link.call("LPUSH", "text", 1)
    assert link.connected
    replies = link.pipeline([("GET", "text"), ("LPUSH", "text", 1), ("LPUSH", "list", 1, 2)])
    assert (replies[0], type(replies[1]), replies[2]) == (b"x", ResponseError, 2)


def test_rendered_commands_travel_as_they_are(link):
    assert link.send_packed(b"*1\r\n$4\r\nPING\r\n" * 3, 3) == [b"PONG"] * 3
    link.write(b"*1\r\n$4\r\nPING\r\n", 5)
    link.write(b"*2\r\n$4\r\nPING\r\n$1\r\n2\r\n", 5)
    assert link.read(2, 5) == [b"PONG", b"2"]


def test_a_script_is_sent_once_and_again_when_the_server_forgot_it(link):
    script = Script("return {KEYS[1], ARGV[1], ARGV[2]}")
    for _ in range(2):
        assert script.call(link, ["k"], ["a", 2]) == [b"k", b"a", b"2"]
    link.call("SCRIPT", "FLUSH")
    assert script.call(link, ["k"], ["a", 2]) == [b"k", b"a", b"2"]


def test_pushes_wait_for_who_waits_for_them(port, link):
    link.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "queue", "NOLOOP")
    with Redis(port=port, db=3) as other:
        assert link.wait(0) == []
        other.lpush("queue", 1)
        assert link.call("PING") == b"PONG"
        assert link.wait(5) == [[b"invalidate", [b"queue"]]]
        assert link.wait(0.01) == []
        timer = threading.Timer(0.1, other.lpush, ("queue", 2))
        timer.start()
        assert link.wait(10) == [[b"invalidate", [b"queue"]]]
        timer.join()


def test_a_subscription_answers_by_pushes_alone(port, link):
    link.send_packed(b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n", 0)
    assert link.wait(5) == [[b"subscribe", b"c", 1]]
    with Redis(port=port) as other:
        other.publish("c", "said")
    assert link.wait(5) == [[b"message", b"c", b"said"]]
    assert link.call("PING") == b"PONG"


def test_whoever_connects_again_is_told(port):
    seen: list[object] = []
    link = Link(connector(f"redis://127.0.0.1:{port}"), timeout=5, on_connect=lambda it: seen.append(it.call("PING")))
    link.call("PING")
    link.close()
    link.call("PING")
    assert seen == [b"PONG", b"PONG"]
    link.close()


def test_a_server_that_hung_up_is_noticed_before_anything_is_sent(port, link):
    assert link.alive()
    with Redis(port=port) as other:
        other.client_kill_filter(_id=str(link.call("CLIENT", "ID")))
    until(lambda: not link.alive())
    with pytest.raises(RedisConnectionError):
        link.call("PING")
    assert not link.connected
    assert link.call("PING") == b"PONG"


def test_a_hanging_server_costs_the_timeout_and_the_connection(tmp_path):
    with PrivateRedis(tmp_path, aof=False) as server:
        link = Link(connector(f"redis://127.0.0.1:{server.port}"), timeout=0.2)
        link.call("PING")
        server.freeze()
        with pytest.raises(RedisTimeoutError):
            link.call("LPUSH", "list", 1)
        assert link.uncertain
        with pytest.raises(RedisTimeoutError):  # connecting hangs as well
            link.call("LPUSH", "list", 2)
        assert not link.uncertain
        server.thaw()
        assert link.call("PING", timeout=5) == b"PONG"
        link.close()


def test_who_waited_in_vain_sleeps_until_the_reply_comes_and_looks_out_again_later(link):
    for times in (1, 3, 7):
        while link._shy:
            link.call("PING")
        assert link.call("BLPOP", "nothing", 0.02) is None
        assert link._shy >= times
    while link._shy:
        link.call("PING")
    until(lambda: link.call("PING") == b"PONG" and not link._misses, timeout=10)


def test_a_refusal_is_an_error_of_redis_py():
    link = Link(connector(f"redis://127.0.0.1:{free_port()}"), timeout=1)
    with pytest.raises(RedisConnectionError, match="refused"):
        link.call("PING")
    assert not link.connected
    with pytest.raises(RedisConnectionError):
        link.fileno()


def test_of_several_servers_one_that_answers_is_taken(port):
    address = f"redis://127.0.0.1:{free_port()}/1;redis://127.0.0.1:{port}/2"
    link = Link(connector(address), timeout=5)
    for _ in range(2):
        assert b"db=2" in link.call("CLIENT", "LIST")
        link.close()


def test_a_forked_child_leaves_the_parents_connection_alone(port, link):
    link.call("SET", "whose", "parent")
    mine = link.call("CLIENT", "ID")
    child = os.fork()
    if not child:
        try:
            other = link.call("CLIENT", "ID")
            link.call("SET", "whose", "child" if other != mine else "shared")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert link.call("CLIENT", "ID") == mine
    assert link.call("GET", "whose") == b"child"


def test_a_user_may_do_what_it_may(port):
    with Redis(port=port) as admin:
        admin.acl_setuser(
            "producer", enabled=True, passwords=["+ge:h/eim"], categories=["-@all"], commands=["+lpush"], keys=["*"]
        )
    link = Link(connector(f"redis://producer:ge%3Ah%2Feim@127.0.0.1:{port}"), timeout=5)
    assert link.call("LPUSH", "q", 1) == 1
    with pytest.raises(NoPermissionError):
        link.call("GET", "q")
    link.close()
    with pytest.raises(AuthenticationError):
        Link(connector(f"redis://producer:wrong@127.0.0.1:{port}"), timeout=5).call("LPUSH", "q", 1)


def test_an_address_never_shows_its_password():
    made = connector("redis://:geheim@localhost:1/0")
    assert "geheim" not in repr(made) + made.address


def test_tls_is_checked_unless_told_otherwise(tmp_path):
    crt, key = map(str, for_localhost(tmp_path))
    port = free_port()
    files = {"tls-cert-file": crt, "tls-key-file": key, "tls-ca-cert-file": crt, "tls-auth-clients": "no"}
    with PrivateRedis(tmp_path, aof=False, options={"tls-port": str(port), **files}):
        address = f"rediss://localhost:{port}/0"
        with pytest.raises(RedisConnectionError, match="certificate verify failed"):
            Link(connector(address), timeout=5).call("PING")
        for made in (
            connector(f"{address}?ssl_ca_certs={crt}"),
            connector(f"{address}?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs={crt}"),
            connector(f"{address}?ssl_cert_reqs=none"),
            connector(address, options={"ssl": {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": crt}}),
            connector(address.replace("rediss", "redis"), options={"ssl": {"ssl_cert_reqs": ssl.CERT_NONE}}),
        ):
            link = Link(made, timeout=5)
            assert link.wait(0) == []
            assert link.wait(0.01) == []
            assert link.call("PING") == b"PONG"
            text = os.urandom(300_000)
            link.call("SET", "big", text)
            assert link.call("GET", "big") == text
            assert link.alive()
            link.close()


def test_a_socket_of_the_file_system(tmp_path):
    path = tmp_path / "redis.sock"
    with PrivateRedis(tmp_path, aof=False, options={"unixsocket": str(path)}):
        link = Link(connector(f"redis+socket://{path}?virtual_host=2"), timeout=5)
        assert b"db=2" in link.call("CLIENT", "LIST")
        link.close()


def test_sentinel_says_who_is_master_and_a_demoted_one_is_left(tmp_path):
    with WatchedRedis(tmp_path) as servers:
        url = f"sentinel://127.0.0.1:{free_port()};sentinel://127.0.0.1:{servers.port}/4"
        link = Link(connector(url, options={"master_name": servers.name}), timeout=5)
        assert link.call("SET", "key", 1) == b"OK"
        assert f"tcp_port:{servers.master.port}".encode() in link.call("INFO", "server")
        with Redis(port=servers.port) as sentinel:
            until(lambda: failed_over(sentinel, servers.name))
        until(servers.promoted)
        until(lambda: pushed(link) and f"tcp_port:{servers.replica.port}".encode() in link.call("INFO", "server"))
        link.close()


def failed_over(sentinel: Redis, name: str) -> bool:
    try:
        return bool(sentinel.execute_command("SENTINEL", "FAILOVER", name))
    except ResponseError:
        return False


def pushed(link: Link) -> bool:
    try:
        return bool(link.call("SET", "key", 2))
    except (ReadOnlyError, RedisConnectionError):
        return False


def test_a_sentinel_without_a_master_name_is_refused():
    with pytest.raises(ValueError, match="master_name"):
        connector("sentinel://localhost:26379")
