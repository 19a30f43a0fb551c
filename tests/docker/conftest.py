from __future__ import annotations

from collections.abc import Generator, Sequence
from uuid import uuid4

import pytest
from tests.docker.engine import Project, compose_program, run, succeeds


@pytest.fixture(scope="session")
def engine() -> None:
    if not succeeds("docker", "info"):
        pytest.skip("no Docker engine answers: start one that `docker info` reaches, then run `make test-docker`")


@pytest.fixture(scope="session")
def program() -> Sequence[str]:
    found = compose_program()
    if found is None:
        pytest.skip("no Docker Compose here: install its plugin for the docker command, then run `make test-docker`")
    return found


@pytest.fixture(scope="session")
def image(engine: None) -> Generator[str]:
    """An image of this tree."""
    tag = f"celeriac:test-{uuid4().hex[:12]}"
    # The host's network: a build that installs packages then reaches whatever this machine reaches.
    run("docker", "build", "--network=host", f"--tag={tag}", ".", timeout=900)
    yield tag
    run("docker", "image", "rm", tag)


@pytest.fixture(scope="module")
def stack(image: str, program: Sequence[str]) -> Generator[Project]:
    """The whole compose file, running, and saying more than it would by itself."""
    project = Project(program, image, variables={"LOGGING_LEVEL": "DEBUG"})
    try:
        project.up()
        yield project
    finally:
        project.down()
