"""The worker is killed while a language model answers: one record is left, and the task ends once."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from sqlalchemy import select
from tests.faults.harness.forms import forms
from tests.faults.harness.household import Household
from tests.kit.completions_server import CompletionsServer, hangs
from tests.kit.people import add_user

from infrastructure.database.models import CompletionRow

WAIT = 60
RECEIPT = {"request_id": "r1", "status": "completed", "tokens": 6}


@pytest.fixture
def model() -> Generator[CompletionsServer]:
    with CompletionsServer() as server:
        yield server


@pytest.fixture
def house(scenario, server, model) -> Generator[Household]:
    with Household(scenario, server.url, model.env) as house:
        yield house


def rows(house: Household) -> list[str]:
    with house.database.reading() as session:
        return list(session.scalars(select(CompletionRow.response)))


@pytest.mark.proves("S002-16")
@pytest.mark.parametrize("victim", forms(["group"], wide=["child"]))
def test_kill_9_while_the_model_is_asked_leaves_one_answer(house, model, victim):
    ada = add_user(house.database)
    model.script.append(hangs)
    result = house.registry.process_ai_completion.delay("r1", "Hello there", ada)
    assert model.hanging.acquire(timeout=WAIT)
    getattr(house.worker, f"kill_{victim}")()
    assert not rows(house)
    assert result.get(timeout=WAIT) == RECEIPT
    model.goes_on.set()  # the first answer comes, to nobody
    assert house.registry.process_ai_completion.delay("r1", "Hello there", ada).get(timeout=WAIT) == RECEIPT
    assert rows(house) == ["You said: Hello there"]
    assert len(model.requests) == 2


@pytest.mark.proves("S002-16")
def test_kill_9_between_the_answer_and_its_record_leaves_one_of_each(house, model):
    ada = add_user(house.database)
    model.script.append(hangs)
    result = house.registry.process_ai_completion.delay("r1", "Hello there", ada)
    assert model.hanging.acquire(timeout=WAIT)
    with house.nobody_else_writes():
        model.goes_on.set()
        assert model.answered.acquire(timeout=WAIT)
        house.worker.kill_group()
    assert result.get(timeout=WAIT) == RECEIPT
    assert rows(house) == ["You said: Hello there"]
    assert len(model.requests) == 2
