"""Every aiokafka client that Maru makes, with every setting that matters written out.

aiokafka's own defaults lose messages (auto-commit on, acks=1, offset reset to the end), so none
is relied upon.
"""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from maru_kit.bus import MAX_RECORD

REQUEST_MS = 5_000
"""How long one request may take; the producer repeats it until the append's own deadline."""
SESSION_MS = 6_000
"""Silence after which a member's partitions go to the others (the broker's smallest default)."""
HEARTBEAT_MS = 1_500
REBALANCE_MS = 10_000
"""How long a rebalance waits for a member that is still busy with a batch."""
POLL_MS = 300_000
"""Without a fetch for this long a member leaves; `consume` gives up long before."""
BATCH_BYTES = 256 * 1024
OVERHEAD = 64 * 1024
"""Room for a record's headers and its batch's frame beside MAX_RECORD."""


def producer(servers: str) -> AIOKafkaProducer:
    """An idempotent producer: what is acknowledged is on all in-sync replicas, once, in order."""
    return AIOKafkaProducer(
        bootstrap_servers=servers,
        client_id="maru",
        acks="all",
        enable_idempotence=True,
        linger_ms=0,  # batches are built before they are sent
        max_batch_size=BATCH_BYTES,
        max_request_size=MAX_RECORD + OVERHEAD,
        request_timeout_ms=REQUEST_MS,
        retry_backoff_ms=100,
        metadata_max_age_ms=60_000,
    )


def member(servers: str, group: str, instance: str) -> AIOKafkaConsumer:
    """A static member of a group: one that comes back under its name is not waited out."""
    return AIOKafkaConsumer(
        bootstrap_servers=servers,
        client_id=instance,
        group_id=group,
        group_instance_id=f"{group}-{instance}",
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        rebalance_timeout_ms=REBALANCE_MS,
        max_poll_interval_ms=POLL_MS,
        # Longer than a rebalance, or the join request is given up while the broker holds it.
        request_timeout_ms=REBALANCE_MS + REQUEST_MS,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=1024 * 1024,
        fetch_max_wait_ms=500,
        retry_backoff_ms=100,
        metadata_max_age_ms=60_000,
    )


def reader(servers: str) -> AIOKafkaConsumer:
    """A consumer without a group."""
    return AIOKafkaConsumer(
        bootstrap_servers=servers,
        client_id="maru-reader",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        request_timeout_ms=REQUEST_MS,
        max_partition_fetch_bytes=1024 * 1024,
        fetch_max_wait_ms=500,
        retry_backoff_ms=100,
        metadata_max_age_ms=60_000,
    )


def admin(servers: str) -> AIOKafkaAdminClient:
    """A client for topics and groups."""
    return AIOKafkaAdminClient(
        bootstrap_servers=servers, client_id="maru-admin", request_timeout_ms=REQUEST_MS
    )
