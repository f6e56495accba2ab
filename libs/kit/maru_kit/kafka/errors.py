"""Deadlines around Kafka, and its errors in Maru's words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from maru_kit.errors import ConfigError, Unavailable

DEADLINE = 10.0
"""Seconds that anything asked of Kafka may take."""


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
