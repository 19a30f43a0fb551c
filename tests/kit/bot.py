"""The bot as a process of its own, or in a thread of this one, which starts at once."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from celery import Celery
from pydantic import SecretStr
from tests.faults.harness.waiting import until
from tests.kit.bot_api import TOKEN, BotApi
from tests.kit.clients import disconnect

from core.configs.settings import BotSettings, Environment, RedisSettings, Settings
from delivery.bot.program import BotProgram
from ioc.bot import register_bot
from ioc.container import build_container

APP = "delivery.bot.app"


class BotProcess:
    """``python -m <module>``, as a context manager."""

    def __init__(self, module: str = APP, **env: str) -> None:
        outer = {name: value for name, value in os.environ.items() if not name.startswith(("BOT_", "REDIS_URL"))}
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._env = {"ENVIRONMENT": "test", "PYTHONPATH": path, **outer, "PYTHONUNBUFFERED": "1", **env}
        self._arguments = [sys.executable, "-m", module]
        self._stack = ExitStack()
        self._directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="celeriac-bot-")))
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
        finally:
            if kind is not None:
                sys.stderr.write(self.log)
            self._stack.close()

    @property
    def log(self) -> str:
        return (self._directory / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start it, or start it again; waits for nothing."""
        with (self._directory / "log").open("ab") as file:
            self.process = subprocess.Popen(
                self._arguments, env=self._env, cwd=self._directory, stdout=file, stderr=subprocess.STDOUT
            )

    def wait_for(self, pattern: str, times: int = 1) -> None:
        """Until the log says it."""

        def said() -> bool:
            return len(re.findall(pattern, self.log)) >= times

        until(lambda: said() or self._ended(), timeout=60, what=pattern)
        assert said(), self.log

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        assert self.process is not None
        return self.process.wait(60)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; gives its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        """End it as a machine that loses its power would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def _ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None


class BotThread:
    """The bot of the service in this process, as a context manager."""

    def __init__(self, redis_url: str, api: BotApi, users: dict[int, frozenset[str]], **said: Any) -> None:
        bot = BotSettings(token=SecretStr(TOKEN), users=users, api_url=api.url, **said)
        redis = RedisSettings(redis_url=SecretStr(redis_url))
        self._container = build_container(
            Settings(environment=Environment.TEST, redis_settings=redis, bot_settings=bot)
        )
        register_bot(self._container)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run)
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self.join()
        disconnect(self._container.resolve(Celery))
        self._container.close()

    def join(self) -> None:
        """Once it has ended."""
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._container.resolve(BotProgram).run(self._stop))
        except Exception as error:  # noqa: BLE001  for the test
            self.error = error


def bot_env(redis_url: str, api_url: str, users: str, **more: str) -> dict[str, str]:
    """What the bot is told."""
    return {"REDIS_URL": redis_url, "BOT_TOKEN": TOKEN, "BOT_API_URL": api_url, "BOT_USERS": users, **more}
