"""Posts that have another's words, and by what these are found."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "copies",
        sa.Column("post_id", sa.Uuid, primary_key=True),
        sa.Column("words_of", sa.Uuid, nullable=False, comment="the post whose words it has"),
        sa.Column("original", sa.Uuid, nullable=False, comment="the evidence at the end of these"),
        sa.Column("is_repost", sa.Boolean, nullable=False),
    )
    op.create_index("copies_original", "copies", ["original"])
    shelf = "a number for workspace and product"
    op.create_table(
        "prints",
        sa.Column("shelf", sa.BigInteger, primary_key=True, comment=shelf),
        sa.Column(
            "print", sa.BigInteger, primary_key=True, comment="the hash of some letters of a text"
        ),
        sa.Column("post_id", sa.Uuid, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "horizons",
        sa.Column("shelf", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("month", sa.Integer, nullable=False, comment="windows of 30 days since 1970"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in ("horizons", "prints", "copies"):
        op.drop_table(table)
