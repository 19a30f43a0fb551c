"""The tables, as SQLAlchemy knows them."""

from __future__ import annotations

from infrastructure.database.models.accounts import ActivityRow, UserRow
from infrastructure.database.models.base import Base
from infrastructure.database.models.completions import CompletionRow
from infrastructure.database.models.data import ResultRow
from infrastructure.database.models.exports import ExportRow
from infrastructure.database.models.market import IndexValueRow, PriceRow
from infrastructure.database.models.reports import ReportRow
from infrastructure.database.models.uploads import UploadRow

__all__ = [
    "ActivityRow",
    "Base",
    "CompletionRow",
    "ExportRow",
    "IndexValueRow",
    "PriceRow",
    "ReportRow",
    "ResultRow",
    "UploadRow",
    "UserRow",
]
