"""Where callers come in: who they are, by key or token, and whether they may ask now."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from celeriac.exceptions import NotAuthenticated, OpenInProduction
from celeriac.security.api_keys import ApiKeys, is_api_key
from celeriac.security.audit import AuditLog
from celeriac.security.callers import Caller, Method
from celeriac.security.rates import Rates

if TYPE_CHECKING:
    from celeriac.security.rates import Admission
    from celeriac.security.server import Server
    from celeriac.security.tokens import Tokens

__all__ = ["Gate"]

logger = logging.getLogger(__name__)

_ANYBODY: Final = Caller("anybody", frozenset({"*"}), Method.OPEN)
_SHOUT: Final = (
    "\n"
    "********************************************************************************\n"
    "**  HTTP_AUTH IS OFF: whoever reaches this service may run and cancel ANY task. **\n"
    "**  This is for development on a machine that nobody else reaches.              **\n"
    "********************************************************************************"
)


class Gate:
    """Identifies callers, counts what they ask, and records what they do. HTTP and a bot use the same.

    Args:
        server: the Redis for keys, rates and the record.
        tokens: whose tokens count, too; ``None`` means that keys alone do.
        rate: how often a caller may ask, such as ``"600/m"``; ``None`` means no limit.
        open_to_all: ask nobody who they are.
        environment: where the service runs: ``production``, ``development`` or ``test``.

    Raises:
        OpenInProduction: open to all, in production.
        ValueError: the rate is not written like ``"600/m"``.
    """

    def __init__(
        self,
        server: Server,
        *,
        tokens: Tokens | None = None,
        rate: str | None = None,
        open_to_all: bool = False,
        environment: str = "production",
    ) -> None:
        if open_to_all and environment == "production":
            raise OpenInProduction(environment=environment)
        self.keys = ApiKeys(server)
        self.rates = Rates(server, rate)
        self.audit = AuditLog(server)
        self.open_to_all = open_to_all
        self._server = server
        self._tokens = tokens

    async def open(self) -> None:
        """Say who may come in. Connects to nothing yet, so a service starts while Redis is away."""
        if self.open_to_all:
            logger.warning(_SHOUT)
            return
        logger.info("callers are known by API keys%s", "" if self._tokens is None else " and by tokens")

    async def close(self) -> None:
        """Send what waits, and let go of the server."""
        await self._server.close()

    async def identify(self, credentials: str | None) -> Caller:
        """Whose credentials these are.

        Args:
            credentials: an API key or a token, without anything around it; ``None`` if there are none.

        Raises:
            NotAuthenticated: nobody's.
            AccessUnavailable: what knows that does not answer.
        """
        if self.open_to_all:
            return _ANYBODY
        if credentials is None:
            raise NotAuthenticated(problem="this takes an API key or a token")
        if is_api_key(credentials) or self._tokens is None:
            return await self.keys.identify(credentials)
        return await self._tokens.identify(credentials)

    async def admit(self, caller: Caller) -> Admission | None:
        """Count one request of a caller; ``None`` where nothing limits it.

        Raises:
            TooManyRequests: it has used up its rate.
        """
        return None if caller.method is Method.OPEN else await self.rates.admit(caller)
