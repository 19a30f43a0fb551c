"""Completions: a language model that answers what users ask."""

from __future__ import annotations

from core.completions import CompletionProvider, Completions
from core.completions.service import CompletionService
from core.configs.settings import Settings
from infrastructure.completions.provider import OpenAiProvider
from infrastructure.database.completions import SqlCompletions
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_completions"]


def register_completions(container: Container) -> None:
    """Register the use case and its ports. The provider connects at the first question."""
    container.register(CompletionService, lifetime=Lifetime.SCOPED)
    container.register(Completions, SqlCompletions, lifetime=Lifetime.SCOPED)
    container.register(CompletionProvider, _provider, lifetime=Lifetime.SINGLETON)


def _provider(settings: Settings) -> CompletionProvider:
    return OpenAiProvider(settings.completions_settings)
