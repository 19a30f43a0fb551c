"""Paths within a storage."""

from __future__ import annotations

__all__ = ["checked"]


def checked(path: str) -> str:
    """The path, if it stays within the storage: the last line of defence, behind whoever checks what people send.

    Raises:
        ValueError: it would lead out of the storage, or names a file of the storage's own.
    """
    segments = path.split("/")
    if "\0" in path or any(not segment or segment.startswith(".") for segment in segments):
        msg = f"{path!r} is no path within the storage: its segments are not empty and do not begin with a dot"
        raise ValueError(msg)
    return path
