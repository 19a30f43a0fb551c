"""What a day, a week or a month looked like."""

from core.reports.entities import ReportKind

__all__ = ["ReportKind"]
