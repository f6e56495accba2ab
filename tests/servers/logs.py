"""Both kinds of log, for tests that must hold on each."""

from collections.abc import AsyncIterator

import pytest

from maru_kit.bus import Bus, open_bus


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def bus_url(request: pytest.FixtureRequest) -> str:
    """The URL of a log: a new file, or the session's broker."""
    if request.param == "kafka":
        return str(request.getfixturevalue("kafka_url"))
    return f"sqlite:///{request.getfixturevalue('tmp_path')}/log.db"


@pytest.fixture
async def bus(bus_url: str) -> AsyncIterator[Bus]:
    """An open log."""
    async with open_bus(bus_url) as bus:
        yield bus
