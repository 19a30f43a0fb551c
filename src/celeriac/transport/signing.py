"""Signatures of messages: who cannot make one cannot have a task run, or change one that waits."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final

from kombu.serialization import dumps

from celeriac.exceptions import InvalidSetting, MalformedMessage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from celeriac.transport.envelope import Envelope

__all__ = ["SIGNATURE", "Signer"]

SIGNATURE: Final = "celeriac-signature"
"""The header that carries it: the name of the key, and the code."""
_SHORTEST: Final = 32
# What Celery acts on. Brokers and tools add headers of their own on the way, which change nothing of what runs.
_SIGNED: Final = (
    "task",
    "id",
    "root_id",
    "parent_id",
    "group",
    "group_index",
    "retries",
    "timelimit",
    "eta",
    "expires",
    "ignore_result",
    "replaced_task_nesting",
)


class Signer:
    """Signs and checks with shared keys (HMAC-SHA256): over the body, and every header that decides what runs.

    Celery's own signing serializer covers the body alone, so that a signed body can be put under another task's name.

    Args:
        keys: the first signs, all of them check.

    Raises:
        InvalidSetting: there is no key, or one is too short.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys or min(map(len, keys)) < _SHORTEST:
            problem = f"each key has {_SHORTEST} characters or more, as `celeriac secret` makes them"
            raise InvalidSetting(setting="task_signing_keys", problem=problem)
        derived = [hashlib.sha256(b"celeriac.signing:" + key.encode()).digest() for key in keys]
        self._keys = {hashlib.sha256(key).hexdigest()[:8]: key for key in derived}
        self._name = next(iter(self._keys))

    def sign(
        self, body: Any, headers: Mapping[str, Any], serializer: str | None, content: tuple[Any, Any]
    ) -> tuple[bytes, dict[str, Any], tuple[str, str]]:
        """A message as it is to be sent.

        Args:
            body: what Celery has for it.
            headers: the same.
            serializer: how to write the body.
            content: type and encoding of a body that is written already.

        Returns:
            The body as bytes, the headers with the signature, and the content's type and encoding.
        """
        content_type, encoding = content
        if not content_type:
            content_type, encoding, body = dumps(body, serializer=serializer)
        written = body.encode(encoding or "utf-8") if isinstance(body, str) else bytes(body)
        signature = self.signature(self.head(headers, content_type), written)
        return written, {**headers, SIGNATURE: signature}, (content_type, encoding or "utf-8")

    def signature(self, head: str, body: bytes) -> str:
        """What the header says of a body and what :meth:`head` made of the headers."""
        return f"{self._name}:{_code(self._keys[self._name], head, body)}"

    @staticmethod
    def head(headers: Mapping[str, Any], content_type: str) -> str:
        """What is signed beside the body."""
        said = [content_type, *(headers.get(name) for name in _SIGNED)]
        return json.dumps(said, separators=(",", ":"), sort_keys=True, default=str)

    def check(self, envelope: Envelope) -> None:
        """Return if a message is signed by somebody who has a key.

        Raises:
            MalformedMessage: it is not.
        """
        said: Any = envelope.headers.get(SIGNATURE)
        if said is None:
            raise MalformedMessage(part="the signature", problem="is missing, and only signed messages are run here")
        name, _, code = said.partition(":") if isinstance(said, str) else ("", "", "")
        key = self._keys.get(name)
        if key is None:
            raise MalformedMessage(part="the signature", problem="is made with a key that is not known here")
        right = _code(key, self.head(envelope.headers, envelope.content_type), envelope.body)
        if not hmac.compare_digest(code.encode(), right.encode()):
            raise MalformedMessage(
                part="the signature", problem="is not that of this message: it was changed, or forged"
            )


def _code(key: bytes, head: str, body: bytes) -> str:
    said = head.encode()
    return hmac.new(key, b"%d:%b%b" % (len(said), said, body), hashlib.sha256).hexdigest()
