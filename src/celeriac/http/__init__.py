"""Tasks over HTTP, with FastAPI: ``pip install 'celeriac[http]'``."""

from celeriac.http.api import create_api, create_router
from celeriac.http.dependencies import get_celery_app_dependency
from celeriac.http.problems import Problem
from celeriac.http.services import Services

__all__ = ["Problem", "Services", "create_api", "create_router", "get_celery_app_dependency"]
