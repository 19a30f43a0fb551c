"""The service's own workflows, as type checkers see them. Never run."""

from __future__ import annotations

from typing import assert_type

from pydantic import JsonValue

from celeriac import Step, chunked, gather
from core.data.entities import Saved, Summary
from delivery.tasks.controllers.data import ProcessedData
from delivery.tasks.controllers.market import IndexComputed
from delivery.tasks.registry import TasksRegistry


def over_data(tasks: TasksRegistry, rows: list[JsonValue]) -> None:
    assert_type(tasks.fetch_data.s("orders").then(tasks.process_data).then(tasks.save_results), Step[Saved])
    findings = gather(*[tasks.process_item.s(row) for row in rows])
    assert_type(findings.then(tasks.aggregate_results), Step[Summary])
    assert_type(chunked(tasks.process_data, rows, size=100), Step[list[ProcessedData]])


def over_the_market(tasks: TasksRegistry) -> None:
    assert_type(tasks.refresh_market_data.s("smart").then(tasks.compute_index), Step[IndexComputed])
    assert_type(tasks.refresh_market_data.s().then(tasks.compute_index, base_day=None), Step[IndexComputed])


def not_so(tasks: TasksRegistry) -> None:
    tasks.fetch_data.s("orders").then(tasks.save_results)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    tasks.refresh_market_data.s("quick")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
