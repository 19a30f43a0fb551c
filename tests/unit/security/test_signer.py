"""What a signature covers, and what it lets pass."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.exceptions import MalformedMessage
from celeriac.transport.envelope import Envelope
from celeriac.transport.signing import SIGNATURE, Signer

KEY, OTHER = "k" * 44, "o" * 44
JSON = st.none() | st.integers() | st.text(max_size=8) | st.lists(st.none() | st.integers(), max_size=3)
DECIDES = st.sampled_from(
    ["task", "id", "eta", "expires", "retries", "timelimit", "group", "group_index", "root_id", "parent_id"]
)


def arrived(headers: dict[str, Any], body: bytes = b"[[], {}, {}]", content_type: str = "application/json") -> Envelope:
    return Envelope(body, None, headers, {}, content_type, "utf-8")


def signed(headers: dict[str, Any], key: str = KEY) -> dict[str, Any]:
    return Signer([key]).sign(b"[[], {}, {}]", headers, None, ("application/json", "utf-8"))[1]


def is_good(envelope: Envelope, keys: tuple[str, ...] = (KEY,)) -> bool:
    try:
        Signer(keys).check(envelope)
    except MalformedMessage:
        return False
    return True


@given(st.dictionaries(DECIDES, JSON, max_size=5))
def test_what_was_signed_passes_with_any_of_the_keys_and_with_no_other(headers):
    envelope = arrived(signed(headers))
    assert is_good(envelope)
    assert is_good(envelope, (OTHER, KEY))
    assert not is_good(envelope, (OTHER,))


@pytest.mark.proves("S000-43")
@given(st.dictionaries(DECIDES, JSON, max_size=5), DECIDES, JSON)
def test_no_header_that_decides_what_runs_can_be_changed(headers, name, value):
    changed = {**signed(headers), name: value}
    assert is_good(arrived(changed)) == (headers.get(name) == value and type(headers.get(name)) is type(value))


@given(st.text(alphabet="abcxyz-", min_size=1, max_size=8).filter(lambda name: name != SIGNATURE), JSON)
def test_headers_that_brokers_and_tools_add_change_nothing(name, value):
    assert is_good(arrived({**signed({"task": "add"}), f"x-{name}": value}))


@given(st.binary(max_size=20))
def test_no_other_body_passes(body):
    assert is_good(arrived(signed({"task": "add"}), body)) == (body == b"[[], {}, {}]")


def test_the_same_bytes_under_another_type_do_not_pass():
    assert not is_good(arrived(signed({"task": "add"}), content_type="application/x-yaml"))


@given(st.none() | st.integers() | st.text(max_size=100) | st.lists(st.text(max_size=3), max_size=2))
def test_nothing_else_is_a_signature(said):
    assert not is_good(arrived({"task": "add", SIGNATURE: said}))


@pytest.mark.parametrize("name", ["task_signing_keys", "result_encryption_keys"])
def test_keys_are_shown_nowhere(name):
    secret = "cm9zZWJ1ZHJvc2VidWRyb3NlYnVkcm9zZWJ1ZHJvc2U="
    config = CeleryAppConfig.from_mapping({name: secret})
    app = create_celery_app(config)
    shown = f"{config!r} {config.settings!r} {app.conf!r} {app.conf.humanize()} {app.conf.table(censored=True)}"
    assert secret not in shown
