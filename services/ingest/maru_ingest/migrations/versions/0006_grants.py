"""Tokens of OAuth that are kept between polls, and when the credentials of sources end."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("sources", sa.Column("grant_name", sa.String(64)))
    op.add_column("sources", sa.Column("credentials_expire_at", sa.BigInteger))
    op.add_column("sources", sa.Column("credentials_checked_at", sa.BigInteger))
    op.create_table(
        "grants",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("kept_at", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.String(32)),
        sa.Column("held_until", sa.BigInteger),
    )


def downgrade() -> None:
    op.drop_table("grants")
    op.drop_column("sources", "credentials_checked_at")
    op.drop_column("sources", "credentials_expire_at")
    op.drop_column("sources", "grant_name")
