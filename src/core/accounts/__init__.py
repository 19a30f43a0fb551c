"""Those who use the service."""

from core.accounts.entities import User, UserName
from core.accounts.errors import EmailTakenError, UnknownUserError

__all__ = ["EmailTakenError", "UnknownUserError", "User", "UserName"]
