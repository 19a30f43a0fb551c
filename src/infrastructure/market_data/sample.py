"""Prices to try things with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["SAMPLE"]

SAMPLE: Final = Path(__file__).with_name("sample.csv")
"""Three companies that do not exist, over four weeks. One of them begins late, and has a gap."""
