from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from celeriac.testing.embedded import EmbeddedRedis, answers
from celeriac.testing.shared import shared_redis

pytestmark = pytest.mark.timeout(60)

# Joins, says which server it got and puts a mark into it, then stays until its input ends.
USER = """
import sys
from pathlib import Path
from redis import Redis
from celeriac.testing.shared import shared_redis
with shared_redis(Path(sys.argv[1])) as url:
    with Redis.from_url(url) as client:
        client.incr("users")
    print(url, flush=True)
    sys.stdin.read()
"""


def start_user(directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(directory)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def url_of(user: subprocess.Popen[str]) -> str:
    assert user.stdout is not None
    return user.stdout.readline().strip()


def leave(*users: subprocess.Popen[str]) -> None:
    for user in users:
        user.communicate()
        assert user.returncode == 0


def test_the_url_stands_in_a_file_for_its_owner_alone_while_it_runs(tmp_path):
    note = tmp_path / "redis.url"
    with shared_redis(tmp_path) as url:
        assert note.read_text().strip() == url
        assert note.stat().st_mode & 0o777 == 0o600
    assert not note.exists()
    assert not answers(url)


def test_users_who_come_at_the_same_moment_get_one_server(tmp_path):
    users = [start_user(tmp_path) for _ in range(6)]
    urls = {url_of(user) for user in users}
    assert len(urls) == 1
    with Redis.from_url(urls.pop()) as client:
        assert client.get("users") == b"6"
    leave(*users)
    assert not EmbeddedRedis(tmp_path).alive


def test_users_who_come_and_leave_at_the_same_moment_always_have_a_server(tmp_path):
    for _ in range(2):
        early = [start_user(tmp_path) for _ in range(2)]
        assert all(url_of(user) for user in early)
        late = [start_user(tmp_path) for _ in range(2)]
        leave(*early)
        assert all(answers(url_of(user)) for user in late)
        leave(*late)
    with shared_redis(tmp_path) as url, Redis.from_url(url) as client:
        assert client.get("users") == b"8"


def test_the_last_to_leave_stops_the_server(tmp_path):
    with shared_redis(tmp_path) as first:
        with shared_redis(tmp_path) as second:
            assert first == second
        assert answers(first)
    assert not EmbeddedRedis(tmp_path).alive


def test_a_server_left_by_a_killed_user_is_taken_over(tmp_path):
    user = start_user(tmp_path)
    left = url_of(user)
    user.kill()
    user.communicate()
    assert answers(left)
    with shared_redis(tmp_path) as url:
        assert url == left
    assert not answers(left)


def test_a_server_that_does_not_answer_is_replaced(tmp_path):
    user = start_user(tmp_path)
    left = url_of(user)
    user.kill()
    user.communicate()
    (tmp_path / "redis.url").write_text("redis://:wrong@127.0.0.1:1/0\n")
    with shared_redis(tmp_path) as url, Redis.from_url(url) as client:
        assert url != left
        assert client.get("users") == b"1"
        assert not answers(left)
