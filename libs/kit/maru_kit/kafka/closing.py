"""Letting go of aiokafka's clients, also of those whose broker is gone."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

log = structlog.get_logger()

CLOSING = 3.0
"""Seconds that each step may take."""


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer; when that fails half way, at least end its tasks and connections."""
    if await ended(consumer.stop(), "consumer"):
        return
    # aiokafka has no public way to end these two once its own `stop` has failed.
    if consumer._fetcher is not None:  # noqa: SLF001 - see above
        await ended(consumer._fetcher.close(), "fetcher")  # noqa: SLF001 - see above
    await ended(consumer._client.close(), "connections")  # noqa: SLF001 - see above


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Stop a producer; without a broker its batches are never flushed, and are given up."""
    if not await ended(producer.stop(), "producer"):
        await ended(producer._sender.close(), "sender")  # noqa: SLF001 - nor to end this
        await ended(producer.client.close(), "connections")


async def ended(stopping: Coroutine[Any, Any, None], what: str) -> bool:
    """Give one step its time; return whether it came to its end.

    In a task of its own, because aiokafka lets the cancellation of its inner tasks escape.
    """
    task = asyncio.create_task(stopping)
    try:
        await asyncio.wait({task}, timeout=CLOSING)
    finally:
        task.cancel()
    await asyncio.wait({task}, timeout=CLOSING)
    if task.done() and not task.cancelled() and task.exception() is None:
        return True
    log.warning("kafka.not_closed", step=what)
    return False
