from __future__ import annotations

from core.health.service import HealthService


def test_a_service_that_is_alive_answers():
    assert HealthService().ping() == "pong"
