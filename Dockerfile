# One image for everything that the service runs: workers, beat, and commands beside them.

ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim-bookworm AS build

COPY requirements/runtime.txt /build/runtime.txt
# A virtual environment without pip: what installs packages stays in this stage. Wheels alone, so no package runs code
# of its own here and none needs a compiler.
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --only-binary=:all: \
        --require-hashes --requirement /build/runtime.txt

COPY src /app/src
# Compiled once, because the container cannot write. Unchecked: in an image, source and bytecode never part.
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /app/src


FROM python:${PYTHON_VERSION}-slim-bookworm

LABEL org.opencontainers.image.title="celeriac" \
    org.opencontainers.image.licenses="MIT"

# The one place that the service may write to; a volume mounted over it takes this owner.
RUN groupadd --system --gid 10001 celeriac \
    && useradd --system --uid 10001 --gid celeriac --no-create-home --home-dir /var/lib/celeriac \
        --shell /usr/sbin/nologin celeriac \
    && install --directory --owner=celeriac --group=celeriac --mode=0750 /var/lib/celeriac

COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app/src \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CELERY_BEAT_SCHEDULE_FILENAME=/var/lib/celeriac/celerybeat-schedule \
    EXPORTS_DIRECTORY=/var/lib/celeriac/exports \
    STORAGE_URL=/var/lib/celeriac/files \
    DATA_DIRECTORY=/var/lib/celeriac/tables

WORKDIR /app
# By number, so that a cluster can see without asking the image that this is not root.
USER 10001:10001

# Celery's warm shutdown: finish the running tasks, take no more. Beat saves its schedule on the same signal.
STOPSIGNAL SIGTERM

# No HEALTHCHECK: asking a worker costs a Python process each time, and a busy worker is not an ill one.
CMD ["celery", "--app=delivery.tasks.app", "worker"]
