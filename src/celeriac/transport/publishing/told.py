"""What the history hears of a message: the same as whoever reads it, in less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from kombu.utils.json import JSONEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from celery import Celery

    from celeriac.transport.stream import HistoryStream

__all__ = ["NOTHING", "Told"]

NOTHING: Final = "null"
_encode: Final = JSONEncoder(separators=(",", ":")).encode


class Told:
    """How an app tells the history of what it publishes.

    Args:
        app: whose tasks have tags and secrets.
        stream: where to.
        longest: characters of arguments that are kept whole, so that the task can be sent again.
    """

    def __init__(self, app: Celery, stream: HistoryStream, longest: int) -> None:
        self._app = app
        self.stream = stream
        self.longest = longest

    def head(self, headers: Mapping[str, Any], queue: str) -> str:
        """What many messages have in common; :meth:`event` closes it."""
        name = str(headers.get("task"))
        table = {
            "k": "q",
            "t": name,
            "u": queue,
            "n": headers.get("retries") or 0,
            "g": headers.get("group"),
            "e": headers.get("eta"),
            "x": headers.get("expires"),
            "s": [*self._of_the_task(name, "tags"), *_texts(headers.get("tags"))],
        }
        return _encode({key: value for key, value in table.items() if value})[:-1]

    @staticmethod
    def event(head: str, calls: str) -> bytes:
        """The event of some calls, which are rendered already."""
        return f'{head},"c":[{calls}]}}'.encode()

    def keeps(self, task: str) -> bool:
        """Whether the arguments of a task may be kept as they are: it is known here, and has no secret ones."""
        known = self._app.tasks.get(task)
        return known is not None and not getattr(known, "secret_arguments", False)

    def of_message(self, headers: Mapping[str, Any], body: Any, queue: str) -> bytes:
        """The event of one message as Celery puts it together.

        Args:
            headers: the message's.
            body: arguments, named arguments and the rest, or whatever else it is.
            queue: where it goes.
        """
        pair = NOTHING
        if isinstance(body, list | tuple) and self.keeps(str(headers.get("task"))):
            parts = cast("Sequence[Any]", body)
            try:
                pair = _encode(list(parts[:2]))
            except (TypeError, ValueError, RecursionError):  # another serializer may know how
                pair = NOTHING
            if len(pair) > self.longest:
                pair = NOTHING
        shown = (None, None) if pair != NOTHING else (headers.get("argsrepr"), headers.get("kwargsrepr"))
        row = _encode([headers.get("id"), headers.get("root_id"), headers.get("parent_id")])[:-1]
        return self.event(self.head(headers, queue), f"{row},{pair},{_encode(shown)[1:]}")

    def _of_the_task(self, name: str, attribute: str) -> list[str]:
        return _texts(getattr(self._app.tasks.get(name), attribute, None))


def _texts(said: Any) -> list[str]:
    """Tags, however they were said."""
    if isinstance(said, str):
        return [said]
    several = cast("Sequence[Any]", said) if isinstance(said, list | tuple) else ()
    return [each for each in several if isinstance(each, str)]
