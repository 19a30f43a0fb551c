"""A language model, of the suite's own."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from tests.kit.completions_server import CompletionsServer


@pytest.fixture(scope="session")
def _model() -> Generator[CompletionsServer]:
    with CompletionsServer() as server:
        yield server


@pytest.fixture
def model(_model: CompletionsServer) -> CompletionsServer:
    """The server, as new."""
    _model.reset()
    return _model
