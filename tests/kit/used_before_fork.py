"""An app that sends, reads and runs a coroutine while it is imported: the pool's children inherit what that opened."""

from __future__ import annotations

from tests.kit.app import app
from tests.kit.service import REGISTRY, Registry

from celeriac.tasks.loop import run_coroutine

__all__ = ["app"]


async def _adelay(registry: Registry) -> None:
    await registry.ping.adelay()


_registry = REGISTRY["registry"]
_states = [_registry.ping.delay().state for _ in range(3)]
run_coroutine(_adelay(_registry))
