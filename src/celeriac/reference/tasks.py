"""The reference of tasks, written from the registry that calls them."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celeriac.tasks.definition import AnyTaskDefinition
    from celeriac.tasks.policies import Retry
    from celeriac.tasks.registry import TasksRegistry

__all__ = ["tasks_table"]

_TITLES = ("Task", "What it does", "Call", "Queue", "Retries")
_MODULES = re.compile(r"\b(?:[a-z_]\w*\.)+(?=\w)")


def tasks_table(registry: type[TasksRegistry]) -> str:
    """A Markdown table with one row for each task of a registry, in its order."""
    rows = [_row(line, definition) for line, definition in registry.definitions().items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (_TITLES, ["---"] * len(_TITLES), *rows))


def _row(line: str, definition: AnyTaskDefinition) -> list[str]:
    queue = definition.policy.queue
    return [
        _code(definition.name),
        definition.summary or "-",
        _code(f"registry.{line}.delay{_signature(definition)}"),
        "the default" if queue is None else _code(queue),
        _retries(definition.policy.retry),
    ]


def _signature(definition: AnyTaskDefinition) -> str:
    """``(x: int, y: int) -> int``, types by their own names, and None as people write it."""
    return _MODULES.sub("", str(definition.signature))


def _retries(retry: Retry | None) -> str:
    if retry is None:
        return "none"
    kinds = retry.on if isinstance(retry.on, tuple) else (retry.on,)
    many = "the default number" if retry.max_retries is None else f"up to {retry.max_retries}"
    return f"{many}, on {', '.join(_code(kind.__name__) for kind in kinds)}"


def _code(text: str) -> str:
    """Code in a table's cell: a bar in it, as in ``int | None``, is no border."""
    return f"<code>{escape(text, quote=False).replace('|', '&#124;')}</code>"
