"""How people who wrote by a form can be answered, sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "contacts",
        sa.Column("post_id", sa.String(36), primary_key=True),
        sa.Column("source_id", sa.String(100), nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_contacts_source", "contacts", ["source_id"])
    op.create_index("ix_contacts_at", "contacts", ["at"])


def downgrade() -> None:
    op.drop_table("contacts")
