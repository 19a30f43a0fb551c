"""Values go in, plain JSON travels, values come out: for every kind of parameter and of value."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, JsonValue, SecretBytes, SecretStr
from typing_extensions import TypedDict

from celeriac.exceptions import InvalidArguments, InvalidResult, InvalidTask
from celeriac.tasks.signature import TaskSignature


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 2


class Address(BaseModel):
    street: str
    postcode: str = Field(default="", alias="zip")


@dataclass
class Parcel:
    weight: float
    to: Address


class Row(TypedDict):
    id: int
    at: datetime


class Point(NamedTuple):
    x: int
    y: int


class Account(BaseModel):
    name: str
    token: SecretStr


def over_the_wire(plain: Any) -> Any:
    """What a JSON reader in any language makes of it."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(json.dumps(plain, allow_nan=False), parse_constant=refuse)


def signature_of(annotation: Any) -> TaskSignature:
    def method(self, value): ...

    method.__annotations__ = {"value": annotation, "return": annotation}
    return TaskSignature("task", method)


VALUES = [
    (int, 3),
    (int, 2**70),
    (float, 1.5),
    (float, 3),
    (str, "naïve 🦄"),
    (bool, True),
    (type(None), None),
    (bytes, b"\x00\xff"),
    (Decimal, Decimal("0.1")),
    (datetime, datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)),
    (datetime, datetime(2026, 3, 29, 1, 30)),  # noqa: DTZ001 - a naive one stays naive
    (date, date(2026, 2, 28)),
    (time, time(23, 59, 1)),
    (timedelta, timedelta(days=-1, microseconds=1)),
    (UUID, UUID(int=7)),
    (Path, Path("a/b")),
    (Colour, Colour.RED),
    (Level, Level.HIGH),
    (Literal["a", 1], "a"),
    (list[int], [1, 2]),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2, 3)),
    (set[int], {1, 2}),
    (frozenset[str], frozenset({"a"})),
    (dict[str, list[float]], {"a": [1.0]}),
    (dict[UUID, int], {UUID(int=1): 2}),
    (int | None, None),
    (int | str, "3"),
    (int | str, 3),
    (Annotated[int, Field(ge=0)], 1),
    (Address, Address(street="x", zip="1")),
    (list[Address], [Address(street="x")]),
    (Parcel, Parcel(1.5, Address(street="x", zip="1"))),
    (list[Parcel], [Parcel(1.5, Address(street="x"))]),
    (Row, {"id": 1, "at": datetime(2026, 1, 1, tzinfo=UTC)}),
    (Point, Point(1, 2)),
    (SecretStr, SecretStr("geheim")),
    (SecretBytes, SecretBytes(b"geheim")),
    (Account, Account(name="a", token=SecretStr("geheim"))),
    (list[Account], [Account(name="a", token=SecretStr("geheim"))]),
    (dict[str, SecretStr], {"a": SecretStr("geheim")}),
    (JsonValue, {"a": [1, None, "x", {"b": 1.5}]}),
    (Any, {"a": [1, None, "x"]}),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=lambda each: getattr(each, "__name__", str(each))[:40])
def test_every_kind_of_value_arrives_as_it_left(annotation, value):
    signature = signature_of(annotation)
    args, kwargs = over_the_wire(signature.dump((value,), {}))
    (arrived,), named = signature.load(args, kwargs)
    assert arrived == value
    assert type(arrived) is type(value) or annotation is float
    assert named == {}

    args, kwargs = over_the_wire(signature.dump((), {"value": value}))
    assert args == []
    assert signature.load(args, kwargs) == ([], {"value": value})

    returned = signature.load_result(over_the_wire(signature.dump_result(value)))
    assert returned == value


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
JSON_SIGNATURE = signature_of(JsonValue)
ANY_SIGNATURE = signature_of(Any)
MOMENT_SIGNATURE = signature_of(dict[str, tuple[datetime, timedelta]])


@given(JSON)
def test_json_travels_unchanged(value):
    for signature in (JSON_SIGNATURE, ANY_SIGNATURE):
        args, kwargs = over_the_wire(signature.dump((value,), {}))
        assert signature.load(args, kwargs) == ([value], {})
        assert signature.load_result(over_the_wire(signature.dump_result(value))) == value


@given(st.dictionaries(st.text(), st.tuples(st.datetimes(timezones=st.just(UTC)), st.timedeltas()), max_size=3))
def test_moments_and_spans_travel_to_the_microsecond(value):
    args, kwargs = over_the_wire(MOMENT_SIGNATURE.dump((value,), {}))
    assert MOMENT_SIGNATURE.load(args, kwargs) == ([value], {})


def everything(
    self, first: int, /, second: int, third: int = 3, *rest: int, key: UUID, other: str = "x", **names: date
) -> None: ...


UUID_7 = UUID(int=7)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((1, 2), {"key": UUID_7}),
        ((1,), {"second": 2, "key": UUID_7}),
        ((1,), {"third": 4, "second": 2, "key": UUID_7}),
        ((1, 2, 4, 5, 6), {"key": UUID_7, "other": "y"}),
        ((1, 2, 4, 5), {"key": UUID_7, "born": date(2000, 1, 1), "left": date(2020, 1, 1)}),
        ((1, 2), {"key": UUID_7, "first": date(2000, 1, 1)}),
    ],
)
def test_every_kind_of_parameter_arrives_as_it_was_given(args, kwargs):
    signature = TaskSignature("everything", everything)
    sent_args, sent_kwargs = over_the_wire(signature.dump(args, kwargs))
    assert len(sent_args) == len(args)
    assert sorted(sent_kwargs) == sorted(kwargs)
    arrived_args, arrived_kwargs = signature.load(sent_args, sent_kwargs)
    assert tuple(arrived_args) == args
    assert arrived_kwargs == kwargs


def test_defaults_stay_the_workers_business():
    signature = TaskSignature("everything", everything)
    sent_args, sent_kwargs = signature.dump((1, 2), {"key": UUID_7})
    assert sent_args == [1, 2]
    assert sent_kwargs == {"key": str(UUID_7)}


def test_parameters_may_have_names_that_a_model_of_pydantic_could_not():
    def method(self, model_config: int, _private: int, schema: str, copy: int) -> None: ...

    signature = TaskSignature("odd", method)
    sent = over_the_wire(signature.dump((1, 2), {"schema": "s", "copy": 4}))
    assert signature.load(*sent) == ([1, 2], {"schema": "s", "copy": 4})


def add(self, x: int, y: int = 0, *, note: str = "") -> int:
    return x + y + len(note)


ADD = TaskSignature("add", add)
ADD_TEXT = "add(x: int, y: int = 0, *, note: str = '') -> int: "


@pytest.mark.proves("H-15")
@pytest.mark.parametrize(
    ("args", "kwargs", "problem"),
    [
        ((), {}, "missing a required argument: 'x'"),
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"x": 2}, "multiple values for argument 'x'"),
        ((1,), {"z": 2}, "got an unexpected keyword argument 'z'"),
        (("1",), {}, "x: Input should be a valid integer"),
        ((True,), {}, "x: Input should be a valid integer"),
        ((1.0,), {}, "x: Input should be a valid integer"),
        ((None, "2"), {}, "x: Input should be a valid integer; y: Input should be a valid integer"),
        ((1,), {"note": 5}, "note: Input should be a valid string"),
    ],
)
def test_wrong_missing_and_surplus_arguments_are_refused_with_the_signature(args, kwargs, problem):
    with pytest.raises(InvalidArguments) as refused:
        ADD.dump(args, kwargs)
    assert str(refused.value) == ADD_TEXT + problem
    assert isinstance(refused.value, TypeError)
    assert (refused.value.task, refused.value.problem) == ("add", problem)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (object(), "a value cannot be carried as JSON: Unable to serialize unknown type: <class 'object'>"),
        (math.nan, "a value cannot be carried as JSON: Out of range float values are not JSON compliant"),
        ([{"a": -math.inf}], "a value cannot be carried as JSON: Out of range float values are not JSON compliant"),
    ],
)
def test_a_value_that_json_cannot_carry_is_refused_before_it_is_sent(value, problem):
    with pytest.raises(InvalidArguments) as refused:
        ANY_SIGNATURE.dump((value,), {})
    assert str(refused.value) == f"task(value: Any) -> Any: {problem}".replace("Any", "typing.Any") or problem in str(
        refused.value
    )


def test_a_string_that_only_looks_like_nan_is_no_nan():
    assert ANY_SIGNATURE.dump((["NaN", "Infinity"],), {}) == ([["NaN", "Infinity"]], {})


def test_a_value_of_a_loop_inside_itself_is_refused():
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidArguments):
        ANY_SIGNATURE.dump((endless,), {})


def test_a_lone_surrogate_that_utf8_has_no_bytes_for_is_refused():
    with pytest.raises(InvalidArguments):
        ANY_SIGNATURE.dump(("\ud800",), {})


def test_the_worker_reads_what_plain_json_clients_write():
    assert ADD.load(["1"], {"y": 2.0}) == ([1], {"y": 2})
    with pytest.raises(InvalidArguments) as refused:
        ADD.load(["x"], {})
    assert str(refused.value) == (ADD_TEXT + "x: Input should be a valid integer, unable to parse string as an integer")


def test_errors_never_show_the_value_which_may_be_a_secret():
    signature = signature_of(Account)
    with pytest.raises(InvalidArguments) as refused:
        signature.load([{"name": ["geheim"], "token": {"geheim": 1}}], {})
    assert "geheim" not in str(refused.value)
    assert "geheim" not in repr(vars(refused.value))


def test_secrets_are_revealed_on_the_wire_and_masked_for_people():
    def login(self, account: Account, password: SecretStr, *, more: list[SecretBytes]) -> None: ...

    signature = TaskSignature("login", login)
    account = Account(name="a", token=SecretStr("geheim-1"))
    args, kwargs = (account, SecretStr("geheim-2")), {"more": [SecretBytes(b"geheim-3")]}
    assert signature.secret_arguments
    sent = over_the_wire(signature.dump(args, kwargs))
    assert sent[0] == [{"name": "a", "token": "geheim-1"}, "geheim-2"]
    assert signature.load(*sent) == (list(args), kwargs)
    shown = "".join(signature.masked(args, kwargs))
    assert "geheim" not in shown
    assert "**********" in shown


def test_no_time_is_spent_on_masking_where_there_is_no_secret():
    assert not ADD.secret_arguments
    assert not ADD.secret_result


def test_a_result_of_another_type_is_refused_when_it_is_stored_and_when_it_is_read():
    with pytest.raises(InvalidResult) as refused:
        ADD.dump_result("three")
    expected = "add declares that it returns int, but the value is something else: "
    assert str(refused.value) == expected + "Input should be a valid integer, unable to parse string as an integer"
    with pytest.raises(InvalidResult) as refused:
        ADD.load_result({"a": 1})
    assert str(refused.value) == expected + "Input should be a valid integer"
    assert isinstance(refused.value, TypeError)


def test_a_result_that_json_cannot_carry_is_refused():
    with pytest.raises(InvalidResult) as refused:
        ANY_SIGNATURE.dump_result(object())
    assert "it cannot be carried as JSON: Unable to serialize unknown type: <class 'object'>" in str(refused.value)


def test_an_annotation_that_means_nothing_is_named_at_the_declaration():
    def method(self, x: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the point of it

    with pytest.raises(InvalidTask) as refused:
        TaskSignature("lost", method)
    assert str(refused.value) == (
        "task 'lost' cannot be declared: its annotations cannot be resolved: name 'Nowhere' is not defined"
    )


def test_a_type_that_no_schema_describes_is_named_at_the_declaration():
    class Socket: ...

    with pytest.raises(InvalidTask) as refused:
        signature_of(Socket).prepare()
    assert str(refused.value).startswith("task 'task' cannot be declared: its arguments cannot be carried as JSON: ")
    assert "Socket" in str(refused.value)


def test_the_rest_of_a_steps_arguments_is_checked_without_its_first():
    def method(self, numbers: list[int], factor: int = 1, *, label: str) -> None: ...

    signature = TaskSignature("step", method)
    assert signature.dump_rest((2,), {"label": "x"}) == ([2], {"label": "x"})
    assert signature.dump_rest((), {"label": "x"}) == ([], {"label": "x"})
    with pytest.raises(InvalidArguments, match=r"missing a required argument: 'label'$"):
        signature.dump_rest((2,), {})
    with pytest.raises(InvalidArguments, match=r"factor: Input should be a valid integer$"):
        signature.dump_rest(("2",), {"label": "x"})


def test_variadic_steps_take_the_result_in_front():
    def method(self, *numbers: int) -> None: ...

    assert TaskSignature("sum", method).dump_rest((2, 3), {}) == ([2, 3], {})


def test_a_task_without_parameters_takes_nothing_from_the_step_before():
    def method(self) -> None: ...

    with pytest.raises(InvalidArguments, match=r"^bare\(\) -> None: too many positional arguments$"):
        TaskSignature("bare", method).dump_rest((), {})
