"""How a token may be signed: with a private key, so that whoever checks it could not have made it."""

from __future__ import annotations

from typing import Final

__all__ = ["ALGORITHMS", "ASYMMETRIC"]

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")

ASYMMETRIC: Final[dict[tuple[object, object], tuple[str, ...]]] = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""Type and curve of a key to the algorithms that it may be used with. No ``none``, and nothing with a shared secret."""

ALGORITHMS: Final = tuple(dict.fromkeys(name for names in ASYMMETRIC.values() for name in names))
"""Every algorithm that may be allowed."""
