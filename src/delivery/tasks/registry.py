"""Every task of the service, one line each. This file is the table of contents: all else follows from it."""

from __future__ import annotations

import celeriac
from delivery.tasks.controllers.completions import CompletionTaskController
from delivery.tasks.controllers.data import DataTaskController, WorkflowTaskController
from delivery.tasks.controllers.example import ExampleTaskController
from delivery.tasks.controllers.exports import ExportsTaskController
from delivery.tasks.controllers.mail import MailTaskController
from delivery.tasks.controllers.maintenance import MaintenanceTaskController
from delivery.tasks.controllers.market import MarketTaskController
from delivery.tasks.controllers.ping import PingTaskController
from delivery.tasks.controllers.reports import ReportsTaskController
from delivery.tasks.controllers.uploads import UploadTaskController

__all__ = ["TasksRegistry"]


class TasksRegistry(celeriac.TasksRegistry):
    """``registry.ping.delay()`` from anywhere."""

    ping = PingTaskController.ping
    add = ExampleTaskController.add
    total = ExampleTaskController.total
    flaky = ExampleTaskController.flaky
    process_data = DataTaskController.process
    process_item = DataTaskController.process_item
    aggregate_results = DataTaskController.aggregate_results
    fetch_data = WorkflowTaskController.fetch_data
    save_results = WorkflowTaskController.save_results
    export_user_data = ExportsTaskController.export_user_data
    generate_report = ReportsTaskController.generate_report
    generate_daily_report = ReportsTaskController.generate_daily_report
    cleanup_expired_data = MaintenanceTaskController.cleanup_expired_data
    cleanup_old_data = MaintenanceTaskController.cleanup_old_data
    send_email = MailTaskController.send_email
    email_send = MailTaskController.send
    send_welcome_email = MailTaskController.send_welcome
    send_notification_email = MailTaskController.send_notification
    process_upload = UploadTaskController.process_upload
    process_ai_completion = CompletionTaskController.process_ai_completion
    refresh_market_data = MarketTaskController.refresh_market_data
    compute_index = MarketTaskController.compute_index
