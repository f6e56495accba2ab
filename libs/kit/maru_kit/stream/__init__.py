"""Messages on the log: publish them, and consume them with three outcomes.

A handler returns: done. It raises Rejected: the message becomes a dead letter. It raises
anything else: it is tried again, alone after a batch failed; set aside when it keeps failing
between others that pass, and waited for when many fail.
"""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from maru_contracts.message import Message
from maru_contracts.topics import Topic
from maru_kit.bus import Bus, Positions
from maru_kit.crash import crash_point
from maru_kit.metrics import MESSAGES_OUT
from maru_kit.stream.consumer import Consumer, Stuck
from maru_kit.stream.health import StreamHealth
from maru_kit.stream.messages import Batch, Handler, encode

__all__ = ["Batch", "Handler", "StreamHealth", "Stuck", "consume", "publish"]

M = TypeVar("M", bound=Message)


async def publish(bus: Bus, topic: Topic[M], messages: Sequence[M]) -> None:
    """Write messages and return when the log has acknowledged them.

    Raises Unavailable (some may have been written: publish again, readers know them by their
    ids) and Rejected (one is too large; nothing was written).
    """
    await bus.append(topic.name, [encode(topic, message) for message in messages])
    crash_point("after_publish")
    MESSAGES_OUT.labels(topic.name).inc(len(messages))


async def consume(
    bus: Bus,
    topic: Topic[M],
    group: str,
    handler: Handler[M],
    *,
    instance: str,
    stop: asyncio.Event,
    batch_size: int = 200,
    batch_wait: float = 0.2,
    positions: Positions | None = None,
    health: StreamHealth | None = None,
    patience: float = 60.0,
) -> None:
    """Hand the topic's messages to `handler` until `stop` is set; then finish, commit and leave.

    Each partition is handled in order. Without `positions` the group's position is committed
    about once a second, after the handler: what lies between is handled again after a kill.
    With `positions` the handler stores `batch.next` itself, and each effect happens once.
    `batch_wait` bounds how late (in seconds) `stop` is noticed.

    Raises Fenced when another process joins as `instance`, ConfigError for a topic that does not
    exist, and Stuck after `patience` seconds with work and without progress or a known reason.
    A log or database that does not answer is waited for, and told to `health`.
    """
    consumer = Consumer(
        bus,
        topic,
        group,
        handler,
        instance=instance,
        stop=stop,
        batch_size=batch_size,
        batch_wait=batch_wait,
        positions=positions,
        health=health or StreamHealth(),
        patience=patience,
    )
    await consumer.run()
