"""The language model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from core.configs.environment import FromEnvironment

__all__ = ["CompletionsSettings"]


class CompletionsSettings(FromEnvironment):
    """Which language model is asked, and how: any server that speaks OpenAI's protocol."""

    model_config = SettingsConfigDict(env_prefix="COMPLETIONS_")

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")] = "https://api.openai.com/v1"
    """``COMPLETIONS_BASE_URL``: up to where ``/chat/completions`` follows."""
    api_key: SecretStr | None = None
    """``COMPLETIONS_API_KEY``: required for completions, and nothing else; any text for a server that asks for none."""
    model: str | None = None
    """``COMPLETIONS_MODEL``: the model's name, as the server knows it; required for completions, too."""
    timeout: Annotated[float, Field(gt=0)] = 120
    """``COMPLETIONS_TIMEOUT``: seconds in which the server has to say something, whole or in pieces."""
    max_output_tokens: Annotated[int, Field(gt=0)] | None = None
    """``COMPLETIONS_MAX_OUTPUT_TOKENS``: how long an answer may become; the server's own limit unless said."""
    streaming: bool = False
    """``COMPLETIONS_STREAMING``: take answers in pieces, so that a server that hangs is noticed sooner."""
