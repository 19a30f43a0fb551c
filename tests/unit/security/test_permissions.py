"""What a caller may do, and what a task asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac import TaskController, task
from celeriac.exceptions import PermissionMissing
from celeriac.security.callers import Caller
from celeriac.security.permissions import TASKS_RUN, authorize, permission_to_run

WORD = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,6}", fullmatch=True)
PERMISSION = st.lists(WORD, min_size=2, max_size=4).map(":".join)


def caller(*scopes: str) -> Caller:
    return Caller("ann", frozenset(scopes))


class ReportController(TaskController):
    @task("reports.build", permission="reports:run")
    def build(self) -> None: ...

    @task("reports.look")
    def look(self) -> None: ...


@pytest.mark.proves("S004-23")
def test_a_task_asks_for_what_it_was_declared_with_and_else_for_tasks_run():
    assert permission_to_run(ReportController.build) == "reports:run"
    assert permission_to_run(ReportController.look) == TASKS_RUN


@pytest.mark.proves("S004-23")
def test_who_may_run_everyday_tasks_may_not_run_a_guarded_one_nor_the_other_way_round():
    with pytest.raises(PermissionMissing, match="reports:run"):
        authorize(caller("tasks:run"), permission_to_run(ReportController.build))
    with pytest.raises(PermissionMissing, match="tasks:run"):
        authorize(caller("reports:run"), permission_to_run(ReportController.look))
    authorize(caller("tasks:run", "reports:run"), permission_to_run(ReportController.build))


@pytest.mark.parametrize("permission", ["", "reports", "Reports:run", "reports:", ":run", "reports:*", "a b:c"])
def test_a_permission_that_no_scope_could_name_is_refused_where_it_is_declared(permission):
    with pytest.raises(ValueError, match="a permission is written like"):
        task("reports.build", permission=permission)


@given(PERMISSION)
def test_a_scope_covers_itself_and_all_that_begins_like_it_before_a_star(permission):
    assert caller(permission).may(permission)
    assert caller("*").may(permission)
    assert caller(f"{permission.split(':', maxsplit=1)[0]}:*").may(permission)
    assert not caller().may(permission)


@given(PERMISSION, PERMISSION)
def test_a_scope_covers_nothing_else(held, wanted):
    assert caller(held).may(wanted) == (held == wanted)


@given(PERMISSION, WORD)
def test_a_star_covers_whole_words_alone(permission, word):
    first = permission.split(":", maxsplit=1)[0]
    assert caller(f"{first}{word}:*", f"{permission}:*").may(permission) is False
