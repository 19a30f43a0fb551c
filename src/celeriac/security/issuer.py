"""The public keys of whoever issues tokens: fetched, kept, and fetched again when a token names one that is new."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from jwt import PyJWK
from jwt.exceptions import PyJWTError

from celeriac.exceptions import AccessUnavailable, InvalidSetting
from celeriac.security.algorithms import ASYMMETRIC

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["IssuerKeys"]

logger = logging.getLogger(__name__)

_FRESH: Final = 600.0
"""Seconds after which the keys are fetched again."""
_STALE: Final = 86_400.0
"""Seconds for which keys are used that could not be fetched again."""
_SOONEST: Final = 10.0
"""Seconds between two fetches: whoever makes up key ids must not make us ask the issuer for each."""
_TIMEOUT: Final = 3.0
_LARGEST: Final = 1 << 20
_MOST_KEYS: Final = 100
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow none: the keys are where the setting says, or nowhere."""


class IssuerKeys:
    """The keys at one address, by their ids.

    Args:
        url: where the issuer publishes them, as a JSON Web Key Set (RFC 7517).
        soonest: seconds between two fetches, whatever tokens name.

    Raises:
        InvalidSetting: the address is not ``https``, and not on this machine.
    """

    def __init__(self, url: str, *, soonest: float = _SOONEST) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _HERE):
            problem = "keys that come over plain http could be anybody's; write https://"
            raise InvalidSetting(setting="HTTP_JWT_JWKS_URL", problem=problem)
        self._url = url
        self._soonest = soonest
        self._keys: dict[str | None, list[PyJWK]] = {}
        self._fetched = self._asked = -math.inf
        self._fetching: asyncio.Task[None] | None = None

    async def keys_for(self, key_id: str | None, algorithm: str) -> list[PyJWK]:
        """The keys that a token may be signed with; empty if the issuer has none like that.

        Args:
            key_id: ``kid`` of the token's header; ``None`` where it names none, which every key then may be.
            algorithm: ``alg`` of the token's header, one of those that are allowed.

        Raises:
            AccessUnavailable: the issuer does not answer, and its keys are not known.
        """
        if not self._find(key_id, algorithm):
            await self._refresh()
        elif time.monotonic() - self._fetched > _FRESH:
            self._begin_refresh()  # and nobody waits for it
        if time.monotonic() - self._fetched > _STALE:
            raise AccessUnavailable(authority="the issuer of tokens", retry_after=math.ceil(self._soonest) or 1)
        return self._find(key_id, algorithm)

    def _find(self, key_id: str | None, algorithm: str) -> list[PyJWK]:
        candidates = self._keys.get(key_id, []) if key_id else [key for keys in self._keys.values() for key in keys]
        return [key for key in candidates if key.algorithm_name == algorithm]

    async def _refresh(self) -> None:
        """Fetch, unless that was done a moment ago; who comes meanwhile waits for the same answer."""
        if (fetching := self._begin_refresh()) is not None:
            await asyncio.shield(fetching)

    def _begin_refresh(self) -> asyncio.Task[None] | None:
        if self._fetching is None and time.monotonic() - self._asked >= self._soonest:
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            found = await asyncio.to_thread(self._download)
        except (OSError, URLError, ValueError, RecursionError) as error:
            logger.warning("the keys of %s cannot be fetched: %s", self._url, error)
        else:
            self._keys = found
            self._fetched = time.monotonic()
        finally:
            self._asked = time.monotonic()
            self._fetching = None

    def _download(self) -> dict[str | None, list[PyJWK]]:
        request = Request(self._url, headers={"Accept": "application/jwk-set+json, application/json"})  # noqa: S310  checked above
        with build_opener(_NoRedirects).open(request, timeout=_TIMEOUT) as answer:
            body: bytes = answer.read(_LARGEST + 1)
        if len(body) > _LARGEST:
            msg = "the answer is too large"
            raise ValueError(msg)
        said: Any = json.loads(body)
        keys: Any = cast("dict[str, Any]", said).get("keys") if isinstance(said, dict) else None
        if issubclass(type(keys), list):
            return _usable(keys[:_MOST_KEYS])
        msg = "the answer is no set of keys"
        raise ValueError(msg)


def _usable(keys: list[Any]) -> dict[str | None, list[PyJWK]]:
    """Public keys for signatures. A shared secret among them would let whoever reads the set sign tokens."""
    found: dict[str | None, list[PyJWK]] = {}
    for said in keys:
        if not isinstance(said, dict):
            continue
        table = cast("Mapping[str, Any]", said)
        key_id = table.get("kid")
        if table.get("use", "sig") != "sig" or not isinstance(key_id, str | None):
            continue
        for algorithm in _algorithms_of(table):
            try:
                found.setdefault(key_id, []).append(PyJWK(dict(table), algorithm))
            except (PyJWTError, ValueError, TypeError):
                continue
    return found


def _algorithms_of(table: Mapping[str, Any]) -> tuple[str, ...]:
    """What a key may be used with: what it says itself, else what its type allows."""
    said = table.get("alg")
    allowed = ASYMMETRIC.get((table.get("kty"), table.get("crv")), ())
    return allowed if said is None else tuple(name for name in allowed if name == said)
