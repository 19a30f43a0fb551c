"""``process_ai_completion`` on workers of the service, on the lane and on threads."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded
from pydantic import SecretStr
from sqlalchemy import select
from tests.faults.harness.forms import forms
from tests.faults.harness.waiting import until
from tests.kit.completions_server import CompletionsServer, fails, hangs
from tests.kit.house import House, house
from tests.kit.people import add_user

from celeriac import Limits, TaskState
from celeriac.testing.servers import redis_server
from celeriac.testing.worker import WorkerProcess
from core.completions import CompletionUserError
from core.completions.errors import ProviderRefusedError, ProviderUnavailableError, RequestConflictError
from infrastructure.database.database import Database
from infrastructure.database.models import CompletionRow

WAIT = 30
MANY = 150
pytestmark = pytest.mark.timeout(180)


class Story:
    """A service with a worker, a user, and a model."""

    def __init__(self, home: House, worker: WorkerProcess, model: CompletionsServer) -> None:
        self.home, self.worker, self.model = home, worker, model
        self.app = home.container.resolve(Celery)
        self.task = home.registry.process_ai_completion
        self.database = Database(SecretStr(home.database), production=False)
        self.user = add_user(self.database)

    def rows(self, request_id: str) -> list[CompletionRow]:
        with self.database.reading() as session:
            return list(session.scalars(select(CompletionRow).where(CompletionRow.request_id.startswith(request_id))))

    def log_of(self, task_id: str) -> str:
        return "\n".join(line for line in self.worker.log.splitlines() if task_id in line)


@pytest.fixture(scope="module", params=forms(["lane"], ["threads"]), ids=["lane", "threads"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, _model: CompletionsServer
) -> Generator[Story]:
    path = tmp_path_factory.mktemp("completions")
    with redis_server() as redis, house(redis, f"sqlite:///{path / 'service.db'}") as home:
        home.env.update(_model.env)
        concurrency = 1 if request.param == "lane" else 32
        with home.worker(pool=request.param, concurrency=concurrency) as worker:
            story = Story(home, worker, _model)
            yield story
            story.database.close()


@pytest.fixture
def story(running: Story, model: CompletionsServer) -> Story:
    assert running.model is model
    return running


@pytest.mark.proves("S002-16")
def test_it_answers_with_the_tokens_and_keeps_what_was_said(story: Story) -> None:
    receipt = {"request_id": "r1", "status": "completed", "tokens": 6}
    assert story.task.delay("r1", "Hello there", story.user).get(timeout=WAIT) == receipt
    (row,) = story.rows("r1")
    assert (row.user_id, row.prompt, row.response) == (story.user, "Hello there", "You said: Hello there")
    assert (row.prompt_tokens, row.completion_tokens, row.total_tokens) == (2, 4, 6)
    assert "Processing AI completion" in story.worker.log
    assert "AI completion processed" in story.worker.log


@pytest.mark.proves("S002-16")
def test_the_same_request_is_not_asked_again(story: Story) -> None:
    receipts = [story.task.delay("again", "Hello there", story.user).get(timeout=WAIT) for _ in range(2)]
    assert receipts == [{"request_id": "again", "status": "completed", "tokens": 6}] * 2
    assert len(story.model.requests) == 1
    with pytest.raises(RequestConflictError, match="request 'again' was made before"):
        story.task.delay("again", "Something else", story.user).get(timeout=WAIT)


@pytest.mark.proves("S002-15", "S002-16")
def test_hundreds_at_once_use_the_sessions_of_one_loop(story: Story) -> None:
    calls = [story.task.delay(f"many-{number}", "Hello there", story.user) for number in range(MANY)]
    assert {call.get(timeout=60)["tokens"] for call in calls} == {6}
    assert len(story.rows("many-")) == MANY
    assert "different loop" not in story.worker.log


@pytest.mark.proves("S002-16")
def test_what_is_worth_it_is_tried_again_after_thirty_seconds(story: Story) -> None:
    story.model.usual = fails(500)
    result = story.task.delay("later", "Hello there", story.user)
    until(lambda: result.state is TaskState.RETRY, timeout=WAIT)
    assert until(lambda: re.search(r"retry: Retry in (\S+)s", story.log_of(result.id)))[1] in {"30", "30.0"}
    assert "AI completion failed" in story.worker.log
    assert not story.rows("later")
    result.revoke()


@pytest.mark.proves("S002-16")
def test_a_provider_that_wants_more_time_gets_it(story: Story) -> None:
    story.model.usual = fails(429, {"Retry-After": "90"})
    result = story.task.delay("much-later", "Hello there", story.user)
    assert until(lambda: re.search(r"retry: Retry in (\S+)s", story.log_of(result.id)), timeout=WAIT)[1] == "90.0"
    result.revoke()


@pytest.mark.proves("S002-16")
def test_after_three_retries_it_fails_with_what_was_wrong(story: Story) -> None:
    story.model.usual = fails(503)
    # The message of the last attempt, as the one before would have sent it: nobody has to wait for the minutes.
    task: Any = story.app.tasks["process_ai_completion"]
    last = task.apply_async(("last", "Hello there", story.user), retries=3)
    with pytest.raises(ProviderUnavailableError, match="answered 503"):
        last.get(timeout=WAIT)


@pytest.mark.proves("S002-16")
def test_what_is_not_worth_it_fails_at_once(story: Story) -> None:
    story.model.usual = fails(401)
    result = story.task.delay("never", "Hello there", story.user)
    with pytest.raises(ProviderRefusedError, match=r"answered 401: .* Check COMPLETIONS_API_KEY"):
        result.get(timeout=WAIT)
    assert len(story.model.requests) == 1
    with pytest.raises(CompletionUserError, match=r"^user 4711 does not exist"):
        story.task.delay("nobody", "Hello there", 4711).get(timeout=WAIT)
    assert len(story.model.requests) == 1


def test_at_the_soft_limit_it_hangs_up_and_keeps_nothing(story: Story) -> None:
    story.model.script.append(hangs)
    result = story.task.apply_async(("hanging", "Hello there", story.user), limits=Limits(soft=1))
    with pytest.raises(SoftTimeLimitExceeded):
        result.get(timeout=WAIT)
    assert not story.rows("hanging")
    story.model.goes_on.set()
    assert story.task.delay("hanging", "Hello there", story.user).get(timeout=WAIT)["tokens"] == 6
