"""``celeriac probe``: whether the worker or the beat of this machine lives, for systemd, Docker and Kubernetes."""

from __future__ import annotations

from typing import Annotated

import typer

from celeriac.probe import problem_of

__all__ = ["probe"]

probe = typer.Typer(help="Ask whether a worker or beat of this machine lives, without its app or its broker.")


@probe.command()
def worker(
    name: Annotated[str | None, typer.Option(help="The worker's name; all of this machine, unless said.")] = None,
    *,
    ready: Annotated[bool, typer.Option("--ready", help="And whether messages reach it.")] = False,
) -> None:
    """Exit with 0 if it gives its signs of life, else with 1 and the reason."""
    _tell(problem_of("worker", name, ready=ready))


@probe.command()
def beat() -> None:
    """Exit with 0 if it looks at its schedule in time, else with 1 and the reason."""
    _tell(problem_of("beat"))


def _tell(problem: str | None) -> None:
    if problem is not None:
        typer.echo(f"celeriac: {problem}", err=True)
        raise typer.Exit(1)
