"""What is known of one task, so that facts may come late, twice and in any order.

Facts are a table of plain JSON. :func:`join` puts two of them together, and it does not matter which comes first, how
often, or in what company: each part keeps the greater of two values, in an order that has no other meaning. What the
facts amount to is read from them afterwards, in :mod:`celeriac.history.story`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    joined: Facts = {**one, **other}
    if "first" in one and "first" in other:
        joined["first"] = min(one["first"], other["first"])
    if "last" in one and "last" in other:
        joined["last"] = max(one["last"], other["last"])
    for name in ("said", "progress", "dead"):
        if name in one and name in other:
            joined[name] = _greater(one[name], other[name])
    for table in ("queued", "received"):
        if table in one and table in other:
            joined[table] = _tables(one[table], other[table])
    if "runs" in joined:
        joined["runs"] = _runs(one.get("runs", {}), other.get("runs", {}))
    return joined


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
    if len(runs) > MOST_RUNS:
        latest = sorted(runs, key=lambda key: (_moment(runs[key]), key))[-MOST_RUNS:]
        runs = {key: runs[key] for key in latest}
    return runs


def _moment(run: Run) -> tuple[int, int]:
    return run.get("number", 0), run.get("started", run.get("ended", 0))


def _greater(one: Any, other: Any) -> Any:
    return one if _order(one) >= _order(other) else other


def _lesser(one: Any, other: Any) -> Any:
    return one if _order(one) <= _order(other) else other


def _order(value: Any) -> tuple[float, str]:
    """Numbers by their size, lists by their first number; whatever is equal by its text."""
    head: Any = value[0] if isinstance(value, list) and value else value
    number = head if isinstance(head, int | float) else 0
    return number, value if isinstance(value, str) else json.dumps(value, sort_keys=True)
