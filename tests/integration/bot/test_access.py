"""Who may do what in a chat, and what is written down of it."""

from __future__ import annotations

import asyncio

import pytest
from tests.faults.harness.waiting import until
from tests.integration.bot.conftest import BOSS, GROUP, READER, REPORTER, RUNNER, STRANGER

from celeriac.security.audit import AuditLog, AuditRecord
from celeriac.security.server import Server
from celeriac.transport.link import connector

pytestmark = [pytest.mark.xdist_group("bot"), pytest.mark.proves("S004-23")]


def records(scene, **wanted: str) -> tuple[AuditRecord, ...]:
    async def look():
        server = Server(connector(scene.office.url))
        try:
            return (await AuditLog(server).page(1, **wanted)).records
        finally:
            await server.close()

    return asyncio.run(look())


def record(scene, **wanted: str) -> AuditRecord:
    """The newest entry that fits, once it is there."""
    return until(lambda: records(scene, **wanted), what="the record")[0]


@pytest.mark.parametrize(
    ("user", "command", "missing"),
    [
        (READER, "/run add x=1", "tasks:run"),
        (READER, "/ping", "tasks:run"),
        (READER, "/cancel some-id", "tasks:cancel"),
        (READER, "/queues", "system:read"),
        (RUNNER, "/status some-id", "tasks:read"),
        (RUNNER, "/run reports.build", "reports:run"),
        (REPORTER, "/run add x=1", "tasks:run"),
    ],
)
def test_a_user_without_the_permission_is_refused_and_told_what_it_takes(scene, user, command, missing):
    said = f"telegram:{user} may not do this: it takes the scope '{missing}'"
    assert scene.api.ask(command, user).text == said
    found = record(scene, subject=f"telegram:{user}", outcome="refused")
    assert (found.permission, found.method, found.name) == (missing, "other", f"user{user}")


def test_a_task_with_a_permission_of_its_own_takes_that_alone(scene):
    text = scene.api.ask("/run reports.build", REPORTER).text
    assert text.startswith("reports.build waits for a worker")
    found = record(scene, subject=f"telegram:{REPORTER}", action="run_task", outcome="done")
    assert (found.task, found.permission, found.task_id) == ("reports.build", "reports:run", text.splitlines()[1])
    assert found.address == f"chat:{REPORTER}"


def test_who_may_run_and_not_see_is_told_the_id_and_no_more(scene):
    message = scene.api.ask("/run add x=2 y=3", RUNNER)
    task_id = message.text.splitlines()[1]
    assert message.buttons == []
    assert scene.api.ask(f"/status {task_id}", BOSS).text.startswith("add ")
    assert len(message.texts) == 1


@pytest.mark.parametrize(("user", "names"), [(READER, {"/status", "/help"}), (RUNNER, {"/run", "/ping", "/help"})])
def test_help_says_what_this_user_may(scene, user, names):
    assert {line.split()[0] for line in scene.api.ask("/help", user).text.splitlines()} == names


def test_run_lists_what_this_user_may_run(scene):
    assert "reports.build() " in scene.api.ask("/run", REPORTER).text
    assert "add(" not in scene.api.ask("/run", REPORTER).text
    assert scene.api.ask("/run", READER).text == "There is no task that you may run."


@pytest.mark.parametrize("text", ["/start", "/help", "/run add x=1", "/queues", "hello"])
def test_a_stranger_is_told_an_id_and_nothing_else(scene, text):
    assert scene.api.ask(text, STRANGER).text == f"I do not know you. Your id is {STRANGER}."


def test_what_a_stranger_does_stands_in_the_log_alone(scene):
    scene.api.ask("/run add x=1", STRANGER)
    until(lambda: f"telegram:{STRANGER}" in scene.bot.log)
    scene.api.ask("/run reports.build", READER)
    record(scene, subject=f"telegram:{READER}", outcome="refused")
    assert records(scene, subject=f"telegram:{STRANGER}") == ()


def test_a_cancelled_task_is_in_the_record(scene):
    task_id = scene.api.ask("/run reports.build", BOSS).text.splitlines()[1]
    scene.api.ask(f"/cancel {task_id}", BOSS)
    found = record(scene, action="revoke_task", task_id=task_id)
    assert (found.subject, found.permission, found.outcome) == (f"telegram:{BOSS}", "tasks:cancel", "done")


def test_in_a_group_that_is_allowed_users_are_answered_and_strangers_refused(scene):
    assert scene.api.ask("/ping@celeriac_bot", BOSS, group=GROUP).text.startswith("pong")
    assert scene.api.ask("/ping", STRANGER, group=GROUP).text == f"I do not know you. Your id is {STRANGER}."


@pytest.mark.parametrize("blank", ["\n", "\t", " \n "])
def test_in_a_group_a_command_may_end_with_its_line(scene, blank):
    text = scene.api.ask(f"/run@celeriac_bot{blank}add x=1", BOSS, group=GROUP).text
    assert text.startswith("add ")


def test_in_a_group_only_commands_to_this_bot_are_answered(scene):
    before = len(scene.api.said_to(GROUP))
    for text in ("hello", "/ping@another_bot", "no /ping"):
        scene.api.write(text, BOSS, group=GROUP)
        scene.api.write(text, STRANGER, group=GROUP)
    scene.api.write("/ping@Celeriac_Bot", BOSS, group=GROUP)
    assert scene.api.answer(GROUP, before + 1).text.startswith("pong")
    assert len(scene.api.said_to(GROUP)) == before + 1


def test_in_another_group_a_stranger_is_not_answered_and_a_user_is_told_its_id(scene):
    scene.api.write("/ping", STRANGER, group=-7)
    assert scene.api.ask("/ping", BOSS, group=-7).text == (
        "I answer in private, and in the groups of BOT_GROUPS. This is -7."
    )
    assert len(scene.api.said_to(-7)) == 1


def test_a_button_takes_the_permission_of_who_presses_it(scene):
    message = scene.api.ask("/run reports.build", BOSS)
    scene.api.press(message, READER, "Cancel")
    until(lambda: any("tasks:cancel" in each for each in scene.api.notes))
    assert message.buttons
