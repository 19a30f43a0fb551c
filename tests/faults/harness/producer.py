"""Sends tasks, and writes down what it tried and what it was told."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

from tests.faults.harness.app import Container, Registry
from tests.faults.harness.ledger import Ledger
from tests.kit.clients import disconnect

from celeriac import CeleryAppConfig, CeleryPublisher, create_celery_app
from celeriac.exceptions import CeleriacError


class Producer:
    """One application that calls tasks; each gets a key that nobody else has.

    Args:
        ledger: where attempts, acknowledgements and refusals are written.
        options: of the application, as in ``CeleryAppConfig.from_mapping``.
    """

    def __init__(self, ledger: Ledger, **options: Any) -> None:
        self.ledger = ledger
        self.app = create_celery_app(CeleryAppConfig.from_mapping(options))
        Registry.install(self.app, Container(ledger))
        self.registry = Registry(CeleryPublisher(self.app))
        self.results: dict[str, Any] = {}
        self.errors: Counter[str] = Counter()
        self.longest = 0.0
        self._numbers = itertools.count()

    def send(self, count: int = 1, task: str = "work", /, *arguments: Any, **options: Any) -> list[str]:
        """Call a task so many times; gives the keys of all that were attempted. Errors are counted, not raised.

        Args:
            count: how many calls.
            task: the registry's line.
            arguments: what follows the key.
            options: as of ``apply_async``: countdown, eta, priority ...
        """
        return [self._send_one(task, arguments, options) for _ in range(count)]

    def _send_one(self, task: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> str:
        key = f"{task}-{next(self._numbers)}"
        handle = getattr(self.registry, task)
        self.ledger.write("attempted", key)
        began = time.monotonic()
        try:
            if options:
                self.results[key] = handle.apply_async((key, *arguments), **options)
            else:
                self.results[key] = handle.delay(key, *arguments)
        except CeleriacError as error:
            self.ledger.write("refused", key)
            self.errors[type(error).__name__] += 1
        else:
            self.ledger.write("acknowledged", key)
        self.longest = max(self.longest, time.monotonic() - began)
        return key

    @contextmanager
    def streaming(self, rate: float, task: str = "work", /, *arguments: Any) -> Generator[None]:
        """Send ``rate`` tasks a second from a thread of its own while the block runs."""
        enough = threading.Event()
        raised: list[BaseException] = []

        def run() -> None:
            try:
                while not enough.wait(1 / rate):
                    self._send_one(task, arguments, {})
            except BaseException as error:  # noqa: BLE001  raised again below
                raised.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            enough.set()
            thread.join(60)
        assert not thread.is_alive(), "a publish hangs"
        if raised:
            raise raised[0]

    def probe(self, happens: Callable[[], Any]) -> float:
        """How long a call takes, in seconds, whether it fails or not."""
        began = time.monotonic()
        with suppress(CeleriacError):
            happens()
        return time.monotonic() - began

    def close(self) -> None:
        """Close what the application opened."""
        with suppress(Exception):  # what it takes leave of may be gone
            disconnect(self.app)
