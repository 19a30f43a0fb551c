"""What is known of a file that was uploaded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Upload"]


@dataclass(frozen=True, slots=True)
class Upload:
    """One file, processed."""

    file_id: str
    sha256: str
    """Of its content, in hexadecimal digits."""
    media_type: str
    """By its first bytes, such as ``image/png``."""
    size: int
    """Bytes."""
    location: str
    """Where it is in the storage."""
    processed: datetime
