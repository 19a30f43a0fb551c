"""The events of the stream, read: each becomes facts about some tasks.

Three kinds travel. ``q`` tells of messages that were sent together, ``w`` of what a worker did since it last wrote, and
``d`` of a dead letter. They are written in :mod:`celeriac.transport.publishing.told`, in
:mod:`celeriac.transport.results.journal`, and by the script that buries a message.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final, cast

from celeriac.history.records import HistoryState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celeriac.history.facts import Facts, Run

__all__ = ["PUBLISHED", "facts_of", "tells_of"]

logger = logging.getLogger(__name__)

SEEN: Final = 1
PUBLISHED: Final = 2
"""Who wrote a message knows more of it than who read it."""
_ENDS: Final = {
    "SUCCESS": HistoryState.SUCCEEDED,
    "FAILURE": HistoryState.FAILED,
    "RETRY": HistoryState.RETRIED,
    "REVOKED": HistoryState.REVOKED,
    "REJECTED": HistoryState.REVOKED,
    "IGNORED": HistoryState.SUCCEEDED,
}


def tells_of(event: bytes, task_id: str) -> bool:
    """Whether an event may tell of a task, without reading all of it."""
    return task_id.encode() in event


def facts_of(moment: int, event: bytes, longest: int = 8192) -> Iterator[tuple[str, Facts]]:
    """The facts that an event holds: ids of tasks, each with what is said of it. What cannot be read holds none.

    Args:
        moment: of the entry, ms since the epoch.
        event: the entry's field.
        longest: characters of an error's traceback that are kept.
    """
    try:
        said: dict[str, Any] = json.loads(event)
        read = {"q": _published, "w": _worked, "d": _buried}[said["k"]]
        yield from read(moment, said, longest)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        logger.warning("an event of the history cannot be read: %r", error)


def _published(moment: int, said: dict[str, Any], longest: int) -> Iterator[tuple[str, Facts]]:
    del longest
    retries = str(said.get("n", 0))
    known = {"name": said["t"], "queue": said["u"], "group": said.get("g"), "tags": said.get("s")}
    for call in said["c"]:
        task_id, root, parent, payload, args, kwargs = (*call, None, None, None, None, None)[:6]
        what = {**known, "root": root or task_id, "parent": parent, "payload": payload, "args": args, "kwargs": kwargs}
        facts: Facts = {
            "first": moment,
            "last": moment,
            "said": [PUBLISHED, {name: value for name, value in what.items() if value}],
            "queued": {retries: [moment, said.get("e"), said.get("x")]},
        }
        yield str(task_id), facts


def _worked(moment: int, said: dict[str, Any], longest: int) -> Iterator[tuple[str, Facts]]:
    for row in said["c"]:
        task_id, key, retries, received, started, ended, end, what, meta = row
        run: Run = {"number": retries, "worker": said["w"], "pid": said["p"]}
        facts: Facts = {}
        times = [moment - age for age in (received, started, ended) if age is not None]
        facts["first"], facts["last"] = min(times, default=moment), max(times, default=moment)
        if what:
            names = ("name", "queue", "root", "parent", "group", "args", "kwargs")
            facts["said"] = [SEEN, {name: value for name, value in zip(names, what, strict=True) if value}]
        if started is not None:
            run["started"] = moment - started
            run["received"] = moment - (started if received is None else received)
        elif received is not None:
            facts["received"] = {str(retries): moment - received}
        if end == "PROGRESS":
            facts["progress"] = [moment - ended, retries, (meta or {}).get("result")]
        elif end is not None:
            run["ended"], run["end"] = moment - ended, str(_ENDS.get(end, HistoryState.FAILED))
            _tell_the_end(run, cast("dict[str, Any]", meta or {}), longest)
        if "started" in run or "end" in run:
            facts["runs"] = {str(key): run}
        yield str(task_id), facts


def _tell_the_end(run: Run, meta: dict[str, Any], longest: int) -> None:
    """A result, or an error, out of what the result backend stores."""
    if run.get("end") == HistoryState.SUCCEEDED:
        if "cut" in meta:
            run["result"], run["whole"] = str(meta["cut"]), False
        elif "result" in meta:
            run["result"], run["whole"] = json.dumps(meta["result"], separators=(",", ":"), ensure_ascii=False), True
        return
    if meta.get("result") is not None:
        run["error"] = _error(meta["result"])[:longest]
    if traceback := meta.get("traceback"):
        run["traceback"] = str(traceback)[-longest:]


def _error(stored: Any) -> str:
    """An exception as Celery stores it, in a line or some."""
    if not isinstance(stored, dict):
        return str(stored)
    error = cast("dict[str, Any]", stored)
    message = error.get("exc_message")
    text = ", ".join(map(str, cast("list[Any]", message))) if isinstance(message, list | tuple) else str(message or "")
    name = str(error.get("exc_type") or "Exception")
    return f"{name}: {text}" if text else name


def _buried(moment: int, said: dict[str, Any], longest: int) -> Iterator[tuple[str, Facts]]:
    facts: Facts = {
        "first": moment,
        "last": moment,
        "dead": [moment, said["r"], str(said["m"])[:longest], said["l"]],
        "said": [0, {"name": said["t"], "queue": said["u"]}],
    }
    yield str(said["i"]), facts
