"""Bearer tokens of an issuer (JSON Web Tokens, RFC 7519, checked as RFC 8725 advises)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jwt
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    MissingRequiredClaimError,
    PyJWTError,
)

from celeriac.error import nearest
from celeriac.exceptions import InvalidSetting, NotAuthenticated
from celeriac.security.algorithms import ALGORITHMS
from celeriac.security.callers import Caller, Method
from celeriac.security.issuer import IssuerKeys

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TokenRules", "Tokens"]

_LARGEST: Final = 16_384
_LONGEST_SUBJECT: Final = 255
_REQUIRED: Final = ("exp", "iss", "aud", "sub")
_MOST_LEEWAY: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """Which tokens count.

    Attributes:
        issuer: who has to have issued them: ``iss``, letter for letter.
        audience: whom they have to be meant for: one of ``aud``.
        jwks_url: where the issuer's public keys are.
        algorithms: how they may be signed.
        leeway: seconds by which the issuer's clock and ours may differ.

    Raises:
        InvalidSetting: an algorithm is unknown or shares its secret, or the leeway is out of bounds.
    """

    issuer: str
    audience: str
    jwks_url: str
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "EdDSA")
    leeway: float = 30.0

    def __post_init__(self) -> None:
        strange = [name for name in self.algorithms if name not in ALGORITHMS]
        if strange or not self.algorithms:
            problem = f"it takes algorithms with a private key, {', '.join(ALGORITHMS)}"
            hint = nearest(strange[0], ALGORITHMS) if strange else ""
            raise InvalidSetting(setting="HTTP_JWT_ALGORITHMS", problem=f"{problem}.{hint}")
        if not 0 <= self.leeway <= _MOST_LEEWAY:
            problem = f"it takes 0 to {_MOST_LEEWAY:g} seconds"
            raise InvalidSetting(setting="HTTP_JWT_LEEWAY", problem=problem)


class Tokens:
    """Tells whose a token is.

    Args:
        rules: which tokens count.
        keys: the issuer's keys; ``None`` fetches them from where the rules say.
    """

    def __init__(self, rules: TokenRules, keys: IssuerKeys | None = None) -> None:
        self._rules = rules
        self._keys = IssuerKeys(rules.jwks_url) if keys is None else keys

    async def identify(self, text: str) -> Caller:
        """Whom a token stands for, and what it may do: ``scope`` or ``scp``.

        Raises:
            NotAuthenticated: it is expired, forged, of somebody else, for somebody else, or no token.
            AccessUnavailable: the issuer's keys cannot be had at the moment.
        """
        key_id, algorithm = self._header(text)
        for key in await self._keys.keys_for(key_id, algorithm):
            try:
                claims = self._claims(text, key, algorithm)
            except jwt.InvalidSignatureError:
                continue
            return _caller(claims)
        raise _refused(problem="the token is not signed by its issuer")

    def _header(self, text: str) -> tuple[str | None, str]:
        if len(text) > _LARGEST:
            raise _refused(problem="the token is too long")
        try:
            header = jwt.get_unverified_header(text)
        except (PyJWTError, ValueError, RecursionError):
            raise _refused(problem="the token is no token") from None
        algorithm: Any = header.get("alg")
        if algorithm not in self._rules.algorithms:
            raise _refused(problem="the token is signed in a way that is not allowed")
        key_id: Any = header.get("kid")
        return (key_id if isinstance(key_id, str) and key_id else None), str(algorithm)

    def _claims(self, text: str, key: jwt.PyJWK, algorithm: str) -> Mapping[str, Any]:
        rules = self._rules
        try:
            return jwt.decode(
                text,
                key,
                algorithms=[algorithm],
                audience=rules.audience,
                issuer=rules.issuer,
                leeway=rules.leeway,
                options={"require": list(_REQUIRED), "enforce_minimum_key_length": True},
            )
        except jwt.InvalidSignatureError:
            raise
        except (PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise _refused(problem=_why(error)) from None


def _why(error: Exception) -> str:
    """What is wrong, in words of ours: an error of PyJWT's may repeat what the token says."""
    if isinstance(error, ExpiredSignatureError):
        return "the token is expired"
    if isinstance(error, ImmatureSignatureError):
        return "the token is not valid yet"
    if isinstance(error, InvalidAudienceError):
        return "the token is meant for somebody else"
    if isinstance(error, InvalidIssuerError):
        return "the token is of another issuer"
    if isinstance(error, MissingRequiredClaimError) and error.claim in _REQUIRED:
        return f"the token lacks {error.claim}"
    return "the token is not valid"


def _caller(claims: Mapping[str, Any]) -> Caller:
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise _refused(problem="the token names nobody")
    name: Any = claims.get("name") or claims.get("client_id") or ""
    shown = name[:_LONGEST_SUBJECT] if isinstance(name, str) and name.isprintable() else ""
    return Caller(f"token:{subject}", _scopes(claims), Method.TOKEN, shown)


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """RFC 8693's ``scope``, a text with spaces, or ``scp``, as others write it: the same, or a list."""
    said: Any = claims.get("scope", claims.get("scp", ""))
    listed: list[Any] = said if issubclass(type(said), list) else []
    words = said.split() if isinstance(said, str) else listed
    return frozenset(word for word in words if isinstance(word, str))


def _refused(*, problem: str) -> NotAuthenticated:
    return NotAuthenticated(problem=problem, error="invalid_token")
