"""structlog, imported without rich.

structlog imports rich whenever it is installed, for tracebacks in colour. In development that is most of what importing
structlog costs, about 0.1 s of every worker's start, and a worker's log has no use for it. Whoever imports rich first
keeps it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

__all__ = ["structlog"]

if TYPE_CHECKING or "structlog" in sys.modules or "rich" in sys.modules:
    import structlog
else:
    sys.modules["rich"] = None  # Python's way to say: raise ImportError
    try:
        import structlog
    finally:
        del sys.modules["rich"]
