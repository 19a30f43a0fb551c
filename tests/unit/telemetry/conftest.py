from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import celeriac


@pytest.fixture
def run_program() -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs a program in an interpreter of its own, which can import the kit."""

    def run(program: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(Path(celeriac.__file__).parents[1])}
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment, timeout=60
        )

    return run
