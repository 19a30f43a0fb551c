"""Every task of the service, one line each. This file is the table of contents: all else follows from it."""

from __future__ import annotations

import celeriac
from delivery.tasks.controllers.data import DataTaskController
from delivery.tasks.controllers.example import ExampleTaskController
from delivery.tasks.controllers.ping import PingTaskController

__all__ = ["TasksRegistry"]


class TasksRegistry(celeriac.TasksRegistry):
    """``registry.ping.delay()`` from anywhere."""

    ping = PingTaskController.ping
    add = ExampleTaskController.add
    total = ExampleTaskController.total
    flaky = ExampleTaskController.flaky
    process_data = DataTaskController.process
