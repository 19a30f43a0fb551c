"""The servers of ``celeriac.testing`` where they come from a container."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import pytest
from kombu import Connection
from redis import Redis
from redis.exceptions import AuthenticationError
from tests.docker.engine import run

from celeriac.testing.containers import RABBITMQ_IMAGE, REDIS_IMAGE, docker_engine_answers, rabbitmq_container
from celeriac.testing.servers import rabbitmq_answers, redis_server
from celeriac.testing.worker import WorkerProcess

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300), pytest.mark.usefixtures("engine", "without_ryuk")]


@pytest.fixture
def without_ryuk(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests stop their containers themselves; the one that would do it for them is one more image to fetch."""
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")


def containers_behind(url: str) -> Sequence[str]:
    """The images of the running containers that publish the port of the URL."""
    return run("docker", "ps", f"--filter=publish={urlsplit(url).port}", "--format={{.Image}}").split()


def test_a_redis_of_ones_own_comes_from_docker_when_none_is_named(monkeypatch):
    monkeypatch.delenv("TEST_REDIS_URL", raising=False)
    with redis_server() as url:
        assert containers_behind(url) == [REDIS_IMAGE]
        with Redis.from_url(url) as client:
            assert client.dbsize() == 0
        parts = urlsplit(url)
        with Redis(host=str(parts.hostname), port=int(parts.port or 0)) as stranger, pytest.raises(AuthenticationError):
            stranger.ping()
    assert containers_behind(url) == []


def test_a_worker_of_this_machine_runs_on_a_redis_in_a_container(monkeypatch):
    from tests.kit.service import Container, Registry

    from celeriac import CeleryAppConfig, CeleryPublisher, create_celery_app

    monkeypatch.delenv("TEST_REDIS_URL", raising=False)
    with redis_server() as url, WorkerProcess("tests.kit.app", redis_url=url):
        app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": url}))
        Registry.install(app, Container())
        try:
            assert Registry(CeleryPublisher(app)).add.delay(2, 3).get(timeout=30) == 5
        finally:
            app.close()


def test_a_rabbitmq_comes_from_docker_and_takes_commands():
    assert docker_engine_answers()
    with rabbitmq_container(rabbitmq_answers) as (url, execute):
        assert containers_behind(url) == [RABBITMQ_IMAGE]
        assert execute("rabbitmqctl", "add_vhost", "own") == 0
        assert execute("rabbitmqctl", "delete_vhost", "of somebody else") != 0
        with Connection(url) as connection:
            connection.ensure_connection(max_retries=1)
    assert containers_behind(url) == []
