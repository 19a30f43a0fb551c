"""The service's HTTP door, which dies as it keeps what a request changes: at the moment that ``FAULTS_DIE`` names.

``uvicorn tests.faults.harness.dying_door:app``
"""

from __future__ import annotations

import os
import signal

from sqlalchemy import event
from sqlalchemy.orm import Session

from delivery.http.app import app

__all__ = ["app"]


def die(_: Session) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


event.listen(Session, os.environ["FAULTS_DIE"], die)
