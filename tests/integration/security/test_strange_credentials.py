"""Whatever is sent in the place of credentials is refused in our words, and nothing breaks."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.kit.issuer import AUDIENCE, Issuer

from celeriac.exceptions import NotAuthenticated
from celeriac.security.api_keys import is_api_key
from celeriac.security.callers import Caller
from celeriac.security.issuer import IssuerKeys
from celeriac.security.tokens import TokenRules, Tokens

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CLAIM = st.sampled_from(["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "scope", "scp", "name"])
HEADER = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jku", "jwk", "x5u", "cty"])


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def tokens(issuer: Issuer) -> Tokens:
    rules = TokenRules(issuer=issuer.url, audience=AUDIENCE, jwks_url=issuer.jwks_url)
    return Tokens(rules, IssuerKeys(issuer.jwks_url))


def identify(tokens: Tokens, text: str) -> Caller | None:
    try:
        return asyncio.run(tokens.identify(text))
    except NotAuthenticated as refused:
        assert '"' not in str(refused)  # noqa: PT017  it stands in a header, between quotes
        return None


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def mixed(function):
    return settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])(
        function
    )


@mixed
@given(text=st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_no_token(tokens, text):
    assert identify(tokens, text) is None


@mixed
@given(parts=st.lists(JSON, min_size=3, max_size=3))
def test_any_three_parts_are_no_token(tokens, parts):
    assert identify(tokens, ".".join(map(encoded, parts))) is None


@mixed
@given(header=st.dictionaries(HEADER, JSON, max_size=4))
def test_any_header_over_a_good_body_is_no_token(tokens, issuer, header):
    _, body, signature = issuer.token().split(".")
    assert identify(tokens, f"{encoded(header)}.{body}.{signature}") is None


@mixed
@given(claims=st.dictionaries(CLAIM, JSON, max_size=4))
def test_any_claims_that_are_signed_are_judged_without_breaking(tokens, issuer, claims):
    caller = identify(tokens, issuer.token(**claims))
    if caller is not None:
        assert caller.subject.startswith("token:")


@mixed
@given(position=st.integers(0, 10_000), character=st.sampled_from("ABab01-_.=+/ \x00é"))
def test_one_changed_letter_makes_it_no_token(tokens, issuer, position, character):
    good = issuer.token()
    place = position % len(good)
    changed = good[:place] + character + good[place + 1 :]
    last_bits = place >= len(good) - 1  # the last letter of base64 has bits that mean nothing
    if changed != good and not last_bits:
        assert identify(tokens, changed) is None


@given(st.text(max_size=80))
def test_few_texts_are_api_keys(text):
    assert not is_api_key(text)
    assert not is_api_key(f"cel_{text}") or len(text) == 56
