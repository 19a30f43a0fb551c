"""Letters to people."""

from core.mail.entities import Letter, MailReceipt, Subject
from core.mail.errors import (
    DeliveryUncertainError,
    InvalidLetterError,
    LetterRefusedError,
    MailError,
    MailServerUnavailableError,
    MailSetupError,
    NoAddressError,
)

__all__ = [
    "DeliveryUncertainError",
    "InvalidLetterError",
    "Letter",
    "LetterRefusedError",
    "MailError",
    "MailReceipt",
    "MailServerUnavailableError",
    "MailSetupError",
    "NoAddressError",
    "Subject",
]
