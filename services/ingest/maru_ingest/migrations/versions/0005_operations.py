"""What people do with sources: quotas, looks back, changes; and what each brought day by day."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("sources", sa.Column("daily_requests", sa.Integer))
    op.add_column(
        "sources", sa.Column("generation", sa.Integer, nullable=False, server_default="0")
    )
    op.create_table(
        "source_days",
        sa.Column("source_id", sa.String(100), primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True),
        sa.Column("posts", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("rejected", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("requests", sa.BigInteger, nullable=False, server_default="0"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "backfills",
        sa.Column("source_id", sa.String(100), primary_key=True),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("cursor", sa.Text, nullable=False, server_default="{}"),
        sa.Column("pages", sa.Integer, nullable=False, server_default="0"),
        sa.Column("posts", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("leased_by", sa.String(200)),
        sa.Column("leased_until", sa.BigInteger),
    )
    op.create_index("ix_backfills_due", "backfills", ["state", "next_at"])


def downgrade() -> None:
    op.drop_table("backfills")
    op.drop_table("source_days")
    op.drop_column("sources", "generation")
    op.drop_column("sources", "daily_requests")
    op.execute("UPDATE sources SET state = 'broken' WHERE state = 'throttled'")
