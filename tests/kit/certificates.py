"""Certificates for servers that tests start."""

from __future__ import annotations

import subprocess
from pathlib import Path

_MAKE = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"


def for_localhost(directory: Path) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key."""
    crt, key = directory / "crt", directory / "key"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(crt)]
    subprocess.run([*_MAKE.split(), *names], check=True, capture_output=True)
    return crt, key
