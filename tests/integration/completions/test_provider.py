"""Asking a server that speaks OpenAI's protocol, in one piece and in many, whatever it does."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr
from tests.kit.completions_server import (
    KEY,
    MODEL,
    Behaviour,
    CompletionsServer,
    breaks_off,
    ends_early,
    fails,
    hangs,
    hangs_up,
    says,
    streams,
)

from core.completions import Answer
from core.completions.errors import (
    ProviderAnswerError,
    ProviderNotConfiguredError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from core.configs.settings import CompletionsSettings
from infrastructure.completions.provider import OpenAiProvider

Ask = Callable[..., Answer]
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
CHUNK: dict[str, Any] = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}


@pytest.fixture(params=["whole", "streaming"])
def how(request: pytest.FixtureRequest) -> dict[str, Any]:
    """In which of two ways answers are taken."""
    return {"streaming": request.param == "streaming"}


def asked(settings: CompletionsSettings, prompt: str = "Hello there") -> Answer:
    async def ask() -> Answer:
        provider = OpenAiProvider(settings)
        try:
            return await provider.complete(prompt)
        finally:
            await provider.aclose()

    return asyncio.run(ask())


@pytest.fixture
def ask(model: CompletionsServer, how: dict[str, Any]) -> Ask:
    return lambda prompt="Hello there", **said: asked(model.settings(**how, **said), prompt)


def test_it_answers_and_counts(ask: Ask, model: CompletionsServer) -> None:
    assert ask("Good morning, Ω!") == Answer("You said: Good morning, Ω!", MODEL, 3, 5, 8)
    (request,) = model.requests
    assert request["messages"] == [{"role": "user", "content": "Good morning, Ω!"}]
    assert request["model"] == MODEL
    assert not request.keys() & {"max_tokens", "max_completion_tokens"}


def test_how_long_the_answer_may_become_is_said(ask: Ask, model: CompletionsServer) -> None:
    ask(max_output_tokens=7)
    assert model.requests[0]["max_completion_tokens"] == 7


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
def test_what_may_pass_is_worth_another_try(ask: Ask, model: CompletionsServer, status: int) -> None:
    model.script.append(fails(status))
    with pytest.raises(ProviderUnavailableError, match=f"answered {status}: .*because of {status}") as told:
        ask()
    assert told.value.retry_after is None
    assert len(model.requests) == 1, "the library does not try again by itself"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_stays_is_not(ask: Ask, model: CompletionsServer, status: int) -> None:
    model.script.append(fails(status))
    with pytest.raises(ProviderRefusedError, match=f"answered {status}: .* Check COMPLETIONS_API_KEY"):
        ask()


def test_an_empty_account_is_not_worth_another_try_though_it_looks_like_haste(
    ask: Ask, model: CompletionsServer
) -> None:
    model.script.append(fails(429, code="insufficient_quota"))
    with pytest.raises(ProviderRefusedError):
        ask()


def test_when_to_come_again_is_passed_on(ask: Ask, model: CompletionsServer) -> None:
    model.script.append(fails(429, {"Retry-After": "90"}))
    with pytest.raises(ProviderUnavailableError) as told:
        ask()
    assert told.value.retry_after == 90


@pytest.mark.parametrize("behaviour", [hangs_up, breaks_off])
def test_a_lost_connection_is_worth_another_try(ask: Ask, model: CompletionsServer, behaviour: Behaviour) -> None:
    model.script.append(behaviour)
    with pytest.raises(ProviderUnavailableError, match="hung up"):
        ask()


def test_a_server_that_is_away_is_worth_another_try(how: dict[str, Any]) -> None:
    settings = CompletionsSettings(base_url="http://127.0.0.1:1/v1", api_key=SecretStr(KEY), model=MODEL, **how)
    with pytest.raises(ProviderUnavailableError, match="cannot be reached"):
        asked(settings)


def test_a_server_that_says_nothing_is_left(ask: Ask, model: CompletionsServer) -> None:
    model.script.append(hangs)
    with pytest.raises(ProviderUnavailableError, match=r"said nothing for 0\.3 seconds"):
        ask(timeout=0.3)


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE html><html>Welcome to nginx!</html>",
        "",
        "null",
        "[]",
        "{",
        "{}",
        json.dumps({"model": MODEL, "choices": [], "usage": USAGE}),
        json.dumps({"model": MODEL, "choices": None, "usage": USAGE}),
        json.dumps({"model": MODEL, "choices": [{"message": None}], "usage": USAGE}),
        json.dumps({"model": MODEL, "choices": [{"message": {"content": None}}], "usage": USAGE}),
        json.dumps({"model": MODEL, "choices": [{"message": {"content": ""}}], "usage": USAGE}),
        json.dumps({"model": MODEL, "choices": [{"message": {"content": ["a"]}}], "usage": USAGE}),
        json.dumps({"model": MODEL, "choices": [{"message": {"content": "a\0b"}}], "usage": USAGE}),
        json.dumps({"model": MODEL, "choices": [{"message": {"content": "a"}}]}),
        json.dumps(
            {"model": MODEL, "choices": [{"message": {"content": "a"}}], "usage": {**USAGE, "total_tokens": -1}}
        ),
        json.dumps({"model": "x" * 256, "choices": [{"message": {"content": "a"}}], "usage": USAGE}),
        '{"model":"m","choices":[{"message":{"content":"\\ud83d"}}],"usage":' + json.dumps(USAGE) + "}",
    ],
)
def test_nonsense_is_told_and_not_worth_another_try(model: CompletionsServer, text: str) -> None:
    model.script.append(says(text, "text/html" if "html" in text else "application/json"))
    with pytest.raises(ProviderAnswerError, match=r"is no completion: .* Check that COMPLETIONS_BASE_URL leads to"):
        asked(model.settings())


@pytest.mark.parametrize(
    "behaviour",
    [
        says("<!DOCTYPE html><html>Welcome to nginx!</html>", "text/html"),
        says("", "text/event-stream"),
        streams(),
        streams("{"),
        streams("5"),
        streams('"text"'),
        streams({**CHUNK, "choices": None}),
        streams({**CHUNK, "choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]}),
        streams({**CHUNK, "choices": [{"index": 0, "delta": {"content": "a\0b"}, "finish_reason": "stop"}]}),
        streams({**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE}),
        streams({**CHUNK, "choices": [{"index": 0, "delta": {"content": "no counts"}, "finish_reason": "stop"}]}),
    ],
)
def test_a_stream_of_nonsense_is_told_and_not_worth_another_try(model: CompletionsServer, behaviour: Behaviour) -> None:
    model.script.append(behaviour)
    with pytest.raises(ProviderAnswerError, match="is no completion"):
        asked(model.settings(streaming=True))


def test_a_stream_that_ends_before_the_answer_does_is_worth_another_try(model: CompletionsServer) -> None:
    model.script.append(ends_early)
    with pytest.raises(ProviderUnavailableError, match="broke off in the middle of its answer"):
        asked(model.settings(streaming=True))


@pytest.mark.parametrize(
    ("kind", "error"), [("server_error", ProviderUnavailableError), ("invalid_request_error", ProviderRefusedError)]
)
def test_an_error_in_the_middle_of_a_stream_is_told(
    model: CompletionsServer, kind: str, error: type[Exception]
) -> None:
    model.script.append(streams({"error": {"message": "overloaded", "type": kind, "code": None}}))
    with pytest.raises(error, match="broke off: overloaded"):
        asked(model.settings(streaming=True))


def test_a_wrong_key_is_told_and_never_shown(ask: Ask) -> None:
    with pytest.raises(ProviderRefusedError, match=r"Incorrect API key provided: Bearer \[key\]") as told:
        ask(api_key=SecretStr("sk-wrong"))
    assert "sk-wrong" not in str(told.value)


def test_a_wrong_model_is_told(ask: Ask) -> None:
    with pytest.raises(ProviderRefusedError, match="The model nobody does not exist"):
        ask(model="nobody")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({}, "COMPLETIONS_API_KEY and COMPLETIONS_MODEL are not set, so no language model can be asked at https://api"),
        ({"model": "m"}, "COMPLETIONS_API_KEY is not set"),
        ({"api_key": SecretStr("k")}, "COMPLETIONS_MODEL is not set"),
    ],
)
def test_without_settings_it_says_which(said: dict[str, Any], text: str) -> None:
    with pytest.raises(ProviderNotConfiguredError, match=text):
        asked(CompletionsSettings(**said))


def test_who_is_cancelled_hangs_up(model: CompletionsServer, how: dict[str, Any]) -> None:
    model.script.append(hangs)

    async def main() -> None:
        provider = OpenAiProvider(model.settings(**how))
        asking = asyncio.create_task(provider.complete("Hello there"))
        await asyncio.to_thread(model.hanging.acquire)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await provider.complete("again")).total_tokens == 4
        await provider.aclose()

    asyncio.run(main())


def test_hundreds_ask_at_once_over_connections_that_are_used_again(model: CompletionsServer) -> None:
    async def main() -> list[Answer]:
        provider = OpenAiProvider(model.settings(timeout=60))
        answers = await asyncio.gather(*(provider.complete(f"number {number}") for number in range(200)))
        await provider.aclose()
        return answers

    answers = asyncio.run(main())
    assert [answer.text for answer in answers] == [f"You said: number {number}" for number in range(200)]


def test_each_loop_has_connections_of_its_own_and_close_ends_those_that_run(model: CompletionsServer) -> None:
    provider = OpenAiProvider(model.settings())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    for _ in range(2):
        assert asyncio.run_coroutine_threadsafe(provider.complete("a"), loop).result(20).total_tokens == 4

    async def here() -> None:
        assert (await provider.complete("b")).total_tokens == 4
        await provider.aclose()

    asyncio.run(here())
    provider.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
