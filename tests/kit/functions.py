"""Function tasks, as plain Celery has them, on an app of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celeriac import create_celery_app

celery_app = create_celery_app()


@celery_app.task(name="send_email")
def send_email(to: str, subject: str, body: str) -> dict[str, Any]:
    return {"status": "sent", "to": to}


@celery_app.task(name="process_upload")
def process_upload(file_id: str) -> dict[str, Any]:
    return {"file_id": file_id, "processed": True}


@celery_app.task(bind=True, name="broken", max_retries=3, default_retry_delay=0)
def broken(self: Any, path: str) -> None:
    """Write down each execution, and fail."""
    attempt = self.request.retries + 1
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{attempt}\n")
    raise self.retry(exc=OSError(attempt))


@celery_app.task(bind=True, name="broken.for_minutes", max_retries=3, default_retry_delay=60)
def broken_for_minutes(self: Any) -> None:
    raise self.retry(exc=OSError())
