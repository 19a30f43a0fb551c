"""The provider, for every event loop of the process."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from core.completions import Answer
from core.completions.errors import ProviderNotConfiguredError
from core.configs.settings import CompletionsSettings

if TYPE_CHECKING:
    from infrastructure.completions.dialogue import Dialogue

__all__ = ["OpenAiProvider"]

_GOODBYE: Final = 5.0
"""Seconds in which connections are closed."""


class OpenAiProvider:
    """Fulfils :class:`core.completions.ports.CompletionProvider` on any server that speaks OpenAI's protocol.

    Connections belong to the event loop that opened them, so each loop has its own; a worker's process has one loop for
    all its tasks. The library, which takes a second to load, is loaded by the first question, beside the loop.
    """

    def __init__(self, settings: CompletionsSettings) -> None:
        self._settings = settings
        self._dialogues: WeakKeyDictionary[asyncio.AbstractEventLoop, Dialogue] = WeakKeyDictionary()

    async def complete(self, prompt: str) -> Answer:
        """See :meth:`core.completions.ports.CompletionProvider.complete`."""
        loop = asyncio.get_running_loop()
        if (found := self._dialogues.get(loop)) is None:
            key, model = self._said()
            module = await asyncio.to_thread(importlib.import_module, "infrastructure.completions.dialogue")
            found = self._dialogues.get(loop) or module.Dialogue(self._settings, key, model)
            self._dialogues[loop] = found
        return await found.ask(prompt)

    async def aclose(self) -> None:
        """Close the connections of the loop that runs here."""
        if (found := self._dialogues.pop(asyncio.get_running_loop(), None)) is not None:
            await found.aclose()

    def close(self) -> None:
        """Close the connections of loops that run in other threads; those of loops that ended went with them."""
        for loop, found in list(self._dialogues.items()):
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(found.aclose(), loop).result(_GOODBYE)
        self._dialogues.clear()

    def _said(self) -> tuple[str, str]:
        key, model = self._settings.api_key, self._settings.model
        missing = [name for name, value in (("COMPLETIONS_API_KEY", key), ("COMPLETIONS_MODEL", model)) if not value]
        if key is None or model is None:
            msg = (
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set, so no language model can be"
                f" asked at {self._settings.base_url}; a server that wants no key takes any"
            )
            raise ProviderNotConfiguredError(msg)
        return key.get_secret_value(), model
