"""Results are encoded letter for letter as Celery does."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from decimal import Decimal
from typing import Any

import pytest
from celery.app.task import Context
from celery.result import AsyncResult
from kombu.exceptions import EncodeError

from celeriac import create_celery_app
from celeriac.app import CeleryAppConfig

DATE = re.compile(rb'"date_done": "([^"]+)"')


def backend(**options: Any) -> Any:
    app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": "redis://localhost:1/0", **options}))
    return app.backend


def celerys(made: Any, result: Any, state: str, traceback: Any, request: Any) -> bytes:
    meta = made._get_result_meta(result=result, state=state, traceback=traceback, request=request)
    payload: str = made.encode({**meta, "task_id": "7"})
    return payload.encode()


RESULTS = [
    None,
    {"result": "pong"},
    'é ☃ \U0001f600 " \\ \n </script>',
    [1, 2.5, -0.0, 1e300, float("inf"), True, {"a": {"b": []}}],
    {1: "keys", None: "become", 2.5: "text"},
    dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
    dt.date(2026, 1, 2),
    uuid.UUID(int=7),
    Decimal("1.10"),
    b"bytes",
    b"\xff",
]


@pytest.mark.parametrize("result", RESULTS, ids=repr)
@pytest.mark.parametrize(
    ("state", "traceback", "request_of"),
    [
        ("SUCCESS", None, lambda: Context(id="7", task="t", args=[1], kwargs={"k": 2})),
        ("SUCCESS", None, lambda: Context(id="7", group='g"1', parent_id="p")),
        ("FAILURE", "Traceback:\n  é", lambda: Context(id="7")),
        ("STARTED", None, lambda: None),
        ("DOWNLOADING", None, lambda: Context(id="7")),
    ],
)
def test_the_bytes_are_celerys(result, state, traceback, request_of):
    made = backend()
    request = request_of()
    ours = made._meta.encode("7", result, state, traceback, request)
    theirs = celerys(made, result, state, traceback, request)
    assert DATE.sub(b"", ours) == DATE.sub(b"", theirs)


@pytest.mark.parametrize("zone", [None, "Europe/Zurich"])
def test_the_date_is_in_the_apps_time_zone(zone):
    made = backend(timezone=zone)
    payload = made._meta.encode("7", None, "SUCCESS", None, None)
    (date,) = DATE.findall(payload)
    stamp = dt.datetime.fromisoformat(date.decode())
    assert stamp.utcoffset() == made.app.now().utcoffset()
    assert abs(stamp - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=30)


def test_children_are_kept():
    made = backend()
    request: Any = Context(id="7")
    request.children.append(AsyncResult("8", app=made.app))
    assert made.decode(made._meta.encode("7", 1, "SUCCESS", None, request))["children"] == [[["8", None], None]]


def test_extended_results_with_stamps_are_celerys():
    made = backend(result_extended=True)
    request = Context(
        id="7",
        task="t",
        args=[1],
        kwargs={"k": 2},
        hostname="here",
        retries=1,
        delivery_info={"routing_key": "q"},
        stamped_headers=["tenant"],
        stamps={"tenant": ["a"], "other": ["b"]},
    )
    ours = made._meta.encode("7", 1, "SUCCESS", None, request)
    assert DATE.sub(b"", ours) == DATE.sub(b"", celerys(made, 1, "SUCCESS", None, request))
    found = made.decode(ours)
    assert (found["name"], found["queue"], found["tenant"], found["retries"]) == ("t", "q", ["a"], 1)
    assert "other" not in found


class Unknown:
    pass


def test_what_cannot_be_encoded_is_celerys_error():
    itself: list[Any] = []
    itself.append(itself)
    for value in (Unknown(), itself, {(1, 2): 3}):
        with pytest.raises(EncodeError):
            backend()._meta.encode("7", value, "SUCCESS", None, None)


def test_other_serializers_are_celerys_own():
    made = backend(result_serializer="yaml", result_accept_content=["yaml"])
    assert made._meta.recognizable is False
    assert made.decode(made._meta.encode("7", {"a": 1}, "SUCCESS", None, None))["result"] == {"a": 1}
