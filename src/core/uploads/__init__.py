"""Files that people send: looked at, and kept."""

from core.uploads.entities import Upload
from core.uploads.ports import FileStorage, Uploads

__all__ = ["FileStorage", "Upload", "Uploads"]
