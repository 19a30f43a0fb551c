"""Answers of a language model to what users ask."""

from core.completions.entities import Answer, Completion
from core.completions.errors import CompletionUserError
from core.completions.ports import CompletionProvider, Completions

__all__ = ["Answer", "Completion", "CompletionProvider", "CompletionUserError", "Completions"]
