"""What can be wrong in the service, whatever the way in.

::

    ServiceError
    ├─ UnavailableError    something that the service needs is away or busy: worth another attempt
    └─ RefusedError        it would fail the same way again: never worth one
       ├─ NotFoundError    what it is about does not exist
       └─ ConflictError    what it is about exists already, or has changed meanwhile

Each domain derives its own from these, in its ``errors.py``. So a task says ``Retry(on=UnavailableError)``, and whoever
answers people knows what to say, without knowing any domain.
"""

from __future__ import annotations

__all__ = ["ConflictError", "NotFoundError", "RefusedError", "ServiceError", "UnavailableError"]


class ServiceError(Exception):
    """A use case could not do what was asked; the text says what, where, and how to mend it."""


class UnavailableError(ServiceError):
    """Something that the service needs is away or busy: the same may work later."""


class RefusedError(ServiceError):
    """What was asked cannot be done as it was asked."""


class NotFoundError(RefusedError):
    """What it is about does not exist."""


class ConflictError(RefusedError):
    """What it is about exists already, or has changed meanwhile."""
