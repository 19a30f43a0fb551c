"""What the bot says of tasks, as Telegram's HTML."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any, Final

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from celeriac.tasks.policies import TaskState
from celeriac.tasks.result import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["button", "cancel_button", "code", "cut", "told"]

LONGEST: Final = 3500
"""UTF-16 units of a result or error that are shown: a message holds 4096 of them, in Telegram's count."""
_SHORT: Final = 500
_LARGEST_DATA: Final = 64
"""Bytes that a button can carry."""
_BAR: Final = 10
_SIGNS: Final = {
    TaskState.PENDING: "waits for a worker",
    TaskState.STARTED: "runs",
    TaskState.PROGRESS: "runs",
    TaskState.RETRY: "failed, and will be tried again",
    TaskState.SUCCESS: "is done",
    TaskState.FAILURE: "has failed",
    TaskState.REVOKED: "was cancelled",
}


def told(view: Mapping[str, Any], name: str = "") -> str:
    """A task, as ``GET /tasks/{task_id}`` has it, for a chat.

    Args:
        view: what is known of it.
        name: its name, where the view has none.
    """
    status = TaskState(view["status"])
    known = str(view.get("name") or name)
    head = f"<b>{escape(cut(known, _SHORT))}</b> {_SIGNS[status]}" if known else f"The task {_SIGNS[status]}"
    lines = [head, code(str(view["task_id"]))]
    if status is TaskState.PROGRESS:
        lines.append(_progress(Progress.of(view.get("progress") or {})))
    elif status is TaskState.SUCCESS and view.get("result") is not None:
        lines.append(_block(_plain(view["result"])))
    elif status is TaskState.FAILURE:
        lines.append(_block(str(view.get("error", ""))))
    return "\n".join(lines)


def code(text: str) -> str:
    """Something to copy by a touch."""
    return f"<code>{escape(cut(text, _SHORT))}</code>"


def cut(text: str, longest: int = LONGEST) -> str:
    """The beginning of a text, and how long it is, if it is too long for a message."""
    units = text.encode("utf-16-le", "replace")
    if len(units) <= 2 * longest:
        return text
    return f"{units[: 2 * longest].decode('utf-16-le', 'ignore')}... ({len(text)} characters, cut here)"


def cancel_button(task_id: str) -> InlineKeyboardMarkup | None:
    """What stands below a task that has not ended."""
    return button("Cancel", f"cancel:{task_id}")


def button(label: str, data: str) -> InlineKeyboardMarkup | None:
    """One button; none where Telegram cannot carry what it means."""
    if len(data.encode()) > _LARGEST_DATA:
        return None
    return InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text=label, callback_data=data)]])


def _progress(progress: Progress) -> str:
    percent = min(max(progress.percent, 0), 100)
    full = percent * _BAR // 100
    bar = f"{'▓' * full}{'░' * (_BAR - full)} {percent} % ({progress.current} of {progress.total})"
    return f"{bar}\n{escape(cut(progress.message, _SHORT))}" if progress.message else bar


def _block(text: str) -> str:
    return f"<pre>{escape(cut(text))}</pre>"


def _plain(value: Any) -> str:
    """A result: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1, default=str)
