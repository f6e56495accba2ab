"""The scripts in which an idea has words, so that one in another script is asked for less."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_EVERY = "1023"
"""All ten scripts: ideas that are there already are compared as they were."""


def upgrade() -> None:
    op.add_column(
        "shapes",
        sa.Column(
            "scripts",
            sa.SmallInteger(),
            nullable=False,
            server_default=_EVERY,
            comment="bits of the scripts of these",
        ),
    )


def downgrade() -> None:
    op.drop_column("shapes", "scripts")
