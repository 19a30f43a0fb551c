"""What the image is given to install, read without Docker."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from tests.docker.engine import ROOT

EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_image_has_every_extra_so_that_commands_and_settings_of_all_of_them_work_there(extra):
    pinned = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE))
    assert {Requirement(each).name for each in EXTRAS[extra]} <= pinned
