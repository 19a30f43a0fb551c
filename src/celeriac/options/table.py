"""Every option that Celery has, one typed field each.

``None`` leaves an option to Celery. Durations are seconds unless the name or the type says otherwise. Whatever may hold
a password is a secret: it is masked in ``repr`` and read with ``get_secret_value()``. The meaning of each option is
Celery's: https://docs.celeryq.dev/en/stable/userguide/configuration.html.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, SecretStr

from celeriac.options.types import (
    Annotations,
    BeatSchedule,
    Count,
    DeliveryMode,
    JsonObject,
    Kibibytes,
    Milliseconds,
    Names,
    Port,
    Priority,
    Protocol,
    QueueTable,
    Routes,
    Seconds,
    SecretObject,
    SecretUrl,
    Symbol,
    TimeZoneName,
    WholeSeconds,
)

__all__ = ["CeleryOptions", "UnlistedOptions"]


class CeleryOptions(BaseModel, defer_build=True):
    """The options of ``celery.app.defaults.NAMESPACES``, by their names in ``app.conf``."""

    # content and modules
    accept_content: Names | None = None
    result_accept_content: Names | None = None
    enable_utc: bool | None = None
    imports: Names | None = None
    include: Names | None = None
    timezone: TimeZoneName | None = None

    # beat
    beat_enable_remote_control: bool | None = None
    beat_remote_control_max_tick_age: Seconds | None = None
    beat_max_loop_interval: Seconds | None = None
    beat_schedule: BeatSchedule | None = None
    beat_scheduler: Symbol | None = None
    beat_schedule_filename: str | None = None
    beat_sync_every: Count | None = None
    beat_cron_starting_deadline: WholeSeconds | None = None

    # broker
    broker_url: SecretUrl | None = None
    broker_read_url: SecretUrl | None = None
    broker_write_url: SecretUrl | None = None
    broker_transport: str | None = None
    broker_transport_options: SecretObject | None = None
    broker_connection_timeout: Seconds | None = None
    broker_connection_retry: bool | None = None
    broker_connection_retry_on_startup: bool | None = None
    broker_connection_max_retries: Count | None = None
    broker_channel_error_retry: bool | None = None
    broker_failover_strategy: str | None = None
    broker_heartbeat: WholeSeconds | None = None
    broker_heartbeat_checkrate: Seconds | None = None
    broker_login_method: str | None = None
    broker_native_delayed_delivery_queue_type: str | None = None
    broker_pool_limit: Count | None = None
    broker_pool_acquire_timeout: Seconds | None = None
    broker_use_ssl: bool | JsonObject | None = None
    broker_host: str | None = None
    broker_port: Port | None = None
    broker_user: str | None = None
    broker_password: SecretStr | None = None
    broker_vhost: str | None = None

    # cache
    cache_backend: SecretStr | None = None
    cache_backend_options: SecretObject | None = None

    # cassandra
    cassandra_entry_ttl: Seconds | None = None
    cassandra_keyspace: str | None = None
    cassandra_port: Port | None = None
    cassandra_read_consistency: str | None = None
    cassandra_servers: Names | None = None
    cassandra_bundle_path: str | None = None
    cassandra_table: str | None = None
    cassandra_write_consistency: str | None = None
    cassandra_auth_provider: str | None = None
    cassandra_auth_kwargs: SecretObject | None = None
    cassandra_options: JsonObject | None = None

    # s3
    s3_access_key_id: str | None = None
    s3_secret_access_key: SecretStr | None = None
    s3_bucket: str | None = None
    s3_base_path: str | None = None
    s3_endpoint_url: str | None = None
    s3_region: str | None = None

    # azureblockblob
    azureblockblob_container_name: str | None = None
    azureblockblob_retry_initial_backoff_sec: WholeSeconds | None = None
    azureblockblob_retry_increment_base: Count | None = None
    azureblockblob_retry_max_attempts: Count | None = None
    azureblockblob_base_path: str | None = None
    azureblockblob_connection_timeout: WholeSeconds | None = None
    azureblockblob_read_timeout: WholeSeconds | None = None

    # gcs
    gcs_bucket: str | None = None
    gcs_project: str | None = None
    gcs_base_path: str | None = None
    gcs_ttl: Seconds | None = None

    # control
    control_queue_ttl: Seconds | None = None
    control_queue_expires: Seconds | None = None
    control_queue_exclusive: bool | None = None
    control_queue_durable: bool | None = None
    control_exchange: str | None = None

    # couchbase
    couchbase_backend_settings: SecretObject | None = None

    # arangodb
    arangodb_backend_settings: SecretObject | None = None

    # mongodb
    mongodb_backend_settings: SecretObject | None = None

    # cosmosdbsql
    cosmosdbsql_database_name: str | None = None
    cosmosdbsql_collection_name: str | None = None
    cosmosdbsql_consistency_level: str | None = None
    cosmosdbsql_max_retry_attempts: Count | None = None
    cosmosdbsql_max_retry_wait_time: WholeSeconds | None = None

    # event
    event_queue_expires: Seconds | None = None
    event_queue_ttl: Seconds | None = None
    event_queue_prefix: str | None = None
    event_queue_exclusive: bool | None = None
    event_queue_durable: bool | None = None
    event_serializer: str | None = None
    event_exchange: str | None = None

    # redis
    redis_backend_use_ssl: JsonObject | None = None
    redis_db: Count | None = None
    redis_host: str | None = None
    redis_max_connections: Count | None = None
    redis_username: str | None = None
    redis_password: SecretStr | None = None
    redis_port: Port | None = None
    redis_socket_timeout: Seconds | None = None
    redis_socket_connect_timeout: Seconds | None = None
    redis_retry_on_timeout: bool | None = None
    redis_socket_keepalive: bool | None = None

    # result
    result_backend: SecretStr | None = None
    result_cache_max: int | None = None
    result_compression: str | None = None
    result_exchange: str | None = None
    result_exchange_type: str | None = None
    result_expires: Seconds | None = None
    result_chord_expires: Seconds | None = None
    result_failure_expires: Seconds | None = None
    result_persistent: bool | None = None
    result_extended: bool | None = None
    result_serializer: str | None = None
    result_backend_transport_options: SecretObject | None = None
    result_chord_retry_interval: Seconds | None = None
    result_chord_join_timeout: Seconds | None = None
    result_backend_max_sleep_between_retries_ms: Milliseconds | None = None
    result_backend_max_retries: float | None = None
    result_backend_base_sleep_between_retries_ms: Milliseconds | None = None
    result_backend_always_retry: bool | None = None

    # elasticsearch
    elasticsearch_retry_on_timeout: bool | None = None
    elasticsearch_max_retries: Count | None = None
    elasticsearch_timeout: Seconds | None = None
    elasticsearch_save_meta_as_text: bool | None = None

    # security
    security_certificate: str | None = None
    security_cert_store: str | None = None
    security_key: str | None = None
    security_key_password: SecretStr | None = None
    security_digest: str | None = None

    # database
    database_url: SecretStr | None = None
    database_engine_options: SecretObject | None = None
    database_engine_callback: str | Callable[..., Any] | None = None
    database_short_lived_sessions: bool | None = None
    database_table_schemas: JsonObject | None = None
    database_table_names: JsonObject | None = None
    database_create_tables_at_setup: bool | None = None

    # task
    task_acks_late: bool | None = None
    task_acks_on_failure_or_timeout: bool | None = None
    task_acks_on_failure: bool | None = None
    task_acks_on_timeout: bool | None = None
    task_always_eager: bool | None = None
    task_annotations: Annotations = None
    task_compression: str | None = None
    task_create_missing_queues: bool | None = None
    task_create_missing_queue_type: str | None = None
    task_create_missing_queue_exchange_type: str | None = None
    task_inherit_parent_priority: bool | None = None
    task_default_delivery_mode: DeliveryMode | None = None
    task_default_queue: str | None = None
    task_default_queue_type: str | None = None
    task_default_exchange: str | None = None
    task_default_exchange_type: str | None = None
    task_default_routing_key: str | None = None
    task_default_rate_limit: str | None = None
    task_default_priority: Priority | None = None
    task_eager_propagates: bool | None = None
    task_ignore_result: bool | None = None
    task_store_eager_result: bool | None = None
    task_protocol: Protocol | None = None
    task_publish_retry: bool | None = None
    task_publish_retry_policy: JsonObject | None = None
    task_queues: QueueTable | None = None
    task_queue_max_priority: Priority | None = None
    task_reject_on_worker_lost: bool | None = None
    task_retry_on_worker_lost: bool | None = None
    task_remote_tracebacks: bool | None = None
    task_repr_maxlevels: Count | None = None
    task_routes: Routes | None = None
    task_send_sent_event: bool | None = None
    task_serializer: str | None = None
    task_soft_time_limit: Seconds | None = None
    task_time_limit: Seconds | None = None
    task_store_errors_even_if_ignored: bool | None = None
    task_track_started: bool | None = None
    task_allow_error_cb_on_chord_header: bool | None = None

    # worker
    worker_agent: Symbol | None = None
    worker_autoscaler: Symbol | None = None
    worker_cancel_long_running_tasks_on_connection_loss: bool | None = None
    worker_soft_shutdown_timeout: Seconds | None = None
    worker_enable_soft_shutdown_on_idle: bool | None = None
    worker_concurrency: Literal["auto"] | Count | None = None
    worker_consumer: Symbol | None = None
    worker_direct: bool | None = None
    worker_disable_rate_limits: bool | None = None
    worker_deduplicate_successful_tasks: bool | None = None
    worker_enable_remote_control: bool | None = None
    worker_hijack_root_logger: bool | None = None
    worker_log_color: bool | None = None
    worker_log_datefmt: str | None = None
    worker_log_format: str | None = None
    worker_lost_wait: Seconds | None = None
    worker_max_memory_per_child: Kibibytes | None = None
    worker_max_tasks_per_child: Count | None = None
    worker_pool: Symbol | None = "celeriac.worker.lane.pool:LanePool"
    worker_pool_putlocks: bool | None = None
    worker_pool_restarts: bool | None = None
    worker_pool_start_method: Literal["fork", "spawn", "forkserver"] | None = None
    worker_proc_alive_timeout: Seconds | None = None
    worker_prefetch_multiplier: Count | None = None
    worker_eta_task_limit: Count | None = None
    worker_enable_prefetch_count_reduction: bool | None = None
    worker_disable_prefetch: bool | None = None
    worker_redirect_stdouts: bool | None = None
    worker_redirect_stdouts_level: str | None = None
    worker_send_task_events: bool | None = None
    worker_state_db: str | None = None
    worker_task_log_datefmt: str | None = None
    worker_task_log_format: str | None = None
    worker_timer: Symbol | None = None
    worker_timer_precision: Seconds | None = None
    worker_detect_quorum_queues: bool | None = None


class UnlistedOptions(BaseModel, defer_build=True):
    """Options that Celery reads and documents, but leaves out of its own table."""

    redis_backend_credential_provider: Symbol | None = None
    redis_backend_health_check_interval: Seconds | None = None
    redis_client_name: str | None = None
