from __future__ import annotations

from celeriac import Retry, TaskController, TasksRegistry, task
from celeriac.reference.tasks import tasks_table


class StockController(TaskController):
    @task("stock.count", queue="slow", retry=Retry(on=(OSError, LookupError)))
    def count(self, shelf: int | None = None) -> list[str]:
        """Count what is there.

        Nobody reads this line in a table.
        """
        return [str(shelf)]

    @task("stock.clear")
    def clear(self) -> None: ...


class Tasks(TasksRegistry):
    count_stock = StockController.count
    clear = StockController.clear


def test_the_table_has_a_row_for_each_registry_line_and_says_how_to_call_it():
    _, _, count, clear = tasks_table(Tasks).splitlines()

    assert count.split(" | ") == [
        "| <code>stock.count</code>",
        "Count what is there.",
        # A bar would end the cell.
        "<code>registry.count_stock.delay(shelf: int &#124; None = None) -&gt; list[str]</code>",
        "<code>slow</code>",
        "the default number, on <code>OSError</code>, <code>LookupError</code> |",
    ]
    assert clear.split(" | ")[1:] == ["-", "<code>registry.clear.delay() -&gt; None</code>", "the default", "none |"]
