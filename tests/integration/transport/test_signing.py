"""Where only signed messages are accepted, others are dead letters and never run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("transport")


@pytest.mark.proves("S000-43")
def test_a_tampered_and_an_unsigned_message_are_refused_and_a_signed_one_is_delivered(server, redis, tmp_path):
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=celeriac"
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    script = Path(__file__).with_name("signed.py")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "ENVIRONMENT": "test"}
    ran = subprocess.run(
        [sys.executable, str(script), server, str(tmp_path)], env=env, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["delivered"] == ["signed"]
    assert len(told["dead"]) == 2
    assert any("'application/json' is not accepted" in detail for detail in told["dead"])
    assert any("cannot be decoded" in detail for detail in told["dead"])
