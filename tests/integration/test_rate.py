"""How often a task may start: on each worker, and on all of them together."""

from __future__ import annotations

import pytest
from redis import Redis
from tests.kit.service import Scope

from celeriac import CeleryAppConfig, CeleryPublisher, RateLimit, create_celery_app
from celeriac.exceptions import InvalidTask
from celeriac.testing.fixtures import StartWorker

TASKS = 10


@pytest.mark.proves("S004-19")
def test_a_rate_for_the_cluster_holds_over_two_workers(
    redis_url: str, celery_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    from tests.kit.metered import Registry

    app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": redis_url}))
    Registry.install(app, Scope([]))
    registry = Registry(CeleryPublisher(app))
    for _ in range(2):
        celery_worker("tests.kit.metered", pool="threads", concurrency=4, queues=["metered"])
    keyed = [
        registry.keyed.delay({"id": user, "mail": f"{n}@x.org"}) for n, user in enumerate(["secret-ann", "bob"] * 6)
    ]
    results = [registry.together.delay() for _ in range(TASKS)]
    runs = [result.get(timeout=30) for result in results]
    starts = sorted(start for start, _, _ in runs)
    # A start may be late but never early: five a second is a fifth of a second from each to the next.
    assert starts[-1] - starts[0] > (TASKS - 1) * 0.2 * 0.9
    assert {attempt for _, _, attempt in runs} == {1}, "waiting for a slot used up retries"
    processes = {process for _, process, _ in runs}
    for _ in range(50):  # chance may give all of so few to one of them
        if len(processes) == 2:
            break
        _, process, _ = registry.together.delay().get(timeout=30)
        processes.add(process)
    assert len(processes) == 2, "one worker did it all, so nothing was shown"
    # Each user has a rate of four a second, and both together twice that.
    apart = [result.get(timeout=30) for result in keyed]
    for user in ("secret-ann", "bob"):
        begun = sorted(start for who, start in apart if who == user)
        assert begun[-1] - begun[0] > (len(begun) - 1) * 0.25 * 0.9
    with Redis.from_url(redis_url) as redis:
        assert not list(redis.scan_iter("*secret-ann*")), "a value stands in a key"
        assert all(redis.ttl(key) != -1 for key in redis.scan_iter("celeriac.rate:*"))  # -2 is gone meanwhile
    assert app.tasks["metered.each"].rate_limit == "10/m"
    assert app.tasks["metered.together"].rate_limit is None
    app.close()


def test_a_rate_for_the_cluster_needs_redis_for_results() -> None:
    from tests.kit.metered import Registry

    config = CeleryAppConfig.from_mapping({"broker_url": "memory://", "result_backend": "cache+memory://"})
    with pytest.raises(
        InvalidTask,
        match=r"its policy \(5/s for all workers together\) is kept in Redis, and neither CELERY_RESULT_BACKEND nor",
    ):
        Registry.install(create_celery_app(config), Scope([]))


@pytest.mark.parametrize("rate", ["", "10", "10/d", "0/s", "-1/s", "1.5/s", "ten/m", "10/", "/m"])
def test_a_rate_that_is_none_is_refused(rate: str) -> None:
    with pytest.raises(ValueError, match="a rate is a number of starts per s, m or h, such as '10/m', not "):
        RateLimit(rate)
