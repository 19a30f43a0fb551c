"""What a workflow over data begins and ends with, over tables and results in memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime

import pytest
from pydantic import JsonValue

from core.data.entities import Examined, Summary
from core.data.errors import ContradictingOutcomeError
from core.data.service import DataService
from core.data.workflow import DataWorkflow

NOW = datetime(2026, 1, 5, tzinfo=UTC)


class Tables:
    def read(self, name: str) -> list[dict[str, str]]:
        return [{"name": name}]


class Results(dict[str, Mapping[str, JsonValue]]):
    def keep(self, workflow_id: str, outcome: Mapping[str, JsonValue]) -> tuple[Mapping[str, JsonValue], datetime]:
        return self.setdefault(workflow_id, outcome), NOW


def workflow(results: Results) -> DataWorkflow:
    return DataWorkflow(Tables(), results, nullcontext())  # type: ignore[arg-type]  # a transaction of nothing


def test_rows_are_fetched_by_the_name_of_their_table():
    assert workflow(Results()).fetch("orders") == [{"name": "orders"}]


def test_the_same_outcome_is_kept_once():
    results = Results()
    first, second = (workflow(results).save("w", {"processed": 3}) for _ in range(2))
    assert first == second
    assert (first.workflow_id, first.saved) == ("w", NOW)
    assert results == {"w": {"processed": 3}}


def test_another_outcome_of_the_same_workflow_is_refused():
    results = Results(w={"processed": 3})
    with pytest.raises(ContradictingOutcomeError, match=r"^the workflow w came to \{'processed': 4\}, but"):
        workflow(results).save("w", {"processed": 4})
    assert results == {"w": {"processed": 3}}


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ({"a": 1, "b": None, "c": ""}, Examined(3, ("b", "c"))),
        ({"a": 0, "b": False}, Examined(2)),
        ({}, Examined(0)),
        ("", Examined(1, ("value",))),
        (None, Examined(1, ("value",))),
        (0, Examined(1)),
        ([], Examined(1)),
    ],
)
def test_an_item_is_examined_for_what_is_missing(item, found):
    assert DataService().examine(item) == found


def test_a_summary_counts_what_is_missing_the_most_frequent_first():
    found = [Examined(2, ("a",)), Examined(2), Examined(2, ("b", "c")), Examined(1, ("b",))]
    summary = DataService().summarise(found)
    assert summary == Summary(items=4, complete=1, missing={"b": 2, "a": 1, "c": 1})
    assert list(summary.missing) == ["b", "a", "c"]
    assert DataService().summarise([]) == Summary(0, 0, {})
