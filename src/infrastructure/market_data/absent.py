"""No source of prices at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.market.entities import Quote, Span
from core.market.errors import SourceRefusedError

__all__ = ["AbsentPrices"]

_SAID = "no prices can be fetched: MARKET_SOURCE names no CSV file, no directory of such files, and no URL"


class AbsentPrices:
    """Fulfils :class:`core.market.ports.PriceSource` where none was set: it says so to whoever needs one."""

    def symbols(self) -> Sequence[str]:
        """See :meth:`core.market.ports.PriceSource.symbols`."""
        raise SourceRefusedError(_SAID)

    def quotes(self, symbol: str, span: Span) -> Iterator[Quote]:
        """See :meth:`core.market.ports.PriceSource.quotes`."""
        del symbol, span
        raise SourceRefusedError(_SAID)
