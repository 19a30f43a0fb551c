"""The HTTP door on a real server, in this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from tests.faults.harness.waiting import until

from celeriac.http import Services, create_api
from celeriac.security.gate import Gate
from celeriac.security.server import Server
from celeriac.transport.link import connector


@contextmanager
def serving(app: FastAPI, **options: Any) -> Generator[str]:
    """The address of an application that uvicorn serves, until the end of the block."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=2, **options)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            until(lambda: server.started or not thread.is_alive())
            assert thread.is_alive()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


def open_gate(url: str) -> Gate:
    """A gate that lets everybody in."""
    return Gate(Server(connector(url)), open_to_all=True, environment="test")


@contextmanager
def door(services: Services, gate_url: str, **options: Any) -> Generator[httpx.Client]:
    """A client of the whole API."""
    app = create_api(services, open_gate(gate_url), **options)
    with serving(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client
