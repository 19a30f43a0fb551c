from __future__ import annotations

import re

import pytest
from tests.faults.harness.waiting import until
from tests.integration.bot.conftest import BOSS

pytestmark = pytest.mark.xdist_group("bot")
ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def ended(message):
    until(lambda: not message.buttons, timeout=40, what="the end")
    return message.text


@pytest.mark.proves("M-5")
def test_ping_goes_to_a_worker_and_comes_back(scene):
    assert re.fullmatch(r"pong, after \d+ ms", scene.api.ask("/ping", BOSS).text)


@pytest.mark.parametrize("command", ["/start", "/help"])
def test_help_says_what_there_is(scene, command):
    text = scene.api.ask(command, BOSS).text
    for name in ("/run", "/status", "/cancel", "/queues", "/ping", "/help"):
        assert f"{name} - " in text


def test_telegram_is_told_the_commands_at_the_start(scene):
    told = next(call.said["commands"] for call in scene.api.calls if call.method == "setMyCommands")
    assert {each["command"] for each in told} == {"run", "status", "cancel", "queues", "ping", "help"}


@pytest.mark.parametrize("arguments", ['{"x": 2, "y": 3}', "[2, 3]", "x=2 y=3", "\nx=2\ny=3"])
def test_run_sends_a_task_and_its_message_ends_with_the_result(scene, arguments):
    message = scene.api.ask(f"/run add {arguments}", BOSS)
    assert re.fullmatch(rf"add is done\n{ID}\n5", ended(message))


def test_run_alone_lists_the_tasks_with_their_arguments(scene):
    text = scene.api.ask("/run", BOSS).text
    assert "add(x: int, y: int = 0) -> int" in text
    assert "hidden" not in text


def test_progress_edits_one_message(scene):
    before = len(scene.api.said_to(BOSS))
    message = scene.api.ask('/run data.process {"data": [1, 2, 3, 4], "pause": 1}', BOSS)
    assert ended(message).endswith('{\n "processed": 4\n}')
    assert any(re.search(r"[▓░]{10} \d+ % \(\d of 4\)", text) for text in message.texts), message.texts
    assert len(scene.api.said_to(BOSS)) == before + 1
    assert min(later - earlier for earlier, later in zip(message.at[1:], message.at[2:], strict=False)) > 0.5


def test_what_a_task_says_of_its_progress_is_shown(scene):
    message = scene.api.ask("/run progress.async", BOSS)
    assert ended(message).endswith("ok")


def test_a_task_that_fails_ends_with_its_error_and_markup_in_it_is_shown_as_it_is(scene):
    message = scene.api.ask('/run fail message="<b>no</b> & &amp; no"', BOSS)
    assert re.fullmatch(rf"fail has failed\n{ID}\n<b>no</b> & &amp; no", ended(message))


def test_a_long_result_is_cut_with_a_note(scene):
    text = ended(scene.api.ask(f"/run anything value={'<x>' * 1200}", BOSS))
    assert text.endswith("... (3600 characters, cut here)")


def test_a_secret_result_is_not_shown(scene):
    text = ended(scene.api.ask("/run token name=ann", BOSS))
    assert "secret-of-ann" not in text
    assert "**********" in text


def test_status_shows_a_task_and_keeps_the_answer_up_to_date(scene):
    first = scene.api.ask("/run sleep seconds=3", BOSS)
    task_id = first.text.splitlines()[1]
    second = scene.api.ask(f"/status {task_id}", BOSS)
    assert re.fullmatch(rf"sleep is done\n{ID}\n3.0", ended(second))
    assert all(text.startswith("sleep ") for text in second.texts)
    assert ended(first) == second.text
    assert scene.api.ask(f"/status {task_id}", BOSS).text == second.text


def test_queues_shows_what_waits_and_who_works(scene):
    text = scene.api.ask("/queues", BOSS).text
    assert re.search(r"^default +\d+ waiting$", text, re.MULTILINE)
    assert re.search(r"^\S+@\S+: 2 at a time, \d+ done$", text, re.MULTILINE)


def test_a_task_that_waits_is_cancelled_at_once(scene):
    message = scene.api.ask("/run reports.build", BOSS)
    task_id = message.text.splitlines()[1]
    assert scene.api.ask(f"/cancel {task_id}", BOSS).text == f"{task_id}\nIt will not run."
    assert ended(message) == f"reports.build was cancelled\n{task_id}"


def test_the_button_below_a_task_that_waits_cancels_it(scene):
    message = scene.api.ask("/run reports.build", BOSS)
    scene.api.press(message, BOSS, "Cancel")
    until(lambda: "It will not run." in scene.api.notes)
    assert ended(message).startswith("reports.build was cancelled")


def test_a_task_that_runs_is_stopped_only_after_a_question(scene):
    message = scene.api.ask('/run data.process {"data": [1, 2, 3], "pause": 60}', BOSS)
    until(lambda: "1 of 3" in message.text)
    before = len(scene.api.said_to(BOSS))
    scene.api.press(message, BOSS, "Cancel")
    question = scene.api.answer(BOSS, before + 1)
    assert question.text.endswith("It runs.")
    scene.api.press(question, BOSS, "Stop it")
    until(lambda: question.text.endswith("The worker was told to stop it."))
    assert ended(message).startswith("data.process was cancelled")


def test_a_button_that_was_pressed_long_ago_or_twice_does_what_it_says(scene):
    message = scene.api.ask('/run data.process {"data": [1, 2, 3], "pause": 60}', BOSS)
    until(lambda: "1 of 3" in message.text)
    before = len(scene.api.said_to(BOSS))
    scene.api.press(message, BOSS, "Cancel")
    question = scene.api.answer(BOSS, before + 1)
    scene.api.fail("answerCallbackQuery", 400, times=2, description="Bad Request: query is too old")
    scene.api.press(question, BOSS, "Stop it")
    scene.api.press(question, BOSS, "Stop it")
    assert ended(message).startswith("data.process was cancelled")
    until(lambda: not scene.api.waiting)
    assert len(scene.api.said_to(BOSS)) == before + 1


def test_two_messages_at_once_are_both_answered_in_their_order(scene):
    before = len(scene.api.said_to(BOSS))
    scene.api.write("/run add x=1", BOSS)
    scene.api.write("/help", BOSS)
    assert "add" in scene.api.answer(BOSS, before + 1).text
    assert "/help" in scene.api.answer(BOSS, before + 2).text
