"""What can be wrong with a letter.

::

    MailError
    ├─ MailServerUnavailableError   away, slow, or busy: another attempt may work            (UnavailableError)
    ├─ DeliveryUncertainError       lost while it was handed over: it may have been sent     (UnavailableError)
    ├─ LetterRefusedError           the server will not have it                              (RefusedError)
    ├─ MailSetupError               no server is named, it cannot be trusted, or knows us not (RefusedError)
    ├─ InvalidLetterError           it is no letter                                          (RefusedError)
    └─ NoAddressError               the user is not known                                    (NotFoundError)

A task says ``Retry(on=MailError, never_on=RefusedError)``.
"""

from __future__ import annotations

from core.errors import NotFoundError, RefusedError, ServiceError, UnavailableError

__all__ = [
    "DeliveryUncertainError",
    "InvalidLetterError",
    "LetterRefusedError",
    "MailError",
    "MailServerUnavailableError",
    "MailSetupError",
    "NoAddressError",
]


class MailError(ServiceError):
    """A letter was not sent, or nobody knows whether it was."""


class MailServerUnavailableError(MailError, UnavailableError):
    """The mail server is away, does not answer in time, or asks to come again; the letter was not sent."""


class DeliveryUncertainError(MailError, UnavailableError):
    """The connection was lost after the letter and before the answer: it may have been sent.

    Another attempt may send a copy. It has the same ``Message-ID``.
    """


class LetterRefusedError(MailError, RefusedError):
    """The mail server refuses the letter, or one who is to get it, for good; nobody got it."""


class MailSetupError(MailError, RefusedError):
    """No mail server is named, it cannot be trusted, or it does not accept our credentials."""


class InvalidLetterError(MailError, RefusedError):
    """What was to be sent is no letter."""


class NoAddressError(MailError, NotFoundError):
    """Nobody knows an address of whom the letter is for."""
