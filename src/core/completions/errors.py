"""What can be wrong with a request to a language model, and with its answer."""

from __future__ import annotations

from core.errors import ConflictError, NotFoundError, RefusedError, UnavailableError

__all__ = [
    "CompletionUserError",
    "InvalidRequestError",
    "ProviderAnswerError",
    "ProviderNotConfiguredError",
    "ProviderRefusedError",
    "ProviderUnavailableError",
    "RequestConflictError",
]


class InvalidRequestError(RefusedError):
    """The request's id or its prompt is empty, too long, or cannot be kept."""


class RequestConflictError(ConflictError):
    """The request's id was used before, for another request."""


class CompletionUserError(NotFoundError):
    """There is no such user."""


class ProviderNotConfiguredError(RefusedError):
    """Nobody has said which provider to ask, or how."""


class ProviderRefusedError(RefusedError):
    """The provider does not answer such a request, whoever asks however often: a wrong key, model, or prompt."""


class ProviderAnswerError(RefusedError):
    """What the provider answered is no completion.

    Not tried again: an address that leads to something else says the same each time, and each attempt may cost money.
    """


class ProviderUnavailableError(UnavailableError):
    """The provider is away, busy, or broke off; nothing of its answer is kept.

    Attributes:
        retry_after: seconds after which it wants to be asked again, if it said so.
    """

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after
