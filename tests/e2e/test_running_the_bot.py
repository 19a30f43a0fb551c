from __future__ import annotations

from collections.abc import Generator

import pytest
from tests.e2e.made import Made, copy_checkout
from tests.kit.bot_api import TOKEN, BotApi

from celeriac.testing.embedded import EmbeddedRedis

pytestmark = pytest.mark.timeout(300)
READY = "ready: the bot is @celeriac_bot"
USER = 7


@pytest.fixture
def checkout(tmp_path):
    return copy_checkout(tmp_path)


@pytest.fixture
def api() -> Generator[BotApi]:
    with BotApi() as api:
        yield api


@pytest.mark.proves("M-5")
def test_make_bot_dev_answers_over_the_shared_redis_and_starts_again_when_the_code_changes(checkout, api):
    said = {"BOT_TOKEN": TOKEN, "BOT_USERS": f"{USER}=*", "BOT_API_URL": api.url}
    with Made(checkout, "celery-dev") as worker, Made(checkout, "bot-dev", env=said) as bot:
        worker.wait_for(r"worker-\d+@\S+ ready\.")
        bot.wait_for(READY, timeout=120)
        assert api.ask("/ping", USER).text.startswith("pong")
        source = checkout / "src/delivery/bot/texts.py"
        source.write_text(source.read_text().replace('"is done"', '"is ready"'))
        bot.wait_for(READY, times=2, timeout=120)
        message = api.ask("/run example.add x=2 y=3", USER)
        worker.wait_for("example.add")
        api.until_said(message, "example.add is ready")
        bot.interrupt()
        assert TOKEN.partition(":")[2] not in bot.output
        worker.interrupt()
    assert not EmbeddedRedis(checkout / ".data").alive


def test_make_bot_dev_without_a_token_says_so_and_ends_well(checkout):
    with Made(checkout, "bot-dev") as bot:
        assert bot.wait() == 0
    assert "there is no bot: BOT_TOKEN is not set" in bot.output
    assert "dev     | bot ended" in bot.output
