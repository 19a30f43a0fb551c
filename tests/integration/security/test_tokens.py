"""Tokens of a real issuer: good ones, and every kind of bad one."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.kit.issuer import AUDIENCE, Issuer

from celeriac.exceptions import AccessUnavailable, InvalidSetting, NotAuthenticated
from celeriac.security.callers import Method
from celeriac.security.issuer import IssuerKeys
from celeriac.security.tokens import TokenRules, Tokens


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


def tokens_of(issuer: Issuer, *, soonest: float = 0.0) -> Tokens:
    rules = TokenRules(issuer=issuer.url, audience=AUDIENCE, jwks_url=issuer.jwks_url, leeway=5)
    return Tokens(rules, IssuerKeys(issuer.jwks_url, soonest=soonest))


def identify(tokens: Tokens, text: str):
    return asyncio.run(tokens.identify(text))


def refused(tokens: Tokens, text: str) -> str:
    with pytest.raises(NotAuthenticated) as error:
        identify(tokens, text)
    assert error.value.challenge.startswith('Bearer realm="celeriac", error="invalid_token"')
    return str(error.value)


@pytest.mark.proves("S004-23")
def test_a_token_tells_whom_it_stands_for_and_what_they_may_do(issuer):
    caller = identify(tokens_of(issuer), issuer.token(scope="tasks:run reports:run", name="Ann"))
    assert (caller.subject, caller.name, caller.method) == ("token:ann", "Ann", Method.TOKEN)
    assert caller.scopes == {"tasks:run", "reports:run"}


@pytest.mark.parametrize(
    ("said", "scopes"),
    [
        ({"scope": None, "scp": "tasks:run tasks:read"}, {"tasks:run", "tasks:read"}),
        ({"scope": None, "scp": ["tasks:run", 7]}, {"tasks:run"}),
        ({"scope": None}, set()),
        ({"scope": {"tasks:run": True}}, set()),
    ],
)
def test_scopes_are_read_as_issuers_write_them(issuer, said, scopes):
    assert identify(tokens_of(issuer), issuer.token(**said)).scopes == scopes


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_each_allowed_algorithm_is_checked(issuer, algorithm):
    issuer.add("other", algorithm)
    tokens = tokens_of(issuer)
    good = issuer.token("other")
    assert identify(tokens, good).subject == "token:ann"
    head, body, signature = good.split(".")
    flipped = ("A" if signature[9] != "A" else "B").join((signature[:9], signature[10:]))
    assert refused(tokens, f"{head}.{body}.{flipped}") == "the token is not signed by its issuer"


@pytest.mark.proves("S004-23")
@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"exp": int(time.time()) - 60}, "the token is expired"),
        ({"nbf": int(time.time()) + 600}, "the token is not valid yet"),
        ({"iat": int(time.time()) + 600}, "the token is not valid yet"),
        ({"aud": "somebody-else"}, "the token is meant for somebody else"),
        ({"aud": ["a", "b"]}, "the token is meant for somebody else"),
        ({"iss": "https://somebody.else"}, "the token is of another issuer"),
        ({"exp": None}, "the token lacks exp"),
        ({"aud": None}, "the token lacks aud"),
        ({"iss": None}, "the token lacks iss"),
        ({"sub": None}, "the token lacks sub"),
        ({"sub": ""}, "the token names nobody"),
        ({"sub": "a\nb"}, "the token names nobody"),
        ({"sub": "x" * 300}, "the token names nobody"),
        ({"exp": "soon"}, "the token is not valid"),
        ({"exp": 1e400}, "the token is not valid"),
        ({"exp": []}, "the token is not valid"),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(issuer, said, why):
    assert refused(tokens_of(issuer), issuer.token(**said)) == why


def test_clocks_may_differ_a_little(issuer):
    assert identify(tokens_of(issuer), issuer.token(exp=int(time.time()) - 2)).subject == "token:ann"


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.proves("S004-23")
def test_a_forged_token_is_refused(issuer):
    tokens = tokens_of(issuer)
    good = issuer.token()
    head, body, signature = good.split(".")
    # Another body under the same signature, and no signature at all.
    assert "not signed" in refused(tokens, f"{head}.{encoded(issuer.claims(scope='*'))}.{signature}")
    unsigned = f"{encoded({'alg': 'none', 'kid': 'first'})}.{body}."
    assert "in a way that is not allowed" in refused(tokens, unsigned)
    assert "not signed" in refused(tokens, f"{head}.{body}.")
    # The key of somebody who calls it by the same name.
    with Issuer() as liar:
        assert "not signed" in refused(tokens, liar.token(iss=issuer.url))


def test_a_public_key_is_no_shared_secret(issuer):
    """The old confusion: sign by HMAC with the public key, which everybody has."""
    public = jwt.PyJWK(issuer.published[0]).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body = encoded({"alg": "HS256", "kid": "first"}), encoded(issuer.claims())
    mac = hmac.new(public, f"{head}.{body}".encode(), hashlib.sha256).digest()
    forged = f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    assert "in a way that is not allowed" in refused(tokens_of(issuer), forged)


def test_a_shared_secret_among_the_keys_is_not_used(issuer):
    secret = b"k" * 32
    issuer.published.append({"kty": "oct", "k": base64.urlsafe_b64encode(secret).decode(), "kid": "shared"})
    forged = jwt.encode(issuer.claims(), secret, "HS256", {"kid": "shared"})
    assert "in a way that is not allowed" in refused(tokens_of(issuer), forged)


def test_a_key_that_an_issuer_uses_for_something_else_signs_nothing(issuer):
    issuer.add("sealing")
    issuer.published[-1]["use"] = "enc"
    assert "not signed" in refused(tokens_of(issuer), issuer.token("sealing"))


def test_keys_are_fetched_once_and_again_when_a_token_names_a_new_one(issuer):
    tokens = tokens_of(issuer)

    async def story():
        for _ in range(5):
            await tokens.identify(issuer.token())
        before = issuer.fetched
        issuer.add("second")
        caller = await tokens.identify(issuer.token("second"))
        return before, issuer.fetched, caller

    before, after, caller = asyncio.run(story())
    assert (before, after) == (1, 2)
    assert caller.subject == "token:ann"


@pytest.mark.proves("S004-23")
def test_made_up_key_ids_do_not_make_us_ask_the_issuer_for_each(issuer):
    tokens = tokens_of(issuer, soonest=600)

    async def story():
        made_up = [issuer.token(headers={"kid": f"made-up-{number}"}) for number in range(50)]
        return await asyncio.gather(*map(tokens.identify, made_up), return_exceptions=True)

    answers = asyncio.run(story())
    assert all(isinstance(answer, NotAuthenticated) for answer in answers)
    assert issuer.fetched == 1


def test_while_the_issuer_is_away_its_known_keys_go_on_and_without_any_nobody_is_judged(issuer):
    known, unknown = tokens_of(issuer), tokens_of(issuer)

    async def story():
        await known.identify(issuer.token())
        issuer.go_away()
        caller = await known.identify(issuer.token())
        with pytest.raises(AccessUnavailable):
            await unknown.identify(issuer.token())
        return caller

    assert asyncio.run(story()).subject == "token:ann"


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"[]", b'{"keys": {}}', b'{"keys": [1, null, {}]}', b"[" * 100_000, b" " * (2 << 20)],
    ids=["empty", "text", "list", "table", "strange", "deep", "huge"],
)
def test_an_issuer_that_answers_nonsense_lets_nobody_in(issuer, body):
    issuer.body = body
    with pytest.raises((AccessUnavailable, NotAuthenticated)):
        identify(tokens_of(issuer), issuer.token())


def test_keys_are_not_fetched_from_where_somebody_else_points(issuer):
    with Issuer() as other:
        issuer.location = other.jwks_url
        with pytest.raises(AccessUnavailable):
            identify(tokens_of(issuer), other.token(iss=issuer.url))
        assert other.fetched == 0


@pytest.mark.parametrize("url", ["http://issuer.example/jwks", "file:///etc/passwd", "ftp://127.0.0.1/keys", ""])
def test_keys_come_over_tls_or_from_this_machine(url):
    with pytest.raises(InvalidSetting, match="HTTP_JWT_JWKS_URL"):
        IssuerKeys(url)


@pytest.mark.parametrize("algorithms", [("HS256",), ("none",), ("RS256", "HS512"), (), ("RS265",)])
def test_algorithms_that_share_a_secret_are_refused_at_the_start(algorithms):
    with pytest.raises(InvalidSetting, match="HTTP_JWT_ALGORITHMS"):
        TokenRules(issuer="i", audience="a", jwks_url="https://i.example", algorithms=algorithms)


def test_the_clocks_may_not_differ_without_end():
    with pytest.raises(InvalidSetting, match="HTTP_JWT_LEEWAY"):
        TokenRules(issuer="i", audience="a", jwks_url="https://i.example", leeway=3600)
