"""Sending a call that needs a place: asked for with the message where one server keeps both, else before it."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from celery._state import get_current_worker_task
from redis.exceptions import RedisError

from celeriac.exceptions import BrokerUnavailable
from celeriac.transport.holds.hold import HEADER, Answer
from celeriac.transport.publishing.letter import Letter
from celeriac.transport.publishing.result import SentResult
from celeriac.transport.publishing.template import Lineage

if TYPE_CHECKING:
    from celery import Celery

    from celeriac.flow.frame import Posting
    from celeriac.transport.holds.hold import Hold
    from celeriac.transport.holds.holds import Holds

__all__ = ["send_held"]

logger = logging.getLogger(__name__)

_PLAIN: Final = frozenset({"headers", "ignore_result"})
_RENDERED: Final = _PLAIN | {
    "countdown",
    "eta",
    "expires",
    "priority",
    "queue",
    "soft_time_limit",
    "time_limit",
}
"""Options of which a message can be made without Celery's sending it."""


def send_held(app: Celery, posting: Posting, places: Holds, hold: Hold) -> SentResult:
    """Send a call, unless another has its place: then the result is that one's.

    Raises:
        BrokerUnavailable: the broker, or the server that keeps places, did not answer in time.
    """
    ignored = bool(posting.options.setdefault("ignore_result", posting.task.ignore_result))
    answer = _send(app, posting, places, hold, insist=False)
    if answer.due is not None:  # the window ends before it would run
        posting.put_off(answer.due)
        answer = _send(app, posting, places, replace(hold, delay=answer.due), insist=True)
    if answer.holder is not None:
        return SentResult(app, answer.holder, ignored=ignored, dropped=True)
    return SentResult(app, hold.task_id, ignored=ignored)


def _send(app: Celery, posting: Posting, places: Holds, hold: Hold, *, insist: bool) -> Answer:
    letter = _letter(app, posting, places)
    if letter is None:
        return _send_in_steps(app, posting, places, hold, insist=insist)
    amqp: Any = app.amqp
    answer: Answer = amqp.held_sender(places).send(letter, hold, insist=insist)
    if answer == Answer() and (parent := get_current_worker_task()) is not None:
        parent.add_trail(SentResult(app, hold.task_id))
    return answer


def _letter(app: Celery, posting: Posting, places: Holds) -> Letter | None:
    """The message as it stands, or ``None`` where it has to go Celery's whole way."""
    amqp: Any = app.amqp
    if not hasattr(amqp, "held_sender") or amqp.held_sender(places) is None or amqp.observed:
        return None
    options = dict(posting.options)
    task_id, lineage = options.pop("task_id"), _lineage(options)
    masked = None
    if "argsrepr" in options:
        masked = options.pop("argsrepr"), options.pop("kwargsrepr")
    if not options.keys() <= _RENDERED:
        return None
    task, held = posting.task, ""
    usual = options["ignore_result"] == bool(task.ignore_result) and len(options["headers"]) == 1
    usual = usual and not task.flow.stamps  # which differ from call to call
    if usual and options.keys() == _PLAIN and lineage is None:
        template, held = amqp.template(task.name, masked=masked is not None, held=True), options["headers"][HEADER]
    else:
        template = amqp.template_with(task.name, options, masked=masked is not None)
    if template is None:
        return None
    reply_to: Any = app
    payload, told = template.render_told(
        task_id,
        posting.args,
        posting.kwargs,
        reply_to=reply_to.thread_oid,
        lineage=lineage,
        masked=masked,
        held=held,
    )
    event = template.event(told, packs=False) if told else None
    return Letter(template.key, payload, task.name, template.binding, template.policy, event)


def _lineage(options: dict[str, Any]) -> Lineage | None:
    root, parent = options.pop("root_id", None), options.pop("parent_id", None)
    if parent is not None:
        return Lineage(root, parent)
    if (task := get_current_worker_task()) is not None:
        return Lineage(task.request.root_id or task.request.id, task.request.id)
    return None


def _send_in_steps(app: Celery, posting: Posting, places: Holds, hold: Hold, *, insist: bool) -> Answer:
    """Take the place for some seconds, send the message, and keep the place. Who dies in between loses it again."""
    started = time.monotonic()
    try:
        answer = places.take(hold, insist=insist)
        if answer != Answer():
            return answer
        try:
            app.send_task(posting.task.name, tuple(posting.args), dict(posting.kwargs), **posting.options)
        except BaseException as error:
            ours = error if isinstance(error, BrokerUnavailable) else error.__cause__  # kombu wraps it
            if not getattr(ours, "uncertain", False):
                places.leave(hold.name, hold.task_id)
            raise
        try:
            places.confirm(hold)
        except RedisError as error:  # it was sent, and that is what counts
            logger.warning("%s[%s] may lose its place: %s", posting.task.name, hold.task_id, error)
    except RedisError as error:
        raise BrokerUnavailable(
            task=posting.task.name,
            broker=places.address,
            seconds=time.monotonic() - started,
            reason=(str(error) or type(error).__name__).partition("\n")[0],
            uncertain=False,
        ) from error
    return answer
