"""What the ideas service does with the messages it consumes."""

from maru_contracts.tags import TaggedPost
from maru_ideas.outbox import Relay
from maru_ideas.service.intake import Intake
from maru_kit.stream import Batch


class Posts:
    """Handles `posts.tagged.v1`."""

    def __init__(self, intake: Intake, relay: Relay) -> None:
        self._intake = intake
        self._relay = relay

    async def on_posts(self, batch: Batch[TaggedPost]) -> None:
        """Turn a batch of tagged posts into ideas, and have their events published."""
        await self._intake.take(batch)
        self._relay.wake()
