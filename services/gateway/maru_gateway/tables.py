"""The tables of the gateway. Moments are microseconds since 1970 (UTC)."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, String, Table, Uuid

metadata = MetaData()

keys = Table(
    "keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("workspace", String(100), nullable=False),
    Column("role", String(20), nullable=False),
    Column("name", String(200), nullable=False),
    Column("prefix", String(12), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("used_at", BigInteger),
    Index("keys_workspace", "workspace", "created_at"),
)
