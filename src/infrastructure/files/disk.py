"""What outlives a power cut."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["bring_to_disk"]


def bring_to_disk(path: Path) -> None:
    """Wait until a file's content, or the names in a directory, are on disk: no name may outlive its content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
