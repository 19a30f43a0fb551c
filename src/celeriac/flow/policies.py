"""The policies as ``@task`` takes them: frozen values, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

__all__ = ["Concurrency", "Debounce", "OnConflict", "RateLimit", "Unique"]

_PERIODS: Final = {"s": 1, "m": 60, "h": 3600}

OnConflict = Literal["drop", "replace", "wait"]
"""What becomes of a call while an equal one is under way."""


def _checked_key(key: str | None) -> None:
    if key is not None and not all(part.isidentifier() for part in key.split(".")):
        msg = f"a key is a parameter's name, or a path into it such as 'order.customer_id', not {key!r}"
        raise ValueError(msg)


def _more_than_nothing(name: str, seconds: float) -> None:
    if not seconds > 0:
        msg = f"{name} must be more than 0 seconds, not {seconds}"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How often a task may start on all workers together: ``RateLimit("10/m")``, evenly spaced.

    With ``key="user_id"`` each value of that argument has the rate for itself. The plain text ``rate_limit="10/m"`` is
    Celery's own limit, which each worker keeps for itself.
    """

    rate: str
    """A number of starts per ``s``, ``m`` or ``h``."""
    key: str | None = None
    """The parameter, or a path into it, whose values are counted apart; ``None`` counts all starts together."""

    def __post_init__(self) -> None:
        count, _, period = self.rate.partition("/")
        if not count.isdecimal() or int(count) < 1 or period not in _PERIODS:
            msg = f"a rate is a number of starts per s, m or h, such as '10/m', not {self.rate!r}"
            raise ValueError(msg)
        _checked_key(self.key)

    def __str__(self) -> str:
        each = "" if self.key is None else f" for each {self.key}"
        return f"{self.rate}{each} for all workers together"

    @property
    def interval(self) -> float:
        """Seconds between two starts."""
        count, _, period = self.rate.partition("/")
        return _PERIODS[period] / int(count)


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many of a task may run at the same time on all workers together: ``Concurrency(3, key="account_id")``."""

    limit: int
    """How many, 1 or more."""
    key: str | None = None
    """The parameter, or a path into it, whose values are counted apart; ``None`` counts all together."""

    def __post_init__(self) -> None:
        if self.limit < 1:
            msg = f"limit must be 1 or more, not {self.limit}"
            raise ValueError(msg)
        _checked_key(self.key)

    def __str__(self) -> str:
        return f"{self.limit} at once" + ("" if self.key is None else f" for each {self.key}")


@dataclass(frozen=True, slots=True)
class Unique:
    """That of equal calls one is under way at a time, from its publish to its end, over all its retries.

    With ``drop`` a call is not sent while another is queued or runs: it gets that one's result. With ``replace`` it
    takes the place of one that is queued, which ends as revoked; one that has begun is never replaced, and the new call
    waits for its end. With ``wait`` all calls are sent, and run one after the other.
    """

    key: str | tuple[str, ...] | None = None
    """The parameter, or a path into it, or several, that make two calls equal; ``None`` takes all arguments."""
    on_conflict: OnConflict = "drop"
    """``drop`` the new call, ``replace`` the old one, or have the new one ``wait`` for the old one's end."""
    lifetime: float = 86_400.0
    """Seconds after which a call whose message was lost is no longer in the way: from the moment at which it may run,
    and again from the beginning of each attempt. Longer than a queue takes, and than an attempt with the wait after
    it."""

    def __post_init__(self) -> None:
        for each in (self.key,) if isinstance(self.key, str | None) else self.key:
            _checked_key(each)
        if self.on_conflict not in get_args(OnConflict):
            msg = f"on_conflict is one of {', '.join(get_args(OnConflict))}, not {self.on_conflict!r}"
            raise ValueError(msg)
        _more_than_nothing("lifetime", self.lifetime)

    def __str__(self) -> str:
        if self.key is None:
            return "unique"
        return f"unique for each {self.key if isinstance(self.key, str) else ' and '.join(self.key)}"


@dataclass(frozen=True, slots=True)
class Debounce:
    """That of calls in quick succession the last one runs, once no other has come for ``seconds``."""

    seconds: float
    """How long it has to be quiet."""
    key: str | None = None
    """The parameter, or a path into it, whose values are told apart; ``None`` takes all calls as one."""
    at_most: float | None = None
    """Seconds from the first call after which it runs however many follow; ``None`` means ten times ``seconds``."""

    def __post_init__(self) -> None:
        _more_than_nothing("seconds", self.seconds)
        _checked_key(self.key)
        if self.at_most is not None and not self.at_most >= self.seconds:
            msg = f"at_most ({self.at_most} s) must not be shorter than seconds ({self.seconds} s)"
            raise ValueError(msg)

    def __str__(self) -> str:
        each = "" if self.key is None else f" for each {self.key}"
        return f"debounced by {self.seconds:g} s{each}"
