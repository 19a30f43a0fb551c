"""A conversation with a server, through OpenAI's own library."""

from __future__ import annotations

from typing import Any, Final

import openai

from core.completions import Answer
from core.configs.settings import CompletionsSettings
from infrastructure.completions.answers import InPieces, Piece, Whole
from infrastructure.completions.problems import Problems

__all__ = ["Dialogue"]

_CONNECT: Final = 10.0
"""Seconds to connect."""


class Dialogue:
    """Asks one server. Its connections belong to the event loop that asks first.

    The library's own retries are off: the task's are the ones that a person sees, and that survive the process.
    """

    def __init__(self, settings: CompletionsSettings, key: str, model: str) -> None:
        timeout = openai.Timeout(settings.timeout, connect=min(_CONNECT, settings.timeout))
        self._client = openai.AsyncOpenAI(api_key=key, base_url=settings.base_url, timeout=timeout, max_retries=0)
        self._problems = Problems(settings.base_url, key, settings.timeout)
        self._streaming = settings.streaming
        self._options: dict[str, Any] = {"model": model}
        if settings.max_output_tokens is not None:
            self._options["max_completion_tokens"] = settings.max_output_tokens

    async def ask(self, prompt: str) -> Answer:
        """See :meth:`core.completions.ports.CompletionProvider.complete`."""
        messages = [{"role": "user", "content": prompt}]
        try:
            return await (self._in_pieces(messages) if self._streaming else self._in_one(messages))
        except (openai.APIError, ValueError) as error:  # a ValueError is of an answer that is none
            raise self._problems.of(error) from error

    async def aclose(self) -> None:
        """Hang up."""
        await self._client.close()

    async def _in_one(self, messages: list[dict[str, str]]) -> Answer:
        # Raw, because the library takes whatever comes for a completion: a page of HTML, or an empty list.
        create: Any = self._client.chat.completions.with_raw_response.create
        response = await create(messages=messages, **self._options)
        return Whole.model_validate_json(response.content).answer()

    async def _in_pieces(self, messages: list[dict[str, str]]) -> Answer:
        create: Any = self._client.chat.completions.create
        counted = {"include_usage": True}
        answer = InPieces()
        async with await create(messages=messages, stream=True, stream_options=counted, **self._options) as stream:
            async for chunk in stream:
                answer.add(Piece.model_validate(chunk))
        if answer.begun and not answer.finished:
            raise self._problems.broken_off()
        return answer.whole().answer()
