"""What the task of an export tells of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from redis import Redis

from celeriac import TaskContext
from core.exports.entities import Export, ExportProgress
from core.exports.errors import ExportNotWrittenError, NoRoomError, NothingToExportError
from core.exports.formats import ExportFormat
from core.exports.ports import ReportProgress
from core.exports.service import ExportService
from core.transactions import DatabaseUnavailableError
from delivery.tasks.controllers.exports import ExportsTaskController
from infrastructure.redis.progress import RedisProgressBoard

NOW = datetime(2026, 11, 21, tzinfo=UTC)
STEP: ExportProgress = {"current": 3, "total": 4, "percent": 75, "message": "Generating export file..."}


class Context:
    id = "t1"

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def progress(self, **progress: Any) -> None:
        self.told.append(progress)


class Service:
    def export(self, task_id: str, user_id: int, kind: ExportFormat, report: ReportProgress) -> Export:
        report(STEP)
        return Export(task_id, user_id, kind, "/exports/a.json", 1, NOW, NOW)


@pytest.mark.proves("S002-17", "S002-19")
def test_each_step_becomes_the_progress_of_the_task_and_the_file_its_result():
    context = Context()
    controller = ExportsTaskController(cast("ExportService", Service()), cast("TaskContext", context))
    assert controller.export_user_data(7, "json") == {"status": "completed", "file_path": "/exports/a.json"}
    assert context.told == [STEP]


@pytest.mark.proves("S002-18")
def test_redis_that_is_away_costs_the_report_and_not_the_export():
    with Redis(port=1, socket_connect_timeout=1) as nobody:
        RedisProgressBoard(nobody).put("t1", STEP)


def test_what_may_pass_is_tried_again_and_what_stays_wrong_is_not():
    policy = ExportsTaskController.export_user_data.policy
    assert policy.retry is not None
    assert policy.retry.covers(DatabaseUnavailableError("away"))
    assert policy.retry.covers(NoRoomError("full"))
    assert not policy.retry.covers(NothingToExportError.of(7))
    assert not policy.retry.covers(ExportNotWrittenError("read-only"))
