"""The tables of the use cases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_EXACT = sa.Numeric(20, 8).with_variant(sa.String(40), "sqlite")
_COUNTED = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Go there."""
    op.create_table(
        "users",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_table(
        "activities",
        sa.Column("id", _COUNTED, nullable=False),
        _user(),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        _of_users("activities"),
        sa.PrimaryKeyConstraint("id", name="pk_activities"),
    )
    op.create_index("ix_activities_at", "activities", ["at"])
    op.create_index("ix_activities_user_id_id", "activities", ["user_id", "id"])
    op.create_table(
        "completions",
        sa.Column("request_id", sa.String(255), nullable=False),
        _user(),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("response", sa.Text, nullable=False),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("completion_tokens", sa.Integer, nullable=False),
        sa.Column("total_tokens", sa.Integer, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        _of_users("completions"),
        sa.PrimaryKeyConstraint("request_id", name="pk_completions"),
    )
    op.create_index("ix_completions_created", "completions", ["created"])
    op.create_index("ix_completions_user_id", "completions", ["user_id"])
    op.create_table(
        "exports",
        sa.Column("task_id", sa.String(255), nullable=False),
        _user(),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("file_path", sa.String(1024), nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("expires", _MOMENT, nullable=False),
        sa.Column("removed", _MOMENT, nullable=True),
        _of_users("exports"),
        sa.PrimaryKeyConstraint("task_id", name="pk_exports"),
    )
    op.create_index("ix_exports_removed_expires", "exports", ["removed", "expires"])
    op.create_index("ix_exports_user_id", "exports", ["user_id"])
    op.create_table(
        "uploads",
        sa.Column("file_id", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("media_type", sa.String(255), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("location", sa.String(1024), nullable=False),
        sa.Column("processed", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("file_id", name="pk_uploads"),
    )
    op.create_index("ix_uploads_sha256", "uploads", ["sha256"])
    op.create_table(
        "prices",
        sa.Column("symbol", sa.String(32), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("close", _EXACT, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("fetched", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("symbol", "day", name="pk_prices"),
    )
    op.create_table(
        "index_values",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("value", _EXACT, nullable=False),
        sa.Column("members", sa.Integer, nullable=False),
        sa.Column("computed", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", "day", name="pk_index_values"),
    )
    op.create_table(
        "reports",
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("first", sa.Date, nullable=False),
        sa.Column("last", sa.Date, nullable=False),
        sa.Column("figures", sa.JSON, nullable=False),
        sa.Column("generated", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("kind", "first", "last", name="pk_reports"),
    )
    op.create_table(
        "results",
        sa.Column("workflow_id", sa.String(255), nullable=False),
        sa.Column("outcome", sa.JSON, nullable=False),
        sa.Column("saved", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", name="pk_results"),
    )


def downgrade() -> None:
    """Go back."""
    for table in ("results", "reports", "index_values", "prices", "uploads", "exports", "completions", "activities"):
        op.drop_table(table)
    op.drop_table("users")


def _user() -> sa.Column[int]:
    return sa.Column("user_id", sa.Integer, nullable=False)


def _of_users(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"fk_{table}_user_id_users", ondelete="CASCADE")
