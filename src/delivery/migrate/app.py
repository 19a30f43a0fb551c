"""``make migrate``: bring the tables of ``DATABASE_URL`` up to date, those of history and outbox among them.

Safe to run from several places at once, and again. It needs no other variable.
"""

from __future__ import annotations

import sys

from celeriac.exceptions import HistoryUnavailable
from core.errors import ServiceError
from ioc.database import migrate

__all__ = ["main"]


def main() -> None:
    """Change the tables, and say which version they have."""
    try:
        print(migrate())  # noqa: T201  whoever rolls a release out reads it
    except (HistoryUnavailable, ServiceError) as error:
        sys.exit(f"migrate: {error}")


if __name__ == "__main__":
    main()
