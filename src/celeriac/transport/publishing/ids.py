"""Random UUIDs by the handful: one look at the kernel's randomness makes many."""

from __future__ import annotations

import hashlib
import os
from typing import Final

__all__ = ["block_of_ids", "fresh_id"]

_HANDFUL: Final = 64
_VARIANT: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
_stock: list[str] = []

# A forked child would hand out the same ids as its parent.
os.register_at_fork(after_in_child=_stock.clear)


def fresh_id() -> str:
    """A random UUID (version 4) in its usual form."""
    try:
        return _stock.pop()
    except IndexError:
        _stock.extend(_shaped(os.urandom(16 * _HANDFUL).hex(), _HANDFUL))
        return _stock.pop()


def block_of_ids(seed: bytes, block: int, size: int) -> list[str]:
    """The ids of one block of a bulk call: the same each time, and without the seed as good as random.

    So a report of millions of tasks keeps 32 bytes instead of their ids.
    """
    digest = hashlib.shake_128(seed + block.to_bytes(8, "big")).hexdigest(16 * size)
    return _shaped(digest, size)


def _shaped(digits: str, size: int) -> list[str]:
    variant = _VARIANT
    return [
        f"{d[:8]}-{d[8:12]}-4{d[13:16]}-{variant[d[16]]}{d[17:20]}-{d[20:]}"
        for d in (digits[at : at + 32] for at in range(0, 32 * size, 32))
    ]
