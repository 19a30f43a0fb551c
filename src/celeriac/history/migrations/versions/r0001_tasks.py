"""The table of tasks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLE = "celeriac_tasks"


def upgrade() -> None:
    """Go there."""
    op.create_table(
        _TABLE,
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("name", sa.String(255)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("queue", sa.String(255)),
        sa.Column("worker", sa.String(255)),
        sa.Column("retries", sa.Integer, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("touched", sa.BigInteger, nullable=False),
        sa.Column("started", sa.BigInteger),
        sa.Column("ended", sa.BigInteger),
        sa.Column("parent_id", sa.String(255)),
        sa.Column("root_id", sa.String(255)),
        sa.Column("group_id", sa.String(255)),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("facts", sa.Text, nullable=False),
    )
    op.create_index("celeriac_tasks_by_time", _TABLE, ["created", "id"])
    op.create_index("celeriac_tasks_by_state", _TABLE, ["state", "created"])
    op.create_index("celeriac_tasks_by_name", _TABLE, ["name", "created"])
    op.create_index("celeriac_tasks_by_parent", _TABLE, ["parent_id"])
    op.create_index("celeriac_tasks_by_root", _TABLE, ["root_id"])
    op.create_index("celeriac_tasks_by_group", _TABLE, ["group_id"])
    op.create_index("celeriac_tasks_by_age", _TABLE, ["touched"])


def downgrade() -> None:
    """Go back."""
    op.drop_table(_TABLE)
