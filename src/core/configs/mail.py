"""Letters."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import EmailStr, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from core.configs.environment import FromEnvironment

__all__ = ["MailSettings"]


class MailSettings(FromEnvironment):
    """How letters are sent. Without a host they are written into the log, and refused in production."""

    model_config = SettingsConfigDict(env_prefix="MAIL_")

    host: str | None = None
    """``MAIL_HOST``: the SMTP server."""
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    """``MAIL_PORT``: 587 is usual for ``starttls``, 465 for ``tls``."""
    tls: Literal["none", "starttls", "tls"] = "starttls"
    """``MAIL_TLS``: ``starttls`` begins in the open, ``tls`` does not, and with ``none`` everybody reads along."""
    username: str | None = None
    """``MAIL_USERNAME``: who logs in; nobody unless said."""
    password: SecretStr | None = None
    """``MAIL_PASSWORD``."""
    sender: EmailStr = "noreply@example.org"
    """``MAIL_SENDER``: the address that letters come from; required beside a host."""
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10
    """``MAIL_TIMEOUT``: seconds that the server has for each answer."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        problems = {
            "MAIL_HOST takes MAIL_SENDER beside it": self.host and "sender" not in self.model_fields_set,
            "MAIL_USERNAME and MAIL_PASSWORD go together": (self.username is None) != (self.password is None),
            "with MAIL_TLS=none, everybody on the way would read MAIL_PASSWORD": self.password and self.tls == "none",
        }
        if said := [problem for problem, there in problems.items() if there]:
            raise ValueError("; ".join(said))
        return self
