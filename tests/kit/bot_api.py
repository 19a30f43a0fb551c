"""A Bot API server of our own: HTTP on loopback, with what users write on one side and a bot on the other."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, NoReturn, Self

from aiohttp import web
from tests.faults.harness.waiting import until
from typing_extensions import override

TOKEN = "4242:the-token_of-the-tests"
BOT = {"id": 4242, "is_bot": True, "first_name": "Celeriac", "username": "celeriac_bot"}
LONGEST = 4096


class BadRequestError(Exception):
    """What Telegram answers with 400."""


def refuse(problem: str) -> NoReturn:
    raise BadRequestError(problem)


@dataclass
class Message:
    """A message of the bot's: as it stands, and as it stood."""

    id: int
    chat: int
    texts: list[str]
    buttons: list[dict[str, str]]
    at: list[float] = field(default_factory=list)
    deleted: bool = False

    @property
    def text(self) -> str:
        return self.texts[-1]


@dataclass
class Call:
    """What the bot asked for."""

    method: str
    said: dict[str, Any]


class BotApi:
    """Serves in a thread of its own, as a context manager, and refuses what Telegram refuses."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.messages: list[Message] = []
        self.notes: list[str] = []
        """What was shown over buttons."""
        self.port = 0
        self._held: set[int] = set()
        self._failures: defaultdict[str, deque[tuple[int, dict[str, Any]]]] = defaultdict(deque)
        self._updates: list[dict[str, Any]] = []
        self._updates_lock = threading.Lock()  # users write in a thread of the test, and the bot asks in the loop's
        self._offset = 0
        self._last_update = 1000
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.come_back()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_away()
        asyncio.run_coroutine_threadsafe(_rest_of_loop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def come_back(self) -> None:
        """Listen, on the same port as before."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def go_away(self) -> None:
        """Refuse every connection, and cut those that are open."""
        runner, self._runner = self._runner, None
        if runner is not None:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), self._loop).result(10)

    def fail(self, method: str, status: int, *, times: int = 1, **body: Any) -> None:
        """Answer the next calls of a method with an error; ``retry_after`` and ``description`` are of Telegram's."""
        self._failures[method].extend([(status, body)] * times)

    def forgive(self) -> None:
        """Answer as usual again."""
        self._failures.clear()

    def hold(self, chat: int) -> None:
        """Answer nothing that is said in a chat."""
        self._held.add(chat)

    def release(self, chat: int) -> None:
        """Answer there again; what was said meanwhile failed."""
        self._held.discard(chat)

    def write(self, text: str, user: int, *, group: int | None = None) -> int:
        """A user writes, to the bot or into a group; gives the id of the update."""
        chat = {"id": user, "type": "private"} if group is None else {"id": group, "type": "group", "title": "Us"}
        entities = (
            [{"type": "bot_command", "offset": 0, "length": len(text.split(maxsplit=1)[0])}] if text[:1] == "/" else []
        )
        message = {"message_id": self._next(), "date": 0, "chat": chat, "from": _user(user), "text": text}
        return self._deliver({"message": {**message, "entities": entities}})

    def press(self, message: Message, user: int, label: str) -> int:
        """A user presses a button."""
        data = next(each["callback_data"] for each in message.buttons if each["text"] == label)
        said = {"id": str(self._next()), "from": _user(user), "chat_instance": "1", "data": data}
        return self._deliver({"callback_query": {**said, "message": _plain(message)}})

    def again(self, update_id: int, text: str, user: int) -> None:
        """The same update once more, though the bot has acknowledged it."""
        until(lambda: self._offset > update_id, what="acknowledgement")
        chat = {"id": user, "type": "private"}
        said = {"message_id": 1, "date": 0, "chat": chat, "from": _user(user), "text": text}
        with_entities = {
            **said,
            "entities": [{"type": "bot_command", "offset": 0, "length": len(text.split(maxsplit=1)[0])}],
        }
        with self._updates_lock:
            self._updates.insert(0, {"update_id": update_id, "message": with_entities})

    def said_to(self, chat: int) -> list[Message]:
        """What the bot said in a chat."""
        return [each for each in self.messages if each.chat == chat]

    def answer(self, chat: int, count: int = 1) -> Message:
        """The last of so many messages in a chat, once they are there."""
        until(lambda: len(self.said_to(chat)) >= count, timeout=40, what=f"message {count}")
        return self.said_to(chat)[count - 1]

    def ask(self, text: str, user: int, **said: Any) -> Message:
        """Write, and wait for the answer."""
        chat = said.get("group") or user
        before = len(self.said_to(chat))
        self.write(text, user, **said)
        return self.answer(chat, before + 1)

    @staticmethod
    def until_said(message: Message, text: str) -> None:
        """Until a message holds a text."""
        until(lambda: text in message.text, timeout=60, what=text)

    @property
    def waiting(self) -> int:
        """Updates that the bot has not acknowledged."""
        return len(self._updates)

    async def _listen(self) -> None:
        app = web.Application()
        app.router.add_post("/bot{token}/{method}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        server: Any = site._server
        self.port = server.sockets[0].getsockname()[1]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        said: dict[str, Any] = {}
        for name, value in (await request.post()).items():
            said[name] = value
            with suppress(ValueError, TypeError):
                said[name] = json.loads(str(value)) if name not in {"text", "callback_query_id"} else value
        self.calls.append(Call(method, said))
        if request.match_info["token"] != TOKEN:
            return _refusal(401, "Unauthorized")
        if self._failures[method]:
            status, body = self._failures[method].popleft()
            if status == 307:
                raise web.HTTPTemporaryRedirect(request.path)
            return _refusal(status, **body)
        try:
            result = await getattr(self, "_" + re.sub(r"(?=[A-Z])", "_", method).lower())(said)
        except BadRequestError as error:
            return _refusal(400, f"Bad Request: {error}")
        return web.json_response({"ok": True, "result": result})

    async def _get_me(self, _: dict[str, Any]) -> Any:
        return BOT

    async def _set_my_commands(self, _: dict[str, Any]) -> Any:
        return True

    async def _get_updates(self, said: dict[str, Any]) -> Any:
        end = time.monotonic() + float(said.get("timeout", 0))
        offset = int(said.get("offset", 0))
        with self._updates_lock:
            self._updates = [each for each in self._updates if each["update_id"] >= offset]
            self._offset = max(self._offset, offset)
        while not self._updates and time.monotonic() < end:  # noqa: ASYNC110  users write from another thread
            await asyncio.sleep(0.01)
        return self._updates[: int(said.get("limit", 100))]

    async def _send_message(self, said: dict[str, Any]) -> Any:
        if int(said["chat_id"]) in self._held:
            while int(said["chat_id"]) in self._held:  # noqa: ASYNC110  it is released from another thread
                await asyncio.sleep(0.01)
            raise web.HTTPBadGateway
        message = Message(self._next(), int(said["chat_id"]), [_checked(said)], _buttons(said), [time.monotonic()])
        self.messages.append(message)
        return _plain(message)

    async def _edit_message_text(self, said: dict[str, Any]) -> Any:
        number = int(said["message_id"])
        message = next((each for each in self.messages if each.id == number and not each.deleted), None)
        if message is None:
            refuse("message to edit not found")
        text, buttons = _checked(said), _buttons(said)
        if (message.text, message.buttons) == (text, buttons):
            refuse("message is not modified: specified new message content is exactly the same")
        message.texts.append(text)
        message.at.append(time.monotonic())
        message.buttons = buttons
        return _plain(message)

    async def _answer_callback_query(self, said: dict[str, Any]) -> Any:
        if len(str(said.get("text", ""))) > 200:
            refuse("MESSAGE_TOO_LONG")
        self.notes.append(str(said.get("text", "")))
        return True

    def _deliver(self, update: dict[str, Any]) -> int:
        with self._updates_lock:
            self._last_update += 1
            self._updates = [*self._updates, {"update_id": self._last_update, **update}]
            return self._last_update

    def _next(self) -> int:
        return len(self.calls) + len(self.messages) + self._last_update * 10_000


async def _rest_of_loop() -> None:
    """Cancel what connections that were cut have left."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class _Html(HTMLParser):
    """Telegram's HTML: few tags, all of them closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self._open: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in {"b", "i", "code", "pre"}:
            refuse(f'can\'t parse entities: Unsupported start tag "{tag}"')
        self._open.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            refuse("can't parse entities: Unmatched end tag")

    @override
    def handle_data(self, data: str) -> None:
        self.text += data


def _checked(said: dict[str, Any]) -> str:
    """A text that Telegram would take, without its markup."""
    text = str(said.get("text", ""))
    if said.get("parse_mode") == "HTML":
        parser = _Html()
        parser.feed(text)
        parser.close()
        text = parser.text
    if not text.strip():
        refuse("message text is empty")
    if len(text.encode("utf-16-le")) // 2 > LONGEST:
        refuse("message is too long")
    return text


def _buttons(said: dict[str, Any]) -> list[dict[str, str]]:
    rows = (said.get("reply_markup") or {}).get("inline_keyboard", [])
    buttons = [each for row in rows for each in row]
    if any(len(each["callback_data"].encode()) > 64 for each in buttons):
        refuse("BUTTON_DATA_INVALID")
    return buttons


def _plain(message: Message) -> dict[str, Any]:
    kind = "private" if message.chat > 0 else "group"
    chat = {"id": message.chat, "type": kind}
    return {"message_id": message.id, "date": int(time.time()), "chat": chat, "from": BOT, "text": message.text}


def _user(number: int) -> dict[str, Any]:
    return {"id": number, "is_bot": False, "first_name": "Ann", "username": f"user{number}"}


def _refusal(status: int, description: str = "", retry_after: int | None = None) -> web.Response:
    said: dict[str, Any] = {"ok": False, "error_code": status, "description": description or "refused"}
    if retry_after is not None:
        said["parameters"] = {"retry_after": retry_after}
    return web.json_response(said, status=status)
