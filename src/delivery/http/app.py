"""The entry point of the HTTP server: ``uvicorn delivery.http.app:app``."""

from __future__ import annotations

from fastapi import FastAPI

from core.configs.infrastructure import configure_infrastructure
from ioc.container import get_container
from ioc.http import register_http

__all__ = ["app"]

configure_infrastructure(service_name="http")

_container = get_container(register_http)
app = _container.resolve(FastAPI)
