"""The reference of the HTTP routes, written from their OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["routes_table"]

_TITLES: Final = ("Route", "Does", "Answers")
_METHODS: Final = ("get", "post", "delete")


def routes_table(document: dict[str, Any]) -> str:
    """A Markdown table with one row for each operation, but for those of single tasks, which stand for themselves."""
    rows: list[list[str]] = []
    for path, operations in sorted(document["paths"].items()):
        for method in _METHODS:
            operation: dict[str, Any] | None = operations.get(method)
            if operation is not None and "x-celeriac-task" not in operation:
                rows.append(
                    [f"`{method.upper()} {path}`", str(operation["summary"]), ", ".join(sorted(operation["responses"]))]
                )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (_TITLES, ["---"] * len(_TITLES), *rows))
