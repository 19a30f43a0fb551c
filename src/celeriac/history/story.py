"""What the facts about a task amount to: its state, its attempts, its record."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery.utils.saferepr import saferepr

from celeriac.history.records import AttemptRecord, HistoryState, TaskRecord

if TYPE_CHECKING:
    from celeriac.history.facts import Facts, Run

__all__ = ["ms_of", "record_of", "state_of"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN: Final = 1024
"""Characters of arguments as people see them."""


class _Verdict(NamedTuple):
    """A state, and the run that says so, if any."""

    state: HistoryState
    run: Run | None
    at: int | None


def record_of(task_id: str, facts: Facts) -> TaskRecord:
    """The record that facts make."""
    runs = _ordered(facts)
    verdict = _verdict(facts, runs)
    said: dict[str, Any] = (facts.get("said") or [0, {}])[1]
    queued = facts.get("queued", {})
    retries = max([*map(int, queued), *(run.get("number", 0) for run in runs)], default=0)
    published = queued.get(str(retries), [None, None, None])
    last = verdict.run or (runs[-1] if runs else {})
    args, kwargs = said.get("payload") or (None, None)
    failed = next((run for run in reversed(runs) if run.get("error")), None)
    failed = failed if verdict.state is not HistoryState.SUCCEEDED else None
    dead = facts.get("dead")
    progress = facts.get("progress")
    whole = last.get("whole", False)
    return TaskRecord(
        id=task_id,
        name=said.get("name"),
        state=verdict.state,
        queue=said.get("queue"),
        args=args,
        kwargs=kwargs,
        args_text=said.get("args") or ("" if args is None else saferepr(tuple(args), _SHOWN)),
        kwargs_text=said.get("kwargs") or ("" if kwargs is None else saferepr(kwargs, _SHOWN)),
        result=json.loads(last["result"]) if whole and "result" in last else None,
        result_text=None if whole else last.get("result"),
        error=failed.get("error") if failed else (dead[2] if dead and verdict.state is HistoryState.DEAD else None),
        traceback=failed.get("traceback") if failed else None,
        progress=progress[2] if progress else None,
        retries=retries,
        worker=last.get("worker"),
        queued_at=_time(min((each[0] for each in queued.values()), default=None)),
        received_at=_time(last.get("received", last.get("started", facts.get("received", {}).get(str(retries))))),
        started_at=_time(last.get("started")),
        ended_at=_time(verdict.at) if verdict.state.ended else None,
        eta=_moment(published[1]),
        expires=_moment(published[2]),
        parent_id=said.get("parent"),
        root_id=said.get("root"),
        group_id=said.get("group"),
        tags=tuple(said.get("tags") or ()),
        dead_reason=f"{dead[1]}: {dead[2]}" if dead and verdict.state is HistoryState.DEAD else None,
        dead_letter=dead[3] if dead and verdict.state is HistoryState.DEAD else None,
        attempts=tuple(_attempt(run) for run in runs if "started" in run or _was_begun(run)),
    )


def state_of(facts: Facts) -> HistoryState:
    """The state alone."""
    return _verdict(facts, _ordered(facts)).state


def _verdict(facts: Facts, runs: list[Run]) -> _Verdict:
    success = next((run for run in runs if run.get("end") == HistoryState.SUCCEEDED), None)
    if success is not None:  # as in the result backend: nothing takes a success back
        return _Verdict(HistoryState.SUCCEEDED, success, success.get("ended"))
    begun = max((run.get("started", 0) for run in runs), default=0)
    if (dead := facts.get("dead")) is not None and dead[0] >= begun:
        return _Verdict(HistoryState.DEAD, None, dead[0])
    highest = max(map(int, facts.get("queued", {})), default=0)
    run = max(runs, key=_place, default=None)
    if run is None or run.get("number", 0) < highest:
        taken = max(map(int, facts.get("received", {})), default=-1)
        waits = HistoryState.RETRIED if highest else HistoryState.QUEUED
        return _Verdict(HistoryState.RECEIVED if taken >= highest else waits, run, None)
    if "end" in run:
        return _Verdict(HistoryState(run["end"]), run, run.get("ended"))
    progress = facts.get("progress")
    told = progress is not None and progress[1] == run.get("number", 0) and progress[0] >= run.get("started", 0)
    return _Verdict(HistoryState.PROGRESS if told else HistoryState.STARTED, run, None)


def _place(run: Run) -> tuple[int, int, bool]:
    """What decides which of two runs speaks for the task: the later one, and a known end where they are equal."""
    return run.get("number", 0), run.get("ended", run.get("started", 0)), "end" in run


def _ordered(facts: Facts) -> list[Run]:
    """The runs in the order in which they began; an end whose beginning was told by another process goes with it."""
    known = facts.get("runs", {})
    runs = sorted(
        ((key, run.copy()) for key, run in known.items() if "started" in run),
        key=lambda each: (each[1].get("number", 0), each[1].get("started", 0), each[0]),
    )
    found = [run for _, run in runs]
    for _, end in sorted(known.items()):
        if "started" in end:
            continue
        beginnings = [
            run
            for run in found
            if "end" not in run
            and run.get("number", 0) == end.get("number", 0)
            and run.get("started", 0) <= end.get("ended", 0)
        ]
        if beginnings:
            for name, value in end.items():
                beginnings[-1].setdefault(name, value)  # type: ignore[misc]  # a name of the same table
        else:
            found.append(end.copy())
    return found


def _was_begun(run: Run) -> bool:
    """Whether an end without a beginning is that of a process which died before it could tell of either."""
    return run.get("end") == HistoryState.FAILED and bool(run.get("worker"))


def _attempt(run: Run) -> AttemptRecord:
    return AttemptRecord(
        number=run.get("number", 0) + 1,
        state=HistoryState(run.get("end", HistoryState.STARTED)),
        worker=run.get("worker"),
        pid=run.get("pid"),
        received_at=_time(run.get("received")),
        started_at=_time(run.get("started")),
        ended_at=_time(run.get("ended")),
        error=run.get("error"),
        traceback=run.get("traceback"),
    )


def _time(ms: Any) -> datetime | None:
    return None if ms is None else _EPOCH + timedelta(milliseconds=ms)


def _moment(text: Any) -> datetime | None:
    with suppress(ValueError, TypeError):
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def ms_of(moment: datetime) -> int:
    """Milliseconds since the epoch."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)
