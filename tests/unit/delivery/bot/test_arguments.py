from __future__ import annotations

from datetime import date
from typing import Any

import pytest

import celeriac
from celeriac import TaskController, task
from celeriac.exceptions import InvalidArguments
from celeriac.testing.recording import RecordingPublisher
from delivery.bot.arguments import read_arguments


class BookController(TaskController):
    @task("book")
    def book(self, title: str, pages: int = 1, tags: list[str] | None = None, on: date | None = None) -> None: ...

    @task("note")
    def note(self, text: Any) -> None: ...


class Registry(celeriac.TasksRegistry):
    book = BookController.book
    note = BookController.note


REGISTRY = Registry(RecordingPublisher())


@pytest.mark.parametrize(
    ("text", "kwargs"),
    [
        ("title=Emma", {"title": "Emma"}),
        ('title="Pride and Prejudice" pages=432', {"title": "Pride and Prejudice", "pages": 432}),
        ("title=1984 pages=328", {"title": "1984", "pages": 328}),
        ("title=null", {"title": "null"}),
        ("title=", {"title": ""}),
        ('title=a tags=["x", "y z"]', {"title": "a", "tags": ["x", "y z"]}),
        ("title=a=b on=2026-11-21", {"title": "a=b", "on": date(2026, 11, 21)}),
        ("title=it's\npages=2", {"title": "it's", "pages": 2}),
        ('{"title": "Emma", "tags": null}', {"title": "Emma", "tags": None}),
    ],
)
def test_arguments_are_read_as_people_write_them(text, kwargs):
    assert read_arguments(REGISTRY["book"], text) == ([], kwargs)


@pytest.mark.parametrize(
    ("text", "value"), [("text=1", 1), ("text=1.5", 1.5), ("text=true", True), ("text=null", None), ("text=NaN", "NaN")]
)
def test_a_value_of_any_type_is_json_where_it_can_be(text, value):
    assert read_arguments(REGISTRY["note"], text) == ([], {"text": value})


def test_an_array_holds_arguments_by_their_places():
    assert read_arguments(REGISTRY["book"], ' ["Emma", 474] ') == (["Emma", 474], {})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Emma", "'Emma' is no argument; write name=value"),
        ("title=a pages", "'pages' is no argument; write name=value"),
        ("=a", "'=a' is no argument"),
        ("title=a title=b", "title is there twice"),
        ('title="a', "the JSON is wrong at character 7"),
        ('title="a"b', "the value of title does not end where its JSON does"),
        ("title=a pages=many", "pages: Input should be a valid integer"),
        ("title=a price=1", "price"),
        ("", "title"),
        ('{"title": "a"} {}', "something follows the JSON at character 15"),
        ('{"title": {"a": 1}}', "title: Input should be a valid string"),
        ("[" * 4000, "the JSON is nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_is_wrong(text, problem):
    with pytest.raises(InvalidArguments) as refused:
        read_arguments(REGISTRY["book"], text)
    assert str(refused.value).startswith("book(")
    assert problem in str(refused.value)
