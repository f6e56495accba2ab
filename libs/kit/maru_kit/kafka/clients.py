"""Every aiokafka client that Maru makes, with every setting that matters written out.

aiokafka's own defaults lose messages (auto-commit on, acks=1, offset reset to the end), so none
is relied upon. Each is made from the cluster's URL, of which `address` tells host, TLS and SASL.
"""

from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError

from maru_kit.bus import MAX_RECORD
from maru_kit.kafka.address import connection

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


def producer(url: str) -> AIOKafkaProducer:
    """An idempotent producer: what is acknowledged is on all in-sync replicas, once, in order."""
    return AIOKafkaProducer(
        **connection(url),
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


def member(url: str, group: str, instance: str) -> AIOKafkaConsumer:
    """A static member of a group: one that comes back under its name is not waited out."""
    return AIOKafkaConsumer(
        **connection(url),
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


def reader(url: str) -> AIOKafkaConsumer:
    """A consumer without a group."""
    return AIOKafkaConsumer(
        **connection(url),
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


def admin(url: str) -> AIOKafkaAdminClient:
    """A client for topics and groups."""
    return AIOKafkaAdminClient(
        **connection(url), client_id="maru-admin", request_timeout_ms=REQUEST_MS
    )


async def refusal(url: str) -> str:
    """Say why no client gets in: aiokafka only says that none does."""
    asked: dict[str, Any] = dict(connection(url))
    reason = ""
    for host, port, _ in collect_hosts(asked.pop("bootstrap_servers")):
        try:
            made = await create_conn(host, port, request_timeout_ms=REQUEST_MS, **asked)
        except (OSError, KafkaError) as error:
            reason = str(error) or type(error).__name__
        else:
            made.close()
            return "it takes connections, and does not describe itself"
    return reason
