"""What the site shows of the code, made when the site is built.

A page asks for a part with a comment: ``<!-- generated: tasks -->``. An unknown part fails the build.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
# The service is no installed package: it is found where its sources are.
sys.path.insert(0, str(ROOT / "src"))

_PART = re.compile(r"<!-- generated: ([a-z-]+) -->")
_BRANCH = re.compile(r"(?<=\w) {2,}(?=\w)")
_PROOF = re.compile(r"\[(test_\w+)\]\((?:\.\./)+(tests/[\w/]+\.py)\)")
_TARGET = re.compile(r"^(##@ (?P<section>.*)|(?P<target>[a-z][a-z-]*):.*?## (?P<purpose>.*))$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put each part that the page asks for in its place, and name the tests that a page leads to."""
    return _PROOF.sub(proof, _PART.sub(lambda found: PARTS[found.group(1)](), markdown))


def proof(found: re.Match[str]) -> str:
    """A test by the name that pytest takes: the site holds pages alone, and so what the repository links is none."""
    name = f"{found[2]}::{found[1]}"
    breakable = re.sub(r"(/|::|_)", lambda part: f"{part[0]}<wbr>".replace("_", "&#95;"), name)
    return f'<code class="proof">{breakable}</code>'


def tasks() -> str:
    """The service's tasks."""
    from celeriac.reference.tasks import tasks_table  # noqa: PLC0415  found by the path that is set above
    from delivery.tasks.registry import TasksRegistry  # noqa: PLC0415  found by the path that is set above

    return tasks_table(TasksRegistry)


def settings() -> str:
    """Every setting, with its variables and its default."""
    from celeriac.reference.settings import settings_table  # noqa: PLC0415  found by the path that is set above

    return settings_table()


def error_tree() -> str:
    """The drawing at the top of ``celeriac/exceptions.py``."""
    from celeriac import exceptions  # noqa: PLC0415  found by the path that is set above

    _, _, drawing = (exceptions.__doc__ or "").partition("::\n\n")
    pairs = [_BRANCH.split(line.removeprefix("    "), maxsplit=1) for line in drawing.partition("\n\n")[0].splitlines()]
    width = max(len(name) for name, *_ in pairs)
    lines = [f"{name:<{width}}  {''.join(meaning)}".rstrip() for name, *meaning in pairs]
    return "\n".join(["```text", *lines, "```"])


def make_targets() -> str:
    """The targets of the Makefile, by its own sections and in its own words."""
    lines: list[str] = []
    for found in _TARGET.finditer((ROOT / "Makefile").read_text(encoding="utf-8")):
        if found["section"]:
            lines += ["", f"**{found['section']}**", "", "| Command | Does |", "| --- | --- |"]
        else:
            lines.append(f"| `make {found['target']}` | {found['purpose'].replace('|', '&#124;')} |")
    return "\n".join(lines)


def http_routes() -> str:
    """The routes of the HTTP application."""
    from celery import Celery  # noqa: PLC0415  only where it is needed

    from celeriac.http import Services, create_api  # noqa: PLC0415  found by the path that is set above
    from celeriac.reference.http import routes_table  # noqa: PLC0415  likewise
    from celeriac.security.gate import Gate  # noqa: PLC0415  likewise
    from celeriac.security.server import Server  # noqa: PLC0415  likewise
    from celeriac.testing.recording import RecordingPublisher  # noqa: PLC0415  likewise
    from celeriac.transport.link import connector  # noqa: PLC0415  likewise
    from delivery.http.routers import service_routers  # noqa: PLC0415  likewise
    from delivery.tasks.registry import TasksRegistry  # noqa: PLC0415  likewise

    services = Services(Celery("docs"), TasksRegistry(RecordingPublisher()))
    gate = Gate(Server(connector("redis://nowhere")))
    return routes_table(create_api(services, gate, routers=service_routers(services.prefix)).openapi())


def changelog() -> str:
    """The change log at the root of the repository, under the page's own title."""
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n")[2]


PARTS: dict[str, Callable[[], str]] = {
    "changelog": changelog,
    "error-tree": error_tree,
    "http-routes": http_routes,
    "make-targets": make_targets,
    "settings": settings,
    "tasks": tasks,
}
