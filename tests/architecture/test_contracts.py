"""Who may import whom: the contracts of pyproject.toml and of cycles.toml, and that they can fail at all."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = {
    "pyproject.toml": ["kit", "core", "core-domains", "infrastructure", "delivery", "deliveries", "entry-points"],
    "tests/architecture/cycles.toml": ["cycles"],
}


def lint_imports(root: Path, config: str, *options: str) -> subprocess.CompletedProcess[str]:
    # -S: no .pth file may bring the installed project beside the copy that is judged.
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-S", "-c", program, "--no-cache", "--config", str(ROOT / config), *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), *site.getsitepackages()])}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.proves("M-1")
@pytest.mark.parametrize("config", CONTRACTS)
def test_the_import_contracts_hold(config):
    ended = lint_imports(ROOT, config)
    assert ended.returncode == 0, ended.stdout
    assert "0 broken" in ended.stdout


@pytest.mark.proves("M-1")
@pytest.mark.parametrize("config", CONTRACTS)
def test_every_contract_of_the_design_is_among_them(config):
    text = (ROOT / config).read_text()
    assert [name for name in CONTRACTS[config] if f'id = "{name}"' not in text] == []


HEALTH_KNOWS_DATA = ("core/health/service.py", "import core.data.service")
DATA_KNOWS_HEALTH = ("core/data/service.py", "import core.health.service")
FORBIDDEN = {
    "kit": [("celeriac/injection.py", "import core.health.service")],
    "core": [("core/health/service.py", "import celery")],
    "core-domains": [HEALTH_KNOWS_DATA],
    "infrastructure": [("infrastructure/files/csv_tables.py", "import delivery.tasks.registry")],
    "delivery": [("delivery/tasks/controllers/ping.py", "import infrastructure")],
    "deliveries": [("delivery/demo/app.py", "import delivery.tasks.controllers.ping")],
    "entry-points": [("delivery/tasks/registry.py", "import ioc.container")],
    "cycles": [HEALTH_KNOWS_DATA, DATA_KNOWS_HEALTH],
}


@pytest.mark.proves("M-1")
@pytest.mark.parametrize(("config", "contract"), [(config, name) for config in CONTRACTS for name in CONTRACTS[config]])
def test_a_forbidden_import_breaks_its_contract(config, contract, tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for file, line in FORBIDDEN[contract]:
        broken = tmp_path / "src" / file
        broken.write_text(f"{broken.read_text()}\n{line}\n")
    ended = lint_imports(tmp_path, config, f"--contract={contract}")
    assert ended.returncode == 1, ended.stderr
    assert "0 kept, 1 broken" in ended.stdout
