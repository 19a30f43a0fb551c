"""From the outbox to the broker: a thread in the worker's main process, of which one at a time is at work.

A message is sent, and then its row is deleted. Who dies in between leaves a row that the next one sends again, and
Redis knows by the id that it was sent: for a week, that is noted in the step that sends it. On RabbitMQ it is noted
afterwards, so a message may arrive twice if the relay dies within that moment.

Whose turn it is, Redis knows as well. Where neither messages nor results are there, PostgreSQL does. Where the database
is SQLite then, nobody does: let one worker have the outbox, or messages arrive twice.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from math import inf
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kombu.exceptions import OperationalError
from kombu.utils.json import loads
from redis.exceptions import RedisError
from sqlalchemy import delete, func, select
from sqlalchemy.exc import SQLAlchemyError

from celeriac.exceptions import BrokerUnavailable
from celeriac.transport.link import Script
from celeriac.transport.outbox.rows import OutboxRow
from celeriac.transport.server import broker_server, shelf_of
from celeriac.transport.stream import HistoryStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery
    from sqlalchemy import Engine


__all__ = ["OutboxFigures", "Relay", "figures_of"]

logger = logging.getLogger(__name__)

AT_ONCE: Final = 100
LOOKS_EVERY: Final = 0.2
"""Seconds between two looks of the one who is at work."""
_LEADS_FOR: Final = 3.0
"""Seconds for which a relay is the one."""
_LOCK: Final = 0x6F757462
"""PostgreSQL's lock of who is the one, where there is no Redis server."""
_REMEMBERED: Final = 7 * 24 * 3600
_COMPLAINS_EVERY: Final = 60.0
_LAST_PAUSE: Final = 5.0
_AWAY: Final = (OperationalError, RedisError, OSError)
"""What is raised where a later try may succeed."""

_ONCE: Final = Script("""
-- KEYS: the mark of the id, the list, the history's stream. ARGV: message, event or nothing, seconds, entries.
if not redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[3]) then return 0 end
local sent = redis.pcall('LPUSH', KEYS[2], ARGV[1])
if type(sent) == 'table' and sent['err'] then
  redis.call('DEL', KEYS[1])
  return sent
end
if ARGV[2] ~= '' then redis.pcall('XADD', KEYS[3], 'MAXLEN', '~', ARGV[4], '*', 'e', ARGV[2]) end
return 1
""")
_LEAD: Final = Script("""
local leader = redis.call('GET', KEYS[1])
if leader and leader ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")


class OutboxFigures(NamedTuple):
    """What waits to be sent."""

    backlog: int
    age: float | None
    """Seconds since the oldest was written; ``None`` where none waits."""


def figures_of(engine: Engine) -> OutboxFigures:
    """How much waits, for dashboards and alarms.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
    """
    with engine.connect() as connection:
        found: Any = connection.execute(select(func.count(), func.min(OutboxRow.created))).one()
    count, oldest = found
    return OutboxFigures(count, None if oldest is None else max(time.time() - oldest / 1000, 0.0))


class Relay:
    """Sends what the outbox holds, in order, at least once, and once as far as Redis can tell.

    Args:
        app: whose broker and options count.
        engine: of the database. Nobody else may use it.
        prepare: brings the tables up to date; called once the database answers.
    """

    def __init__(self, app: Celery, engine: Engine, prepare: Callable[[], None] = lambda: None) -> None:
        self._app = app
        self._engine = engine
        self._prepare: Callable[[], None] | None = prepare
        self._broker = broker_server(app)
        self._shelf = shelf_of(app)
        conf: Any = app.conf
        self._stream = HistoryStream(conf.broker_transport_options or {}, int(conf.get("history_backlog") or 1))
        self._me = secrets.token_hex(8)
        self._asked = -inf
        """When Redis last said that it is our turn, by the monotonic clock."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="celeriac-outbox", daemon=True)
        self._complained = -_COMPLAINS_EVERY

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End; what is left waits for another."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        pause = LOOKS_EVERY
        while not self._stopping.is_set():
            try:
                if self._prepare is not None:
                    self._prepare()
                    self._prepare = None
                sent = self.step()
                pause = 0.0 if sent >= AT_ONCE else LOOKS_EVERY
            except (SQLAlchemyError, *_AWAY) as error:
                pause = min(max(2 * pause, LOOKS_EVERY), _LAST_PAUSE)
                self._complain(error)
            except Exception:
                logger.exception("the outbox could not be sent; it is tried again")
                pause = _LAST_PAUSE
            self._stopping.wait(pause)
        for server in (self._broker, self._shelf):
            if server is not None:
                server.close()
        self._engine.dispose()

    def step(self) -> int:
        """Send some of what waits, if it is our turn; how many it were.

        Raises:
            redis.exceptions.RedisError: Redis is out of reach.
            BrokerUnavailable: the broker is, or has no memory left.
            kombu.exceptions.OperationalError: the same, as kombu tells it.
            sqlalchemy.exc.SQLAlchemyError: the database is.
        """
        if self._shelf is None and self._engine.dialect.name == "postgresql":
            with self._engine.connect() as turn:  # its lock ends with its transaction, whatever becomes of us
                return self._send_some() if turn.scalar(select(func.pg_try_advisory_xact_lock(_LOCK))) else 0
        return self._send_some() if self._leads() else 0

    def _send_some(self) -> int:
        with self._engine.connect() as connection:
            rows: list[Any] = list(connection.execute(select(OutboxRow.__table__).order_by("number").limit(AT_ONCE)))
        done: list[int] = []
        try:
            for row in rows:
                if not self._still_leads():
                    break
                self._send(row)
                done.append(row.number)
        finally:
            if done:
                with self._engine.connect().execution_options(celeriac_writes=True) as connection, connection.begin():
                    connection.execute(delete(OutboxRow).where(OutboxRow.number.in_(done)))
        return len(done)

    def _leads(self) -> bool:
        server, now = self._shelf, time.monotonic()
        if server is None:
            return True
        if not server.run(_LEAD, [server.key("outbox.leader")], [self._me, int(_LEADS_FOR * 1000)]):
            return False
        self._asked = now
        return True

    def _still_leads(self) -> bool:
        """Whether nobody else can have sent what was read when our turn began; asks again before it ends."""
        if self._shelf is None:
            return True
        age = time.monotonic() - self._asked
        return age < _LEADS_FOR / 3 or (age < _LEADS_FOR and self._leads())

    def _send(self, row: Any) -> None:
        if row.key is not None and self._broker is not None:
            keys = [self._broker.key(f"outbox:{row.id}"), row.key, self._stream.key]
            self._broker.run(_ONCE, keys, [row.payload, row.event or b"", _REMEMBERED, self._stream.most])
            return
        mark = None if self._shelf is None else self._shelf.key(f"outbox:{row.id}")
        if mark is not None and self._shelf is not None and self._shelf.call("EXISTS", mark):
            return
        said: dict[str, Any] = loads(row.call)
        try:
            self._send_call(row, said)
        except Exception as error:
            ours = error if isinstance(error, BrokerUnavailable) else error.__cause__
            if isinstance(ours, BrokerUnavailable):  # kombu may have made one of its own of it
                raise ours from ours.__cause__
            if isinstance(error, _AWAY):
                raise
            # No later try would be another: it would stand in the way of all that come after it.
            logger.exception("call %s[%s] of the outbox cannot be sent, and is dropped", row.task, row.id)
        self._mark(mark)

    def _send_call(self, row: Any, said: dict[str, Any]) -> None:
        options = {**said["options"], "task_id": row.id}
        task: Any = self._app.tasks.get(row.task)
        flow = getattr(task, "flow", None)
        if flow is None or not flow.publishes:
            self._app.send_task(row.task, said["args"], said["kwargs"], **options)
            return
        sent = flow.post(self._app, task, said["args"], said["kwargs"], options)
        if sent.dropped:  # whoever wrote the row has its id
            self._app.backend.mark_as_revoked(row.id, f"dropped: {sent.id} has the same key")

    def _mark(self, mark: str | None) -> None:
        if mark is not None and self._shelf is not None:
            self._shelf.call("SET", mark, 1, "EX", _REMEMBERED)

    def _complain(self, error: Exception) -> None:
        """Once a minute; what is not sent waits in the database."""
        now = time.monotonic()
        if now - self._complained >= _COMPLAINS_EVERY:
            self._complained = now
            logger.warning(
                "the outbox is not sent, and waits: %s", (str(error) or type(error).__name__).splitlines()[0]
            )
