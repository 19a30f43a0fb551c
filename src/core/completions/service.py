"""Has a language model answer what users ask."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import structlog

from core.completions.entities import Completion
from core.completions.errors import CompletionUserError, InvalidRequestError, RequestConflictError
from core.completions.ports import CompletionProvider, Completions
from core.transactions import AsyncUnitOfWork

__all__ = ["CompletionService"]

logger = structlog.get_logger(__name__)

_LONGEST_ID: Final = 255


class CompletionService:
    """Each request is answered once, however often it is made: its id stands for it.

    No transaction is open while the provider is asked, which may take minutes.
    """

    def __init__(self, provider: CompletionProvider, completions: Completions, unit: AsyncUnitOfWork) -> None:
        self._provider = provider
        self._completions = completions
        self._unit = unit

    async def process(self, request_id: str, prompt: str, user_id: int) -> Completion:
        """Ask, keep the answer, and return it; what was answered before is returned as it was.

        Of two workers with the same request at the same time both ask, and both return what the first one kept.

        Raises:
            InvalidRequestError: the request's id or the prompt is empty, too long, or cannot be kept.
            RequestConflictError: the id was used before, for another prompt or user.
            CompletionUserError: there is no such user.
            ProviderNotConfiguredError: a setting is missing.
            ProviderRefusedError: the provider does not answer such a request.
            ProviderAnswerError: what it answered is no completion.
            ProviderUnavailableError: it is away, busy, or broke off.
            DatabaseUnavailableError: the database is away.
        """
        log = logger.bind(request_id=request_id)
        log.info("Processing AI completion")
        try:
            completion = await self._process(request_id, prompt, user_id)
        except BaseException as error:  # a time limit cancels it
            log.error("AI completion failed", error=str(error) or type(error).__name__)  # noqa: TRY400 - the worker logs the rest
            raise
        log.info("AI completion processed", tokens=completion.answer.total_tokens)
        return completion

    async def _process(self, request_id: str, prompt: str, user_id: int) -> Completion:
        _check(request_id, prompt)
        if (known := await self._completions.find(request_id)) is None:
            if not await self._completions.knows_user(user_id):
                msg = f"user {user_id} does not exist, so nobody asks: the user may have been deleted"
                raise CompletionUserError(msg)
            answer = await self._provider.complete(prompt)
            completion = Completion(request_id, user_id, prompt, answer, datetime.now(UTC))
            async with self._unit:
                known = await self._completions.add(completion)
        if (known.user_id, known.prompt) != (user_id, prompt):
            msg = f"request {request_id!r} was made before, by another user or with another prompt: choose a new id"
            raise RequestConflictError(msg)
        return known


def _check(request_id: str, prompt: str) -> None:
    if not 0 < len(request_id) <= _LONGEST_ID:
        msg = f"a request's id has 1 to {_LONGEST_ID} characters, not {len(request_id)}"
        raise InvalidRequestError(msg)
    if not prompt.strip():
        msg = f"the prompt of request {request_id!r} is empty"
        raise InvalidRequestError(msg)
    if "\0" in request_id + prompt:
        msg = f"request {request_id!r} holds a character of code 0, which no database keeps as text"
        raise InvalidRequestError(msg)
