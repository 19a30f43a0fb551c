"""Which calls a policy takes together: by the value at one place of the arguments, and never by showing it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel, Field, SecretStr

from celeriac.exceptions import InvalidTask
from celeriac.flow.keys import CallKey
from celeriac.tasks.signature import TaskSignature


class Customer(BaseModel):
    id: int = Field(alias="customerId")
    born: date | None = None


class Order(TypedDict):
    customer: Customer
    notes: dict[str, Any]


@dataclass
class Place:
    city: str


PIN = SecretStr("0")


def ship(self: Any, order: Order, place: Place | None = None, *, pin: SecretStr = PIN, tries: int = 1) -> None: ...


SIGNATURE = TaskSignature("ship", ship)
ORDER: dict[str, Any] = {"customer": {"customerId": 7, "born": None}, "notes": {"color": "red", "deep": {"er": [1]}}}


def key(path: str | None, **options: Any) -> CallKey:
    return CallKey(SIGNATURE, path, "rate limit", **options)


def test_without_a_path_all_calls_are_taken_together():
    assert key(None).of([ORDER], {}) == ""


@pytest.mark.parametrize(
    "path", ["order", "order.customer.id", "order.notes.color", "order.notes.deep.er", "tries", "pin", "place"]
)
def test_calls_with_the_same_value_there_have_one_key_however_they_are_written(path):
    turned = {"notes": {"deep": {"er": [1]}, "color": "red"}, "customer": {"born": None, "customerId": 7}}
    assert key(path).of([ORDER], {}) == key(path).of([], {"order": turned, "tries": 1})


def test_calls_with_another_value_there_have_another_key():
    other = {**ORDER, "customer": {"customerId": 8}}
    assert key("order.customer.id").of([ORDER], {}) != key("order.customer.id").of([other], {})
    assert key("order.notes").of([ORDER], {}) == key("order.notes").of([other], {})


def test_a_default_counts_as_the_value():
    assert key("tries").of([ORDER], {}) == key("tries").of([ORDER], {"tries": 1})
    assert key("tries").of([ORDER], {}) != key("tries").of([ORDER], {"tries": 2})
    assert key("pin").of([ORDER], {}) == key("pin").of([ORDER], {"pin": "0"})


def test_a_path_that_leads_nowhere_in_this_call_is_a_value_like_any_other():
    assert key("place.city").of([ORDER], {}) == key("place.city").of([ORDER, None], {})
    assert key("place.city").of([ORDER], {}) != key("place.city").of([ORDER, {"city": "Bern"}], {})


def test_all_arguments_can_make_the_key():
    whole = key(None, whole=True)
    assert whole.of([ORDER], {}) == whole.of([], {"order": ORDER, "tries": 1})
    assert whole.of([ORDER], {}) != whole.of([ORDER], {"tries": 2})


def test_the_value_is_not_shown():
    digest = key("pin").of([ORDER], {"pin": "hunter2"})
    assert "hunter2" not in digest
    assert len(digest) == 32


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("oder", "the key of its rate limit names 'oder', and it has no such parameter. Did you mean 'order'?"),
        ("self", "the key of its rate limit names 'self', and it has no such parameter"),
        ("order.costumer", "names 'order.costumer', and there is no 'costumer' in it. Did you mean 'customer'?"),
        ("order.customer.name", "and there is no 'name' in it"),
        ("place.town", "and there is no 'town' in it"),
    ],
)
def test_a_key_that_names_nothing_is_refused(path, problem):
    with pytest.raises(InvalidTask) as refused:
        key(path)
    assert problem in str(refused.value)
