"""Which environment variables mean which setting, and which are none of ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from celeriac.error import nearest
from celeriac.exceptions import UnknownSetting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["refuse_unknown", "values_from", "variables_of"]

# What is not simply CELERY_<NAME>, the strongest first.
_VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "broker_url": ("CELERY_BROKER_URL", "RAPIDKIT_CELERY_BROKER_URL"),
    "result_backend": ("CELERY_RESULT_BACKEND", "RAPIDKIT_CELERY_RESULT_BACKEND"),
    "task_default_queue": ("CELERY_TASK_DEFAULT_QUEUE", "RAPIDKIT_CELERY_DEFAULT_QUEUE"),
    "enable_utc": ("CELERY_ENABLE_UTC", "RAPIDKIT_CELERY_ENABLE_UTC"),
    "timezone": ("CELERY_TIMEZONE", "RAPIDKIT_CELERY_TIMEZONE", "DATETIME_TIMEZONE"),
    "imports": ("CELERY_IMPORTS", "RAPIDKIT_CELERY_IMPORTS"),
    "include": ("CELERY_INCLUDE", "RAPIDKIT_CELERY_INCLUDE"),
    "autodiscover": ("CELERY_AUTODISCOVER", "RAPIDKIT_CELERY_AUTODISCOVER"),
    "app_name": ("CELERY_APP_NAME", "RAPIDKIT_CELERY_APP_NAME"),
    "environment": ("ENVIRONMENT",),
    "history_database_url": ("CELERY_HISTORY_DATABASE_URL", "DATABASE_URL"),
    "redis_url": ("REDIS_URL",),
    "redis_server_host": ("REDIS_HOST",),
    "redis_server_port": ("REDIS_PORT",),
    "redis_server_password": ("REDIS_PASSWORD",),
}

# Read by Celery itself beside its options: the loader, the pool's log set-up, the debugger, the sizes of its memory.
_READ_BY_CELERY: Final = """
    BENCH BENCH_EVERY CONFIG_MODULE CUSTOM_WORKER_POOL DB_REUSE_MAX LOADER LOG_FILE LOG_LEVEL LOG_REDIRECT
    LOG_REDIRECT_LEVEL RDB_HOST RDB_PORT RDBSIG SKIP_CHECKS TRACE_APP WORKER_REVOKES_MAX WORKER_REVOKE_EXPIRES
    WORKER_SUCCESSFUL_MAX WORKER_SUCCESSFUL_EXPIRES
"""
# Options of the `celery` command and of worker and beat, which click also reads from the environment:
# CELERY_WORKER_QUEUES stands for `celery worker --queues`.
_READ_BY_COMMANDS: Final = """
    APP CONFIG NO_COLOR QUIET VERSION WORKDIR
    WORKER_AUTOSCALE WORKER_BEAT WORKER_DETACH WORKER_EXCLUDE_QUEUES WORKER_EXECUTABLE WORKER_GID
    WORKER_HEARTBEAT_INTERVAL WORKER_HOSTNAME WORKER_INCLUDE WORKER_LOGFILE WORKER_LOGLEVEL WORKER_OPTIMIZATION
    WORKER_PIDFILE WORKER_PURGE WORKER_QUEUES WORKER_SCHEDULER WORKER_SCHEDULE_FILENAME WORKER_SOFT_TIME_LIMIT
    WORKER_STATEDB WORKER_TASK_EVENTS WORKER_TIME_LIMIT WORKER_UID WORKER_UMASK WORKER_WITHOUT_GOSSIP
    WORKER_WITHOUT_HEARTBEAT WORKER_WITHOUT_MINGLE
    BEAT_DETACH BEAT_EXECUTABLE BEAT_GID BEAT_HOSTNAME BEAT_LOGFILE BEAT_LOGLEVEL BEAT_MAX_INTERVAL BEAT_PIDFILE
    BEAT_REMOTE_CONTROL BEAT_UID BEAT_UMASK
    RESULT_TASK RESULT_TRACEBACK
"""
_OF_CELERY: Final = frozenset(f"CELERY_{name}" for name in (_READ_BY_CELERY + _READ_BY_COMMANDS).split())
_OF_OTHER_COMMANDS: Final = re.compile(
    r"CELERY_(CALL|CONTROL|EVENTS|FLOWER|INSPECT|MIGRATE|MULTI|PURGE|SHELL|STATUS|UPGRADE)_\w+"
)
# What Kubernetes sets in every pod for a service named celery, celery-worker and the like.
_OF_KUBERNETES: Final = re.compile(r"CELERY_(\w+_)?(SERVICE_(HOST|PORT)|PORT(_\d+_(TCP|UDP|SCTP)|$))\w*")
_INJECTED_PORT: Final = re.compile(r"(tcp|udp|sctp)://")
_OURS: Final = re.compile(r"(RAPIDKIT_)?CELERY_")


def variables_of(setting: str) -> tuple[str, ...]:
    """The variables that give a setting, the strongest first."""
    return _VARIABLES.get(setting) or (f"CELERY_{setting.upper()}",)


def values_from(environ: Mapping[str, str], settings: Iterable[str]) -> dict[str, tuple[str, str]]:
    """For each setting that the environment gives: the variable that gives it, and its text.

    An empty variable counts as not set: that is what a compose file makes of a variable that it could not fill. So does
    a port like ``tcp://10.0.0.1:6379``, which is Kubernetes' and not meant for us.
    """
    found: dict[str, tuple[str, str]] = {}
    for setting in settings:
        for variable in variables_of(setting):
            text = environ.get(variable, "")
            if text and not _is_foreign(variable, text, environ):
                found[setting] = (variable, text)
                break
    return found


def refuse_unknown(environ: Mapping[str, str], settings: Iterable[str]) -> None:
    """Refuse a variable that is spelt like one of ours and is none.

    Raises:
        UnknownSetting: names the variable, and the nearest that exists.
    """
    known = {variable for setting in settings for variable in variables_of(setting)}
    for variable in sorted(environ):
        if not _OURS.match(variable) or variable in known or variable in _OF_CELERY:
            continue
        if not _OF_OTHER_COMMANDS.fullmatch(variable) and not _OF_KUBERNETES.fullmatch(variable):
            raise UnknownSetting(setting=variable, hint=nearest(variable, known))


def _is_foreign(variable: str, text: str, environ: Mapping[str, str]) -> bool:
    if variable.endswith("_PORT"):
        return _INJECTED_PORT.match(text) is not None
    if variable == "CELERY_BROKER_URL":
        # The `celery` command takes CELERY_BROKER for its option --broker, and copies it here.
        return text == environ.get("CELERY_BROKER")
    if variable == "CELERY_BEAT_SCHEDULE":
        # The `celery beat` command reads its option --schedule, the name of a file, from the same variable.
        return not text.lstrip().startswith("{")
    return False
