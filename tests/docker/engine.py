"""Docker by its command line, and the compose file in a project of its own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
POLL_SECONDS = 0.5


def run(*command: str | Path, env: Mapping[str, str] | None = None, timeout: float = 300) -> str:
    """What the command writes to its output; raises with everything that it said if it fails."""
    environment = None if env is None else os.environ | env
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=timeout
    )
    if done.returncode != 0:
        message = f"{shlex.join(map(str, command))} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        raise RuntimeError(message)
    return done.stdout


def succeeds(*command: str) -> bool:
    """Whether the command exists and ends well."""
    return (
        shutil.which(command[0]) is not None
        and not subprocess.run(command, capture_output=True, check=False).returncode
    )


def compose_program() -> tuple[str, ...] | None:
    """The plugin, else the older program that stands alone, else none."""
    candidates = (("docker", "compose"), ("docker-compose",))
    return next((program for program in candidates if succeeds(*program, "version")), None)


def argv(command: str | Sequence[str]) -> list[str]:
    """A command as compose would start it, from either form in which it is written."""
    return shlex.split(command) if isinstance(command, str) else list(command)


def read_yaml(text: str) -> dict[str, Any]:
    """The document."""
    document: dict[str, Any] = yaml.safe_load(text)
    return document


@dataclass
class Project:
    """The compose file under a name, a password and an image of its own, so that runs do not meet."""

    program: Sequence[str]
    image: str = "celeriac:none"
    variables: Mapping[str, str] = field(default_factory=dict)
    overrides: Sequence[Path] = ()
    name: str = field(default_factory=lambda: f"celeriac-test-{uuid4().hex[:12]}")
    password: str = field(default_factory=lambda: uuid4().hex)

    def compose(self, *arguments: str, timeout: float = 300) -> str:
        """Run a compose command over the project."""
        files = [f"--file={path}" for path in (COMPOSE_FILE, *self.overrides)]
        own = {"CELERIAC_IMAGE": self.image, "REDIS_PASSWORD": self.password, "LOGGING_LEVEL": "", "LOGGING_FORMAT": ""}
        directory = f"--project-directory={ROOT}"
        return run(
            *self.program,
            *files,
            directory,
            f"--project-name={self.name}",
            *arguments,
            env={**own, **self.variables},
            timeout=timeout,
        )

    def config(self) -> dict[str, Any]:
        """The compose file as compose understands it, variables filled in."""
        return read_yaml(self.compose("config"))

    def up(self) -> None:
        """Start everything, from the image that is there."""
        self.compose("up", "--detach", "--no-build")

    def down(self) -> None:
        """Stop everything and leave nothing."""
        self.compose("down", "--volumes", "--remove-orphans")

    def python(self, code: str, *arguments: str, service: str = "celery-worker") -> str:
        """What a Python script prints inside a running container."""
        return self.compose("exec", "-T", service, "python", "-c", code, *arguments).strip()

    def logs(self, service: str) -> str:
        """All that a service has said."""
        return self.compose("logs", "--no-color", service)

    def wait_for_log(self, service: str, pattern: str, timeout: float) -> list[str]:
        """Return when a service has said something like ``pattern``: what its groups matched, in order."""
        deadline = time.monotonic() + timeout
        while not (found := re.findall(pattern, said := self.logs(service))):
            if time.monotonic() > deadline:
                message = f"{service} did not say {pattern!r} within {timeout:g} s, but\n{said}"
                raise TimeoutError(message)
            time.sleep(POLL_SECONDS)
        return found

    def container(self, service: str) -> str:
        """The id of the one container of a service."""
        return self.compose("ps", "--quiet", service).strip()


def inspect(what: str, template: str) -> str:
    """A detail of a container or an image, by a template of ``docker inspect``."""
    return run("docker", "inspect", f"--format={template}", what).strip()
