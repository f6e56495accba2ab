"""Dead letters and replay: what the commands do with the log itself."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from rich.progress import Progress

from maru_cli.output import err
from maru_kit import dead as letters
from maru_kit.bus import Bus, open_bus
from maru_kit.errors import ConfigError
from maru_kit.settings import Common

_ROWS = "ingest"
"""The group whose dead letters are no messages, but rows that could not become one."""


async def dead() -> list[dict[str, Any]]:
    """List all dead letters that wait, without what they hold."""
    async with _bus() as bus:
        return [
            asdict(letter)
            for topic, group in await letters.dead_topics(bus)
            for letter in await letters.dead_list(bus, topic, group)
        ]


async def replay_dead(topic: str | None, group: str | None, ids: Collection[int] | None) -> int:
    """Publish dead letters again and return how many."""
    if ids and not (topic and group):
        raise ConfigError("--id names letters within a topic and group: give --topic and --group")
    if group == _ROWS:
        raise ConfigError(
            "The dead letters of ingest are rows that were no posts: mend their source, or import "
            "the mended rows"
        )
    async with _bus() as bus:
        if topic is not None:
            await _demand(bus, topic)
        return sum(
            [
                await letters.dead_replay(bus, of_topic, of_group, ids or None)
                for of_topic, of_group in await letters.dead_topics(bus)
                if topic in (None, of_topic) and group in (None, of_group) and of_group != _ROWS
            ]
        )


async def replay(topic: str, since: datetime | int | Literal["beginning"], *, quiet: bool) -> int:
    """Publish a topic's records again, to the same topic, and return how many.

    Shows how far it is on a terminal, unless it shall be quiet.
    """
    async with _bus() as bus:
        await _demand(bus, topic)
        with Progress(console=err, disable=quiet or not err.is_terminal) as bar:
            task = bar.add_task("Replaying", total=None)
            return await letters.replay(
                bus, topic, since, lambda done, total: bar.update(task, completed=done, total=total)
            )


async def _demand(bus: Bus, topic: str) -> None:
    known = await bus.topics()
    if topic not in known:
        raise ConfigError(f"There is no topic {topic}: there are {', '.join(sorted(known))}")


@asynccontextmanager
async def _bus() -> AsyncIterator[Bus]:
    async with open_bus(Common().bus_url) as bus:
        yield bus
