"""The tables of the ingest service.

Moments are whole microseconds since 1970 (UTC), which both databases keep exactly.
"""

from datetime import UTC, datetime, timedelta
from typing import overload

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

sources = Table(
    "sources",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("workspace", String(100), nullable=False),
    Column("product", String(100), nullable=False),
    Column("name", String(200), nullable=False),
    Column("kind", String(50), nullable=False),
    Column("channel", String(20), nullable=False),
    Column("settings", Text, nullable=False),
    Column("secret", Text),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("cursor", Text, nullable=False, server_default="{}"),
    Column("posts", BigInteger, nullable=False, server_default="0"),
    Column("duplicates", BigInteger, nullable=False, server_default="0"),
    Column("rejected", BigInteger, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    Column("last_polled_at", BigInteger),
    Column("last_success_at", BigInteger),
    Column("last_post_at", BigInteger),
    Column("next_poll_at", BigInteger),
    Column("leased_by", String(200)),
    Column("leased_until", BigInteger),
    Column("daily_requests", Integer),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("grant_name", String(64)),
    Column("credentials_expire_at", BigInteger),
    Column("credentials_checked_at", BigInteger),
    UniqueConstraint("workspace", "kind", "name", name="uq_sources_name"),
    Index("ix_sources_due", "state", "next_poll_at"),
)

source_days = Table(
    "source_days",
    metadata,
    Column("source_id", String(100), primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("posts", BigInteger, nullable=False, server_default="0"),
    Column("rejected", BigInteger, nullable=False, server_default="0"),
    Column("requests", BigInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)
"""What each source brought and asked for on each day (UTC, in days since 1970)."""

backfills = Table(
    "backfills",
    metadata,
    Column("source_id", String(100), primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("cursor", Text, nullable=False, server_default="{}"),
    Column("pages", Integer, nullable=False, server_default="0"),
    Column("posts", BigInteger, nullable=False, server_default="0"),
    Column("asked_at", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("leased_by", String(200)),
    Column("leased_until", BigInteger),
    Index("ix_backfills_due", "state", "next_at"),
)
"""The last look back of each source, under way or ended."""

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("source_id", String(100), nullable=False),
    Column("callback", Text, nullable=False),
    Column("hubs", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("next_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger),
    Column("last_push_at", BigInteger),
    Index("ix_subscriptions_source", "source_id"),
    Index("ix_subscriptions_due", "next_at"),
    Index(
        "uq_subscriptions_wanted",
        "source_id",
        unique=True,
        sqlite_where=text("state <> 'leaving'"),
        postgresql_where=text("state <> 'leaving'"),
    ),
)
"""What hubs were asked to push (WebSub). A source has one that it wants; those that it leaves stay
until the hub has confirmed that, even when the source itself is gone."""

grants = Table(
    "grants",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("token", Text, nullable=False),
    Column("kept_at", BigInteger, nullable=False),
    Column("holder", String(32)),
    Column("held_until", BigInteger),
)
"""Tokens of OAuth that are kept between polls, and who renews one. Sources with the same secrets
use the same one: `sources.grant_name`."""

seen = Table(
    "seen",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", String(36), nullable=False),
    Column("fingerprint", String(32), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("owner", String(100)),
    Column("collected_at", BigInteger, nullable=False),
    Column("edited_at", BigInteger),
    Column("announcement", BigInteger),
    Column("deleted_at", BigInteger),
    UniqueConstraint("id", name="uq_seen_id"),
)
"""What is known of every post that was ever announced; `domain.Seen` is a row.

Rows lie in the order of their announcement, so that a batch fills and later touches few pages:
by their random ids it would dirty every page of the table (measured: 3 times slower on SQLite).
"""

announcements = Table(
    "announcements",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
)
"""Batches of posts that the log has not acknowledged: those in `seen` that name one of these are
published again when they are met. One row to delete for a batch, where a mark on each post would
cost as much as writing it did."""

rejects = Table(
    "rejects",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("source_id", String(100), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("ix_rejects_source", "source_id"),
    sqlite_with_rowid=False,
)
"""Bad rows that are in the dead letters already, so that the next poll does not add them again."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("source_id", String(100), primary_key=True),
    Column("delivery_id", String(300), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Index("ix_deliveries_at", "at"),
)
"""Webhook messages that were accepted; kept for a day, longer than any sender retries in a row."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@overload
def micros(moment: datetime) -> int: ...
@overload
def micros(moment: datetime | None) -> int | None: ...
def micros(moment: datetime | None) -> int | None:
    """Return a moment as the tables hold it: microseconds since 1970."""
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


@overload
def moment(micros: int) -> datetime: ...
@overload
def moment(micros: int | None) -> datetime | None: ...
def moment(micros: int | None) -> datetime | None:
    """Return the moment that a table holds as microseconds since 1970."""
    return None if micros is None else _EPOCH + micros * _MICROSECOND
