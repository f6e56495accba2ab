"""Topics that are discovered in a product's posts, and what the discovery remembers."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "discoveries",
        sa.Column("workspace", sa.String(length=100), nullable=False),
        sa.Column("product", sa.String(length=100), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False, comment="posts looked at"),
        sa.Column("founded", sa.Integer(), nullable=False, comment="topics founded"),
        sa.Column(
            "middle", sa.Integer(), nullable=False, comment="dot product of an ordinary pair"
        ),
        sa.Column(
            "deviation", sa.Integer(), nullable=False, comment="by how much such pairs differ"
        ),
        sa.Column("spoken", sa.Integer(), nullable=False, comment="posts whose words were counted"),
        sa.Column("bins", sa.LargeBinary(), nullable=False, comment="256 little-endian int32"),
        sa.Column(
            "ring",
            sa.LargeBinary(),
            nullable=False,
            comment="up to 64 vectors of 256 signed bytes",
        ),
        sa.Column(
            "words",
            sa.LargeBinary(),
            nullable=False,
            comment="2 x 8192 little-endian uint16, zlib",
        ),
        sa.PrimaryKeyConstraint("workspace", "product"),
    )
    op.create_table(
        "discovered_topics",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace", sa.String(length=100), nullable=False),
        sa.Column("product", sa.String(length=100), nullable=False),
        sa.Column(
            "place", sa.Integer(), nullable=False, comment="the topic's number within its product"
        ),
        sa.Column(
            "status", sa.String(length=10), nullable=False, comment="alive, merged or retired"
        ),
        sa.Column("merged_into", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("words", sa.Text(), nullable=False, comment="JSON list, the most telling first"),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="what the discovery remembers of it, JSON"
        ),
        sa.Column("sum", sa.LargeBinary(), nullable=False, comment="256 little-endian int32"),
        sa.Column("vector", sa.LargeBinary(), nullable=False, comment="256 signed bytes"),
        sa.Column("dismissed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column(
            "adopted_as", sa.String(length=100), nullable=True, comment="the workspace's own topic"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("workspace", "product", "place", name="discovered_topics_place"),
    )
    op.create_table(
        "discovered_posts",
        sa.Column("post_id", sa.Uuid(), nullable=False),
        sa.Column("topic_id", sa.Uuid(), nullable=False),
        sa.Column("similarity", sa.Float(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("post_id"),
    )
    op.create_index(
        "discovered_posts_newest",
        "discovered_posts",
        ["topic_id", "created_at", "post_id"],
        unique=False,
    )
    op.create_table(
        "waiting_posts",
        sa.Column("post_id", sa.Uuid(), nullable=False),
        sa.Column("workspace", sa.String(length=100), nullable=False),
        sa.Column("product", sa.String(length=100), nullable=False),
        sa.Column(
            "sequence",
            sa.BigInteger(),
            nullable=False,
            comment="its number among the product's",
        ),
        sa.Column("voice", sa.String(length=32), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("words", sa.Text(), nullable=False, comment="JSON list"),
        sa.Column("vector", sa.LargeBinary(), nullable=False, comment="256 signed bytes"),
        sa.PrimaryKeyConstraint("post_id"),
        sa.UniqueConstraint("workspace", "product", "sequence", name="waiting_posts_sequence"),
    )
    op.create_table(
        "discovered_days",
        sa.Column("topic_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, comment="days since 1970, UTC"),
        sa.Column("mood", sa.String(length=10), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("posts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("topic_id", "day", "mood", "language"),
    )
    op.create_table(
        "product_days",
        sa.Column("workspace", sa.String(length=100), nullable=False),
        sa.Column("product", sa.String(length=100), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, comment="days since 1970, UTC"),
        sa.Column("posts", sa.Integer(), nullable=False, comment="in a discovered topic or not"),
        sa.PrimaryKeyConstraint("workspace", "product", "day"),
    )


def downgrade() -> None:
    for table in (
        "product_days",
        "discovered_days",
        "waiting_posts",
        "discovered_posts",
        "discovered_topics",
        "discoveries",
    ):
        op.drop_table(table)
