"""A real HTTP server over a real broker, with and without a real worker."""

from __future__ import annotations

from collections.abc import Generator

import httpx
import pytest
from tests.integration.conftest import Broker
from tests.kit.api import door

from celeriac.http import Services


@pytest.fixture
def api(alone: Broker) -> Generator[httpx.Client]:
    """The API over a broker that no worker reads yet, without a history."""
    with door(Services(alone.app, alone.registry), alone.url) as client:
        yield client


@pytest.fixture
def working(shared: Broker, worker: object) -> Generator[httpx.Client]:
    """The API over the broker of the pools' workers, without a history."""
    with door(Services(shared.app, shared.registry), shared.url) as client:
        yield client
