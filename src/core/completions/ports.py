"""What completions need from outside."""

from __future__ import annotations

from typing import Protocol

from core.completions.entities import Answer, Completion

__all__ = ["CompletionProvider", "Completions"]


class CompletionProvider(Protocol):
    """Asks a language model."""

    async def complete(self, prompt: str) -> Answer:
        """The model's answer, whole. Whoever cancels this hangs up.

        Raises:
            ProviderNotConfiguredError: a setting is missing.
            ProviderRefusedError: it does not answer such a request.
            ProviderAnswerError: what it answered is no completion.
            ProviderUnavailableError: it is away, busy, or broke off.
        """
        ...


class Completions(Protocol):
    """Keeps completions."""

    async def find(self, request_id: str) -> Completion | None:
        """The completion of that request, as the last transaction left it.

        Raises:
            DatabaseUnavailableError: the database is away.
        """
        ...

    async def knows_user(self, user_id: int) -> bool:
        """Whether there is such a user.

        Raises:
            DatabaseUnavailableError: the database is away.
        """
        ...

    async def add(self, completion: Completion) -> Completion:
        """Keep this, within the unit of work that is open; the first one wins, and is what is returned.

        Raises:
            CompletionUserError: the user was deleted meanwhile.
        """
        ...
