"""The arguments of a task as a person writes them in a chat."""

from __future__ import annotations

import json
import re
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, Final, NoReturn

from celeriac.exceptions import InvalidArguments

if TYPE_CHECKING:
    from celeriac.tasks.handle import TaskHandle

__all__ = ["read_arguments"]

_NAME: Final = re.compile(r"\s*([^\W\d]\w*)=")
_WORD: Final = re.compile(r"\S*")
_HOW: Final = 'write name=value with blanks between them, or JSON such as {"x": 2}'
_decoder: Final = json.JSONDecoder(parse_constant=float)


def read_arguments(handle: TaskHandle[..., Any], text: str) -> tuple[list[Any], dict[str, Any]]:
    """The arguments that a text says, as the task declares them.

    A text is a JSON object (arguments by their names), a JSON array (by their places), or ``name=value`` with blanks
    between them, where a value is JSON or plain text: ``x=2 names=["a", "b"] note=hello note="two words"``.

    Raises:
        InvalidArguments: it cannot be read, or does not fit the task.
    """
    text = text.strip()
    if text[:1] in {"{", "["}:
        value, end = _json(handle, text, 0)
        if text[end:].strip():
            _refuse(handle, f"something follows the JSON at character {end + 1}")
        return handle.signature.load(value, {}) if text[0] == "[" else handle.signature.load([], value)
    pairs = _pairs(handle, text)
    try:
        return handle.signature.load([], {name: value for name, (value, _) in pairs.items()})
    except InvalidArguments:
        # A text may look like a number. Where that does not help either, the first error says more.
        as_written = {name: value if raw is None else raw for name, (value, raw) in pairs.items()}
        try:
            return handle.signature.load([], as_written)
        except InvalidArguments:
            pass
        raise


def _pairs(handle: TaskHandle[..., Any], text: str) -> dict[str, tuple[Any, str | None]]:
    """Each name's value, and how it was written if it could as well be a text."""
    found: dict[str, tuple[Any, str | None]] = {}
    at = 0
    while at < len(text):
        name = _NAME.match(text, at)
        if name is None:
            _refuse(handle, f"{text[at:].split(maxsplit=1)[0]!r} is no argument; {_HOW}")
        if name[1] in found:
            _refuse(handle, f"{name[1]} is there twice")
        start = name.end()
        if text[start : start + 1] in {"{", "[", '"'}:
            value, at = _json(handle, text, start)
            if text[at : at + 1].strip():
                _refuse(handle, f"the value of {name[1]} does not end where its JSON does; {_HOW}")
            found[name[1]] = value, None
        else:
            word = _WORD.match(text, start)
            assert word is not None  # noqa: S101  it matches nothing, too
            found[name[1]] = _plain(word[0]), word[0]
            at = word.end()
    return found


def _plain(word: str) -> Any:
    """A number, true, false, null, or the word itself."""
    try:
        return json.loads(word, parse_constant=str)
    except JSONDecodeError:
        return word


def _json(handle: TaskHandle[..., Any], text: str, start: int) -> tuple[Any, int]:
    try:
        return _decoder.raw_decode(text, start)
    except JSONDecodeError as error:
        _refuse(handle, f"the JSON is wrong at character {error.pos + 1}: {error.msg}; {_HOW}")
    except RecursionError:
        _refuse(handle, "the JSON is nested too deeply")


def _refuse(handle: TaskHandle[..., Any], problem: str) -> NoReturn:
    raise InvalidArguments(task=handle.name, signature=str(handle.signature), problem=problem) from None
