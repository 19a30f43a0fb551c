"""Completions in the database."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from core.completions import Answer, Completion, CompletionUserError
from infrastructure.database.async_database import AsyncDatabase
from infrastructure.database.models import CompletionRow, UserRow
from infrastructure.database.models.accounts import may_be_user
from infrastructure.database.unit_of_work import AsyncSqlUnitOfWork
from infrastructure.database.upsert import put_new

__all__ = ["SqlCompletions"]


class SqlCompletions:
    """Fulfils :class:`core.completions.ports.Completions`."""

    def __init__(self, unit: AsyncSqlUnitOfWork, database: AsyncDatabase) -> None:
        self._unit = unit
        self._database = database

    async def find(self, request_id: str) -> Completion | None:
        """See :meth:`core.completions.ports.Completions.find`."""
        async with self._database.reading() as session:
            row = await session.get(CompletionRow, request_id)
        return None if row is None else _completion(row)

    async def knows_user(self, user_id: int) -> bool:
        """See :meth:`core.completions.ports.Completions.knows_user`."""
        if not may_be_user(user_id):
            return False
        async with self._database.reading() as session:
            return await session.get(UserRow, user_id) is not None

    async def add(self, completion: Completion) -> Completion:
        """See :meth:`core.completions.ports.Completions.add`."""
        session, answer = self._unit.session, completion.answer
        values = {
            "request_id": completion.request_id,
            "user_id": completion.user_id,
            "model": answer.model,
            "prompt": completion.prompt,
            "response": answer.text,
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "total_tokens": answer.total_tokens,
            "created": completion.created,
        }
        try:
            await session.run_sync(lambda blocking: put_new(blocking, CompletionRow, **values))
        except IntegrityError as error:  # nothing but the user has to exist
            msg = f"user {completion.user_id} was deleted while the answer to {completion.request_id!r} was on its way"
            raise CompletionUserError(msg) from error
        return _completion(await session.get_one(CompletionRow, completion.request_id))


def _completion(row: CompletionRow) -> Completion:
    answer = Answer(row.response, row.model, row.prompt_tokens, row.completion_tokens, row.total_tokens)
    return Completion(row.request_id, row.user_id, row.prompt, answer, row.created)
