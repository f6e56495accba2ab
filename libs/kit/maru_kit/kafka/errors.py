"""Deadlines around Kafka, and its errors in Maru's words."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import structlog
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from maru_kit.errors import ConfigError, Unavailable

log = structlog.get_logger()

DEADLINE = 10.0
"""Seconds that anything asked of Kafka may take."""
CLOSING = 5.0
"""Seconds that a client may take to stop."""


@asynccontextmanager
async def deadline(what: str, seconds: float = DEADLINE) -> AsyncIterator[None]:
    """Give the block `seconds`. aiokafka repeats most requests for ever by itself.

    Raises Unavailable when they have passed or Kafka fails, ConfigError for a missing topic.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Unavailable(f"Kafka has not answered within {seconds:g} s ({what}).") from None
    except UnknownTopicOrPartitionError as error:
        raise ConfigError(f"Kafka has no such topic ({what}); create it first.") from error
    except (KafkaError, OSError) as error:
        raise Unavailable(f"Kafka does not answer ({what}): {error!r}") from error


async def ended(stopping: Awaitable[None], what: str) -> None:
    """Wait for a client to stop, but not for ever: without a broker it would."""
    try:
        async with asyncio.timeout(CLOSING):
            await stopping
    except (TimeoutError, KafkaError, OSError) as error:
        log.warning("kafka.not_closed", client=what, error=repr(error))
