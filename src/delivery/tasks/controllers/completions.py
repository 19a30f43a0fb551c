"""Tasks that ask a language model."""

from __future__ import annotations

from typing import Final, Literal

from typing_extensions import TypedDict

from celeriac import Limits, Retry, TaskContext, TaskController, task
from core.completions.errors import ProviderUnavailableError
from core.completions.service import CompletionService
from core.errors import UnavailableError

__all__ = ["CompletionReceipt", "CompletionTaskController"]

_WAIT: Final = 30.0
_LONGEST_WAIT: Final = 3600.0
"""Seconds: a provider that asks for more is asked again all the same."""


class CompletionReceipt(TypedDict):
    """Which request was answered, and how many tokens it took."""

    request_id: str
    status: Literal["completed"]
    tokens: int


class CompletionTaskController(TaskController):
    """Answers of a language model."""

    def __init__(self, completions: CompletionService, context: TaskContext) -> None:
        self._completions = completions
        self._context = context

    @task(
        "process_ai_completion",
        queue="default",
        retry=Retry(on=UnavailableError, max_retries=3, backoff=_WAIT),
        limits=Limits(soft=300),
    )
    async def process_ai_completion(self, request_id: str, prompt: str, user_id: int) -> CompletionReceipt:
        """Have a language model answer a user, once for each request id, and keep the answer."""
        try:
            completion = await self._completions.process(request_id, prompt, user_id)
        except ProviderUnavailableError as error:
            if error.retry_after is not None and error.retry_after > _WAIT:
                self._context.retry(error, countdown=min(error.retry_after, _LONGEST_WAIT))
            raise
        return {"request_id": request_id, "status": "completed", "tokens": completion.answer.total_tokens}
