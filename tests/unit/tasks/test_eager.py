"""Tasks that run inside their callers, by one switch."""

from __future__ import annotations

import pytest
from tests.kit.service import BrokenError, Container, Registry

from celeriac import CeleryPublisher, create_celery_app, gather
from celeriac.app import CeleryAppConfig
from celeriac.exceptions import EagerInProduction, InvalidArguments


@pytest.fixture
def switched_on(monkeypatch):
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("CELERY_TASK_ALWAYS_EAGER", "true")
    monkeypatch.setenv("ENVIRONMENT", "development")


def a_registry() -> Registry:
    app = create_celery_app()
    Registry.install(app, Container())
    return Registry(CeleryPublisher(app))


@pytest.mark.proves("S004-25")
@pytest.mark.usefixtures("switched_on")
def test_with_the_switch_on_tasks_run_in_the_caller_and_no_server_is_needed():
    registry = a_registry()
    assert registry.add.delay(2, y=3).get() == 5
    assert registry.async_add.delay(2, y=3).get() == 5
    assert registry.flaky.delay(2).get() == 3
    chain = registry.fetch_data.s("u").then(registry.process_data, factor=2).then(registry.save_results, label="x")
    assert chain.delay().get() == "x=12"
    squares = gather(registry.process_item.s(2), registry.process_item.s(3))
    assert squares.then(registry.aggregate_results).delay().get() == 13
    with pytest.raises(InvalidArguments):
        registry.add.apply_async(("x",))


@pytest.mark.proves("S004-25")
@pytest.mark.usefixtures("switched_on")
def test_errors_wait_for_the_reader_unless_they_are_to_propagate(monkeypatch):
    result = a_registry().fail.delay("why")
    with pytest.raises(BrokenError, match="why"):
        result.get()
    monkeypatch.setenv("CELERY_TASK_EAGER_PROPAGATES", "true")
    with pytest.raises(BrokenError, match="why"):
        a_registry().fail.delay("why")


@pytest.mark.proves("S004-25")
@pytest.mark.usefixtures("switched_on")
@pytest.mark.parametrize("environment", ["production", None])
def test_in_production_the_switch_is_refused(monkeypatch, environment):
    if environment is None:
        monkeypatch.delenv("ENVIRONMENT")
    else:
        monkeypatch.setenv("ENVIRONMENT", environment)
    with pytest.raises(EagerInProduction) as refused:
        create_celery_app()
    assert str(refused.value) == (
        "task_always_eager is on while ENVIRONMENT is 'production': tasks would run inside their callers and no"
        " worker would see them. Unset CELERY_TASK_ALWAYS_EAGER, or set ENVIRONMENT=development"
    )


def test_a_table_of_options_may_say_so_too():
    config = CeleryAppConfig.from_mapping({"task_always_eager": True, "environment": "test", "broker_url": "memory://"})
    app = create_celery_app(config)
    Registry.install(app, Container())
    assert Registry(CeleryPublisher(app)).add.delay(1).get() == 1
