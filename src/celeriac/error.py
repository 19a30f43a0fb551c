"""What all errors are made from. The errors themselves are in :mod:`celeriac.exceptions`."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CeleriacError", "nearest"]


def nearest(name: str, known: Iterable[str]) -> str:
    """``" Did you mean 'x'?"`` for the known name closest to ``name``, or an empty string."""
    found = get_close_matches(name, list(known), n=1)
    return f" Did you mean {found[0]!r}?" if found else ""


class CeleriacError(Exception):
    """Whatever goes wrong in Celeriac.

    Give the attributes that the class's template names, as keywords. A single positional text stands for a finished
    message: that is how an error comes back from a result backend, which keeps only class and text.
    """

    template: ClassVar[str] = "{problem}"

    def __init__(self, message: str | None = None, /, **attributes: Any) -> None:
        self.__dict__.update(attributes)
        super().__init__(self.template.format(**attributes) if message is None else message)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), str(self), dict(self.__dict__)))

    @classmethod
    def rebuild(cls, message: str, attributes: dict[str, Any]) -> Self:
        """The same error again, from its finished text and its attributes."""
        error = cls(message)
        error.__dict__.update(attributes)
        return error


def _rebuild(cls: type[CeleriacError], message: str, attributes: dict[str, Any]) -> CeleriacError:
    return cls.rebuild(message, attributes)
