"""What a topic is, in words; what it was called before, and since when it is defined."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("topics", sa.Column("description", sa.Text(), nullable=False, server_default=""))
    op.add_column(
        "topics",
        sa.Column("formerly", sa.Text(), nullable=False, server_default="[]", comment="JSON list"),
    )
    op.add_column(
        "topics",
        sa.Column(
            "since", sa.BigInteger(), nullable=True, comment="null: not known, or always there"
        ),
    )


def downgrade() -> None:
    op.drop_column("topics", "since")
    op.drop_column("topics", "formerly")
    op.drop_column("topics", "description")
