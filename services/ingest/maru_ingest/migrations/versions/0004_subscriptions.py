"""What hubs of feeds were asked to push to us."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("source_id", sa.String(100), nullable=False),
        sa.Column("callback", sa.Text, nullable=False),
        sa.Column("hubs", sa.Text, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("last_push_at", sa.BigInteger),
    )
    op.create_index("ix_subscriptions_source", "subscriptions", ["source_id"])
    op.create_index("ix_subscriptions_due", "subscriptions", ["next_at"])
    wanted = sa.text("state <> 'leaving'")
    op.create_index(
        "uq_subscriptions_wanted",
        "subscriptions",
        ["source_id"],
        unique=True,
        sqlite_where=wanted,
        postgresql_where=wanted,
    )


def downgrade() -> None:
    op.drop_table("subscriptions")
