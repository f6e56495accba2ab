"""When a post was deleted by its source, so that it does not come back."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("seen", sa.Column("deleted_at", sa.BigInteger))


def downgrade() -> None:
    # Without the mark, a post that nobody has brought yet would look like one that came.
    op.execute("DELETE FROM seen WHERE fingerprint = ''")
    op.drop_column("seen", "deleted_at")
