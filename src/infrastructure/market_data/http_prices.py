"""Prices from a server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final, cast
from urllib.parse import quote as percent_encoded

import httpx
import stamina
from pydantic import SecretStr

from core.market.entities import Quote, Span
from core.market.errors import (
    InvalidPricesError,
    PricesUnavailableError,
    SourceRefusedError,
    UnknownSymbolError,
)
from infrastructure.market_data.rows import Row, quote_of, rows_of

__all__ = ["HttpPrices"]

_TRIES: Final = 3
_NOT_FOUND: Final = 404
_LATER: Final = (408, 429)
"""Statuses that mean: not now."""
_LONGEST_WAIT: Final = 5.0
"""Seconds: who asks for more patience than this is asked again by the task's retry."""
_LARGEST: Final = 16 * 1024 * 1024
"""Bytes of one answer: 20 years of a symbol have less than one of them."""


class HttpPrices:
    """Fulfils :class:`core.market.ports.PriceSource` with a server that answers in JSON or CSV.

    JSON is a list of objects, CSV has a line with the columns' names: ``day``, ``close`` and ``currency`` in both.

    Args:
        url: with the places ``{symbol}``, ``{first}`` and ``{last}``, the days such as 2026-01-31.
        token: sent as a bearer token.
        timeout: seconds that one answer may take.
        wait: seconds before a second try; about twice as many before the third.
    """

    def __init__(self, url: str, *, token: SecretStr | None = None, timeout: float = 10.0, wait: float = 0.2) -> None:
        self._url = url
        self._timeout = timeout
        self._patiently = stamina.RetryingCaller(attempts=_TRIES, timeout=None, wait_initial=wait, wait_jitter=wait)
        headers = {"Accept": "application/json, text/csv;q=0.9"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        self._client = httpx.Client(headers=headers, timeout=timeout)

    def symbols(self) -> Sequence[str]:
        """See :meth:`core.market.ports.PriceSource.symbols`."""
        msg = "a server cannot be asked which symbols it has: name them in MARKET_SYMBOLS"
        raise SourceRefusedError(msg)

    def quotes(self, symbol: str, span: Span) -> Iterator[Quote]:
        """See :meth:`core.market.ports.PriceSource.quotes`."""
        url = self._url.format(symbol=percent_encoded(symbol, safe=""), first=span.first, last=span.last)

        def answer() -> tuple[str, bytes]:
            return self._answer(httpx.URL(url), symbol)

        kind, body = self._patiently(_worth_a_wait, answer)
        where = _shown(httpx.URL(url))
        rows = _csv(body, where) if kind == "text/csv" else _json(body, where)
        return (quote for row in rows if (quote := quote_of(symbol, row)).day in span)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _answer(self, url: httpx.URL, symbol: str) -> tuple[str, bytes]:
        """What the answer says that it is, and the answer."""
        try:
            with self._client.stream("GET", url) as response:
                _refuse_unless_ok(response, symbol)
                kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                return kind, self._read(response)
        except httpx.DecodingError as error:
            msg = f"{_shown(url)} gave an answer that cannot be unpacked: {error}"
            raise InvalidPricesError(msg) from error
        except httpx.TimeoutException as error:
            msg = f"{_shown(url)} did not answer within {self._timeout:g} s ({type(error).__name__})"
            raise PricesUnavailableError(msg) from error
        except httpx.TransportError as error:
            msg = f"{_shown(url)} could not be asked: {str(error) or type(error).__name__}"
            raise PricesUnavailableError(msg) from error

    def _read(self, response: httpx.Response) -> bytes:
        """The whole answer, with a bound: httpx's own timeout begins again with each piece."""
        body, end = bytearray(), time.monotonic() + self._timeout
        for piece in response.iter_bytes():
            body += piece
            if len(body) > _LARGEST:
                msg = f"{_shown(response.url)} gave more than {_LARGEST} bytes for one symbol"
                raise InvalidPricesError(msg)
            if time.monotonic() > end:
                msg = f"{_shown(response.url)} took more than {self._timeout:g} s to answer"
                raise PricesUnavailableError(msg)
        return bytes(body)


def _refuse_unless_ok(response: httpx.Response, symbol: str) -> None:
    status, where = response.status_code, _shown(response.url)
    if response.is_success:
        return
    if status == _NOT_FOUND:
        msg = f"{where} knows no {symbol}: it answered {status}"
        raise UnknownSymbolError(msg)
    if status in _LATER or response.is_server_error:
        busy = PricesUnavailableError(f"{where} answered {status}")
        asked = response.headers.get("Retry-After", "")
        busy.retry_after = float(asked) if asked.isdecimal() else None
        raise busy
    msg = f"{where} answered {status}: look at MARKET_SOURCE and MARKET_TOKEN"
    raise SourceRefusedError(msg)


def _worth_a_wait(error: Exception) -> bool | float:
    """Whether to try again within this attempt of the task, and after how many seconds if the server said."""
    if not isinstance(error, PricesUnavailableError):
        return False
    if error.retry_after is None:
        return True
    return error.retry_after if error.retry_after <= _LONGEST_WAIT else False


def _csv(body: bytes, where: str) -> Iterator[Row]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{where} gave no CSV text in UTF-8: {error}"
        raise InvalidPricesError(msg) from error
    return rows_of(text.splitlines(keepends=True), where)


def _json(body: bytes, where: str) -> Iterator[Row]:
    try:
        # As decimals, which a float is not; NaN and its like are let in here, and refused by name later.
        said: Any = json.loads(body, parse_float=Decimal, parse_constant=Decimal)
    except (ValueError, RecursionError) as error:
        msg = f"{where} gave neither JSON nor said that it is text/csv: {error}"
        raise InvalidPricesError(msg) from error
    if not isinstance(said, list):
        msg = f"{where} gave no list of prices, but {type(said).__name__}"
        raise InvalidPricesError(msg)
    for number, one in enumerate(cast("list[object]", said), start=1):
        if not isinstance(one, dict):
            msg = f"{where}, item {number} is no object with day, close and currency"
            raise InvalidPricesError(msg)
        yield Row(cast("dict[str, object]", one), f"{where}, item {number}")


def _shown(url: httpx.URL) -> str:
    """Without what may be a secret."""
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace').rpartition('@')[2]}{url.path}"
