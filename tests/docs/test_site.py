"""The site builds without a warning, has the pages it should, and shows what is in the code."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT
from tests.docs.html import Page

import celeriac
from celeriac import CelerySettings, exceptions
from celeriac.options.variables import variables_of
from delivery.tasks.registry import TasksRegistry

pytestmark = pytest.mark.xdist_group("site")
DECISIONS = sorted(path for path in ROOT.glob("docs/decisions/*.md") if path.name != "index.md")
ERRORS = {name: error for name, error in inspect.getmembers(exceptions, inspect.isclass) if name in exceptions.__all__}


@pytest.mark.proves("M-7")
def test_the_site_builds_strictly_and_has_a_page_for_each_subject(site: Path):
    for page in (
        "celery/task-controllers",
        "celery/task-registry",
        "celery/beat-scheduler",
        "testing/celery-tests",
        "tutorials/first-celery-task",
    ):
        assert (site / page / "index.html").is_file()


@pytest.mark.proves("S003-2")
def test_the_overview_shows_three_cards_that_lead_to_controllers_registry_and_beat(site: Path):
    cards = Page(site / "celery/index.html").cards

    assert [link for _, link in cards] == ["task-controllers/", "task-registry/", "beat-scheduler/"]
    for text, link in cards:
        assert text.startswith(link.strip("/").replace("-", " ").capitalize())
        assert (site / "celery" / link / "index.html").is_file()


@pytest.mark.proves("S003-10")
@pytest.mark.parametrize("page", ["celery/index.html", "reference/tasks/index.html"])
def test_the_table_of_tasks_is_the_registry(site: Path, page: str):
    definitions = TasksRegistry.definitions()
    rows = [row for row in Page(site / page).rows if len(row) == 5 and row[0] != "Task"]

    assert [row[0] for row in rows] == [definition.name for definition in definitions.values()]
    assert [row[1] for row in rows] == [definition.summary.replace("``", "") for definition in definitions.values()]
    for row, line in zip(rows, definitions, strict=True):
        assert row[2].startswith(f"registry.{line}.delay(")
    assert "ping" in [row[0] for row in rows]


def test_the_page_of_settings_has_every_variable(site: Path):
    cells = {cell for row in Page(site / "reference/settings/index.html").rows for cell in row}
    shown = {variable for cell in cells for variable in cell.split(", ")}

    for setting in CelerySettings.model_fields:
        assert set(variables_of(setting)) <= shown


def test_the_page_of_commands_has_every_target_of_make(site: Path):
    shown = {row[0] for row in Page(site / "reference/commands/index.html").rows}
    targets = re.findall(r"^([a-z][a-z-]*):.*?## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert {f"make {target}" for target in targets} <= shown


def test_the_page_of_dependencies_says_of_each_why_it_is_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tables = (project["project"]["optional-dependencies"], project["dependency-groups"])
    asked = [
        *project["project"]["dependencies"],
        *(each for table in tables for group in table.values() for each in group),
    ]
    names = {re.match(r"[\w-]+", each)[0] for each in asked if isinstance(each, str)}  # type: ignore[index]
    page = (ROOT / "docs/reference/dependencies.md").read_text(encoding="utf-8")

    assert {name for name in names if f"`{name}`" not in page} == set()


def test_each_error_has_one_section_and_each_section_one_error(site: Path):
    headings = [text for tag, text in Page(site / "reference/errors/index.html").headings if tag != "h1"]

    assert sorted(headings) == sorted(ERRORS)


def test_the_drawing_of_the_errors_is_the_tree_of_the_classes():
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (exceptions.__doc__ or "").splitlines():
        if (found := re.match(r" {4}((?:│ {3}| {4})*)((?:├── |└── )?)(\w+)(?: {2}|$)", line)) is None:
            continue
        depth = len(found[1]) // 4 + bool(found[2])
        del above[depth:]
        drawn[found[3]] = above[-1] if above else ""
        above.append(found[3])

    real = {
        name: next((base.__name__ for base in error.__bases__ if base.__name__ in ERRORS), "")
        for name, error in ERRORS.items()
    }
    assert drawn == real


def test_the_reference_of_the_api_has_every_public_name(site: Path):
    pages = [Page(path) for path in site.glob("reference/api/*/index.html")]
    shown = {word for page in pages for _, text in page.headings for word in text.split()}
    elsewhere = {"CeleriacError", "TaskDefinition"}  # the page of errors, and what the decorator gives

    assert set(celeriac.__all__) - elsewhere <= shown


def test_no_page_loads_anything_from_elsewhere(site: Path):
    for path in site.rglob("*.html"):
        foreign = [place for place in Page(path).loaded if re.match(r"(https?:)?//", place)]
        assert not foreign, f"{path.relative_to(site)} loads {foreign}"


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_says_what_was_turned_down_and_when_to_look_again(page: Path):
    text = page.read_text(encoding="utf-8")

    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Rejected", "Revisit when"]
    assert re.search(r"^- \*\*", text, re.MULTILINE)
    assert f"({page.name})" in (page.parent / "index.md").read_text(encoding="utf-8")


def test_every_link_of_the_readme_leads_somewhere():
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for link in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8")):
            assert link.startswith("https://") or (ROOT / link).is_file(), link


def test_the_first_screen_of_the_readme_has_the_two_commands():
    first = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:20]

    assert any(line.startswith("make dev") for line in first)
    assert any(line.startswith("make test") for line in first)
