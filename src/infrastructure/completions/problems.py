"""What goes wrong with a server, in the service's terms."""

from __future__ import annotations

from typing import Final

import openai
from pydantic import ValidationError

from core.completions.errors import ProviderAnswerError, ProviderRefusedError, ProviderUnavailableError
from core.errors import ServiceError
from infrastructure.completions.waits import wait_of

__all__ = ["Problems"]

_SERVER_ERRORS: Final = 500
_LATER: Final = frozenset({408, 409, 425, 429})
"""Answers beside those of the server's own errors that are worth another try."""
_FINAL: Final = frozenset({"insufficient_quota", "invalid_request_error"})
"""Codes and types of errors that are not, whatever the number: the account is empty, the prompt too long."""
_SHOWN: Final = 300


class Problems:
    """Names what a call of the library, or a look at its answer, raised.

    Args:
        base_url: the server, which the texts name.
        key: is never shown, though a server might repeat it.
        timeout: seconds that it has to say something.
    """

    def __init__(self, base_url: str, key: str, timeout: float) -> None:
        self._provider = f"the provider at {base_url}"
        self._key = key
        self._timeout = timeout

    def of(self, error: Exception) -> ServiceError:
        """What to raise instead."""
        if isinstance(error, openai.APIStatusError):
            said = f"{self._provider} answered {error.status_code}: {self._shown(error.message)}"
            later = error.status_code in _LATER or error.status_code >= _SERVER_ERRORS
            if later and not _is_final(error):
                return ProviderUnavailableError(said, wait_of(error.response.headers))
            return self._refused(said)
        if isinstance(error, openai.APITimeoutError):
            return ProviderUnavailableError(f"{self._provider} said nothing for {self._timeout:g} seconds")
        if isinstance(error, openai.APIConnectionError):
            cause = self._shown(error.__cause__ or error)
            return ProviderUnavailableError(f"{self._provider} cannot be reached, or hung up: {cause}")
        if isinstance(error, openai.APIError):  # in the middle of a stream
            said = f"{self._provider} broke off: {self._shown(error.message)}"
            return self._refused(said) if _is_final(error) else ProviderUnavailableError(said)
        return self._nonsense(error)

    def broken_off(self) -> ProviderUnavailableError:
        """A stream that ended before the answer did."""
        return ProviderUnavailableError(f"{self._provider} broke off in the middle of its answer")

    def _refused(self, said: str) -> ProviderRefusedError:
        settings = "COMPLETIONS_API_KEY, COMPLETIONS_MODEL and COMPLETIONS_MAX_OUTPUT_TOKENS"
        return ProviderRefusedError(f"{said}. Check {settings}, and the prompt")

    def _nonsense(self, error: Exception) -> ProviderAnswerError:
        problem = str(error)
        if isinstance(error, ValidationError):
            problem = "; ".join(
                f"{'.'.join(map(str, each['loc'])) or 'all of it'}: {each['msg']}" for each in error.errors()
            )
        return ProviderAnswerError(
            f"what {self._provider} answered is no completion: {self._shown(problem)}."
            " Check that COMPLETIONS_BASE_URL leads to an API, such as https://api.openai.com/v1"
        )

    def _shown(self, said: object) -> str:
        """The beginning of it, in one line."""
        return " ".join(str(said).replace(self._key, "[key]").split())[:_SHOWN]


def _is_final(error: openai.APIError) -> bool:
    return error.code in _FINAL or error.type in _FINAL
