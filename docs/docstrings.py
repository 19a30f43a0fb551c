"""Read our docstrings, which are plain text with a little reStructuredText, as Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|meth|func|attr|mod):`~?(?:[\w.]*\.)?(\w+)`")
_LITERAL = re.compile(r"(?:^|\n)::\n\n((?:(?:    .*)?\n?)+)")


class PlainDocstrings(griffe.Extension):
    """Roles become code, and literal blocks become code blocks."""

    def on_object(self, *, obj: griffe.Object | griffe.Alias, **_: Any) -> None:
        if not obj.is_alias and obj.docstring is not None:
            text = _ROLE.sub(r"`\1`", obj.docstring.value).replace("``", "`")
            obj.docstring.value = _LITERAL.sub(_fenced, text)


def _fenced(found: re.Match[str]) -> str:
    lines = [line.removeprefix("    ") for line in found.group(1).rstrip().splitlines()]
    return "\n" + "\n".join(["```python", *lines, "```"]) + "\n"
