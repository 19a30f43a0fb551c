"""What is asked of a language model, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Answer", "Completion"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said, and what it counted."""

    text: str
    model: str
    """Which one answered, as the provider names it."""
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """One request of a user, answered."""

    request_id: str
    user_id: int
    prompt: str
    answer: Answer
    created: datetime
