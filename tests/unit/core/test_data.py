"""Going through data, without a worker."""

from __future__ import annotations

import pytest
import structlog
from pydantic import JsonValue
from structlog.testing import capture_logs

from core.data.service import DataService


def test_each_item_is_reported_as_it_is_done():
    reports: list[tuple[int, int]] = []
    items: list[JsonValue] = [1, "x", None]
    assert DataService().process(items, lambda current, total: reports.append((current, total))) == 3
    assert reports == [(1, 3), (2, 3), (3, 3)]


def test_no_items_are_no_work_and_no_report():
    reports: list[tuple[int, int]] = []
    assert DataService().process([], lambda current, total: reports.append((current, total))) == 0
    assert reports == []


@pytest.mark.usefixtures("own_logging")
def test_items_with_something_missing_are_counted_in_the_log(monkeypatch):
    monkeypatch.setattr("core.data.service.logger", structlog.get_logger())  # one that was used keeps its configuration
    items: list[JsonValue] = [{"a": 1, "b": None}, {"a": ""}, {"a": 0}, "", None, 0, "x", {}]
    with capture_logs() as lines:
        DataService().process(items, lambda *_: None)
    assert lines == [{"event": "data processed", "log_level": "info", "items": 8, "incomplete": 4}]
