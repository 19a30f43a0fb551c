"""Letters by tasks: on a worker, to a real mail server."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
from celery import Celery
from tests.faults.harness.waiting import until
from tests.kit.house import House

from celeriac import gather
from celeriac.exceptions import InvalidArguments
from core.mail import LetterRefusedError, NoAddressError

pytestmark = [pytest.mark.xdist_group("service"), pytest.mark.timeout(90)]
WAIT = 30
ADA = "ada@example.org"


@pytest.mark.proves("S000-12")
def test_send_email_sends_and_says_to_whom(home):
    assert home.registry.send_email.delay(ADA, "Hello", "Body").get(timeout=WAIT) == {"status": "sent", "to": ADA}
    (letter,) = home.mail.letters
    assert (letter.to, letter.message["Subject"], letter.text) == ((ADA,), "Hello", "Body\n")


@pytest.mark.proves("S000-16", "S000-12")
def test_the_route_of_a_letter_queues_one_that_welcomes(home):
    answer = home.http.post("/tasks/email", params={"to": ADA, "subject": "Hello"})
    assert answer.status_code == 202
    assert answer.json() == {"task_id": answer.json()["task_id"], "status": "queued"}
    (letter,) = home.mail.wait()
    assert (letter.to, letter.message["Subject"], letter.text) == ((ADA,), "Hello", "Welcome!\n")
    assert answer.json()["task_id"] in letter.id
    assert home.ended(answer.json()["task_id"]).name == "send_email"


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"to": "nobody", "subject": "x"}, "query.to"),
        ({"to": ADA}, "query.subject"),
        ({"to": ADA, "subject": "x\r\nBcc: all@example.org"}, "query.subject"),
    ],
)
def test_the_route_refuses_what_is_no_letter(home, params, field):
    answer = home.http.post("/tasks/email", params=params)
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


def test_callers_are_refused_what_would_begin_another_header(home):
    with pytest.raises(InvalidArguments, match="subject"):
        home.registry.send_email.delay(ADA, "x\nBcc: all@example.org", "Body")
    with pytest.raises(InvalidArguments, match="to:"):
        home.registry.email_send.delay("nobody", "x", "Body")


@pytest.mark.proves("S002-25")
def test_three_letters_of_a_group_give_three_results(home):
    people = [f"{name}@example.org" for name in ("ada", "bo", "cy")]
    group = gather(*(home.registry.send_email.s(each, "Hello", "Body") for each in people))
    assert group.delay().get(timeout=WAIT) == [{"status": "sent", "to": each} for each in people]
    assert sorted(each.to for each in home.mail.letters) == [(each,) for each in people]


@pytest.mark.proves("S002-14")
def test_a_notification_goes_where_the_user_is(home):
    user_id = home.http.post("/api/v1/users", json={"email": ADA}).json()["id"]
    home.mail.wait()
    receipt = home.registry.send_notification_email.delay(user_id, "News", "Body").get(timeout=WAIT)
    letter = home.mail.letters[-1]
    assert (letter.to, letter.message["Subject"], letter.id) == ((ADA,), "News", receipt.message_id)
    with pytest.raises(NoAddressError, match="user 999 does not exist"):
        home.registry.send_notification_email.delay(999, "News", "Body").get(timeout=WAIT)


@pytest.mark.parametrize(
    ("name", "args", "waits"),
    [
        pytest.param("email.send", (ADA, "s", "b"), [60, 60, 60], marks=pytest.mark.proves("S001-10")),
        pytest.param("email.send_welcome", (7, ADA), [60, 120, 180], marks=pytest.mark.proves("S002-13")),
        pytest.param("email.send_notification", None, [60, 60, 60], marks=pytest.mark.proves("S002-14")),
    ],
)
def test_a_server_that_is_busy_is_asked_again_after_these_seconds(home, name, args, waits):
    # The message of each attempt, as the one before would have sent it: nobody has to wait for the minutes.
    app, told = home.container.resolve(Celery), f"busy-{name.replace('.', '-')}@example.org"
    if args is None:
        args = (home.http.post("/api/v1/users", json={"email": told}).json()["id"], "s", "b")
        until(lambda: home.mail.to(told))
    home.mail.answers.extend(["451 try later"] * 4)
    for retries, wait in enumerate(waits):
        attempt = app.tasks[name].apply_async(args, retries=retries)
        found = until(partial(in_log, home, rf"{re.escape(name)}\[{attempt.id}\] retry: Retry in (\S+)s"))
        assert float(found.group(1)) == wait
        attempt.revoke()
    last = app.tasks[name].apply_async(args, retries=len(waits))
    assert "451 try later" in str(home.ended(last.id).error)


@pytest.mark.parametrize("name", ["send_email", "email.send"])
def test_a_letter_that_is_refused_for_good_is_not_tried_again(home, name):
    home.mail.refusals[ADA] = "550 no such user"
    attempt = home.container.resolve(Celery).send_task(name, (ADA, "Hello", "Body"))
    record = home.ended(attempt.id)
    assert record.retries == 0
    assert "550 no such user" in str(record.error)
    assert home.mail.letters == []


@pytest.mark.proves("S002-13")
def test_the_worker_tells_of_a_welcome_in_its_log(home):
    home.registry.send_welcome_email.delay(7, ADA).get(timeout=WAIT)
    assert home.workers[0].wait_for(r"Sending welcome email.*user_id=7|user_id=7.*Sending welcome email")
    assert home.workers[0].wait_for("Welcome email sent")
    home.mail.refusals[ADA] = "550 no such user"
    with pytest.raises(LetterRefusedError):
        home.registry.send_welcome_email.delay(7, ADA).get(timeout=WAIT)
    assert home.workers[0].wait_for("Failed to send welcome email")


def in_log(home: House, pattern: str) -> Any:
    return re.search(pattern, home.workers[0].log)
