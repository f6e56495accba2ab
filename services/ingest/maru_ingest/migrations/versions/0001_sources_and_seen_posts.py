"""Sources, the posts that were seen, bad rows and webhook deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "sources",
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("workspace", sa.String(100), nullable=False),
        sa.Column("product", sa.String(100), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("channel", sa.String(20), nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("secret", sa.Text),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("cursor", sa.Text, nullable=False, server_default="{}"),
        sa.Column("posts", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("duplicates", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("rejected", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_polled_at", sa.BigInteger),
        sa.Column("last_success_at", sa.BigInteger),
        sa.Column("last_post_at", sa.BigInteger),
        sa.Column("next_poll_at", sa.BigInteger),
        sa.Column("leased_by", sa.String(200)),
        sa.Column("leased_until", sa.BigInteger),
        sa.UniqueConstraint("workspace", "kind", "name", name="uq_sources_name"),
    )
    op.create_index("ix_sources_due", "sources", ["state", "next_poll_at"])
    op.create_table(
        "seen",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("fingerprint", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("owner", sa.String(100)),
        sa.Column("published", sa.Integer, nullable=False),
        sa.Column("collected_at", sa.BigInteger, nullable=False),
        sa.Column("edited_at", sa.BigInteger),
        sa.UniqueConstraint("id", name="uq_seen_id"),
    )
    op.create_table(
        "rejects",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("source_id", sa.String(100), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_rejects_source", "rejects", ["source_id"])
    op.create_table(
        "deliveries",
        sa.Column("source_id", sa.String(100), primary_key=True),
        sa.Column("delivery_id", sa.String(300), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_deliveries_at", "deliveries", ["at"])


def downgrade() -> None:
    for table in ("deliveries", "rejects", "seen", "sources"):
        op.drop_table(table)
