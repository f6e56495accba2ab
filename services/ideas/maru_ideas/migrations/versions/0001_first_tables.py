"""The first tables.

Revision: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("topic", sa.String(length=200), nullable=False),
        sa.Column("workspace", sa.String(length=100), nullable=False),
        sa.Column("idea_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False, comment="the message, JSON"),
        sa.Column("published", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("idea_id", "version", name="events_version"),
    )
    op.create_index(
        "events_waiting",
        "events",
        ["sequence"],
        unique=False,
        sqlite_where=sa.text("published = 0"),
        postgresql_where=sa.text("NOT published"),
    )
    op.create_table(
        "evidence",
        sa.Column("post_id", sa.Uuid(), nullable=False),
        sa.Column("idea_id", sa.Uuid(), nullable=False),
        sa.Column("similarity", sa.Float(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("post_id"),
    )
    op.create_index(
        "evidence_newest", "evidence", ["idea_id", "created_at", "post_id"], unique=False
    )
    op.create_table(
        "ideas",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace", sa.String(length=100), nullable=False),
        sa.Column("product", sa.String(length=100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("voices", sa.Integer(), nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column(
            "labels",
            sa.Text(),
            nullable=False,
            comment="|c:channel|l:language|t:topic|, for filters",
        ),
        sa.Column("search", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="both faces with all counts, JSON"),
        sa.Column("wire", sa.Text(), nullable=False, comment="the Idea as readers get it, JSON"),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("public_score", sa.Float(), nullable=False),
        sa.Column("public_voices", sa.Integer(), nullable=False),
        sa.Column("public_first_seen", sa.BigInteger(), nullable=False),
        sa.Column("public_last_seen", sa.BigInteger(), nullable=False),
        sa.Column("public_labels", sa.Text(), nullable=False),
        sa.Column(
            "public_wire",
            sa.Text(),
            nullable=False,
            comment="the Idea over public posts alone, JSON",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ideas_last_seen", "ideas", ["workspace", "last_seen", "id"], unique=False)
    op.create_index("ideas_newest", "ideas", ["workspace", "first_seen", "id"], unique=False)
    op.create_index(
        "ideas_public_score",
        "ideas",
        ["workspace", "is_public", "public_score", "id"],
        unique=False,
    )
    op.create_index("ideas_score", "ideas", ["workspace", "score", "id"], unique=False)
    op.create_index("ideas_voices", "ideas", ["workspace", "voices", "id"], unique=False)
    op.create_table(
        "offsets",
        sa.Column("topic", sa.String(length=200), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition"),
    )
    op.create_table(
        "posts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("workspace", sa.String(length=100), nullable=False),
        sa.Column("product", sa.String(length=100), nullable=False),
        sa.Column("source_id", sa.String(length=100), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("sentiment", sa.String(length=10), nullable=False),
        sa.Column("intent", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("models", sa.Text(), nullable=False, comment="names and versions of all heads"),
        sa.Column("labels", sa.Text(), nullable=False, comment="|topic|topic|, for filters"),
        sa.Column("search", sa.Text(), nullable=False, comment="the words, squeezed together"),
        sa.Column(
            "body", sa.Text(), nullable=False, comment="the TaggedPost without its embedding, JSON"
        ),
        sa.Column("embedding", sa.LargeBinary(), nullable=False, comment="512 signed bytes"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("posts_newest", "posts", ["workspace", "created_at", "id"], unique=False)
    op.create_table(
        "relays",
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "shapes",
        sa.Column("idea_id", sa.Uuid(), nullable=False),
        sa.Column("workspace", sa.String(length=100), nullable=False),
        sa.Column("product", sa.String(length=100), nullable=False),
        sa.Column(
            "place", sa.Integer(), nullable=False, comment="the idea's number within its product"
        ),
        sa.Column(
            "shapers", sa.SmallInteger(), nullable=False, comment="how many vectors are in the sum"
        ),
        sa.Column("sum", sa.LargeBinary(), nullable=False, comment="512 little-endian int16"),
        sa.PrimaryKeyConstraint("idea_id"),
        sa.UniqueConstraint("workspace", "product", "place", name="shapes_place"),
    )
    op.create_table(
        "shelves",
        sa.Column("workspace", sa.String(length=100), nullable=False),
        sa.Column("product", sa.String(length=100), nullable=False),
        sa.Column("ideas", sa.Integer(), nullable=False),
        sa.Column("public_ideas", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "product"),
    )
    op.create_table(
        "topics",
        sa.Column("workspace", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("examples", sa.Text(), nullable=False, comment="JSON list"),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "name"),
    )
    op.create_table(
        "voices",
        sa.Column("idea_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.String(length=6), nullable=False, comment="whole or public"),
        sa.Column("voice", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("idea_id", "scope", "voice"),
    )


def downgrade() -> None:
    op.drop_table("voices")
    op.drop_table("topics")
    op.drop_table("shelves")
    op.drop_table("shapes")
    op.drop_table("relays")
    op.drop_index("posts_newest", table_name="posts")
    op.drop_table("posts")
    op.drop_table("offsets")
    op.drop_index("ideas_voices", table_name="ideas")
    op.drop_index("ideas_score", table_name="ideas")
    op.drop_index("ideas_public_score", table_name="ideas")
    op.drop_index("ideas_newest", table_name="ideas")
    op.drop_index("ideas_last_seen", table_name="ideas")
    op.drop_table("ideas")
    op.drop_index("evidence_newest", table_name="evidence")
    op.drop_table("evidence")
    op.drop_index(
        "events_waiting",
        table_name="events",
        sqlite_where=sa.text("published = 0"),
        postgresql_where=sa.text("NOT published"),
    )
    op.drop_table("events")
