"""Every Python block of the documents runs, and prints what the document says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.blocks import PAGES, ROOT, blocks, name_of, run_python
from tests.kit.completions_server import CompletionsServer

import ioc.container
from celeriac.testing.worker import WorkerProcess

TUTORIAL = "docs/tutorials/first-celery-task.md"
WITH_PYTHON = [
    page for page in PAGES if name_of(page) != TUTORIAL and any(block.language == "python" for block in blocks(page))
]


@pytest.fixture(scope="module")
def environment(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What leads to a worker of the service, and to the database that both use."""
    directory = tmp_path_factory.mktemp("service")
    kept = {
        "DATABASE_URL": f"sqlite:///{directory / 'service.db'}",
        "EXPORTS_DIRECTORY": str(directory / "exports"),
        "STORAGE_URL": str(directory / "files"),
        "DATA_DIRECTORY": str(ROOT / "src/delivery/demo"),
    }
    with (
        CompletionsServer() as model,
        WorkerProcess("delivery.tasks.app", redis_url=redis_url, pool="threads", concurrency=4, env=kept | model.env),
    ):
        yield {"REDIS_URL": redis_url, **kept}


@pytest.fixture
def service(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``get_container()`` as a newcomer's first call of it, in a process that a worker works for."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ioc.container, "_container", None)
    yield
    ioc.container.get_container().close()


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
@pytest.mark.usefixtures("own_logging")
def test_the_python_of_a_page_runs_and_prints_what_the_page_shows(page: Path, request: pytest.FixtureRequest):
    if "get_container()" in page.read_text(encoding="utf-8"):
        request.getfixturevalue("service")

    assert run_python(page) > 0


def test_a_block_of_python_is_never_hidden_under_another_name():
    for page in PAGES:
        for block in blocks(page):
            assert block.language in KNOWN, f"{name_of(page)}:{block.line} has a block of {block.language!r}"


KNOWN = {
    "bash",  # commands: test_commands.py reads them
    "diff",  # changes of the tutorial: test_tutorial.py makes them
    "python",  # run here
    "text",  # drawings, and what a program prints
    "ini",
    "yaml",
}
