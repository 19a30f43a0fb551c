"""The types that options have, and how each is read from text.

An environment variable is text, so every type here also takes the text form of its value: a comma list or JSON for
lists, JSON for tables, a number for durations. Errors say what is wrong and never show the value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal, cast
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, Secret, SecretStr

from celeriac.schedule.coercion import coerce_beat_schedule

__all__ = [
    "Annotations",
    "BeatSchedule",
    "Count",
    "DeliveryMode",
    "Fraction",
    "JsonObject",
    "Kibibytes",
    "Milliseconds",
    "Names",
    "Port",
    "PositiveCount",
    "PositiveSeconds",
    "Priority",
    "Protocol",
    "QueueTable",
    "Routes",
    "Seconds",
    "SecretObject",
    "SecretUrl",
    "Symbol",
    "TimeZoneName",
    "WholeSeconds",
]


def _from_json(value: Any) -> Any:
    """The object that a JSON text describes; anything that is no text stays as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        problem = "it is not valid JSON"
        # Without its cause: the decoder's error carries the whole text, which may hold a password.
        raise ValueError(problem) from None


def _from_list(value: Any) -> Any:
    """The items of a comma list or a JSON list, spaces and empty items dropped."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith(("[", "{")):
        return _from_json(value)
    return tuple(item for item in map(str.strip, value.split(",")) if item)


def _from_lookalike(value: Any) -> Any:
    """JSON where the text looks like it; any other text is a dotted name and stays."""
    return _from_json(value) if isinstance(value, str) and value.lstrip().startswith(("[", "{")) else value


def _seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _whole_if_whole(value: float) -> float:
    # Celery's own defaults are whole numbers, and some servers take no others.
    return int(value) if value.is_integer() else value


def _url(value: Any) -> Any:
    """One text from a URL or a list of URLs to fail over to; Celery joins them with semicolons."""
    if isinstance(value, list | tuple):
        return ";".join(map(str, cast("Sequence[Any]", value)))
    return value


def _time_zone(value: Any) -> Any:
    """A name that the time-zone database knows."""
    if isinstance(value, ZoneInfo):
        return value.key
    try:
        ZoneInfo(str(value))
    except (LookupError, ValueError, OSError):
        problem = "no time zone has that name; write one like UTC or Europe/Berlin"
        raise ValueError(problem) from None
    return value


def _queue_table(value: Any) -> Any:
    """Queue options by queue name, from names, from a table, or from kombu's ``Queue`` objects (kept as they are)."""
    value = _from_list(value)
    if not isinstance(value, list | tuple):
        return value
    table: dict[str, Any] = {}
    for item in cast("Sequence[Any]", value):
        table[item if isinstance(item, str) else item.name] = {} if isinstance(item, str) else item
    return table


def _beat_schedule(value: Any) -> dict[str, dict[str, Any]]:
    return coerce_beat_schedule(_from_json(value))


Names = Annotated[tuple[str, ...], BeforeValidator(_from_list)]
"""Names: a sequence, a comma list, or a JSON list."""
JsonObject = Annotated[dict[str, Any], BeforeValidator(_from_json)]
"""A table: a dict, or JSON."""
SecretObject = Annotated[Secret[dict[str, Any]], BeforeValidator(_from_json)]
"""A table that may hold a password: a dict, or JSON."""
SecretUrl = Annotated[SecretStr, BeforeValidator(_url)]
"""A URL, or several to fail over to: a sequence, or one text with semicolons between them."""
Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0), AfterValidator(_whole_if_whole)]
"""A duration in seconds, or a timedelta."""
PositiveSeconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0), AfterValidator(_whole_if_whole)]
"""A duration in seconds, or a timedelta, and not 0."""
WholeSeconds = Annotated[int, BeforeValidator(_seconds), Field(ge=0)]
"""A duration in whole seconds, or a timedelta."""
Milliseconds = Annotated[int, Field(ge=0)]
Kibibytes = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
PositiveCount = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(gt=0, le=1)]
"""A part of a whole: more than 0, at most 1."""
Port = Annotated[int, Field(ge=1, le=65535)]
Priority = Annotated[int, Field(ge=0, le=255)]
Protocol = Annotated[int, Field(ge=1, le=2)]
"""The version of Celery's message protocol."""
DeliveryMode = Literal["transient", "persistent"] | Annotated[int, Field(ge=1, le=2)]
"""1 or ``transient``: kept in memory. 2 or ``persistent``: also written to disk."""
TimeZoneName = Annotated[str, BeforeValidator(_time_zone)]
Symbol = str | type[Any]
"""A class, or its dotted name."""
Routes = Annotated[
    dict[str, Any] | list[Any] | tuple[Any, ...] | str | Callable[..., Any], BeforeValidator(_from_lookalike)
]
"""A table of routes, a list of routers, or the dotted name of one; see Celery's ``task_routes``."""
Annotations = Annotated[Any, BeforeValidator(_from_lookalike)]
"""Attributes by task name, or objects with ``annotate``; see Celery's ``task_annotations``."""
QueueTable = Annotated[dict[str, Any], BeforeValidator(_queue_table)]
"""Options by queue name: a comma list of names, JSON, or a sequence of kombu's ``Queue``."""
BeatSchedule = Annotated[dict[str, Any], BeforeValidator(_beat_schedule)]
"""Schedule entries by name, each schedule in any form that ``celeriac.schedule`` takes."""
