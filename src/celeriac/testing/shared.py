"""One embedded Redis for all the terminals of one checkout: the first to come starts it, the last to leave stops it."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from celeriac.testing.embedded import EmbeddedRedis, answers

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["shared_redis"]


@contextmanager
def shared_redis(directory: Path = Path(".data")) -> Generator[str]:
    """The URL of the server that everybody in ``directory`` shares; it stands in ``redis.url`` there while it runs.

    Every user holds a shared lock, which the system drops even when the user is killed. A server that such a user left
    behind is taken over if it answers, and replaced if it does not.

    Args:
        directory: where the server keeps its data.

    Yields:
        ``redis://:password@127.0.0.1:port/0``.

    Raises:
        ServerNotFound: this machine has no Redis server, or it does not start.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    server = EmbeddedRedis(directory)
    note = directory / "redis.url"
    with _lock_file(directory / "redis.users") as users:
        with _one_at_a_time(directory):
            fcntl.flock(users, fcntl.LOCK_SH)
            url = _join(server, note)
        try:
            yield url
        finally:
            with _one_at_a_time(directory):
                if _is_last(users):
                    note.unlink(missing_ok=True)
                    server.stop()


def _join(server: EmbeddedRedis, note: Path) -> str:
    """The URL of the running server, or of a new one when none answers."""
    if note.exists() and answers(url := note.read_text().strip()):
        return url
    note.unlink(missing_ok=True)
    server.stop()  # one that holds the directory but does not answer: its URL is lost, or it hangs
    url = server.start()
    draft = note.with_suffix(".url.draft")
    draft.touch(mode=0o600)
    draft.write_text(f"{url}\n")
    draft.replace(note)  # whoever reads the note sees all of it or none
    return url


def _is_last(users: int) -> bool:
    """Whether no other user is left. Asked under the lock that a newcomer needs, so nobody comes in between."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _one_at_a_time(directory: Path) -> Generator[None]:
    """Coming and leaving happen one after the other."""
    with _lock_file(directory / "redis.door") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        yield


@contextmanager
def _lock_file(path: Path) -> Generator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
