"""What is known of one task, so that facts may come late, twice and in any order.

Facts are a table of plain JSON. :func:`join` puts two of them together, and it does not matter which comes first, how
often, or in what company: each part keeps the greater of two values, in an order that has no other meaning. What the
facts amount to is read from them afterwards, in :mod:`celeriac.history.story`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypedDict, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Facts", "Run", "join"]

MOST_RUNS: Final = 50
"""Runs of one task that are remembered; of more, the latest."""


class Run(TypedDict, total=False):
    """One run of a task, in a worker; or an end of which nobody saw the beginning. Times are ms since the epoch."""

    number: int
    """Retries before it."""
    worker: str
    pid: int
    received: int
    started: int
    ended: int
    end: str
    """``succeeded``, ``failed``, ``retried`` or ``revoked``."""
    error: str
    traceback: str
    result: str
    """The result as JSON, or how it begins."""
    whole: bool
    """Whether that is all of it."""


class Facts(TypedDict, total=False):
    """What is known of one task."""

    first: int
    """When it was first heard of, ms."""
    last: int
    """When it was last heard of, ms."""
    said: list[Any]
    """A rank, and what the message says: see :mod:`celeriac.history.events`."""
    queued: dict[str, list[Any]]
    """Retries to when it was published, when it may run, and until when."""
    received: dict[str, int]
    """Retries to when a worker took it in hand, where that is told before it begins."""
    runs: dict[str, Run]
    """By a key that is each run's own."""
    progress: list[Any]
    """When, the retries before, and what was said."""
    dead: list[Any]
    """When, the reason, the detail, and the dead letter's id."""


def join(one: Facts, other: Facts) -> Facts:
    """All that either knows. Neither is changed."""
    first, second = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
    joined: dict[str, Any] = {**first, **second}
    for name in first.keys() & second.keys():
        joined[name] = _JOINED.get(name, _greater)(first[name], second[name])
    if "runs" in joined:
        joined["runs"] = _latest(joined["runs"])
    return cast("Facts", joined)


def _tables(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The earlier of two moments, key by key."""
    both = {key: _lesser(one[key], other[key]) for key in one.keys() & other.keys()}
    return {**one, **other, **both}


def _runs(one: Mapping[str, Run], other: Mapping[str, Run]) -> dict[str, Run]:
    runs = {**one, **other}
    for key in one.keys() & other.keys():
        first: dict[str, Any] = {**one[key]}
        for name, value in other[key].items():
            first[name] = _greater(first[name], value) if name in first else value
        runs[key] = first  # type: ignore[assignment]  # fields of a Run, all of them
    return runs


def _latest(runs: dict[str, Run]) -> dict[str, Run]:
    if len(runs) <= MOST_RUNS:
        return runs
    latest = sorted(runs, key=lambda key: (_moment(runs[key]), key))[-MOST_RUNS:]
    return {key: runs[key] for key in latest}


def _moment(run: Run) -> tuple[int, int]:
    return run.get("number", 0), run.get("started", run.get("ended", 0))


def _greater(one: Any, other: Any) -> Any:
    return one if _order(one) >= _order(other) else other


def _lesser(one: Any, other: Any) -> Any:
    return one if _order(one) <= _order(other) else other


def _order(value: Any) -> tuple[float, str]:
    """Numbers by their size, lists by their first number; whatever is equal by its text."""
    items: Any = value  # a name of its own: isinstance() narrows `value` to a list of unknowns
    head: Any = items[0] if isinstance(value, list) and items else items
    number = head if isinstance(head, int | float) else 0
    return number, value if isinstance(value, str) else json.dumps(value, sort_keys=True)


_JOINED: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "first": min,
    "last": max,
    "queued": _tables,
    "received": _tables,
    "runs": _runs,
}
