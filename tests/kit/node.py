"""``celery-node``, Celery for Node.js by others: a client and a worker, each a script of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "celery-node@0.5.9"

CALL = """
const celery = require("celery-node");
const { URL, QUEUE, CALLS } = process.env;
const client = celery.createClient(URL, URL, QUEUE);
(async () => {
  const answers = [];
  for (const [name, args, kwargs] of JSON.parse(CALLS)) {
    const result = client.createTask(name).applyAsync(args, kwargs);
    try { answers.push({ id: result.taskId, value: await result.get(15000, 20) }); }
    catch (error) { answers.push({ id: result.taskId, error: JSON.stringify(error) + String(error) }); }
  }
  console.log(JSON.stringify(answers));
  process.exit(0);
})();
"""

WORK = """
const celery = require("celery-node");
const { URL, QUEUE } = process.env;
const worker = celery.createWorker(URL, URL, QUEUE);
worker.register("node.add", (x, y) => x + y);
worker.register("node.echo", (value) => value);
worker.start();
"""


class Node:
    """celery-node in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def call(self, url: str, queue: str, calls: list[Any]) -> list[dict[str, Any]]:
        """Call tasks by name, one after the other, and read their results."""
        done = subprocess.run(
            ["node", "-e", CALL],
            cwd=self.directory,
            env=self._env(url, queue) | {"CALLS": json.dumps(calls)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
        return answers

    @contextmanager
    def worker(self, url: str, queue: str) -> Generator[None]:
        """A worker of ``node.add`` and ``node.echo``."""
        process = subprocess.Popen(
            ["node", "-e", WORK], cwd=self.directory, env=self._env(url, queue), stdout=subprocess.DEVNULL
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()

    @staticmethod
    def _env(url: str, queue: str) -> dict[str, str]:
        return {**os.environ, "URL": url, "QUEUE": queue}


_PATIENCE = 20
"""Seconds that an installation may take; it is a second or two where the registry is near."""


def installed_node(directory: Path) -> Node:
    """celery-node, installed into a directory; skips the test where that cannot be."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm would run it")
    install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(directory), PACKAGE]
    try:
        done = subprocess.run(install, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"an npm registry that answers within {_PATIENCE} s would run it")
    if done.returncode != 0:
        pytest.skip(f"a reachable npm registry would run it: {done.stderr.strip()[-200:]}")
    return Node(directory)
