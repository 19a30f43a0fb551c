from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from tests.kit.resumable import Contexts, Walks, itself, numbers

from celeriac.exceptions import InvalidIteration
from celeriac.tasks.course import Course
from celeriac.tasks.interruption import GivenBack, Superseded
from celeriac.tasks.iteration import Iteration
from celeriac.tasks.leaving import leave, stay
from celeriac.tasks.places import InProcess
from celeriac.testing.in_place import InPlacePublisher


@pytest.fixture(autouse=True)
def staying() -> Generator[None]:
    yield
    stay()


@pytest.fixture
def walks() -> Walks:
    return Walks(InPlacePublisher(Walks, Contexts()))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "items"


@pytest.fixture
def places() -> InProcess:
    return InProcess()


@pytest.fixture
def course(places: InProcess) -> Callable[..., Course]:
    """Begins another run of one task."""

    def begin(digest: str = "same", *, gives_way: bool = True) -> Course:
        return Course("walk", "the-id", digest, places, gives_way=gives_way)

    return begin


def loop(course: Course, most: int = 5, name: str = "", save_every: float = 0.0) -> Iteration[int]:
    return Iteration(course, numbers(most), itself, name=name, save_every=save_every)


# -- in place, as a service's tests have it


def test_a_loop_goes_through_all_items_and_counts_them(walks: Walks, path: Path):
    result = walks.walk.delay(str(path), 3).get()
    assert path.read_text().split() == ["1", "2", "3"]
    assert (result["done"], result["resumed"]) == (3, False)


def test_a_coroutine_goes_through_items_that_are_waited_for(walks: Walks, path: Path):
    assert walks.walk_async.delay(str(path), 3).get() == {"done": 3, "resumed": False}
    assert path.read_text().split() == ["1", "2", "3"]


def test_a_retry_goes_on_with_the_item_that_failed(walks: Walks, path: Path):
    assert walks.walk_flaky.delay(str(path), 5, 3).get() == 5
    assert path.read_text().split() == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("refused", ["b", "1.1", "1.3", "2.1", "2.2"])
def test_loops_after_and_within_each_other_go_on_where_they_were(walks: Walks, path: Path, refused: str):
    assert walks.walk_nested.delay(str(path), refused).get() == 2
    assert path.read_text().split() == ["a", "b", "c", "1.1", "1.2", "1.3", "2.1", "2.2", "2.3"]


def test_the_same_id_is_gone_through_again_in_place(walks: Walks, path: Path):
    same = str(uuid4())
    for _ in range(2):
        walks.walk.apply_async((str(path), 2), task_id=same).get()
    assert path.read_text().split() == ["1", "2", "1", "2"]


# -- between two runs


def test_a_worker_that_ends_lets_the_item_in_hand_be_done_and_the_next_one_go_on_elsewhere(course):
    first = loop(course(), save_every=3600)
    assert [next(first), next(first)] == [1, 2]
    leave()
    with pytest.raises(GivenBack) as given:
        next(first)
    assert not given.value.counted
    stay()
    second = loop(course())
    assert list(second) == [3, 4, 5]
    assert (second.done, second.resumed) == (5, True)


def test_a_worker_that_ends_begins_no_item(course):
    leave()
    with pytest.raises(GivenBack):
        next(loop(course()))


def test_what_may_not_be_given_back_is_gone_through_here(course):
    leave()
    assert list(loop(course(gives_way=False))) == [1, 2, 3, 4, 5]


def test_between_two_saves_nothing_is_saved(course):
    first = loop(course(), save_every=3600)
    assert [next(first) for _ in range(4)] == [1, 2, 3, 4]
    assert list(loop(course())) == [1, 2, 3, 4, 5]


def test_after_a_failure_the_items_that_were_done_are_not_repeated(course):
    begun = course()
    first = loop(begun, save_every=3600)
    assert [next(first) for _ in range(4)] == [1, 2, 3, 4]
    begun.conclude(succeeded=False)
    assert list(loop(course())) == [4, 5]


def test_a_message_that_comes_again_after_its_task_succeeded_repeats_nothing(course, monkeypatch):
    monkeypatch.setattr("celeriac.tasks.course.AFTER_SUCCESS", 3)  # in a process, nothing is kept after a success
    begun = course()
    assert len(list(loop(begun))) == 5
    begun.conclude(succeeded=True)
    again = loop(course())
    assert (list(again), again.done) == ([], 5)


def test_other_arguments_start_anew(course):
    assert [each for each, _ in zip(loop(course()), range(3), strict=False)] == [1, 2, 3]
    assert list(loop(course("other"))) == [1, 2, 3, 4, 5]


def test_a_worker_that_was_frozen_does_not_overwrite_the_place_of_the_one_that_took_over(course):
    frozen = loop(course())
    assert [next(frozen), next(frozen)] == [1, 2]
    taken_over = loop(course())
    assert [next(taken_over), next(taken_over), next(taken_over)] == [2, 3, 4]
    with pytest.raises(Superseded):
        next(frozen)
    assert list(loop(course())) == [4, 5]


def test_a_frozen_worker_that_is_told_to_end_gives_nothing_back(course):
    frozen = loop(course(), save_every=3600)
    next(frozen)
    course()
    leave()
    with pytest.raises(Superseded):
        next(frozen)


# -- without Redis


class Away(InProcess):
    """A server that is out of reach for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.away = True

    def begin(self, task_id: str) -> tuple[int, str | None]:
        self._answer()
        return super().begin(task_id)

    def save(self, task_id: str, run: int, state: str, seconds: int) -> bool:
        self._answer()
        return super().save(task_id, run, state, seconds)

    def _answer(self) -> None:
        if self.away:
            msg = "nobody is there"
            raise RedisConnectionError(msg)


def test_while_redis_is_away_the_task_goes_on_and_says_so_once(caplog):
    away = Away()
    items = loop(Course("walk", "the-id", "same", away, gives_way=True))
    with caplog.at_level(logging.WARNING):
        next(items)
        leave()
        assert [next(items), next(items)] == [2, 3]  # not saved, so it is not given back either
    away.away = False
    with pytest.raises(GivenBack):
        next(items)
    assert [record.getMessage() for record in caplog.records] == [
        "the place of walk[the-id] is not kept, and a run that follows repeats items: nobody is there"
    ]
    stay()
    assert list(loop(Course("walk", "the-id", "same", away, gives_way=True))) == [4, 5]


def test_without_a_redis_a_loop_is_a_loop():
    begun = Course("walk", "the-id", "same", None, gives_way=True)
    items = loop(begun)
    next(items)
    leave()
    assert list(items) == [2, 3, 4, 5]
    begun.conclude(succeeded=True)


# -- what cannot work


@pytest.mark.parametrize(
    ("source", "cursor", "problem"),
    [
        ([1, 2], itself, r"its source is \[1, 2\], no function of a place that gives what follows"),
        (lambda _: 7, itself, "its source gave 7, which has no items"),
        (numbers(2), 7, "its cursor is 7, no function of an item that gives its place"),
        (numbers(2), lambda _: None, "its cursor gave None, which stands for the beginning"),
        (numbers(2), lambda n: (n, n), r"its cursor gave \(1, 1\), of type tuple, which JSON would not give back"),
        (numbers(2), lambda _: uuid4(), "of type UUID, which JSON would not give back as it is: give a str, int"),
        (numbers(2), lambda _: float("nan"), "of type float, which JSON would not give back"),
    ],
)
def test_a_loop_that_cannot_be_resumed_is_refused_at_its_first_item(course, source: Any, cursor: Any, problem: str):
    with pytest.raises(InvalidIteration, match=rf"^loop 'rows' of task 'walk': .*{problem}"):
        next(Iteration(course(), source, cursor, name="rows", save_every=0.0))


def test_two_loops_of_one_name_are_refused(course):
    begun = course()
    list(loop(begun))
    with pytest.raises(InvalidIteration, match="another loop of that name: give each its own `name=`"):
        loop(begun)


def test_an_inner_loop_does_not_outlive_its_item(course):
    begun = course()
    outer = loop(begun, name="outer")
    next(outer)
    inner = loop(begun, name="inner")
    next(inner)
    next(outer)
    with pytest.raises(InvalidIteration, match=r"^loop 'inner' .* the item of the outer loop .* is done already$"):
        next(inner)


def test_a_place_that_another_version_saved_is_not_guessed_at(course, places: InProcess):
    run, _ = places.begin("the-id")
    places.save("the-id", run, '{"format": 2, "loops": {"rows": {}}}', 60)
    with pytest.raises(
        InvalidIteration,
        match=r"^loop 'rows' .* format 2, and this worker reads 1: .* delete the key celeriac.iteration:the-id",
    ):
        course()


def test_an_error_of_the_source_is_the_tasks_own(course):
    def source(_: int | None) -> Iterator[int]:
        yield 1
        msg = "the table is gone"
        raise LookupError(msg)

    begun = course()
    items = Iteration(begun, source, itself, name="", save_every=3600)
    with pytest.raises(LookupError, match="the table is gone"):
        list(items)
    begun.conclude(succeeded=False)
    assert loop(course()).done == 1
