"""What a server answers, as far as it matters here: checked, whichever server it is."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.completions import Answer

__all__ = ["InPieces", "Piece", "Whole"]


def _storable(text: str) -> str:
    if "\0" in text:
        msg = "it holds a character of code 0, which no database keeps as text"
        raise ValueError(msg)
    return text


Count = Annotated[int, Field(ge=0, lt=2**31)]
Text = Annotated[str, AfterValidator(_storable)]


class _Part(BaseModel):
    model_config = ConfigDict(from_attributes=True, hide_input_in_errors=True)


class _Usage(_Part):
    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count


class _Message(_Part):
    content: Annotated[Text, Field(min_length=1)]


class _Choice(_Part):
    message: _Message


class Whole(_Part):
    """An answer in one piece."""

    model: Annotated[str, Field(min_length=1, max_length=255)]
    choices: Annotated[list[_Choice], Field(min_length=1)]
    usage: _Usage

    def answer(self) -> Answer:
        """In the service's terms: the first choice, as no more than one is asked for."""
        usage = self.usage
        counts = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
        return Answer(self.choices[0].message.content, self.model, *counts)


class _Delta(_Part):
    content: Text | None = None


class _ChoiceInPieces(_Part):
    delta: _Delta
    finish_reason: str | None = None


class Piece(_Part):
    """One event of a stream. The last one has the counts, and no choice."""

    model: Annotated[str, Field(max_length=255)] = ""
    choices: list[_ChoiceInPieces]
    usage: _Usage | None = None


class InPieces:
    """An answer that is put together."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._model = ""
        self._usage: _Usage | None = None
        self.begun = False
        """Whether anything came."""
        self.finished = False
        """Whether the model said that it had come to its end."""

    def add(self, piece: Piece) -> None:
        """Put the next piece behind the others."""
        self.begun = True
        self._model = piece.model or self._model
        self._usage = piece.usage or self._usage
        for choice in piece.choices[:1]:
            self._texts.append(choice.delta.content or "")
            self.finished = self.finished or choice.finish_reason is not None

    def whole(self) -> Whole:
        """All of it, as if it had come in one piece.

        Raises:
            pydantic.ValidationError: there is no text, or no counts.
        """
        message = {"content": "".join(self._texts)}
        return Whole.model_validate({"model": self._model, "choices": [{"message": message}], "usage": self._usage})
