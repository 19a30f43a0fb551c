"""Everything that is known of a user, in a file."""

from core.exports.entities import Export
from core.exports.formats import ExportFormat
from core.exports.ports import ExportFiles, Exports

__all__ = ["Export", "ExportFiles", "ExportFormat", "Exports"]
