"""Posts that are gone, and whose words an event has, so that these can go with their post."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "deletions",
        sa.Column("post_id", sa.Uuid, primary_key=True),
        sa.Column("workspace", sa.String(100), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    quoted = "the post whose words the body has; zeros: nobody's; null: not known"
    op.add_column("events", sa.Column("quoted", sa.Uuid, nullable=True, comment=quoted))
    op.create_index("events_quoted", "events", ["quoted"])
    # Definitions are no history of an idea, and one of a correction has its post's words.
    op.execute("DELETE FROM events WHERE published AND idea_id IS NULL")


def downgrade() -> None:
    op.drop_index("events_quoted", "events")
    op.drop_column("events", "quoted")
    op.drop_table("deletions")
