"""Where the tour keeps its files."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DATA", "LETTERS", "ORDERS"]

DATA = Path(".data/demo").absolute()
LETTERS = DATA / "letters"
"""A Maildir: what the tour's mail server was sent."""
ORDERS = Path(__file__).with_name("orders.csv")
"""A table that the tour works through."""
