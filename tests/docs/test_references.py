"""What the documents say of the tests is there: the proofs that they name, and the lists that a test checks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.blocks import PAGES, ROOT, blocks, name_of
from tests.docs.html import Page
from tests.integration.transport.test_kinds_of_servers import COMMANDS

pytestmark = pytest.mark.xdist_group("site")
_LINK = re.compile(r"\[(test_\w+)\]\(([^)]+)\)")
PROOFS = [
    pytest.param(page, name, target, id=f"{name_of(page)}-{name}")
    for page in PAGES
    for name, target in _LINK.findall(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("page", "name", "target"), PROOFS)
def test_a_proof_is_a_test(page: Path, name: str, target: str):
    tests = (page.parent / target).resolve()

    assert re.search(rf"^(async )?def {name}\(", tests.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_row_of_what_happens_when_names_its_proof():
    page = (ROOT / "docs/concepts/guarantees.md").read_text(encoding="utf-8")
    table = page.partition("## What happens when")[2].partition("## What is not promised")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith(("| When", "| ---"))]

    assert len(rows) > 30
    assert [row for row in rows if not _LINK.search(row)] == []


def test_the_site_shows_each_proof_by_the_name_that_pytest_takes(site: Path):
    shown = {cell for row in Page(site / "concepts/guarantees/index.html").rows for cell in row}

    proof = "tests/faults/test_p2_storm.py::test_a_storm_of_kill_9_loses_nothing"
    assert any(proof in cell for cell in shown)


def test_the_commands_that_a_user_of_redis_needs_are_those_that_a_test_does_with():
    page = ROOT / "docs/how-to/production.md"
    (line,) = (block.text for block in blocks(page) if block.text.startswith("user celeriac"))

    assert re.findall(r"(?<= \+)[a-z|]+", " ".join(line.split())) == COMMANDS.split()
