"""What a worker tells the history: gathered, and sent in the pipeline that stores results anyway.

So nothing is acknowledged before the history knows of it, and a worker that is killed leaves at most what runs again.
"""

from __future__ import annotations

import logging
import os
import time
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Final

from kombu.utils.json import JSONEncoder

from celeriac.transport.publishing.ids import fresh_id
from celeriac.transport.results.entry import Entry, is_refused_for_memory
from celeriac.transport.stream import HistoryStream

if TYPE_CHECKING:
    from celery import Celery

    from celeriac.transport.results.writer import ResultWriter

__all__ = ["Happening", "Journal", "JournalEntry", "journal_of"]

logger = logging.getLogger(__name__)

KEY: Final = b"celeriac.history"
"""Under which the journal waits among the results; no task has it."""
WEIGHT: Final = 400
"""Bytes that one happening counts as."""
_MOST: Final = 1000
"""Happenings in one entry of the stream."""
_COMPLAINS_EVERY: Final = 60.0
_TOLD: Final = ("SUCCESS", "FAILURE", "RETRY", "REVOKED")
_encode: Final = JSONEncoder(separators=(",", ":")).encode
_FULL: Final = (
    # A server without memory stops a script at its first write that takes any, and at no later one.
    b"redis.call('DEL', KEYS[1] .. ':none') "
    b"return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'e', ARGV[2])"
)


class Happening:
    """One run of a task, as far as it is known here and not told yet; or a message that was sent."""

    __slots__ = ("end", "ended", "entry", "key", "meta", "raw", "received", "request", "retries", "started", "task_id")

    def __init__(self, task_id: str, key: str, retries: int) -> None:
        self.task_id = task_id
        self.key = key
        self.retries = retries
        self.request: Any = None
        """What tells of the message, where this happening has to."""
        self.received: float | None = None
        self.started: float | None = None
        self.ended: float | None = None
        self.end: str | None = None
        self.meta: bytes | None = None
        """What is stored as the result, as JSON."""
        self.raw: bytes | None = None
        """An event that is rendered already, instead of all this."""
        self.entry: JournalEntry | None = None
        """Where it waits."""


class JournalEntry(Entry):
    """All that has happened since the last flush, among the results that wait."""

    __slots__ = ("happenings", "journal")

    def __init__(self, journal: Journal, position: int) -> None:
        super().__init__(KEY, b"", 0, success=True, position=position)
        self.journal = journal
        self.happenings: list[Happening] = []

    @property
    def weight(self) -> int:
        """Bytes that it counts as."""
        return WEIGHT * len(self.happenings)

    @property
    def scripted(self) -> bool:
        """Never by the results' script."""
        return False

    @property
    def replies(self) -> int:
        """One for each command."""
        return len(self.events())

    def add(self, happening: Happening) -> None:
        """One more."""
        happening.entry = self
        self.happenings.append(happening)

    def absorb(self, later: Entry) -> bool:
        """Take over what came while this one was under way."""
        if isinstance(later, JournalEntry):
            for happening in later.happenings:
                self.add(happening)
        return True

    def events(self) -> list[list[Happening]]:
        """What goes into one entry of the stream each."""
        ours = [each for each in self.happenings if each.raw is None]
        return [[each] for each in self.happenings if each.raw is not None] + [
            ours[at : at + _MOST] for at in range(0, len(ours), _MOST)
        ]

    def render(self) -> bytes:
        """Its commands as they travel, with ages as of now."""
        return self.journal.render(self.events(), refused=self.refused)

    def refused_for_good(self, reply: Exception) -> bool:
        """Whether the server will never take it. History is worth less than results, which would wait behind it."""
        if is_refused_for_memory(reply) and not self.refused:
            return False
        self.journal.complain(reply, len(self.happenings))
        return True


class Journal:
    """Notes what happens to the tasks of one app in this process.

    Args:
        app: whose tasks have secrets.
        writer: stores the results.
        stream: where events go.
        longest: characters of a result that are kept.
    """

    def __init__(self, app: Celery, writer: ResultWriter, stream: HistoryStream, longest: int) -> None:
        self.received: float | None = None
        """When this process took what it works on in hand; set by who claims many at once."""
        self._app = app
        self._writer = writer
        self._stream = stream
        self._longest = longest
        self._complained = -_COMPLAINS_EVERY
        self._open: dict[str, Happening] = {}
        self._pid = 0
        self._prefix = ""
        self._count = 0
        self._hostname = ""

    # -- what happens

    def started(self, task: Any) -> None:
        """A run begins, of the request that is on top of the task's stack."""
        request = task.request_stack.top
        if request is None or request.is_eager or request.id is None:
            return
        if self._pid != os.getpid():
            self._after_fork()
        self._count += 1
        happening = Happening(request.id, f"{self._prefix}{self._count}", request.retries or 0)
        happening.request = request
        happening.started = time.monotonic()
        happening.received = self.received
        self._hostname = request.hostname or self._hostname
        self._open[request.id] = happening
        self._note(happening)

    def ended(self, task_id: str, state: str, payload: bytes | None, request: Any) -> None:
        """A run has ended, or said how far it is.

        Args:
            task_id: whose.
            state: Celery's, or a task's own.
            payload: what is stored as its result, where that is plain JSON and no secret.
            request: what tells of the message.
        """
        if request is not None and getattr(request, "is_eager", False):
            return
        report = state not in _TOLD
        name = getattr(request, "task", None)
        if payload is not None:
            payload = self._presentable(name, payload, state)
        happening = self._open.get(task_id) if report else self._open.pop(task_id, None)
        now = time.monotonic()
        known = happening
        if happening is not None and not report and self._amend(happening, now, state, payload):
            return
        retries = getattr(request, "retries", 0) or 0
        end = "PROGRESS" if report else state
        later = Happening(task_id, known.key if known is not None else f"?{retries}:{end}", retries)
        later.ended, later.end, later.meta = now, end, payload
        if known is None:
            later.request = request
            self._hostname = getattr(request, "hostname", None) or self._hostname
        self._note(later)

    def received_one(self, request: Any) -> None:
        """A message is in hand, and waits to be begun."""
        happening = Happening(request.id, "", getattr(request, "retries", 0) or 0)
        happening.request, happening.received = request, time.monotonic()
        self._note(happening)

    def published(self, event: bytes) -> None:
        """A message was sent to a broker that is not where the stream is."""
        happening = Happening("", "", 0)
        happening.raw = event
        self._note(happening)

    @staticmethod
    def plain(result: Any, state: str, traceback: Any) -> bytes | None:
        """What may be told of a result that is not stored as plain JSON: of errors the text, of values nothing."""
        if state == "SUCCESS":
            return None
        try:
            return _encode({"result": result, "traceback": traceback}).encode()
        except (TypeError, ValueError):
            return _encode({"result": str(result)[:_MOST]}).encode()

    def _amend(self, happening: Happening, now: float, state: str, payload: bytes | None) -> bool:
        """Add the end to the beginning, if that is not under way yet."""
        with self._writer.lock:
            entry = happening.entry
            if entry is None or not self._writer.queue.waits(entry):
                return False
            happening.ended, happening.end, happening.meta = now, state, payload
            return True

    def _note(self, happening: Happening) -> None:
        self._writer.note(happening, self)

    def _after_fork(self) -> None:
        self._pid = os.getpid()
        self._prefix = f"{fresh_id()[:13]}-"
        self._open = {}

    # -- how it is told

    def render(self, events: list[list[Happening]], *, refused: bool) -> bytes:
        """The commands of some events."""
        now = time.monotonic()
        commands: list[bytes] = []
        for happenings in events:
            event = happenings[0].raw or self._event(happenings, now)
            commands.append(self._by_script(event) if refused else self._stream.add(event))
        return b"".join(commands)

    def _event(self, happenings: list[Happening], now: float) -> bytes:
        head = f'{{"k":"w","w":{_quoted(self._hostname)},"p":{os.getpid()},"c":['.encode()
        return b"%b%b]}" % (head, b",".join([_row(each, now) for each in happenings]))

    def _by_script(self, event: bytes) -> bytes:
        parts = (b"EVAL", _FULL, b"1", self._stream.key.encode(), b"%d" % self._stream.most, event)
        return b"*%d\r\n%b" % (len(parts), b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts))

    def _presentable(self, name: str | None, payload: bytes, state: str) -> bytes | None:
        """What may be told of a result: nothing where it is a secret, and not too much."""
        if state == "SUCCESS" and getattr(self._app.tasks.get(name or ""), "secret_result", False):
            return None
        if len(payload) <= self._longest:
            return payload
        text = payload.decode("utf-8", "replace")
        if state == "SUCCESS":
            begin = text.find('"result": ') + 10
            return _encode({"cut": text[begin : begin + self._longest]}).encode()
        return payload if len(payload) <= 16 * self._longest else _encode({"result": text[: self._longest]}).encode()

    def complain(self, reply: Exception, count: int) -> None:
        """Say that something is not going to be in the history, once a minute."""
        now = time.monotonic()
        if now - self._complained >= _COMPLAINS_EVERY:
            self._complained = now
            logger.warning("the history does not hear of %d events: %s", count, reply)


def journal_of(app: Celery, writer: ResultWriter) -> Journal | None:
    """The journal of an app that keeps a history."""
    conf: Any = app.conf
    stream = HistoryStream.of(conf, conf.get("result_backend_transport_options") or {})
    return None if stream is None else Journal(app, writer, stream, int(conf.get("history_value_size") or 4096))


def _row(each: Happening, now: float) -> bytes:
    what = "null" if each.request is None else _what(each.request)
    end = "null" if each.end is None else f'"{each.end}"'
    times = f"{_age(each.received, now)},{_age(each.started, now)},{_age(each.ended, now)}"
    head = f'[{_quoted(each.task_id)},"{each.key}",{each.retries},{times},{end},{what},'
    return head.encode() + (each.meta or b"null") + b"]"


def _what(request: Any) -> str:
    """What a request tells of its message."""
    said = request.__dict__.get
    delivery: dict[str, Any] = said("delivery_info") or {}
    try:
        return _encode(
            [
                said("task"),
                delivery.get("routing_key"),
                said("root_id"),
                said("parent_id"),
                said("group"),
                said("argsrepr"),
                said("kwargsrepr"),
            ]
        )
    except (TypeError, ValueError):  # somebody's own message
        return _encode([str(said("task")), None, None, None, None, None, None])


def _age(moment: float | None, now: float) -> str:
    return "null" if moment is None else str(int((now - moment) * 1000))


_quoted: Final = encode_basestring_ascii
