from __future__ import annotations

import pytest
from tests.kit.service import Container, Registry

from celeriac import TaskContext
from celeriac.tasks.context import RetryRequested, current_context
from celeriac.testing.in_place import InPlacePublisher


@pytest.fixture
def registry() -> Registry:
    return Registry(InPlacePublisher(Registry, Container()))


def test_outside_of_a_task_there_is_no_context():
    assert current_context() is None
    with pytest.raises(LookupError, match=r"^no task runs here: TaskContext exists only while a worker runs a task$"):
        TaskContext.current()


def test_a_task_reads_about_itself_what_its_caller_said(registry):
    result = registry.about.apply_async(headers={"tenant": "acme"}, task_id="the-id")
    about = result.get()
    assert about["id"] == result.id == "the-id"
    assert about["name"] == "about"
    assert about["attempt"] == 1
    assert about["header"] == "acme"


def test_the_deadline_is_the_first_limit_that_strikes(registry):
    assert registry.about.delay().get()["seconds"] == 3000


def test_the_context_is_gone_when_the_task_is(registry):
    registry.ping.delay().get()
    assert current_context() is None


def test_asking_for_a_retry_is_no_exception_that_a_task_could_swallow():
    assert not issubclass(RetryRequested, Exception)
