"""What a worker tells the history: gathered, and sent in the pipeline that stores results anyway.

So nothing is acknowledged before the history knows of it, and a worker that is killed leaves at most what runs again.
"""

from __future__ import annotations

import logging
import os
import time
from itertools import count
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from kombu.utils.json import JSONEncoder

from celeriac.transport.publishing.ids import fresh_id
from celeriac.transport.results.entry import Entry, is_refused_for_memory
from celeriac.transport.stream import HistoryStream, in_portions

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    from celeriac.transport.results.writer import ResultWriter

__all__ = ["Happening", "Journal", "JournalEntry", "journal_of"]

logger = logging.getLogger(__name__)

KEY: Final = b"celeriac.history"
"""Under which the journal waits among the results; no task has it."""
WEIGHT: Final = 400
"""Bytes that one happening counts as."""
_MOST_OPEN: Final = 5000
"""Runs without an end that are remembered: a task that is rejected or ignored never tells of one."""
_NOTHING: Final = b"*1\r\n$4\r\nPING\r\n"
_COMPLAINS_EVERY: Final = 60.0
_TOLD: Final = ("SUCCESS", "FAILURE", "RETRY", "REVOKED")
_encode: Final = JSONEncoder(separators=(",", ":")).encode
_FULL: Final = (
    # A server without memory stops a script at its first write that takes any, and at no later one.
    b"redis.call('DEL', KEYS[1] .. ':none') "
    b"return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'e', ARGV[2])"
)


class Run:
    """One run of a task in this process, from its beginning on."""

    __slots__ = ("key", "received", "request", "started", "told")

    def __init__(self, request: Any, key: int, received: float | None) -> None:
        self.request = request
        self.key = key
        self.received = received
        self.started = time.monotonic()
        self.told = False
        """Whether an event that is on its way, or there, told of its beginning."""


Happening: TypeAlias = "tuple[str, Run | None, bool, Any, float, str, bytes | None]"
"""An end, a report, or a message in hand: a plain tuple, as there is one for each task.

The task's id; which run, where it began in this process; whether the run's beginning is to be told as well; the
request; when; the state as Celery has it, ``PROGRESS``, or nothing for a message in hand; and what is stored as the
result, as JSON.
"""


class JournalEntry(Entry):
    """All that has happened since the last flush, among the results that wait."""

    __slots__ = ("begun", "commands", "happenings", "journal", "raw")

    def __init__(self, journal: Journal, position: int) -> None:
        super().__init__(KEY, b"", 0, success=True, position=position)
        self.journal = journal
        self.happenings: list[Happening] = []
        self.begun: list[Run] = []
        """Runs whose beginning it tells, and nothing more."""
        self.raw: list[bytes] = []
        """Events that are rendered already."""
        self.commands = 1

    @property
    def weight(self) -> int:
        """Bytes that it counts as."""
        return WEIGHT * (len(self.happenings) + len(self.raw))

    @property
    def scripted(self) -> bool:
        """Never by the results' script."""
        return False

    @property
    def replies(self) -> int:
        """One for each command of :meth:`render`, which was called before."""
        return self.commands

    def absorb(self, later: Entry) -> bool:
        """Take over what came while this one was under way."""
        if isinstance(later, JournalEntry):
            self.happenings += later.happenings
            self.begun += later.begun
            self.raw += later.raw
        return True

    def render(self) -> bytes:
        """Its commands as they travel, with ages as of now."""
        return self.journal.render(self)

    def refused_for_good(self, reply: Exception) -> bool:
        """Whether the server will never take it. History is worth less than results, which would wait behind it."""
        if is_refused_for_memory(reply) and not self.refused:
            return False
        self.journal.complain(reply, len(self.happenings))
        return True


class Journal:
    """Notes what happens to the tasks of one app in this process.

    Each task costs a few microseconds: a beginning is only remembered, and told by the next flush if the task still
    runs by then.

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
        self._count = count(1)
        self._secrets: dict[str, bool] = {}
        self._names: dict[tuple[Any, Any], str] = {}
        self._after_fork()

    # -- what happens

    def started(self, task: Any) -> None:
        """A run begins, of the request that is on top of the task's stack."""
        request = task.request_stack.top
        if request is None or request.is_eager or request.id is None:
            return
        if self._pid != os.getpid():
            self._after_fork()
        runs = self._open
        if len(runs) >= _MOST_OPEN:
            runs.pop(next(iter(runs)), None)
        runs[request.id] = Run(request, next(self._count), self.received)
        if self._writer.queue.named(KEY) is None:
            self._writer.note(self)

    def ended(self, task_id: str, state: str, payload: bytes | None, request: Any) -> None:
        """A run has ended, or said how far it is.

        Args:
            task_id: whose.
            state: Celery's, or a task's own.
            payload: what is stored as its result, where that is plain JSON.
            request: what tells of the message.
        """
        now = time.monotonic()
        if state in _TOLD:
            run = self._open.pop(task_id, None)
        else:
            run, state = self._open.get(task_id), "PROGRESS"
        if run is None and getattr(request, "is_eager", False):
            return
        if payload is not None and (len(payload) > self._longest or self._is_secret(request)):
            payload = self._presentable(request, payload, state)
        begins = run is not None and not run.told
        self._writer.note(self, (task_id, run, begins, request, now, state, payload))

    def received_one(self, request: Any) -> None:
        """A message is in hand, and waits to be begun."""
        self._writer.note(self, (request.id, None, False, request, time.monotonic(), "", None))

    def published(self, event: bytes) -> None:
        """A message was sent to a broker that is not where the stream is."""
        self._writer.note(self, event)

    def _after_fork(self) -> None:
        self._pid = os.getpid()
        self._prefix = fresh_id()[:13]
        self._open: dict[str, Run] = {}
        self._head = b""

    @staticmethod
    def plain(result: Any, state: str, traceback: Any) -> bytes | None:
        """What may be told of a result that is not stored as plain JSON: of errors the text, of values nothing."""
        if state == "SUCCESS":
            return None
        try:
            return _encode({"result": result, "traceback": traceback}).encode()
        except (TypeError, ValueError):
            return _encode({"result": str(result)[:1000]}).encode()

    # -- how it is told

    def render(self, entry: JournalEntry) -> bytes:
        """The commands of an entry, and of what runs and was not told of yet."""
        for run in list(self._open.values()):
            if not run.told:
                run.told = True
                entry.begun.append(run)
        now = time.monotonic()
        rows = [self._row(each, now) for each in entry.happenings]
        rows += [self._beginning(run, now) for run in entry.begun]
        events = [*entry.raw, *(b"%b%b]}" % (self._head_of(entry), b",".join(some)) for some in in_portions(rows))]
        entry.commands = max(len(events), 1)
        add = self._by_script if entry.refused else self._stream.add
        return b"".join([add(event) for event in events]) or _NOTHING

    def _head_of(self, entry: JournalEntry) -> bytes:
        if not self._head:
            requests = [each[3] for each in entry.happenings] + [run.request for run in entry.begun]
            names = (getattr(request, "hostname", None) for request in requests)
            name = next((name for name in names if name), None)
            head = f'{{"k":"w","w":{_quoted(name or "")},"p":{os.getpid()},"c":['.encode()
            if name is None:
                return head
            self._head = head
        return self._head

    def _row(self, each: Happening, now: float) -> bytes:
        task_id, run, begins, request, moment, what, meta = each
        age = int((now - moment) * 1000)
        if run is None:
            key, retries = "", getattr(request, "retries", 0) or 0
            said = "null" if request is None else self._said(request)
            if what:
                key, times = f"?{retries}:{what}", f"null,null,{age}"
            else:
                times = f"{age},null,null"
        else:
            key, retries = f"{self._prefix}{run.key}", run.request.retries or 0
            said = self._said(run.request) if begins else "null"
            times = f"{self._beginning_of(run, now)},{age}" if begins else f"null,null,{age}"
        end = f'"{what}"' if what else "null"
        return f'[{_quoted(task_id)},"{key}",{retries},{times},{end},{said},'.encode() + (meta or b"null") + b"]"

    def _beginning(self, run: Run, now: float) -> bytes:
        request = run.request
        row = f'[{_quoted(request.id)},"{self._prefix}{run.key}",{request.retries or 0},{self._beginning_of(run, now)}'
        return f"{row},null,null,{self._said(request)},null]".encode()

    @staticmethod
    def _beginning_of(run: Run, now: float) -> str:
        started = int((now - run.started) * 1000)
        return f"{started if run.received is None else int((now - run.received) * 1000)},{started}"

    def _said(self, request: Any) -> str:
        """What a request tells of its message."""
        said: Callable[[str], Any] = request.__dict__.get
        delivery: dict[str, Any] = said("delivery_info") or {}
        name, queue = said("task"), delivery.get("routing_key")
        try:
            names = self._names[name, queue]
        except (KeyError, TypeError):  # new here, or somebody's own message
            names = f"[{_text(name)},{_text(queue)},"
            if len(self._names) < _MOST_OPEN and type(name) is type(queue) is str:
                self._names[name, queue] = names
        root, parent, group = said("root_id"), said("parent_id"), said("group")
        shown = f"{_text(said('argsrepr'))},{_text(said('kwargsrepr'))}"
        if parent is None and group is None and (root is None or root == said("id")):
            return f"{names}null,null,null,{shown}]"
        return f"{names}{_text(root)},{_text(parent)},{_text(group)},{shown}]"

    def _by_script(self, event: bytes) -> bytes:
        parts = (b"EVAL", _FULL, b"1", self._stream.key.encode(), b"%d" % self._stream.most, event)
        return b"*%d\r\n%b" % (len(parts), b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts))

    def _is_secret(self, request: Any) -> bool:
        name = getattr(request, "task", None) or ""
        try:
            return self._secrets[name]
        except KeyError:
            known = self._secrets[name] = bool(getattr(self._app.tasks.get(name), "secret_result", False))
            return known

    def _presentable(self, request: Any, payload: bytes, state: str) -> bytes | None:
        """What may be told of a result: nothing where it is a secret, and not too much."""
        if state == "SUCCESS" and self._is_secret(request):
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


def _text(said: Any) -> str:
    """A text as JSON; whatever else somebody's message has there, as a text."""
    if said is None:
        return "null"
    return _quoted(said if type(said) is str else str(said))


_quoted: Final = encode_basestring_ascii
