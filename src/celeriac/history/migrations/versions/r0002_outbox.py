"""The table of messages that wait for their transaction to commit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLE = "celeriac_outbox"


def upgrade() -> None:
    """Go there."""
    op.create_table(
        _TABLE,
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("task", sa.String(255), nullable=False),
        sa.Column("queue", sa.String(255)),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("key", sa.String(255)),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("event", sa.LargeBinary),
        sa.Column("call", sa.Text),
    )
    op.create_index("celeriac_outbox_by_id", _TABLE, ["id"])


def downgrade() -> None:
    """Go back."""
    op.drop_table(_TABLE)
