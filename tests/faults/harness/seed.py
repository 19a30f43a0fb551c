"""Chance that can be had again: one seed for a run, printed, and given back by ``FAULTS_SEED``."""

from __future__ import annotations

import os
import random
import secrets

SEED = os.environ.setdefault("FAULTS_SEED", secrets.token_hex(4))
"""The seed of this run. In the environment, so that every process of a parallel run draws from the same."""

FORM = os.environ.get("FAULTS", "short")
"""``short``; ``wide``, with every pool and every fault in short forms; or ``full``, with all of them in long forms."""
FULL = FORM == "full"
WIDE = FORM in {"wide", "full"}


def schedule_of(test: str) -> random.Random:
    """The chance of one test: independent of which others run, and in what order."""
    return random.Random(f"{SEED}:{test}")  # noqa: S311  to be had again, not to be secret


def scaled(short: float, full: float) -> float:
    """A duration or rate: small in the short form."""
    return full if FULL else short


def times(short: int, full: int) -> int:
    """A number of tasks or faults: small in the short form."""
    return full if FULL else short
