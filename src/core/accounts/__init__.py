"""Those who use the service."""

from core.accounts.entities import User, UserName
from core.accounts.errors import EmailTakenError, UnfitDetailsError, UnknownUserError

__all__ = ["EmailTakenError", "UnfitDetailsError", "UnknownUserError", "User", "UserName"]
