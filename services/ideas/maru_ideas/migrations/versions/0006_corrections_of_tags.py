"""When a person corrected a post's tags; the correction itself is in the post's body."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column(
        "posts",
        sa.Column(
            "corrected_at", sa.BigInteger(), nullable=True, comment="null: the tags are the models'"
        ),
    )
    corrected = sa.text("corrected_at IS NOT NULL")
    op.create_index(
        "posts_corrected",
        "posts",
        ["workspace", "created_at", "id"],
        sqlite_where=corrected,
        postgresql_where=corrected,
    )


def downgrade() -> None:
    op.drop_index("posts_corrected", "posts")
    op.drop_column("posts", "corrected_at")
