"""What docker-compose.yml says, read without Docker."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.docker.engine import COMPOSE_FILE, ROOT, argv, read_yaml

CELERY = ["celery-worker", "celery-beat"]
EVERY = ["redis", *CELERY]


@pytest.fixture(scope="module")
def file() -> dict[str, Any]:
    return read_yaml(COMPOSE_FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def services(file: dict[str, Any]) -> dict[str, Any]:
    services: dict[str, Any] = file["services"]
    return services


@pytest.mark.proves("S003-11")
def test_the_worker_is_started_with_the_agreed_arguments(services):
    assert argv(services["celery-worker"]["command"]) == [
        "celery",
        "--app=delivery.tasks.app",
        "worker",
        "--loglevel=${LOGGING_LEVEL:-INFO}",
        "--concurrency=4",
    ]


@pytest.mark.proves("S003-12")
def test_beat_is_started_with_the_agreed_arguments(services):
    assert argv(services["celery-beat"]["command"]) == [
        "celery",
        "--app=delivery.tasks.app",
        "beat",
        "--loglevel=${LOGGING_LEVEL:-INFO}",
    ]


def test_beat_is_one_and_runs_the_image_of_the_worker(services):
    worker, beat = (services[name] for name in CELERY)
    assert (beat["image"], beat["build"]) == (worker["image"], worker["build"])
    assert beat["deploy"] == {"replicas": 1}


def test_every_address_of_redis_carries_its_required_password(services):
    required = re.compile(r"\$\{REDIS_PASSWORD:\?[^}]+\}")
    command = argv(services["redis"]["command"])
    assert required.fullmatch(command[command.index("--requirepass") + 1])
    for name in CELERY:
        assert required.sub("SECRET", services[name]["environment"]["REDIS_URL"]) == "redis://:SECRET@redis:6379/0"


@pytest.mark.parametrize("name", CELERY)
def test_every_setting_reaches_celery_by_a_file_that_need_not_be_there(services, name):
    assert services[name]["env_file"] == "${ENV_FILE:-.env.example}"
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert [line for line in example.splitlines() if line and not line.startswith("#")] == []


@pytest.mark.parametrize("name", CELERY)
def test_a_file_for_development_makes_no_development_of_a_container(services, name):
    # Of `environment` and `env_file`, compose takes the first.
    assert services[name]["environment"]["ENVIRONMENT"] == "production"


def test_redis_gets_no_secret_of_the_service(services):
    assert "env_file" not in services["redis"]


def test_redis_keeps_what_it_was_given(services):
    options = " ".join(argv(services["redis"]["command"]))
    assert "--appendonly yes --appendfsync everysec" in options
    assert "--maxmemory-policy noeviction" in options
    assert services["redis"]["volumes"] == ["redis:/data"]


@pytest.mark.parametrize("name", CELERY)
def test_celery_waits_until_redis_is_healthy(services, name):
    assert services[name]["depends_on"] == {"redis": {"condition": "service_healthy"}}
    assert services["redis"]["healthcheck"]["test"]


@pytest.mark.proves("S000-44")
@pytest.mark.parametrize("name", EVERY)
def test_a_service_is_on_the_internal_network_alone_and_publishes_nothing(file, services, name):
    assert services[name]["networks"] == ["tasks"]
    assert file["networks"]["tasks"] == {"internal": True}
    assert not {"ports", "expose", "network_mode"} & services[name].keys()


@pytest.mark.parametrize("name", EVERY)
def test_a_service_may_do_no_more_than_it_must(services, name):
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "privileged" not in service


def test_a_worker_is_given_longer_than_its_soft_shutdown_before_it_is_killed(services):
    worker = services["celery-worker"]
    soft = worker["environment"]["CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT"]
    assert int(worker["stop_grace_period"].removesuffix("s")) > soft > 0
    # Celery waits softly on this signal; on SIGTERM it waits without end.
    assert worker["stop_signal"] == "SIGQUIT"


def test_no_file_of_docker_names_a_package_registry_or_holds_a_password():
    for name in ("Dockerfile", ".dockerignore", "docker-compose.yml"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"index-url|find-links|https?://", text), name
        assert not re.search(r"(?i)password\s*[:=]\s*['\"]?[a-z0-9]", text), name
