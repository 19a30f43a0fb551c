"""A worker whose server is not there says so, and tries again until it is: Celery's own behaviour, which we keep."""

from __future__ import annotations

import socket
import subprocess

import pytest
from tests.faults.harness.waiting import until
from tests.integration.conftest import APP, broker_on

from celeriac.testing.embedded import answers, find_redis_server
from celeriac.testing.worker import CeleryProcess

pytestmark = [pytest.mark.xdist_group("crashes"), pytest.mark.timeout(90)]


class HopefulWorker(CeleryProcess):
    """Counts as started once it has said that it finds no server."""

    command = "worker"


def a_free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_it_names_the_server_without_its_password_and_works_once_that_answers(tmp_path):
    port = a_free_port()
    url = f"redis://:geheim@127.0.0.1:{port}/0"
    with HopefulWorker(APP, redis_url=url, arguments=["--pool=solo"], ready="asked again in") as worker:
        (line,) = [line for line in worker.log.splitlines() if "asked again in" in line][:1]
        assert f"127.0.0.1:{port}" in line
        assert "Connection refused" in line
        assert "geheim" not in worker.log

        binary = str(find_redis_server())
        options = ["--port", str(port), "--requirepass", "geheim", "--save", "", "--dir", str(tmp_path)]
        with subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL) as server:
            try:
                until(lambda: answers(url))
                assert worker.wait_for(r" ready\.", timeout=30)
                with broker_on(url) as broker:
                    assert broker.registry.ping.delay().get(timeout=20) == {"result": "pong"}
                assert worker.stop() == 0
            finally:
                server.terminate()
