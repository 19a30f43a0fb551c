"""Results that only those with a key can read, on a real Redis and with a real worker."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from celery import Celery, chord, group
from cryptography.fernet import Fernet
from redis import Redis
from tests.kit.clients import client
from tests.kit.service import BrokenError, Container, Registry

from celeriac import CeleryAppConfig, CeleryPublisher, create_celery_app
from celeriac.exceptions import InvalidSetting, ResultUnavailable
from celeriac.tasks.result import TaskResult
from celeriac.testing.servers import redis_server
from celeriac.testing.worker import WorkerProcess

pytestmark = pytest.mark.xdist_group("sealing")
OLD, NEW, STRANGE = (Fernet.generate_key().decode() for _ in range(3))
PLAIN = "xylophone"


@contextmanager
def caller(url: str, keys: str | None, **options: Any) -> Generator[tuple[Celery, Registry]]:
    app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": url, "result_encryption_keys": keys, **options}))
    Registry.install(app, Container())
    with client(app):
        yield app, Registry(CeleryPublisher(app))


@pytest.fixture(scope="module", params=["lane", "prefork"])
def sealed(request: pytest.FixtureRequest) -> Generator[str]:
    """A server whose worker encrypts with the old key."""
    with ExitStack() as stack:
        url = stack.enter_context(redis_server())
        env = {"CELERY_RESULT_ENCRYPTION_KEYS": OLD}
        stack.enter_context(WorkerProcess("tests.kit.app", redis_url=url, pool=request.param, concurrency=2, env=env))
        yield url


def stored(app: Celery, task_id: str) -> TaskResult[int]:
    """What is stored of a task, for somebody who did not call it."""
    return TaskResult("add", app.AsyncResult(task_id), int)


def held(url: str) -> str:
    """Everything that is stored as a result or beside one."""
    with Redis.from_url(url) as redis:
        found = [redis.get(key) for key in redis.scan_iter("celery-task-meta-*")]
        assert found
        return repr(found)


@pytest.mark.proves("S000-42")
def test_what_redis_holds_shows_nothing_of_a_result_and_who_has_the_key_reads_it(sealed):
    with caller(sealed, OLD) as (_, registry):
        result = registry.several.delay(1, name=PLAIN)
        assert result.get(timeout=60)["names"] == {"name": PLAIN}
        assert registry.add.delay(2, 3).get(timeout=60) == 5
    assert PLAIN not in held(sealed)
    assert "SUCCESS" not in held(sealed)


@pytest.mark.proves("S000-42")
def test_an_error_is_sealed_too(sealed):
    with caller(sealed, OLD) as (_, registry), pytest.raises(BrokenError, match=PLAIN):
        registry.fail.delay(PLAIN).get(timeout=60)
    assert PLAIN not in held(sealed)


@pytest.mark.proves("S000-42")
@pytest.mark.parametrize("keys", [STRANGE, None], ids=["wrong", "none"])
def test_without_the_right_key_a_result_cannot_be_read(sealed, keys):
    with caller(sealed, OLD) as (_, registry):
        result = registry.add.delay(2, 3)
        assert result.get(timeout=60) == 5
    with caller(sealed, keys) as (app, _), pytest.raises(ResultUnavailable):
        stored(app, result.id).get(timeout=30)


@pytest.mark.proves("S000-42")
def test_after_a_rotation_old_results_are_read_and_new_ones_written_with_the_new_key(sealed):
    with caller(sealed, OLD) as (_, registry):
        before = registry.add.delay(2, 3)
        assert before.get(timeout=60) == 5
    with caller(sealed, f"{NEW},{OLD}") as (app, _):
        assert stored(app, before.id).get(timeout=30) == 5
        app.backend.store_result("11111111-1111-4111-8111-111111111111", 7, "SUCCESS")
    with caller(sealed, NEW) as (app, _):
        assert app.AsyncResult("11111111-1111-4111-8111-111111111111").get(timeout=30) == 7


@pytest.mark.proves("S000-42")
def test_a_result_that_somebody_else_put_there_is_not_believed(sealed):
    with caller(sealed, OLD) as (app, registry):
        result = registry.add.delay(2, 3)
        result.get(timeout=60)
        with Redis.from_url(sealed) as redis:
            redis.set(f"celery-task-meta-{result.id}", '{"status": "SUCCESS", "result": 6, "traceback": null}')
        with pytest.raises(ResultUnavailable):
            stored(app, result.id).get(timeout=30)


def test_groups_and_chords_work_on_sealed_results(sealed):
    with caller(sealed, OLD) as (app, _):
        adding = app.tasks["add"]
        assert group(adding.s(1, 1), adding.s(2, 2))().get(timeout=60) == [2, 4]
        result = chord([adding.s(1, 1), adding.s(2, 2)])(app.tasks["anything"].s())
        assert result.get(timeout=60) == [2, 4]


@pytest.mark.parametrize("keys", ["short", NEW[:-2], f"{OLD},nonsense"], ids=["short", "cut", "one-of-two"])
def test_a_key_that_is_none_ends_the_start_and_is_not_shown(keys):
    with pytest.raises(InvalidSetting, match="result_encryption_keys") as error:
        create_celery_app(CeleryAppConfig.from_mapping({"result_encryption_keys": keys}))
    assert keys not in str(error.value)
    assert error.value.__context__ is None
