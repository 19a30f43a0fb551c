"""Arguments as monitors show them: what Celery's ``saferepr`` writes, quickly where the values are simple."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.utils.saferepr import saferepr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["shown_args", "shown_kwargs"]


def shown_args(args: Sequence[Any], size: int, levels: int) -> str:
    """Positional arguments, as a tuple."""
    if not args:
        return "()"
    simple = [_simple(value) for value in args]
    if None not in simple:
        text = f"({', '.join(simple)}{',' if len(simple) == 1 else ''})"  # type: ignore[arg-type]
        if len(text) < size:
            return text
    return saferepr(tuple(args), size, levels)


def shown_kwargs(kwargs: Mapping[str, Any], size: int, levels: int) -> str:
    """Keyword arguments, as a dictionary."""
    if not kwargs:
        return "{}"
    pairs = [(_simple(name), _simple(value)) for name, value in kwargs.items()]
    if all(name is not None and value is not None for name, value in pairs):
        text = f"{{{', '.join(f'{name}: {value}' for name, value in pairs)}}}"
        if len(text) < size:
            return text
    return saferepr(dict(kwargs), size, levels)


def _simple(value: Any) -> str | None:
    """A value that needs no thought, or ``None``. Celery quotes text without escaping it, but for the quote itself."""
    kind: Any = value.__class__
    if kind is str:
        quoted: str = value.replace("'", "\\'")
        return f"'{quoted}'"
    if kind in _PLAIN:
        return str(value)
    return None


_PLAIN = frozenset({bool, float, int, type(None)})
