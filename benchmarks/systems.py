"""Who is measured, and how each worker is started: two processes at the best settings that were found for two cores."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "SYSTEMS", "System", "bench_python"]

ROOT = Path(__file__).parents[1]
BIN = ROOT / ".venv-bench/bin"


def bench_python() -> str:
    """The interpreter that has the peers, whether or not it was installed yet."""
    return str(BIN / "python")


@dataclass(frozen=True, slots=True)
class System:
    """One system with one set of settings.

    Attributes:
        name: as tables name it.
        module: of ``benchmarks.peers``.
        workers: the commands that are started together, ``{url}`` being the database's.
        share: how many of the tasks that are asked for it runs, so that the slow ones do not take all the time.
        calls: the same for the calls whose round trip is measured.
        processes: how many processes run tasks.
        measures: what is measured of it.
        environment: what its processes get beside the driver's variables.
        bulk: how the manual says to send many.
        list_key: the Redis list that holds whole messages, where there is one.
        settings: the settings in words.
    """

    name: str
    module: str
    workers: tuple[tuple[str, ...], ...]
    share: float = 0.5
    processes: int = 2
    calls: float = 1.0
    measures: tuple[str, ...] = ("enqueue", "drain", "silent", "latency")
    environment: tuple[tuple[str, str], ...] = ()
    bulk: str = "one by one"
    list_key: str = ""
    settings: str = ""

    @property
    def ours(self) -> bool:
        """Whether it runs where Celeriac does; the others have an environment of their own."""
        return self.module in {"celeriac", "celery"}

    @property
    def python(self) -> str:
        """The interpreter that has it."""
        return sys.executable if self.ours else bench_python()


def _celery(module: str, number: int, *arguments: str) -> tuple[str, ...]:
    app = f"--app=benchmarks.peers.{module}"
    return (
        sys.executable,
        "-m",
        "celery",
        app,
        "worker",
        "--loglevel=WARNING",
        f"--hostname=w{number}@bench",
        *arguments,
    )


def _bench(command: str, *arguments: str) -> tuple[str, ...]:
    return str(BIN / command), *arguments


_SAQ = _bench("saq", "benchmarks.peers.saq.settings")
_ARQ = _bench("arq", "benchmarks.peers.arq.WorkerSettings", "--custom-log-dict", "benchmarks.peers.quiet.LOGGING")
_RQ = (
    *_bench("rq", "worker", "--worker-class", "rq.SimpleWorker", "--path", ".", "--logging_level", "WARNING"),
    *("--url", "{url}", "default"),
)
_STREAQ = (bench_python(), "-m", "benchmarks.peers", "streaq", "work", "0")
_TASKIQ = _bench("taskiq", "worker", "benchmarks.peers.taskiq:broker", "--workers=2", "--log-level=WARNING")
_HUEY = _bench("huey_consumer", "benchmarks.peers.huey.huey", "-q", "-n", "-k", "greenlet", "-w", "8")
_EXTRA = ("drain",)

SYSTEMS: tuple[System, ...] = (
    System(
        "celeriac",
        "celeriac",
        (_celery("celeriac", 1, "-c", "2"),),
        share=1.0,
        measures=("enqueue", "drain", "silent", "latency", "backlog", "eta", "canvas", "history"),
        bulk="`enqueue_many`",
        list_key="default\x06\x166",  # where kombu puts what has our normal priority
        settings="`worker -c 2`: the pool that the service has by default",
    ),
    System(
        "celery",
        "celery",
        (_celery("celery", 1, "-c", "2"),),
        share=0.15,
        measures=("enqueue", "drain", "silent", "latency", "backlog", "eta", "canvas"),
        bulk="`group`",
        list_key="default",
        settings="`worker -c 2`: prefork",
    ),
    System(
        "celery, solo",
        "celery",
        tuple(_celery("celery", number, "--pool=solo") for number in (1, 2)),
        share=0.2,
        measures=("drain", "silent", "latency"),
        settings="two of `worker --pool=solo`",
    ),
    System(
        "celery, threads",
        "celery",
        tuple(_celery("celery", number, "--pool=threads", "-c", "4") for number in (1, 2)),
        share=0.2,
        measures=_EXTRA,
        settings="two of `worker --pool=threads -c 4`",
    ),
    System(
        "dramatiq",
        "dramatiq",
        (_bench("dramatiq", "benchmarks.peers.dramatiq:broker", "-p", "2", "-t", "2", "--skip-logging"),),
        # Its default, two for each thread, makes it sleep between fetches: 1,000 tasks a second and no more.
        environment=(("dramatiq_queue_prefetch", "100"),),
        settings="2 processes of 2 threads, prefetch 100",
    ),
    System("taskiq", "taskiq", (_TASKIQ,), bulk="gather", list_key="taskiq", settings="list, 2 processes"),
    System(
        "taskiq, streams",
        "taskiq",
        (_TASKIQ,),
        measures=_EXTRA,
        environment=(("BENCH_VARIANT", "streams"),),
        settings="stream with acknowledgements, 2 processes",
    ),
    System("huey", "huey", (_HUEY, _HUEY), list_key="huey.redis.bench", settings="two of 8 greenlets"),
    System("saq", "saq", (_SAQ, _SAQ), bulk="gather", settings="2 processes, 10 at once"),
    System(
        "streaq",
        "streaq",
        (_STREAQ, _STREAQ),
        share=0.3,
        calls=0.1,
        bulk="`enqueue_many`",
        settings="2 processes, 32 at once",
    ),
    System("arq", "arq", (_ARQ, _ARQ), share=0.25, bulk="gather", settings="2 processes, 100 at once, polling at 5 ms"),
    System("rq", "rq", (_RQ, _RQ), share=0.08, bulk="`enqueue_many`", settings="two of `SimpleWorker`"),
)
