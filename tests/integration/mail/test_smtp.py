"""The SMTP adapter against a real server: what arrives, and what is said of each thing that goes wrong."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest
from aiosmtplib import SMTPServerDisconnected
from tests.integration.mail.conftest import sender_to
from tests.kit.post_office import PostOffice

from core.errors import RefusedError, UnavailableError
from core.mail import (
    DeliveryUncertainError,
    Letter,
    LetterRefusedError,
    MailServerUnavailableError,
    MailSetupError,
)

ADA, BO = "ada@example.org", "bo@example.org"


def letter(*to: str, **changes: Any) -> Letter:
    usual: dict[str, Any] = {"id": "one", "subject": "Grüße", "body": "Schöne Grüße,\n.\nbis bald\n"}
    return Letter(to=to or (ADA,), **usual | changes)


def send(sender, *letters: Letter) -> list[Any]:
    async def all_of_them() -> list[Any]:
        return [await sender.send(each) for each in letters or (letter(),)]

    return asyncio.run(all_of_them())


def test_a_letter_arrives_as_it_was_written(post_office):
    (receipt,) = send(sender_to(post_office.port))
    (arrived,) = post_office.letters
    assert (arrived.sender, arrived.to) == ("service@example.org", (ADA,))
    assert arrived.message["From"] == "service@example.org"
    assert arrived.message["To"] == ADA
    assert arrived.message["Subject"] == "Grüße"
    assert arrived.text == "Schöne Grüße,\n.\nbis bald\n"
    assert arrived.message["Auto-Submitted"] == "auto-generated"
    assert receipt.to == (ADA,)
    assert receipt.message_id == arrived.id == "<one@example.org>"


def test_every_attempt_has_the_same_message_id_and_another_letter_has_another(post_office):
    send(sender_to(post_office.port), letter(), letter(), letter(id="two"), letter(id="my id/1 <x>"))
    first, again, second, strange = (each.id for each in post_office.letters)
    assert first == again != second
    assert strange.endswith("@example.org>")
    assert " " not in strange


def test_addresses_beyond_ascii_are_written_where_the_server_knows_them(post_office):
    send(sender_to(post_office.port), letter("zoë@example.org", "ada@bücher.example"))
    (arrived,) = post_office.letters
    assert arrived.to == ("zoë@example.org", "ada@xn--bcher-kva.example")
    with PostOffice(utf8=False) as old:
        with pytest.raises(LetterRefusedError, match="knows no addresses beyond ASCII"):
            send(sender_to(old.port), letter("zoë@example.org"))
        send(sender_to(old.port), letter("ada@bücher.example"))
        assert [each.to for each in old.letters] == [("ada@xn--bcher-kva.example",)]


@pytest.mark.parametrize(
    ("domain", "known_as"),
    [("straße.de", "xn--strae-oqa.de"), ("βόλος.gr", "xn--nxasmm1c.gr"), ("Bücher.example", "xn--bcher-kva.example")],
)
def test_a_letter_goes_to_the_domain_that_was_written_and_to_none_like_it(post_office, domain, known_as):
    send(sender_to(post_office.port, sender=f"service@{domain}"), letter(f"ada@{domain}"))
    (arrived,) = post_office.letters
    assert (arrived.sender, arrived.to) == (f"service@{known_as}", (f"ada@{known_as}",))
    assert arrived.message["To"] == f"ada@{known_as}"
    assert arrived.id == f"<one@{known_as}>"


def test_a_domain_that_cannot_be_is_refused(post_office):
    with pytest.raises(LetterRefusedError, match=r"ada@ü\.\.de is no address: Empty Label"):
        send(sender_to(post_office.port), letter("ada@ü..de"))
    assert post_office.letters == []


def test_a_letter_with_long_lines_and_no_line_at_all_arrives(post_office):
    long, nothing = "wort " * 1000, ""
    send(sender_to(post_office.port), letter(body=long, subject=long.strip()), letter(body=nothing, subject=""))
    first, second = post_office.letters
    assert (first.text.strip(), first.message["Subject"]) == (long.strip(), long.strip())
    assert (second.text.strip(), second.message["Subject"]) == ("", "")


@pytest.mark.parametrize("reply", ["550 no such user", "552 too large", "421 closing", "450 busy", "451 try later"])
def test_a_refusal_is_for_good_or_for_now_as_the_server_says(post_office, reply):
    expected = LetterRefusedError if reply.startswith("5") else MailServerUnavailableError
    for where in ("recipient", "letter"):
        if where == "recipient":
            post_office.refusals[ADA] = reply
        else:
            post_office.answers.append(reply)
        with pytest.raises(expected) as refused:
            send(sender_to(post_office.port))
        assert reply in str(refused.value)
        assert f"localhost:{post_office.port}" in str(refused.value)
        post_office.refusals.clear()
    assert post_office.letters == []


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ({BO: "550 no such user"}, LetterRefusedError),
        ({BO: "450 greylisted"}, MailServerUnavailableError),
        ({ADA: "450 greylisted", BO: "550 no such user"}, LetterRefusedError),
    ],
)
def test_a_server_that_takes_half_of_the_addresses_gets_no_letter(post_office, replies, expected):
    post_office.refusals |= replies
    with pytest.raises(expected, match="so nobody got the letter") as refused:
        send(sender_to(post_office.port), letter(ADA, BO))
    assert all(f"{address}: {reply}" in str(refused.value) for address, reply in replies.items())
    assert post_office.letters == []


def test_a_connection_lost_after_the_letter_leaves_it_open_whether_it_was_sent(post_office):
    post_office.faults.append("hang up")
    with pytest.raises(DeliveryUncertainError, match="before it said whether it has the letter"):
        send(sender_to(post_office.port))
    post_office.faults.append("keep silent")
    with pytest.raises(DeliveryUncertainError):
        send(sender_to(post_office.port, timeout=0.2))
    assert len({each.id for each in post_office.letters}) == 1
    assert len(post_office.letters) == 2


def test_a_server_that_is_away_is_worth_another_attempt():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(MailServerUnavailableError, match=f"localhost:{port} did not take a connection"):
        send(sender_to(port))


def test_a_server_that_never_answers_is_given_up():
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(MailServerUnavailableError, match="Timed out"),
    ):
        send(sender_to(silent.getsockname()[1], timeout=0.2))


@pytest.mark.parametrize(
    ("greeting", "expected"),
    [
        (b"421 too many of you\r\n", MailServerUnavailableError),
        (b"554 no mail here\r\n", LetterRefusedError),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", MailServerUnavailableError),
    ],
)
def test_a_server_that_speaks_of_something_else_is_understood(greeting, expected):
    async def main() -> None:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(greeting)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            await sender_to(server.sockets[0].getsockname()[1]).send(letter())

    with pytest.raises(expected):
        asyncio.run(main())


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_letters_travel_under_tls_to_servers_that_are_trusted(certificate, trusting, tls):
    with PostOffice(tls, certificate) as office:
        send(sender_to(office.port, trusting, tls=tls))
        assert len(office.letters) == 1
        with pytest.raises(MailSetupError, match="certificate verify failed"):
            send(sender_to(office.port, tls=tls))
        with pytest.raises(MailSetupError, match="certificate verify failed"):
            send(sender_to(office.port, trusting, tls=tls, host="127.0.0.1"))  # it vouches for localhost
        assert len(office.letters) == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_tls_that_breaks_on_the_way_is_a_lost_connection(certificate, trusting, tls):
    with PostOffice(tls, certificate) as office:
        office.unsafe_for.add(ADA)
        with pytest.raises(MailServerUnavailableError) as lost:
            send(sender_to(office.port, trusting, tls=tls))
        assert isinstance(lost.value.__cause__, SMTPServerDisconnected)
        assert isinstance(lost.value.__cause__.__cause__, ssl.SSLError)
        assert office.letters == []
        office.unsafe_for.clear()
        office.faults.append("break TLS")
        with pytest.raises(DeliveryUncertainError, match="before it said whether it has the letter"):
            send(sender_to(office.port, trusting, tls=tls))
        assert len(office.letters) == 1


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        (80, MailServerUnavailableError),  # internal_error
        (70, MailSetupError),  # protocol_version
        (40, MailSetupError),  # handshake_failure
        (None, MailSetupError),  # speaks no TLS there
    ],
)
def test_what_ends_a_greeting_under_tls_is_for_good_only_if_the_settings_are_wrong(alert, expected):
    said = b"220 localhost\r\n" if alert is None else bytes([21, 3, 3, 0, 2, 2, alert])

    async def main() -> None:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1024)
            writer.write(said)
            await reader.read()
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            await sender_to(server.sockets[0].getsockname()[1], tls="tls").send(letter())

    with pytest.raises(expected):
        asyncio.run(main())


def test_a_server_without_tls_gets_nothing_where_tls_was_asked_for(post_office):
    with pytest.raises(MailSetupError, match="STARTTLS"):
        send(sender_to(post_office.port, tls="starttls"))
    assert post_office.letters == []


def test_who_has_to_log_in_does_and_a_wrong_password_is_not_tried_again(certificate, trusting):
    with PostOffice("starttls", certificate, users={"service": "s3cret"}) as office:
        said: dict[str, Any] = {"tls": "starttls", "username": "service"}
        send(sender_to(office.port, trusting, password="s3cret", **said))
        assert len(office.letters) == 1
        with pytest.raises(MailSetupError, match="535") as refused:
            send(sender_to(office.port, trusting, password="wr0ng", **said))
        assert "wr0ng" not in str(refused.value)
        with pytest.raises(LetterRefusedError, match="530"):
            send(sender_to(office.port, trusting, tls="starttls"))


def test_each_error_says_whether_another_attempt_is_worth_it():
    assert issubclass(MailServerUnavailableError, UnavailableError)
    assert issubclass(DeliveryUncertainError, UnavailableError)
    assert issubclass(LetterRefusedError, RefusedError)
    assert issubclass(MailSetupError, RefusedError)


def test_letters_go_out_side_by_side_from_one_sender(post_office):
    sender = sender_to(post_office.port)

    async def main() -> None:
        await asyncio.gather(*(sender.send(letter(id=str(number))) for number in range(20)))

    asyncio.run(main())
    assert {each.id for each in post_office.letters} == {f"<{number}@example.org>" for number in range(20)}
