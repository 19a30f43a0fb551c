"""What alembic runs to change the database. The connection comes from :mod:`infrastructure.database.schema`."""

from __future__ import annotations

from alembic import context

from infrastructure.database.models import Base
from infrastructure.database.schema import MIGRATIONS

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=MIGRATIONS.versions,
    render_as_batch=True,  # SQLite cannot change a column otherwise
)
with context.begin_transaction():
    context.run_migrations()
