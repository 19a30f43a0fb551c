"""Which parameters a test runs with in which form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

_LATER = pytest.mark.wide


def forms(short: Iterable[Any], wide: Iterable[Any] = ()) -> list[Any]:
    """Parameters for ``parametrize``: ``short`` in every form, ``wide`` in the wide and full forms alone.

    A tuple is one set of several parameters.
    """
    later = (each if isinstance(each, tuple) else (each,) for each in wide)
    return [*short, *(pytest.param(*values, marks=_LATER) for values in later)]
