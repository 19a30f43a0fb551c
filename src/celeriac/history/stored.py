"""What a stored result tells of its task, where the database and the stream have not heard of its end."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from celery import states

from celeriac.history.records import HistoryState
from celeriac.history.story import ms_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celeriac.history.facts import Facts, Run

__all__ = ["facts_of_meta"]

_ENDS = {
    states.SUCCESS: HistoryState.SUCCEEDED,
    states.FAILURE: HistoryState.FAILED,
    states.RETRY: HistoryState.RETRIED,
    states.REVOKED: HistoryState.REVOKED,
}


def facts_of_meta(meta: Mapping[str, Any], number: int, *, shows: bool) -> Facts:
    """Facts out of what Celery's backends give for a task.

    Args:
        meta: of a state that is not ``PENDING``.
        number: retries so far, as far as is known.
        shows: whether the result is no secret.
    """
    state, done, now = meta["status"], meta.get("date_done"), ms_of(datetime.now(UTC))
    moment = now
    if isinstance(done, str):
        parsed = datetime.fromisoformat(done)
        moment = ms_of(parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))
    facts: Facts = {"first": moment, "last": moment}
    run: Run = {"number": number}
    if state in _ENDS:
        run["end"], run["ended"] = str(_ENDS[state]), moment
        if state == states.SUCCESS and shows:
            run["result"], run["whole"] = json.dumps(meta.get("result"), default=str), True
        elif state != states.SUCCESS:
            error: Any = meta.get("result")
            run["error"] = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error)
            run["traceback"] = str(meta.get("traceback") or "")
    else:
        run["started"] = moment
        if state != states.STARTED and isinstance(meta.get("result"), dict):
            facts["progress"] = [moment, number, meta["result"]]
    facts["runs"] = {f"?stored:{number}": run}
    return facts
