"""The terms that workspaces define, and how many posts of each day mention a watched product."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "terms",
        sa.Column("workspace", sa.String(length=100), nullable=False),
        sa.Column("section", sa.String(length=11), nullable=False, comment="watch or corrections"),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column(
            "meaning", sa.String(length=10), nullable=False, comment="own, competitor or a mood"
        ),
        sa.Column("aliases", sa.Text(), nullable=False, comment="JSON list"),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "section", "name"),
    )
    op.create_table(
        "mentions",
        sa.Column("workspace", sa.String(length=100), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, comment="days since 1970, UTC"),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False, comment="own or competitor"),
        sa.Column("mood", sa.String(length=10), nullable=False),
        sa.Column("posts", sa.Integer(), nullable=False, comment="posts that name it, each once"),
        sa.PrimaryKeyConstraint("workspace", "day", "name", "kind", "mood"),
    )


def downgrade() -> None:
    op.drop_table("mentions")
    op.drop_table("terms")
