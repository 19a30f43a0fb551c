from __future__ import annotations

import pytest
from tests.integration.bot.conftest import BOSS

pytestmark = [pytest.mark.xdist_group("bot"), pytest.mark.proves("S004-23")]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("/run pong", "no task is named 'pong'. Did you mean 'ping'?"),
        ("/run hidden", "no task is named 'hidden'."),
        ("/run add", "add(x: int, y: int = 0) -> int: missing a required argument: 'x'"),
        ("/run add x=two", "x: Input should be a valid integer"),
        ("/run add x=1 z=1", "z"),
        ("/run add 1 2", "'1' is no argument; write name=value with blanks between them, or JSON such as {\"x\": 2}"),
        ("/run add x=1 x=2", "x is there twice"),
        ('/run add {"x": 1', "the JSON is wrong at character 8"),
        ("/run add [1] 2", "something follows the JSON at character 4"),
        (f"/run anything value={'[' * 3000}", "the JSON is nested too deeply"),
        ("/status", "Write the id of a task after it: /status "),
        ("/status one two", "Write the id of a task after it: /status "),
        ("/cancel", "Write the id of a task after it: /cancel "),
        ("/status no-such-id", "No task has that id, or it is too long ago."),
        ("/cancel no-such-id", "No task has that id, or it is too long ago."),
        ("/cancel " + "x" * 200, "Write the id of a task after it: /cancel "),
        ("hello", "I know /help."),
        ("/unknown", "I know /help."),
    ],
)
def test_what_cannot_be_done_is_answered_by_what_is_wrong(scene, command, said):
    assert said in scene.api.ask(command, BOSS).text


def test_a_task_that_has_ended_cannot_be_cancelled(scene):
    message = scene.api.ask("/run add x=1", BOSS)
    task_id = message.text.splitlines()[1]
    scene.api.ask("/ping", BOSS)
    assert scene.api.ask(f"/cancel {task_id}", BOSS).text == "The task has ended: SUCCESS."


def test_nothing_was_logged_as_an_error_and_the_token_nowhere(scene):
    assert "could not be handled" not in scene.bot.log
    assert "Traceback" not in scene.bot.log
    assert "the-token_of_the-tests" not in scene.bot.log
