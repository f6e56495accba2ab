"""A row for each batch that is under way, in place of a mark on each of its posts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_INTERRUPTED = 0
"""The announcement of all posts that were announced and not acknowledged before this step."""


def upgrade() -> None:
    op.create_table(
        "announcements",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    )
    op.add_column("seen", sa.Column("announcement", sa.BigInteger))
    op.execute(f"INSERT INTO announcements (id) VALUES ({_INTERRUPTED})")  # noqa: S608
    op.execute(f"UPDATE seen SET announcement = {_INTERRUPTED} WHERE published = 0")  # noqa: S608
    op.drop_column("seen", "published")


def downgrade() -> None:
    op.add_column("seen", sa.Column("published", sa.Integer, nullable=False, server_default="1"))
    op.execute("UPDATE seen SET published = 0 WHERE announcement IN (SELECT id FROM announcements)")
    op.drop_column("seen", "announcement")
    op.drop_table("announcements")
