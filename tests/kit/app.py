"""``celery --app=tests.kit.app worker`` over the test-suite's own service."""

from __future__ import annotations

from tests.kit.service import REGISTRY, Container, Registry

from celeriac import CeleryPublisher, create_celery_app

app = create_celery_app()
Registry.install(app, Container())
REGISTRY["registry"] = Registry(CeleryPublisher(app))
