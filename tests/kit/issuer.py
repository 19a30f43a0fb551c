"""An issuer of tokens: a real server that publishes its keys, and may rotate, lie and go away."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

__all__ = ["AUDIENCE", "Issuer"]

AUDIENCE = "celeriac-tests"


class Issuer:
    """On 127.0.0.1, as a context manager; signs with RS256 unless told otherwise."""

    def __init__(self) -> None:
        self._gone = False
        self.fetched = 0
        self.body: bytes | None = None
        """What is answered instead of the keys, if anything."""
        self.location: str | None = None
        self._private: dict[str, tuple[str, Any]] = {}
        self.published: list[dict[str, Any]] = []
        self.add("first")
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetched += 1
                self.send_response(200 if issuer.location is None else 302)
                if issuer.location is not None:
                    self.send_header("Location", issuer.location)
                self.end_headers()
                body = json.dumps({"keys": issuer.published}).encode() if issuer.body is None else issuer.body
                with suppress(OSError):  # whoever asked has heard enough
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name
                """Nothing: pytest's output is no access log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.jwks_url = f"{self.url}/jwks.json"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.go_away()

    def go_away(self) -> None:
        """Answer nobody any more."""
        if not self._gone:
            self._gone = True
            self._server.shutdown()
            self._server.server_close()

    def add(self, key_id: str, algorithm: str = "RS256") -> None:
        """Make a key and publish its public half."""
        private: Any
        if algorithm.startswith("ES"):
            private = ec.generate_private_key(ec.SECP256R1())
            public = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        elif algorithm == "EdDSA":
            private = ed25519.Ed25519PrivateKey.generate()
            public = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
        else:
            private = rsa.generate_private_key(65537, 2048)
            public = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        self._private[key_id] = (algorithm, private)
        self.published.append({**public, "kid": key_id, "use": "sig"})

    def claims(self, **said: Any) -> dict[str, Any]:
        """The claims of a good token, with some of them changed; ``None`` leaves one out."""
        good = {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "exp": int(time.time()) + 60, "scope": "tasks:read"}
        return {name: value for name, value in {**good, **said}.items() if value is not None}

    def token(self, key_id: str = "first", *, headers: dict[str, Any] | None = None, **said: Any) -> str:
        """A token, signed, whatever it says: PyJWT itself would not write every claim."""
        algorithm, private = self._private[key_id]
        claims = json.dumps(self.claims(**said)).encode()
        return jwt.PyJWS().encode(claims, private, algorithm, {"kid": key_id, **(headers or {})})
